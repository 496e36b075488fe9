"""Linear models, boosted trees and random convolutions: accuracy, storage, deadlines, gaps and padding."""

import gzip
import re
import time

import numpy as np
import pytest
from metalearner_level1_framework_models.classic_families import CLASSIC_FAMILIES
from metalearner_level1_framework_models.learners import LEARNER_PRODUCTIONS, LEARNERS
from sklearn import datasets

from metalearner import grammar
from metalearner.arrays import Fields, Tensor
from metalearner.dataset import Dataset
from metalearner.kinds import Aim, Rung, Transform
from metalearner.outputs.classification import Classification
from metalearner.outputs.metrics import METRICS
from metalearner.outputs.regression import Regression
from metalearner.records import Axis, Column, Config, DatasetCard, Schema, Task, View
from metalearner.testing import check_learner

BY_NAME = {learner.name: learner for learner in LEARNERS}
METRIC = {metric.name: metric for metric in METRICS}
PRODUCTIONS = {production.name: production for production in LEARNER_PRODUCTIONS}


class Plain(Transform):
    """Fields that are tensors already, as one view."""

    name = "plain"

    def __init__(self, view):
        self.view = view

    def fit(self, fields, schema):
        return {}

    def apply(self, state, fields):
        given = {k: np.asarray(v) for k, v in fields.items()}
        return {"view": Tensor(given["values"], given.get("codes"), given.get("mask"))}

    def views(self, state):
        return {"view": self.view}


def prepared(tensor, view, target, folds=2, seed=0):
    """Dataset, transform and aim for one tensor; classes if the target is whole numbers."""
    classifies = target.dtype.kind != "f"
    output = Classification() if classifies else Regression()
    state = output.fit(target)
    metric = METRIC["accuracy" if classifies else "r2"]
    columns = {k: getattr(tensor, k) for k in ("values", "codes", "mask") if getattr(tensor, k) is not None}
    parts = np.array_split(np.random.default_rng(seed).permutation(len(target)), folds)
    pairs = tuple((np.sort(np.concatenate([p for p in parts if p is not held])), np.sort(held)) for held in parts)
    dataset = Dataset(
        card=DatasetCard("d", "d", "table", len(target), "0"),
        task=Task("", "table", "y", output.name, metric.name),
        schema=Schema("table", "", len(target), ()),
        label=Column("y", "category" if classifies else "number"),
        state=state,
        fields=Fields(columns),
        target=output.encode(state, target),
        folds=pairs,
        apart=np.array([], int),
    )
    return dataset, Plain(view), Aim(output, state, metric, None)


def table(values, codes=None):
    values = np.asarray(values, np.float64)
    values = ((values - np.nanmean(values, 0)) / (np.nanstd(values, 0) + 1e-9)).astype(np.float32)[:, :, None]
    cardinalities = () if codes is None else tuple(int(c.max()) + 1 for c in codes.T)
    return Tensor(values, codes), View((Axis("columns", values.shape[1]),), 1, cardinalities)


def fitted(name, numbers, case, rung=None):
    """(models, folds, facts) of one config, checked against the grammar."""
    dataset, transform, aim = case
    config = Config(name, numbers)
    assert not grammar.check(config, PRODUCTIONS)
    folds = [dataset.fold(i, transform) for i in range(len(dataset.folds))]
    assert BY_NAME[name].accepts(folds[0].views, aim.output)
    (found,) = BY_NAME[name].fit([config], folds, aim, rung or Rung(seed=1), [None])
    return found.models, folds, found.facts


def score(name, numbers, case, metric=None):
    models, folds, _ = fitted(name, numbers, case)
    prediction = np.concatenate([m.predict(f.valid) for m, f in zip(models, folds)])
    target = np.concatenate([f.valid_target for f in folds])
    return (METRIC[metric] if metric else case[2].metric).score(target, prediction, case[2].state)


def sklearn_table(loader):
    data = loader()
    return prepared(*table(data.data), data.target)


def digits():
    data = datasets.load_digits(n_class=10)
    values = ((data.images - 5) / 6).astype(np.float32)[:900, :, :, None]
    return prepared(Tensor(values), View((Axis("space", 8), Axis("space", 8)), 1), data.target[:900])


