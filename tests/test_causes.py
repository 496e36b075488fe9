"""Why a score is not better: each cause is found where it was planted, and not where it was not."""

from __future__ import annotations

import numpy as np
import pytest

from metalearner.evaluate import Answers, Evidence, evaluate
from metalearner.records import Cause, Config, Forecast, Proposal, Scorecard, Task, Trial

CLASSES = {"classes": ["no", "yes"], "counts": [500, 500]}


def told(
    registry, target, prediction, goal=None, state=CLASSES, output="classification", metric="accuracy", **evidence
):
    """The scorecard of these predictions on sealed rows."""
    out = registry.outputs[output]
    task = Task("predict y", "tabular", "y", output, metric, goal=goal)
    naive = out.baseline(state, target, len(target))
    answers = Answers(target, prediction, naive, "sealed test", np.arange(len(target)))
    return evaluate(task, out, state, registry.metrics, answers, Evidence(learning_rows=1000, **evidence))


def held(registry, target, prediction, output="classification", state=CLASSES):
    """The same ensemble's word on rows held out of folds."""
    naive = registry.outputs[output].baseline(state, target, len(target))
    return Answers(target, prediction, naive, "out of fold", np.arange(len(target)))


def said(margin, rng):
    """Labels (n,) drawn as often as the log odds `margin` (n,) have it, and these probabilities (n, 2)."""
    p = 1 / (1 + np.exp(-margin))
    return (rng.random(len(p)) < p).astype(int), np.stack([1 - p, p], axis=1)


def names(card):
    return [c.name for c in card.diagnosis]


def fits(scores, seconds=1.0, rung=1.0, kinds=("trees", "mlp", "linear", "knn")):
    """Trials with these scores, one family after the other."""
    return [
        Trial(i, Proposal(Config("a", {"x": i}), kinds[i % len(kinds)], "tpe"), "ok", 0, rung, s, s, seconds, float(i))
        for i, s in enumerate(scores)
    ]


def test_wrong_labels_are_found_and_their_rows_named(registry):
    rng = np.random.default_rng(0)
    clean, prediction = said(rng.choice([-6.0, 6.0], 1000), rng)
    wrong = rng.random(1000) < 0.15
    target = np.where(wrong, 1 - clean, clean)
    of = held(registry, target, prediction)
    card = told(registry, target, prediction, goal=0.95, held=of, slope=0.0)
    assert names(card)[0] == "wrong labels" and card.diagnosis[0].of == "data" and card.diagnosis[0].share > 0.5
    denied = registry.outputs["classification"].denied(CLASSES, target, prediction)
    assert wrong[denied.rows].mean() > 0.95
    assert names(told(registry, target, prediction, held=of)) == ["wrong labels"], "said unasked, too"


def test_classes_that_overlap_are_no_wrong_labels(registry):
    rng = np.random.default_rng(1)
    target, prediction = said(rng.normal(scale=4.0, size=2000), rng)
    card = told(registry, target, prediction, goal=0.99, held=held(registry, target, prediction), slope=0.0,
                trials=fits([0.84] * 12))  # fmt: skip
    assert names(card)[0] == "what can be known" and "4 kinds of model end level" in card.diagnosis[0].said
    assert names(told(registry, target, prediction, held=held(registry, target, prediction))) == []


def test_rows_that_were_drawn_otherwise(registry):
    rng = np.random.default_rng(2)
    good, bad = said(rng.normal(scale=6.0, size=800), rng), said(rng.normal(scale=1.0, size=800), rng)
    asked = []
    card = told(
        registry, *bad, goal=0.9, held=held(registry, *good), slope=0.0, shifted=lambda: asked.append(1) or ("age", "x")
    )
    assert names(card)[0] == "shift" and "age, x" in card.diagnosis[0].said and len(asked) == 1
    assert names(told(registry, *bad, held=held(registry, *good))) == ["shift"], "said without a goal"
    told(registry, *good, goal=0.99, held=held(registry, *good), slope=0.0, shifted=lambda: asked.append(1) or ())
    assert len(asked) == 1, "nobody compares inputs as long as the score is as it was"


