"""Outputs and metrics keep the contract of their kinds."""

from __future__ import annotations

import json

import numpy as np
import pytest

from metalearner import testing
from metalearner.outputs import METRICS, Classification, Regression
from metalearner.records import plain
from metalearner.train.losses import LOSSES

RNG = np.random.default_rng(0)
WORDS = np.array(["a", "b", "c"])[RNG.integers(0, 3, 200)]
VALUES = RNG.normal(50, 10, 200)
METRIC = {m.name: m for m in METRICS}


def test_classification_keeps_the_contract():
    testing.check_output(Classification(), WORDS, "category")


def test_regression_keeps_the_contract():
    testing.check_output(Regression(), VALUES, "number")


@pytest.mark.parametrize(("output", "target"), [(Classification(), WORDS), (Regression(), VALUES)])
def test_metrics_keep_the_contract(output, target):
    state = output.fit(target)
    encoded = output.encode(state, target)
    for name in output.metrics:
        testing.check_metric(METRIC[name], encoded, output.baseline(state, encoded, len(target)), state)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_losses_keep_the_contract(loss):
    target = RNG.integers(0, 3, 20) if "classification" in loss.outputs else RNG.normal(size=20).astype(np.float32)
    testing.check_loss(loss, 3 if "classification" in loss.outputs else 1, target)


def test_metrics_agree_with_scikit_learn():
    from sklearn import metrics as reference

    truth = RNG.integers(0, 2, 300)
    p = RNG.dirichlet([1, 1], 300)
    state = {"classes": ["no", "yes"], "counts": [1, 1]}
    said = p.argmax(1)
    expected = {
        "accuracy": reference.accuracy_score(truth, said),
        "balanced-accuracy": reference.balanced_accuracy_score(truth, said),
        "log-loss": reference.log_loss(truth, p),
        "auc": reference.roc_auc_score(truth, p[:, 1]),
        "f1": reference.f1_score(truth, said),
        "recall": reference.recall_score(truth, said),
        "precision": reference.precision_score(truth, said),
    }
    for name, value in expected.items():
        assert METRIC[name].score(truth, p, state) == pytest.approx(value), name


def test_conformal_sets_and_intervals_cover_what_they_promise():
    rng = np.random.default_rng(1)
    output, state = Classification(), {"classes": ["a", "b", "c"], "counts": [1, 1, 1]}
    p = rng.dirichlet([1, 1, 1], 4000)
    truth = np.array([rng.choice(3, p=row) for row in p])
    conformal = output.conform(state, p[:2000], truth[:2000], 0.9)
    sets = output.regions(conformal, state, p[2000:])
    covered = np.mean([state["classes"][t] in s for t, s in zip(truth[2000:], sets)])
    assert 0.87 < covered < 0.93

    output, state = Regression(), {"mean": 0.0, "scale": 2.0}
    y = rng.normal(size=4000)
    conformal = output.conform(state, np.zeros((2000, 1)), y[:2000], 0.9)
    bounds = np.array(output.regions(conformal, state, np.zeros((2000, 1))))
    covered = np.mean((y[2000:] * 2 >= bounds[:, 0]) & (y[2000:] * 2 <= bounds[:, 1]))
    assert 0.87 < covered < 0.93


def test_calibration_mends_overconfidence():
    rng = np.random.default_rng(2)
    output, state = Classification(), {"classes": ["a", "b"], "counts": [1, 1]}
    logit = rng.normal(size=2000)
    truth = (rng.random(2000) < 1 / (1 + np.exp(-logit))).astype(int)
    sure = 1 / (1 + np.exp(-4 * logit))
    prediction = np.stack([1 - sure, sure], 1)
    calibration = output.calibrate(state, prediction, truth)
    assert calibration["method"] == "temperature" and calibration["temperature"] == pytest.approx(4, rel=0.25)
    better = output.calibrated(calibration, prediction)
    assert METRIC["log-loss"].score(truth, better, state) < METRIC["log-loss"].score(truth, prediction, state)


def warped(rng, rows):
    """Probabilities that no temperature mends, and truth."""
    p = 1 / (1 + np.exp(-2 * rng.normal(size=rows)))
    said = p**3 / (p**3 + 1 - p)
    return np.stack([1 - said, said], 1), (rng.random(rows) < p).astype(int)


def test_isotonic_curves_are_kept_where_they_are_better():
    rng = np.random.default_rng(2)
    output, state = Classification(), {"classes": ["a", "b"], "counts": [1, 1]}
    calibration = json.loads(json.dumps(plain(output.calibrate(state, *warped(rng, 2000)))))
    assert calibration["method"] == "isotonic"
    prediction, truth = warped(rng, 2000)
    better = output.calibrated(calibration, prediction)
    assert np.allclose(better.sum(1), 1) and better.min() > 0
    loss = METRIC["log-loss"]
    assert loss.score(truth, better, state) < loss.score(truth, prediction, state) - 0.1
    order = np.argsort(prediction[:, 1])
    assert np.all(np.diff(better[order, 1]) >= -1e-12), "a surer prediction never becomes less sure"