def waves(rows=160, length=60, channels=2, garbage=0.0, seed=0):
    """Ragged series: classes differ by frequency, phase is random."""
    rng = np.random.default_rng(seed)
    code, lengths = rng.integers(0, 3, rows), rng.integers(length // 3, length + 1, rows)
    steps = np.arange(length)[None, :, None]
    phase = rng.uniform(0, 6.28, (rows, 1, channels))
    values = np.sin(steps * np.array([0.4, 0.7, 1.1])[code][:, None, None] + phase) + rng.normal(
        0, 0.4, (rows, length, channels)
    )
    mask = steps[:, :, 0] < lengths[:, None]
    values = np.where(mask[:, :, None], values, garbage).astype(np.float32)
    return prepared(Tensor(values, None, mask), View((Axis("time", length, ragged=True),), channels), code)


QUICK = {
    "linear": {},
    "trees": {"rounds": 60, "min_leaf": 3},
    "forest": {"trees": 40},
    "kernel-ridge": {},
    "random-conv": {"features": 500},
}


# -- accuracy --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "numbers", "loader", "least"),
    [
        ("linear", {"penalty": 0.1}, datasets.load_wine, 0.94),
        ("linear", {"penalty": 0.1, "expansion": "splines"}, datasets.load_breast_cancer, 0.95),
        ("linear", {"penalty": 0.1}, datasets.load_diabetes, 0.44),
        ("linear", {"penalty": 1.0, "expansion": "squares", "interactions": True}, datasets.load_diabetes, 0.42),
        ("trees", {"rounds": 100, "leaves": 8, "min_leaf": 3}, datasets.load_wine, 0.92),
        ("trees", {"rounds": 100, "leaves": 8, "extra": True}, datasets.load_diabetes, 0.35),
        ("forest", {"trees": 60}, datasets.load_wine, 0.92),
        ("kernel-ridge", {}, datasets.load_wine, 0.95),
        ("kernel-ridge", {"kernel": "gauss", "landmarks": 200}, datasets.load_diabetes, 0.42),
        ("forest", {"trees": 60, "min_leaf": 5}, datasets.load_diabetes, 0.35),
    ],
)
def test_tables(name, numbers, loader, least):
    assert score(name, numbers, sklearn_table(loader)) > least


@pytest.mark.parametrize("name, least", [("linear", 0.91), ("trees", 0.85), ("random-conv", 0.95)])
def test_images(name, least):
    case = digits()
    assert score(name, QUICK[name], case) > least


@pytest.mark.parametrize("pooling", ["both", "proportion", "mean"])
def test_random_convolutions_hear_frequencies_that_others_do_not(pooling):
    case = waves()
    assert score("random-conv", {"features": 500, "pooling": pooling}, case) > 0.95
    assert score("random-conv", {"features": 500, "pooling": pooling}, case, "log-loss") < 0.25
    assert score("linear", {}, case) < 0.7


def test_random_convolutions_for_a_number():
    dataset, transform, _ = waves()
    values, mask = np.asarray(dataset.fields["values"]), np.asarray(dataset.fields["mask"])
    target = np.array([np.abs(np.diff(v[m, 0])).mean() for v, m in zip(values, mask)])
    assert score("random-conv", {}, prepared(Tensor(values, None, mask), transform.view, target)) > 0.6


def test_products_find_what_no_single_column_tells():
    values = np.random.default_rng(0).normal(size=(400, 6))
    case = prepared(*table(values), (values[:, 0] * values[:, 1] > 0).astype(int))
    assert score("linear", {"penalty": 0.01}, case) < 0.65
    assert score("linear", {"penalty": 0.01, "interactions": True}, case) > 0.9


def test_splines_bend():
    values = np.random.default_rng(0).uniform(-3, 3, size=(300, 2))
    case = prepared(*table(values), np.sin(2 * values[:, 0]) + 0.1 * values[:, 1])
    assert score("linear", {"penalty": 0.01}, case) < 0.3
    assert score("linear", {"penalty": 0.01, "expansion": "splines"}, case) > 0.8


