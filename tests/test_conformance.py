"""Everything the live registry holds keeps the contract of its kind."""

from __future__ import annotations

import numpy as np
import pytest

from metalearner import grammar, plugins, testing
from metalearner.records import Axis, View

REGISTRY = plugins.load()
VIEWS = [
    View((Axis("columns", 7),), 1, (4, 3)),
    View((Axis("columns", 1),), 1),
    View((Axis("time", 24),), 2),
    View((Axis("time", 40, ragged=True),), 3),
    View((Axis("set", 3), Axis("time", 40)), 5),
    View((Axis("space", 8), Axis("space", 8)), 1),
    View((Axis("space", 28), Axis("space", 20)), 3),
    View((Axis("set", 6),), 2),
]
ENCODERS = [
    pytest.param(p, v, id=f"{name}-{'x'.join(v.kinds)}-{v.shape}")
    for name, p in REGISTRY.productions.items()
    if p.symbol == "encoder"
    for v in VIEWS
    if p.accepts(v)
]


@pytest.mark.parametrize(("production", "view"), ENCODERS)
def test_encoders(production, view):
    testing.check_production(production, view, productions=REGISTRY.productions)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_every_view_has_families_of_several_kinds(view):
    fitting = [f for f in REGISTRY.families.values() if f.accepts({"v": view})]
    assert len(fitting) >= 2
    assert any("quick" in f.tags for f in fitting), "a family tagged quick gives the first model"


@pytest.mark.parametrize("name", sorted(REGISTRY.families))
def test_presets_are_valid_and_differ(name):
    family = REGISTRY.families[name]
    complete = set()
    for preset in family.presets:
        assert grammar.check(preset, REGISTRY.productions) == []
        assert preset.skeleton == family.presets[0].skeleton
        complete.add(grammar.complete(preset, REGISTRY.productions).id)
    assert len(complete) == len(family.presets)


@pytest.mark.parametrize("modality", ["tabular", "image", "signal"])
def test_each_modality_has_enough_presets_for_the_base(modality):
    view = {"tabular": VIEWS[0], "image": VIEWS[5], "signal": VIEWS[2]}[modality]
    presets = [c for f in REGISTRY.families.values() if f.accepts({"v": view}) for c in f.presets]
    assert len(presets) >= 16


@pytest.mark.parametrize("name", sorted(REGISTRY.losses))
def test_losses(name):
    loss = REGISTRY.losses[name]
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 20) if "classification" in loss.outputs else rng.normal(size=20).astype(np.float32)
    testing.check_loss(loss, 3 if "classification" in loss.outputs else 1, target)


def test_every_optimiser_lowers_a_loss():
    import torch

    for optimiser in REGISTRY.optimisers.values():
        weight = torch.nn.Parameter(torch.tensor([3.0]))
        stepper = optimiser.build([weight], 0.01, 0.0)
        for _ in range(200):
            stepper.zero_grad()
            (weight**2).sum().backward()
            stepper.step()
        assert abs(weight.item()) < 1.5, optimiser.name
