"""Where nothing is sealed, rows do not judge what was fitted to them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from metalearner.evaluate import Evidence, evaluate
from metalearner.kinds import Aim
from metalearner.records import Task
from metalearner.steps.finish import held_out
from metalearner.train.crossfit import crossfit


def drawn(rng, rows):
    """Labels of which a quarter is positive, and probabilities (n, 2) that know a little of them."""
    target = (rng.random(rows) < 0.25).astype(int)
    p = 1 / (1 + np.exp(1.9 - 1.3 * target - rng.normal(size=rows)))
    return target, np.stack([1 - p, p], axis=1)


@pytest.fixture
def measured(registry):
    """(metric, rows, seed) -> the scorecard without a sealed test, and what the same rows would say of their own threshold."""

    def told(name, rows, seed):
        target, prediction = drawn(np.random.default_rng(seed), rows)
        output, metric = registry.outputs["classification"], registry.metrics[name]
        state = {"classes": ["no", "yes"], "counts": np.bincount(target).tolist()}
        task = Task("", "tabular", "y", "classification", name)
        setting = SimpleNamespace(
            dataset=SimpleNamespace(target=target, state=state),
            output=output,
            task=task,
            aim=Aim(output, state, metric, registry),
        )
        ensemble = SimpleNamespace(selection=SimpleNamespace(rows=np.arange(rows), prediction=prediction))
        own = output.decide(state, name, None, prediction, target)
        card = evaluate(task, output, own, registry.metrics, held_out(ensemble, setting), Evidence())
        return card, metric.score(target, prediction, own), own

    return told


def test_a_threshold_is_judged_by_rows_that_did_not_choose_it(measured, registry):
    told = [measured("f1", 100, seed) for seed in range(20)]
    fresh, prediction = drawn(np.random.default_rng(99), 20_000)
    true = np.mean([registry.metrics["f1"].score(fresh, prediction, own) for _, _, own in told])
    assert np.mean([flattered for _, flattered, _ in told]) > true + 0.04
    assert abs(np.mean([card.value for card, _, _ in told]) - true) < 0.025
    card = told[0][0]
    precision, recall = card.others["precision"], card.others["recall"]
    assert card.value == pytest.approx(2 * precision * recall / (precision + recall)), "all of one confusion"
    assert card.low < card.value < card.high and 0.3 < card.others["log-loss"] < 0.7, "probabilities stay as they were"


def test_calibration_is_that_of_the_others(registry):
    """One value for many rows: a curve fitted on them would know their share exactly."""
    rng = np.random.default_rng(0)
    p = rng.random(400)
    target = (rng.random(400) < p**3).astype(int)
    state = {"classes": ["no", "yes"], "counts": [200, 200]}
    aim = Aim(registry.outputs["classification"], state, registry.metrics["log-loss"], registry)
    prediction = np.stack([1 - p, p], axis=1)
    said, parts = crossfit(prediction, target, Task("", "tabular", "y", "classification", "log-loss"), aim)
    own = aim.output.calibrated(aim.output.calibrate(state, prediction, target), prediction)
    loss = registry.metrics["log-loss"]
    assert loss.score(target, own, state) < loss.score(target, said, state) < loss.score(target, prediction, state)
    assert sorted(np.concatenate([rows for rows, _ in parts])) == list(range(400))
    assert all(decision == state for _, decision in parts)