@pytest.mark.parametrize("kind", [int, float])
def test_more_columns_than_rows(kind):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 1)) + 0.8 * rng.normal(size=(60, 3000))
    target = values.mean(axis=1) + 0.01
    case = prepared(*table(values), (target > 0).astype(int) if kind is int else target)
    began = time.process_time()
    assert score("linear", {"penalty": 0.1}, case) > 0.9
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("name", ["linear", "trees", "forest", "kernel-ridge"])
def test_categories_alone(name):
    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(0, 4, 300), rng.integers(0, 30, 300)], axis=1)
    case = prepared(*table(np.zeros((300, 0)), codes), (codes[:, 0] % 2).astype(int))
    assert score(name, QUICK[name], case) > 0.95
    models = fitted(name, QUICK[name], case)[0]
    strange = {"view": Tensor(np.zeros((1, 0, 1), np.float32), np.array([[0, 0]]))}
    assert np.isfinite(models[0].predict(strange)).all()


# -- contract --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["linear", "trees", "forest", "kernel-ridge", "random-conv"])
@pytest.mark.parametrize("make", [digits, waves])
def test_conformance(name, make):
    dataset, transform, aim = make()
    check_learner(BY_NAME[name], Config(name, QUICK[name]), dataset, transform, aim)


@pytest.mark.parametrize("name", ["linear", "trees", "forest", "kernel-ridge", "random-conv"])
def test_only_text_and_plain_arrays_are_stored(name, tmp_path):
    models, folds, facts = fitted(name, QUICK[name], digits())
    models[0].save(tmp_path)
    assert {f.suffix for f in tmp_path.iterdir()} <= {".json", ".gz", ".safetensors"}
    assert facts["parameters"] > 0 and isinstance(facts["stopped_early"], bool)
    empty = {k: t.take(np.array([], int)) for k, t in folds[0].valid.items()}
    assert models[0].predict(empty).shape == (0, 10)


def test_trees_are_stored_as_text_that_lightgbm_reads(tmp_path):
    import lightgbm

    models, folds, _ = fitted("trees", QUICK["trees"], digits())
    models[0].save(tmp_path)
    text = gzip.decompress((tmp_path / "trees.txt.gz").read_bytes()).decode()
    assert not re.search(r"^(split_gain|leaf_count|internal_value|parameters)", text, re.MULTILINE)
    read = lightgbm.Booster(model_str=text)
    (tensor,) = folds[0].valid.values()
    matrix = tensor.values.reshape(len(tensor.values), -1)
    np.testing.assert_array_equal(read.predict(matrix), models[0].predict(folds[0].valid))
    (tmp_path / "trees.txt.gz").unlink()  # as it was before 0.2
    (tmp_path / "trees.txt").write_text(text)
    again = BY_NAME["trees"].load(tmp_path, None)
    np.testing.assert_array_equal(again.predict(folds[0].valid), models[0].predict(folds[0].valid))


@pytest.mark.parametrize("name", ["linear", "trees", "forest", "kernel-ridge", "random-conv"])
@pytest.mark.parametrize("present", [[2], [0, 2], [0, 2, 3]])
def test_classes_that_a_fold_has_not_seen(name, present):
    dataset, transform, aim = waves()
    target = np.array([0, 1, 2])[dataset.target]
    state = {"classes": ["a", "b", "c", "d"], "counts": [1, 1, 1, 1]}
    fold = dataset.fold(0, transform)
    coded = np.array(present)[np.asarray(target[dataset.folds[0][0]]) % len(present)]
    fold = type(fold)(0, fold.views, fold.train, coded, fold.valid, fold.valid_target)
    learner = BY_NAME[name]
    (found,) = learner.fit(
        [Config(name, QUICK[name])], [fold], Aim(aim.output, state, aim.metric, None), Rung(), [None]
    )
    prediction = found.models[0].predict(fold.valid)
    assert prediction.shape == (len(fold.valid_target), 4)
    np.testing.assert_allclose(prediction.sum(axis=1), 1)
    assert prediction[:, [c for c in range(4) if c not in present]].max() < 1e-6


