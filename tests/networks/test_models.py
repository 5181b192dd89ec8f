import pytest
import torch

from lossatlas import vectors
from lossatlas.networks.models import MODELS, FeedForward, build_model
from networks import DATA, made_up_data, table_1


def count(model):
    return sum(p.numel() for p in model.parameters())


def test_parameter_counts_by_hand():
    conv = lambda cin, cout, k: cin * cout * k * k + cout  # noqa: E731
    dense = lambda a, b: a * b + b  # noqa: E731
    expected = {
        "cnn-1": conv(1, 32, 7) + dense(32 * 14 * 14, 100) + dense(100, 10),
        "cnn-3": conv(3, 16, 3) + conv(16, 32, 3) + conv(32, 48, 3) + dense(48 * 4 * 4, 100) + dense(100, 10),
        "feedforward-16": dense(784, 100) + 14 * dense(100, 100) + dense(100, 10),
        "feedforward-2": dense(18, 1024) + dense(1024, 1),
        "feedforward-4": dense(18, 128) + dense(128, 64) + dense(64, 32) + dense(32, 1),
    }
    expected["feedforward-16-skip"] = expected["feedforward-16"]  # an identity skip has no weights
    for name, number in expected.items():
        assert count(table_1(name)[0]) == number, name
    rnn = build_model("rnn", made_up_data(None, classes=65, length=5), hidden=140)
    assert count(rnn) == 65 * 140 + 140 * 140 + 2 * 140 + dense(140, 65)


@pytest.mark.parametrize("name", DATA)
def test_outputs_fit_the_targets_and_the_seed_decides(name):
    data = DATA[name]()
    model, same, other = (build_model(name, data, seed=s) for s in (1, 1, 2))
    outputs = model(data.test[0])
    expected = (60, 20, 12) if name == "rnn" else (60, 1 if data.loss == "bce_with_logits" else 10)
    assert tuple(outputs.shape) == expected
    a, b, c = (vectors.flatten(vectors.parameters_of(m)) for m in (model, same, other))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_building_leaves_the_global_random_state():
    state = torch.get_rng_state()
    build_model("feedforward-4", DATA["feedforward-4"](), seed=9)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_skip_adds_the_output_of_layer_a_to_the_input_of_layer_b():
    torch.manual_seed(0)
    net = FeedForward([3, 5, 5, 5, 5, 2], skips=[(1, 4)])
    x = torch.randn(7, 3)
    hidden = [torch.relu(net.layers[0](x))]
    for layer in net.layers[1:3]:
        hidden.append(torch.relu(layer(hidden[-1])))
    expected = net.layers[4](torch.relu(net.layers[3](hidden[2] + hidden[0])))
    torch.testing.assert_close(net(x), expected)


def test_the_rnn_by_the_recurrence():
    data = DATA["rnn"]()
    model = build_model("rnn", data, hidden=9)
    r, text = model.recurrent, data.test[0][:3]
    state = torch.zeros(3, 9)
    for t in range(text.shape[1]):
        one_hot = torch.eye(20)[text[:, t]]
        state = torch.tanh(one_hot @ r.weight_ih_l0.T + r.bias_ih_l0 + state @ r.weight_hh_l0.T + r.bias_hh_l0)
        torch.testing.assert_close(model(text)[:, :, t], model.output(state), rtol=1e-4, atol=1e-5)


def test_bad_models():
    data = DATA["feedforward-4"]()
    with pytest.raises(ValueError, match=f"model 'mlp' is unknown: expected one of .*{next(iter(MODELS))}"):
        build_model("mlp", data)
    with pytest.raises(ValueError, match="activation='gelu'"):
        FeedForward([2, 2], activation="gelu")
    for skips in ([(0, 3)], [(1, 2)], [(1, 9)]):
        with pytest.raises(ValueError, match="skips"):
            FeedForward([2, 3, 3, 3, 1], skips=skips)
    with pytest.raises(ValueError, match="equal widths"):
        FeedForward([2, 3, 4, 4, 1], skips=[(1, 4)])
