"""Gates: what a network costs, what stops it, and that it is left as it was."""

from __future__ import annotations

import gc
import pickle

import pytest
import torch
from torch import nn

from metalearner.errors import Pruned
from metalearner.grammar.build import Net
from metalearner.grammar.cost import multiply_adds
from metalearner.train.gates import gate
from metalearner.train.losses import CrossEntropy, Squared


class Encoder(nn.Module):
    """Two layers with batch norm and dropout over 6 numbers."""

    def __init__(self, width=16, factor=1.0):
        super().__init__()
        self.width, self.members, self.factor = width, 1, factor
        self.layers = nn.Sequential(nn.Linear(6, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.2))

    def forward(self, values, codes, mask):
        return self.layers(torch.nan_to_num(values.flatten(1)) * self.factor)


def batch(rows=64):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(rows, 6, 1, generator=generator)
    values[0, 0] = float("nan")
    return [(values, None, None)], torch.arange(rows) % 3


def network(**arguments):
    torch.manual_seed(0)
    return Net({"x": Encoder(**arguments)}, 3)


def test_facts_of_a_network():
    facts = gate(network(), *batch(), CrossEntropy())
    assert facts["parameters"] == 6 * 16 + 16 + 2 * 16 + 16 * 3 + 3
    assert facts["multiply_adds"] == 6 * 16 + 16 * 3
    assert facts["megabytes"] > 16e-6 * facts["parameters"] and facts["ms_row"] > 0
    scores = facts["zero_cost"]
    assert set(scores) == {"grad_norm", "snip", "synflow", "naswot", "jacobian_covariance"}
    assert all(isinstance(v, float) for v in scores.values())


def test_nothing_is_changed():
    net = network()
    net.encoders[0].layers.eval()  # a mixture of modes must come back as it was
    net.bias.grad = torch.ones_like(net.bias)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    modes, random = [m.training for m in net.modules()], torch.get_rng_state()
    gate(net, *batch(), CrossEntropy())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert [m.training for m in net.modules()] == modes and torch.equal(torch.get_rng_state(), random)
    assert torch.equal(net.bias.grad, torch.ones_like(net.bias)) and net.weight.grad is None


def test_more_memory_than_is_allowed_is_refused():
    with pytest.raises(Pruned, match="MB of memory for training") as found:
        gate(network(), *batch(), CrossEntropy(), 1e-4)
    assert pickle.loads(pickle.dumps(found.value)).args == found.value.args, "it must survive the trip from a worker"


def test_nothing_of_the_look_stays_in_memory():
    def tensors():
        gc.collect()
        return sum(type(one) in (torch.Tensor, nn.Parameter) for one in gc.get_objects())

    gate(network(), *batch(), CrossEntropy())  # what is imported and cached once
    before = tensors()
    for _ in range(3):
        gate(network(), *batch(), CrossEntropy())
    assert tensors() == before


def test_what_is_not_finite_is_pruned():
    with pytest.raises(Pruned, match="not finite"):
        gate(network(factor=float("inf")), *batch(), CrossEntropy())


def test_memory_grows_with_the_batch():
    small, large = (gate(network(), *batch(n), CrossEntropy())["megabytes"] for n in (64, 4096))
    assert large > 10 * small


def test_members_share_the_target():
    class Two(Encoder):
        def forward(self, values, codes, mask):
            return super().forward(values, codes, mask).unsqueeze(1).expand(-1, 2, -1)

    encoder = Two()
    encoder.members = 2
    inputs, target = batch()
    assert gate(Net({"x": encoder}, 1), inputs, target.float(), Squared())["zero_cost"]["snip"] is not None


def test_a_layer_may_give_a_mask_beside_its_features():
    class Masked(nn.Linear):
        def forward(self, x):
            return super().forward(x), None

    class Outer(Encoder):
        def __init__(self):
            super().__init__()
            self.masked = Masked(16, 16)

        def forward(self, values, codes, mask):
            return self.masked(super().forward(values, codes, mask))[0]

    assert gate(Net({"x": Outer()}, 3), *batch(), CrossEntropy())["zero_cost"]["naswot"] is not None


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3)])
def test_recurrent_layers_are_counted(kind, gates):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = kind(4, 8, batch_first=True)

        def forward(self, inputs):
            return self.layer(inputs[0][0])[0]

    assert multiply_adds(Recurrent(), [(torch.zeros(1, 10, 4), None, None)]) == 10 * gates * 8 * (4 + 8)