@pytest.mark.parametrize("name", ["linear", "trees", "forest", "kernel-ridge", "random-conv"])
def test_padding_never_reaches_a_model(name):
    (models, folds, _), (others, dirty, _) = (fitted(name, QUICK[name], waves(garbage=g)) for g in (0.0, 1e4))
    expected = models[0].predict(folds[0].valid)
    np.testing.assert_array_equal(models[0].predict(dirty[0].valid), expected)  # not when it predicts
    np.testing.assert_array_equal(others[0].predict(folds[0].valid), expected)  # nor when it learns


@pytest.mark.parametrize("name", ["linear", "trees", "forest", "kernel-ridge", "random-conv"])
def test_the_deadline_is_kept(name):
    import torch  # noqa: F401 -- its import is not what is timed

    rng = np.random.default_rng(0)
    if name == "random-conv":
        tensor, view = Tensor(rng.normal(size=(4000, 300, 3)).astype(np.float32)), View((Axis("time", 300),), 3)
    else:
        tensor, view = table(rng.normal(size=(40000, 120)))
    fitted(name, QUICK[name], waves(rows=60))  # imports and first calls
    dataset, transform, aim = prepared(tensor, view, rng.integers(0, 5, len(tensor)), folds=3)
    folds = [dataset.fold(i, transform) for i in range(3)]
    numbers = {
        "linear": {"expansion": "splines"},
        "trees": {"rounds": 2000},
        "forest": {"trees": 300},
        "kernel-ridge": {"landmarks": 3000},
        "random-conv": {"features": 10000},
    }[name]
    began = time.process_time()  # one thread, so a busy machine does not count
    rung = Rung(deadline=time.monotonic() + 0.6)
    (found,) = BY_NAME[name].fit([Config(name, numbers)], folds, aim, rung, [None])
    assert time.process_time() - began < 1.6
    assert found.facts["stopped_early"] and len(found.models) == 3
    assert np.isfinite(found.models[0].predict(folds[0].valid)).all()


@pytest.mark.parametrize("name", ["linear", "trees", "forest", "kernel-ridge"])
def test_missing_values(name):
    data = datasets.load_wine()
    rng = np.random.default_rng(0)
    values = data.data.copy()
    values[rng.random(values.shape) < 0.2] = np.nan
    tensor, view = table(values)
    tensor.values[:, 3] = np.nan  # a column nobody filled in
    case = prepared(tensor, view, data.target)
    models = fitted(name, QUICK[name], case)[0]
    assert score(name, QUICK[name], case) > 0.85
    nothing = {"view": Tensor(np.full((2, 13, 1), np.nan, np.float32))}
    assert np.isfinite(models[0].predict(nothing)).all()


def test_missing_steps_of_a_series():
    dataset, transform, _ = waves()
    values = np.array(dataset.fields["values"])
    values[np.random.default_rng(0).random(values.shape) < 0.05] = np.nan
    target = dataset.target
    case = prepared(Tensor(values, None, np.asarray(dataset.fields["mask"])), transform.view, target)
    assert score("random-conv", QUICK["random-conv"], case) > 0.8


def test_an_outlier_does_not_run_away():
    case = sklearn_table(datasets.load_diabetes)
    models, _, _ = fitted("linear", {"expansion": "squares", "interactions": True}, case)
    far = {"view": Tensor(np.full((1, 10, 1), 1e6, np.float32))}
    assert abs(models[0].predict(far)[0, 0]) < 30


# -- going on --------------------------------------------------------------------------------------


def test_trees_grow_on_from_an_earlier_rung(tmp_path):
    dataset, transform, aim = digits()
    folds = [dataset.fold(i, transform) for i in range(2)]
    config, learner = Config("trees", {"rounds": 60, "leaves": 8}), BY_NAME["trees"]
    assert learner.partial(config)
    (short,) = learner.fit([config], folds[:1], aim, Rung(share=0.3, folds=1), [None])
    (tmp_path / "0").mkdir()  # the second fold is fitted from the start
    short.models[0].save(tmp_path / "0")
    (longer,) = learner.fit([config], folds, aim, Rung(share=0.9), [tmp_path])
    assert short.facts["rounds"] <= 18 < longer.facts["rounds"] <= 54
    tree = "Tree=5"
    assert longer.models[0].text.partition(tree)[2][:300] == short.models[0].text.partition(tree)[2][:300]
    losses = [
        METRIC["log-loss"].score(folds[0].valid_target, f.models[0].predict(folds[0].valid), aim.state)
        for f in (short, longer)
    ]
    assert losses[1] < losses[0]


