"""On a CUDA device every strategy gives the loop's values, without waiting for the device at every point."""

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.evaluation import schedule
from lossatlas.evaluation.kernels import TRANSFORMS
from lossatlas.evaluation.metrics import make_quantities
from lossatlas.evaluation.strategies import Strategy
from lossatlas.evaluation.sweep import profile
from lossatlas.evaluation.work import Work
from networks import make_sweep, odd_net, plain_loop, table_1

pytestmark = pytest.mark.gpu

GRID = np.linspace(-1, 1, 3)
CHOICES = [transform for transform in TRANSFORMS if transform.batches]


def work_on_the_gpu(model, plane, data, loss):
    sweep = make_sweep(model, plane, make_quantities(loss), None)
    points = torch.cartesian_prod(*[torch.tensor(GRID, device="cuda", dtype=torch.float64)] * 2)
    return Work(sweep, [data]).on(points.device), points


@pytest.mark.parametrize("choice", [None, *CHOICES])
@pytest.mark.parametrize("points", [1, 4])
@pytest.mark.parametrize("name", ["cnn-1", "feedforward-4"])
def test_every_strategy_agrees_with_the_loop_on_the_cpu(name, points, choice):
    model, data = table_1(name)
    model, (inputs, targets) = model.double(), data.test
    inputs = inputs.double()
    targets = targets.double() if targets.is_floating_point() else targets
    plane = la.random_plane(model, seed=1)
    work, grid = work_on_the_gpu(model, plane, (inputs, targets), data.loss)
    if choice and not choice.applies(work.sweep, profile(work.sweep, inputs[:2].cuda()), inputs, targets.cuda()):
        pytest.skip("this transform does nothing for this network")
    strategy = Strategy(30, points, transforms=(choice,) if choice else ())
    found = schedule.sums(work, schedule.as_before(work, strategy, grid), grid).cpu() / len(inputs)
    expected, _ = plain_loop(model, plane, (inputs, targets), loss=data.loss, alphas=GRID, betas=GRID)
    np.testing.assert_allclose(found[0].reshape(3, 3), expected, rtol=1e-9)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_a_pass_does_not_wait_for_the_device_at_every_point(loss):
    model, data = table_1("cnn-1")
    inputs, targets = data.test
    targets = torch.nn.functional.one_hot(targets, 10).float() if loss == "mse" else targets
    work, points = work_on_the_gpu(model, la.random_plane(model), (inputs, targets), loss)
    points = points.float()
    with torch.no_grad():
        runner = schedule.as_before(work, Strategy(60), points)
        runner.prepare(inputs.cuda(), targets.cuda())
        runner.run(points[:1])  # warm
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with pytest.warns(UserWarning, match="synchronizing") as few:
                runner.run(points)
                torch.ones(1, device="cuda").item()  # one for sure
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert len(few) < len(points)


def test_evaluate_on_the_gpu_stays_under_a_bound_of_memory():
    model = odd_net()
    data = torch.randn(4096, 6), torch.randint(0, 3, (4096,))
    plane, bound = la.random_plane(model), 200_000
    free = la.evaluate(model, plane, data, alphas=GRID, device="cuda", progress=False)
    here = la.evaluate(model, plane, data, alphas=GRID, device="cpu", progress=False)
    np.testing.assert_allclose(free.loss, here.loss, rtol=1e-4)
    assert free.attrs["device"].startswith("cuda")
    before = torch.cuda.memory_allocated()  # cuBLAS keeps 32 MB of workspace
    torch.cuda.reset_peak_memory_stats()
    la.evaluate(model, plane, data, alphas=GRID, device="cuda", memory=bound, progress=False)
    held = sum(part.numel() * part.element_size() for part in data) + 40 * sum(p.numel() for p in model.parameters())
    assert torch.cuda.max_memory_allocated() - before <= bound + held + 2**16
