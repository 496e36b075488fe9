"""TabM: members that differ, numbers told apart wherever they lie, and networks trained as one batch."""

from __future__ import annotations

import pytest
import torch
from metalearner_level1_framework_models.encoders.tabm import TabMEncoder
from metalearner_level1_framework_models.table_families import TABLE_FAMILIES
from torch.func import functional_call, grad, stack_module_state, vmap

from metalearner.kinds import Choice
from metalearner.records import Axis, View

VIEW = View((Axis("columns", 4),), 1, (3, 20))


def tabm(seed: int = 0, view: View = VIEW, **numbers: object) -> torch.nn.Module:
    torch.manual_seed(seed)
    return TabMEncoder().build({"width": 32, **numbers}, view, {})


def rows(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    values = torch.randn(n, 4, 1)
    values[0, 0] = torch.nan
    return values, torch.stack([torch.arange(n) % 3, torch.arange(n) % 20], dim=1)


@pytest.mark.parametrize("activation", ["relu", "mish", "selu", "silu"])
@pytest.mark.parametrize("embedding", ["periodic", "piecewise", "plain"])
def test_members_differ_from_the_start_and_share_their_weights(activation, embedding):
    module = tabm(activation=activation, embedding=embedding, members=5).eval()
    found = module(*rows())
    assert found.shape == (6, 5, 32)
    assert found.std(dim=1).mean() > 0.01
    alone = tabm(activation=activation, embedding=embedding, members=1)
    count = [sum(p.numel() for p in m.parameters()) for m in (alone, module)]
    assert count[1] < 2 * count[0]


@pytest.mark.parametrize("embedding", ["periodic", "piecewise", "plain"])
def test_numbers_are_told_apart_in_the_tails_too(embedding):
    module = tabm(view=View((Axis("columns", 1),), 1), embedding=embedding).eval()
    values = torch.tensor([-2.9, -2.0, -0.1, 0.0, 0.1, 2.0, 2.9, 2.95])[:, None, None]
    found = module(values).flatten(1)
    assert torch.pdist(found).min() > 1e-4
    missing = module(torch.full((1, 1, 1), torch.nan)).flatten(1)
    assert torch.cdist(missing, found).min() > 1e-4  # a missing one is not the median


@pytest.mark.parametrize("parametric", [False, True])
@pytest.mark.parametrize("embedding", ["periodic", "piecewise"])
def test_networks_that_differ_in_loose_numbers_are_one_batch(parametric, embedding):
    kind = TabMEncoder()
    assert not any(isinstance(kind.space()[name], Choice) for name in kind.loose)
    given = [{"dropout": 0.0, "frequency": 0.1}, {"dropout": 0.4, "frequency": 1.0}]
    nets = [tabm(i, parametric=parametric, embedding=embedding, **g).train() for i, g in enumerate(given)]
    weights, buffers = stack_module_state(nets)
    data = rows()

    def loss(weights, buffers):
        return functional_call(nets[0], (weights, buffers), data).square().mean()

    slopes = vmap(grad(loss), randomness="different")(weights, buffers)
    nets[0](*data).square().mean().backward()  # without dropout the batch must give what one alone gives
    for name, parameter in nets[0].named_parameters():
        torch.testing.assert_close(slopes[name][0], parameter.grad, rtol=1e-3, atol=1e-6)
    once, again = (vmap(loss, randomness="different")(weights, buffers) for _ in range(2))
    assert once[0] == again[0] and once[1] != again[1]


def test_presets_build():
    (family,) = [f for f in TABLE_FAMILIES if f.name == "tabm"]
    for preset in family.presets:
        numbers = preset.parts["encoder"][0].numbers
        assert tabm(**numbers).eval()(*rows()).isfinite().all()