def test_honest_predictions_are_left_nearly_alone():
    rng = np.random.default_rng(3)
    output, state = Classification(), {"classes": ["a", "b", "c"], "counts": [1, 1, 1]}
    p = rng.dirichlet([1, 1, 1], 2000)
    truth = np.array([rng.choice(3, p=row) for row in p])
    assert np.abs(output.calibrated(output.calibrate(state, p, truth), p) - p).max() < 0.02


def test_a_few_rows_without_a_mistake_are_no_proof_of_certainty():
    output, state = Classification(), {"classes": ["a", "b"], "counts": [1, 1]}
    prediction, truth = np.tile([[0.8, 0.2], [0.2, 0.8]], (15, 1)), np.tile([0, 1], 15)
    assert output.calibrated(output.calibrate(state, prediction, truth), prediction).max() < 0.99


def test_a_calibration_of_numbers_is_kept_only_where_it_helps():
    rng = np.random.default_rng(4)
    output, state, y = Regression(), {"mean": 0.0, "scale": 1.0}, rng.normal(size=300)
    noise = rng.normal(0, 0.3, 300)
    kept = output.calibrate(state, (0.7 * y + 0.2 + noise * 0.1)[:, None], y)
    assert kept["slope"] > 1.2
    honest = (y + noise)[:, None] / (1 + 0.3**2)
    assert output.calibrate(state, honest, y) == {"slope": 1.0, "centre": 0.0, "shift": 0.0}
    assert np.array_equal(output.calibrated(output.calibrate(state, honest, y), honest), honest)


def test_balanced_accuracy_weighs_classes_when_a_row_is_decided():
    rng = np.random.default_rng(5)
    output = Classification()
    x = rng.normal(size=4000)
    rare = 1 / (1 + np.exp(4 - 2 * x))
    raw = np.where(rng.random(4000) < rare, "yes", "no")
    plainly = output.fit(raw)
    assert output.suit(plainly, "accuracy") == plainly
    state, target = output.suit(plainly, "balanced-accuracy"), output.encode(plainly, raw)
    prediction = np.stack([1 - rare, rare], 1)
    score = METRIC["balanced-accuracy"].score
    assert score(target, prediction, state) > score(target, prediction, plainly) + 0.1
    table = output.table(state, prediction)
    assert np.array_equal(table["p_yes"], rare), "probabilities stay what they are"
    assert np.mean(table["prediction"] == "yes") > np.mean(output.table(plainly, prediction)["prediction"] == "yes")
    regions = output.regions(output.conform(state, prediction, target, 0.9), state, prediction)
    assert all(said in region for said, region in zip(table["prediction"], regions))


def rare(rows, seed=0):
    """Honest probabilities of a class that one row in ten has, and the truth."""
    rng = np.random.default_rng(seed)
    positive = 1 / (1 + np.exp(-rng.normal(-3, 1.5, rows)))
    return np.stack([1 - positive, positive], axis=1), (rng.random(rows) < positive).astype(int)


@pytest.mark.parametrize("metric", ["f1", "recall", "precision"])
def test_the_line_is_drawn_where_it_serves_the_metric(metric):
    output, (prediction, target) = Classification(), rare(4000)
    state = output.fit(np.array(["no", "yes"])[target])
    drawn = output.decide(state, metric, None, prediction, target)
    score = {m.name: m.score for m in METRICS}
    new, truth = rare(4000, seed=1)
    before, after = ({n: score[n](truth, new, s) for n in ("f1", "recall", "precision")} for s in (state, drawn))
    assert after[metric] > before[metric] + (0.02 if metric != "precision" else -0.01)
    assert min(after.values()) > 0.1, "recall alone would call every row positive"
    assert np.array_equal(output.table(drawn, new)["p_yes"], new[:, 1]), "probabilities stay as they are"
    assert output.decide(state, "accuracy", None, prediction, target) == state


def test_a_goal_moves_the_line_and_is_met_on_new_rows():
    output, (prediction, target) = Classification(), rare(4000)
    state = output.fit(np.array(["no", "yes"])[target])
    new, truth = rare(40_000, seed=1)
    score = {m.name: m.score for m in METRICS}
    found = {}
    for metric, goal in (("recall", 0.5), ("recall", 0.9), ("precision", 0.7)):
        drawn = output.decide(state, metric, goal, prediction, target)
        found[metric, goal] = score["precision"](truth, new, drawn)
        assert score[metric](truth, new, drawn) >= goal
    assert found["recall", 0.5] > found["recall", 0.9], "no more false alarms than the goal asks for"


def test_where_only_one_class_is_there_the_line_stays_in_the_middle():
    output = Classification()
    state = output.fit(np.array(["no", "yes"]))
    drawn = output.decide(state, "f1", None, np.full((5, 2), 0.5), np.ones(5, int))
    assert drawn["decision"] == [0.5, 0.5]


def test_classes_that_are_numbers_stand_in_their_order():
    assert Classification().fit(np.array(["10", "9", "-1", "2"]))["classes"] == ["-1", "2", "9", "10"]
    assert Classification().fit(np.array(["10", "9", "b"]))["classes"] == ["10", "9", "b"]


def test_numbers_that_are_classes_are_written_as_people_would():
    state = Classification().fit(np.array([0.0, 1.0, 1.0]))
    assert state["classes"] == ["0", "1"]