def test_trees_that_are_done_have_seen_every_row(tmp_path):
    dataset, transform, aim = digits()
    folds = [dataset.fold(0, transform)]
    config, learner = Config("trees", {"rounds": 40, "leaves": 8, "row_share": 1.0}), BY_NAME["trees"]
    (part,) = learner.fit([config], folds, aim, Rung(share=0.5), [None])
    (done,) = learner.fit([config], folds, aim, Rung(), [None])
    assert part.facts["watched"] and not done.facts["watched"]
    assert done.facts["rounds"] == pytest.approx(40 / 0.85, abs=1)
    (tmp_path / "0").mkdir()
    done.models[0].save(tmp_path / "0")
    (again,) = learner.fit([config], folds, aim, Rung(), [tmp_path])
    assert again.models[0].text == done.models[0].text


def test_linear_models_are_tried_side_by_side_where_they_are_quick():
    case = sklearn_table(datasets.load_wine)
    quick = fitted("linear", {"penalty": 0.1}, case)[2]
    assert BY_NAME["linear"].together(quick) > 1
    assert BY_NAME["linear"].together(quick | {"rows": 1e6}) == 1


def test_logistic_regression_goes_on_from_an_earlier_rung(tmp_path):
    dataset, transform, aim = digits()
    folds = [dataset.fold(0, transform)]
    config, learner = Config("linear", {"penalty": 0.01}), BY_NAME["linear"]
    (whole,) = learner.fit([config], folds, aim, Rung(), [None])
    (tmp_path / "0").mkdir()
    whole.models[0].save(tmp_path / "0")
    (again,) = learner.fit([config], folds, aim, Rung(), [tmp_path])
    assert again.facts["iterations"] < 0.3 * whole.facts["iterations"]
    np.testing.assert_allclose(
        again.models[0].predict(folds[0].valid), whole.models[0].predict(folds[0].valid), atol=0.02
    )


# -- families --------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", CLASSIC_FAMILIES, ids=lambda f: f.name)
def test_presets_are_valid_and_share_a_skeleton(family):
    for preset in family.presets:
        assert not grammar.check(preset, PRODUCTIONS)
    assert len({p.skeleton.id for p in family.presets}) == 1
    assert len({grammar.complete(p, PRODUCTIONS).id for p in family.presets}) == len(family.presets)


@pytest.mark.parametrize(
    ("view", "takes"),
    [
        (View((Axis("columns", 20),), 1, (3,)), {"linear", "trees", "forest", "kernel-ridge"}),
        (View((Axis("columns", 5000),), 1), {"linear"}),
        (View((Axis("time", 150),), 1), {"linear", "trees", "kernel-ridge", "random-conv"}),
        (View((Axis("space", 32), Axis("space", 32)), 3), {"linear", "trees", "kernel-ridge", "random-conv"}),
        (View((Axis("set", 3), Axis("time", 40)), 5), {"linear", "trees", "kernel-ridge", "random-conv"}),
        (View((Axis("set", 12),), 5), {"linear", "trees", "forest", "kernel-ridge"}),
    ],
    ids=lambda v: "x".join(map(str, v.shape)) if isinstance(v, View) else "",
)
def test_families_know_their_views(view, takes):
    assert {f.name for f in CLASSIC_FAMILIES if f.accepts({"view": view})} == takes
    tensor = Tensor(np.random.default_rng(0).normal(size=(40, *view.shape)).astype(np.float32))
    if view.cardinalities:
        tensor = Tensor(tensor.values, np.ones((40, 1), np.int64))
    for name in takes - ({"trees", "forest", "kernel-ridge"} if len(tensor.values[0].ravel()) > 500 else set()):
        models, folds, _ = fitted(name, QUICK[name], prepared(tensor, view, np.arange(40) % 2))
        assert models[0].predict(folds[0].valid).shape == (20, 2)
