"""Task formulation: target, output, metric and goal from a schema and a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from metalearner.errors import TaskError
from metalearner.outputs import METRICS, OUTPUTS
from metalearner.records import Column, Schema
from metalearner.task import Wish, find_target, formulate

SCHEMA = Schema("tabular", "x.csv", 100, tuple(Column(n, "number") for n in ("age", "blood pressure", "sex", "price")))
OUTPUT = {o.name: o for o in OUTPUTS}
METRIC = {m.name: m for m in METRICS}
CLASSES = np.array(["yes"] * 40 + ["no"] * 60)


def formulated(values, kind="category", **wish):
    schema = Schema("tabular", "x", len(values), (Column("y", kind),))
    return formulate(Wish(**wish), schema, ("y", "named"), values, OUTPUT, METRIC)


@pytest.mark.parametrize(
    ("wish", "target"),
    [
        (Wish("tell the sex from the age"), "sex"),
        (Wish("what blood pressure has somebody of this sex?"), "blood pressure"),
        (Wish("how much?"), "price"),
        (Wish("tell the sex", target="age"), "age"),
    ],
)
def test_the_target_is_found(wish, target):
    assert find_target(SCHEMA, wish)[0] == target


def test_what_the_source_marks_comes_before_the_last_column():
    hinted = Schema("tabular", "x", 1, SCHEMA.columns, target_hint="age")
    assert find_target(hinted, Wish())[0] == "age"


def test_a_text_is_told_from_and_not_told_unless_it_is_named():
    schema = Schema("tabular", "x", 1, (Column("mood", "category"), Column("sentence", "text")))
    assert find_target(schema, Wish("is the sentence friendly?"))[0] == "mood"
    assert find_target(schema, Wish("is it?", target="sentence"))[0] == "sentence"


def test_an_unknown_target_suggests_the_nearest():
    with pytest.raises(TaskError, match="Did you mean 'price'"):
        find_target(SCHEMA, Wish(target="prise"))


@pytest.mark.parametrize(
    ("values", "kind", "output"),
    [
        (CLASSES, "category", "classification"),
        (np.repeat([0.0, 1.0], 50), "number", "classification"),
        (np.repeat([1.0, 2.0, 3.0], 40), "number", "classification"),
        (np.linspace(0, 1, 100), "number", "regression"),
        (np.arange(100.0), "number", "regression"),
    ],
)
def test_the_output_follows_the_target(values, kind, output):
    assert formulated(values, kind).output == output


@pytest.mark.parametrize(
    ("values", "wish", "metric"),
    [
        (CLASSES, {}, "accuracy"),
        (np.array(["a"] * 95 + ["b"] * 5), {}, "balanced-accuracy"),
        (CLASSES, {"sentence": "missing one is worse than a false alarm"}, "recall"),
        (CLASSES, {"sentence": "how likely is it?"}, "log-loss"),
        (np.array(["a"] * 95 + ["b"] * 5), {"sentence": "tell them apart, accuracy counts"}, "accuracy"),
        (CLASSES, {"sentence": "as balanced accuracy"}, "balanced-accuracy"),
        (CLASSES, {"metric": "AUC"}, "auc"),
        (CLASSES, {"goal": "recall 0.85"}, "recall"),
    ],
)
def test_the_metric_follows_words_and_balance(values, wish, metric):
    assert formulated(values, **wish).metric == metric


@pytest.mark.parametrize(("goal", "value"), [("0.9", 0.9), ("recall >= 85 %", 0.85), ("f1 of 0.7", 0.7)])
def test_goals_are_read(goal, value):
    assert formulated(CLASSES, goal=goal).goal == value


@pytest.mark.parametrize(
    ("values", "kind", "wish", "said"),
    [
        (np.full(50, np.nan), "number", {}, "missing in all 50 rows"),
        (np.array(["a"] * 50), "category", {}, "is 'a' in all 50 rows"),
        (np.array(["a", "b"] * 5), "category", {}, "Only 10 rows"),
        (CLASSES, "category", {"metric": "rmse"}, "does not fit classification"),
        (CLASSES, "category", {"goal": "very good"}, "is not understood"),
        (np.array([str(i) for i in range(100)]), "category", {}, "100 different values in 100 rows"),
    ],
)
def test_what_cannot_be_learnt_is_refused(values, kind, wish, said):
    with pytest.raises(TaskError, match=said):
        formulated(values, kind, **wish)


def test_the_kind_of_answer_may_be_named():
    stars = np.tile(np.arange(1.0, 6), 40)
    assert formulated(stars, "number").output == "classification"
    task = formulated(stars, "number", output="regression")
    assert task.output == "regression" and task.metric == "r2" and "regression: named" in task.reasons
    with pytest.raises(TaskError, match=r"Unknown output 'regresion'\. Did you mean 'regression'"):
        formulated(stars, "number", output="regresion")
