"""A small network, its data, and its full Hessian by autograd."""

import torch
from torch import nn

from lossatlas import vectors


def small_network(seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.BatchNorm1d(5), nn.Linear(5, 3)).to(dtype).eval()


def small_data(n=30, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, generator=generator, dtype=dtype), torch.randint(0, 3, (n,), generator=generator)


def full_hessian(model, data, loss):
    """The matrix itself, by differentiating twice through functional_call."""
    like = vectors.parameters_of(model)

    def value(flat):
        return loss(torch.func.functional_call(model, vectors.unflatten(flat, like), (data[0],)), data[1])

    return torch.autograd.functional.hessian(value, vectors.flatten(like)).numpy()
