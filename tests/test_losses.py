"""Losses: their values by hand, many networks at once, and which one "auto" stands for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metalearner.kinds import Aim
from metalearner.outputs import METRICS, Classification, Regression
from metalearner.train.losses import LOSSES, chosen

LOSS = {loss.name: loss for loss in LOSSES}
METRIC = {m.name: m for m in METRICS}
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", LOSS)
def test_a_loss_gives_many_networks_what_it_gives_each(name):
    classes = "classification" in LOSS[name].outputs
    raw = torch.randn(5, 16, 4 if classes else 1, generator=torch.Generator().manual_seed(0))
    # The third network's batch lacks a class: nothing may be left undefined.
    target = torch.randint(0, 4, (5, 16)) if classes else torch.randn(5, 16)
    target[2] = target[2].clamp(max=2)

    def mean(r, t):
        return LOSS[name](r, t).mean()

    together = torch.func.vmap(torch.func.grad_and_value(mean))(raw, target)
    alone = [torch.func.grad_and_value(mean)(r, t) for r, t in zip(raw, target)]
    for i in (0, 1):
        assert torch.allclose(together[i], torch.stack([a[i] for a in alone]), atol=1e-6)


def test_pinball_is_least_at_the_median():
    target = torch.tensor([0.0, 1.0, 2.0, 3.0, 100.0])
    grid = torch.linspace(0, 100, 1001)
    costs = torch.stack([LOSS["pinball"](torch.full((5, 1), float(g)), target).mean() for g in grid])
    assert grid[costs.argmin()] == pytest.approx(2.0)
    assert LOSS["pinball"](torch.tensor([[0.0]]), torch.tensor([3.0])) == pytest.approx(1.5)


def test_ordinal_charges_for_the_distance():
    near = LOSS["ordinal"](torch.tensor([[0.0, 5.0, 0.0, 0.0]]), torch.tensor([0]))
    far = LOSS["ordinal"](torch.tensor([[0.0, 0.0, 0.0, 5.0]]), torch.tensor([0]))
    plain = LOSS["cross-entropy"](torch.tensor([[0.0, 0.0, 0.0, 5.0]]), torch.tensor([0]))
    assert near < far and far - plain == pytest.approx(3 * 0.98**2, abs=0.1)


def test_balanced_classes_weigh_the_same():
    target = torch.tensor([0] * 9 + [1])
    loss = LOSS["balanced-cross-entropy"](torch.zeros(10, 2), target)
    assert loss[:9].sum() == pytest.approx(float(loss[9:].sum()))
    assert loss.mean() == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    ("output", "metric", "raw", "loss", "said"),
    [
        (Classification(), "accuracy", np.arange(100) % 2, "cross-entropy", "true probabilities"),
        (Classification(), "recall", np.arange(100) % 10 == 0, "balanced-cross-entropy", "10.0%"),
        (Classification(), "f1", np.arange(100) % 10 == 0, "cross-entropy", "10.0%"),
        (Classification(), "accuracy", RNG.binomial(10, 0.5, size=500), "ordinal", "one peak"),
        (Classification(), "accuracy", np.arange(500) % 10, "cross-entropy", "10.0%"),
        (Regression(), "mae", RNG.normal(size=500), "pinball", "median"),
        (Regression(), "rmse", RNG.normal(size=500), "squared", "no heavy tails"),
        (Regression(), "r2", RNG.standard_t(2, size=500), "huber", "heavy tails"),
        (Regression(), "r2", RNG.integers(1, 6, size=500), "squared", "5 ordered whole numbers"),
    ],
)
def test_the_loss_is_chosen_by_metric_and_data(registry, output, metric, raw, loss, said):
    raw = np.asarray(raw, float)
    state = output.fit(raw)
    found, reason = chosen(Aim(output, state, METRIC[metric], registry), output.encode(state, raw))
    assert found.name == loss and said in reason


def test_where_the_decision_weighs_classes_the_loss_does_not(registry):
    output, raw = Classification(), np.arange(100) % 10 == 0
    state = output.suit(output.fit(raw), "balanced-accuracy")
    found, reason = chosen(Aim(output, state, METRIC["balanced-accuracy"], registry), output.encode(state, raw))
    assert found.name == "cross-entropy" and "when a row is decided" in reason