def test_nothing_to_tell_it_from(registry):
    rng = np.random.default_rng(3)
    target, prediction = said(rng.normal(scale=0.05, size=600), rng)
    card = told(
        registry,
        target,
        prediction,
        goal=0.9,
        held=held(registry, target, prediction),
        slope=0.01,
        trials=fits([0.5] * 9),
    )
    assert names(card)[0] == "nothing to tell it from" and "wrong labels" not in names(card)


def test_equal_inputs_with_different_answers_bound_every_score(registry):
    rng = np.random.default_rng(4)
    alike = np.repeat(np.arange(100), 10)
    share = np.repeat(rng.choice([0.3, 0.7], 100), 10)
    target, prediction = said(np.log(share / (1 - share)), rng)
    card = told(
        registry, target, prediction, goal=0.9, held=held(registry, target, prediction), alike=lambda: alike, slope=0.0
    )
    assert names(card)[0] == "equal inputs" and "less than the goal" in card.diagnosis[0].said
    best = float(card.diagnosis[0].said.split("accuracy ")[1].split(" ")[0])
    truth = np.array([np.bincount(target[alike == g], minlength=2).max() for g in range(100)]).sum() / 1000
    assert best == pytest.approx(truth, abs=1e-3)


def test_what_more_rows_and_more_time_are_worth(registry):
    rng = np.random.default_rng(5)
    target, prediction = said(rng.normal(scale=3.0, size=400), rng)
    of = held(registry, target, prediction)
    few = told(registry, target, prediction, goal=0.99, held=of, slope=0.08)
    assert names(few)[0] == "few rows" and "twice as many" in few.diagnosis[0].advice
    short = told(registry, target, prediction, goal=0.99, held=of, slope=0.0, trials=fits([0.7, 0.8]), seconds=20.0)
    assert names(short)[0] == "search cut short" and "60 s" in short.diagnosis[0].advice
    climbing = told(registry, target, prediction, goal=0.99, held=of, slope=0.0, trials=fits(np.linspace(0.5, 0.8, 30)))
    assert names(climbing)[0] == "search not settled"


def test_a_goal_within_the_interval_is_said_first_and_one_beyond_the_past_is_said(registry):
    rng = np.random.default_rng(6)
    target, prediction = said(rng.normal(scale=3.0, size=100), rng)
    value = float((prediction.argmax(1) == target).mean())
    near = told(registry, target, prediction, goal=value + 0.01, held=held(registry, target, prediction))
    assert names(near)[0] == "few rows to measure on"
    past = Forecast("accuracy", value, value - 0.1, value + 0.01)
    assert "past runs" in names(told(registry, target, prediction, goal=1.0, forecast=past))


def test_far_values_of_a_number_are_denied(registry):
    rng = np.random.default_rng(7)
    truth = rng.normal(size=(1000, 1))
    prediction = truth + rng.normal(scale=0.1, size=truth.shape)
    target = truth[:, 0].copy()
    wrong = rng.permutation(1000)[:50]
    target[wrong] = rng.permutation(target[wrong]) + 3
    state = {"mean": 0.0, "scale": 1.0}
    of = held(registry, target, prediction, "regression", state)
    card = told(registry, target, prediction, 0.95, state, "regression", "r2", held=of, slope=0.0)
    assert names(card)[0] == "wrong labels"
    found = registry.outputs["regression"].denied(state, target, prediction)
    assert set(found.rows.tolist()) >= set(wrong[np.abs(target[wrong] - truth[wrong, 0]) > 1.5].tolist())
    calm = registry.outputs["regression"].denied(state, truth[:, 0], prediction)
    assert calm is not None and not calm.many


def test_sentences_of_former_bundles_are_still_read():
    card = Scorecard("accuracy", 0.8, 0.7, 0.9, 0.5, 100, "sealed test", goal=0.9, goal_met=False)
    old = Scorecard.from_json(card.to_json() | {"diagnosis": ["50 rows were learnt from"]})
    assert [str(c) for c in old.diagnosis] == ["50 rows were learnt from"]
    new = Scorecard.from_json(card.to_json() | {"diagnosis": [Cause("data", "shift", "a", "b", 0.5).to_json()]})
    assert new.diagnosis == (Cause("data", "shift", "a", "b", 0.5),) and str(new.diagnosis[0]) == "data, shift: a; b"
