"""Data preparation: splits that keep groups whole and strata balanced, and a test that opens once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalearner.arrays import Fields, Ragged
from metalearner.data import Reading, Sealed, prepare, read
from metalearner.data.cuts import deal, lay_folds
from metalearner.data.fingerprint import data_hash, row_hashes, sketch
from metalearner.data.prepare import Split
from metalearner.dataset import Dataset
from metalearner.errors import DataError, RunError, TaskError
from metalearner.records import Column, DatasetCard, Schema, Sketch, Task
from metalearner.task import Wish, formulate


@given(st.integers(20, 300), st.integers(1, 5), st.integers(0, 1000))
def test_groups_are_never_torn_apart(n, strata, seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, n // 2 + 1, n)
    parts = deal(rng.integers(0, strata, n), groups, [0.8, 0.2], rng)
    for g in np.unique(groups):
        assert len(set(parts[groups == g])) == 1


def test_every_stratum_is_in_every_fold():
    rng = np.random.default_rng(0)
    strata = np.repeat([0, 1, 2], [150, 40, 10])
    folds, apart = lay_folds(Fields({"x": np.zeros(200)}), strata, np.arange(200), rng)
    assert len(folds) == 5 and not len(apart)
    assert sorted(np.concatenate([v for _, v in folds])) == list(range(200))
    for train, valid in folds:
        assert not set(train) & set(valid) and set(strata[valid]) == {0, 1, 2}


def test_small_data_have_ten_folds_but_no_more_than_groups():
    rng = np.random.default_rng(0)
    fields, strata = Fields({"x": np.zeros(60)}), np.repeat([0, 1, 2], 20)
    folds, _ = lay_folds(fields, strata, np.arange(60), rng)
    assert len(folds) == 10 and all(len(train) == 54 and set(strata[valid]) == {0, 1, 2} for train, valid in folds)
    folds, _ = lay_folds(fields, np.zeros(60, int), np.arange(60) // 20, rng)
    assert len(folds) == 3 and all(len(valid) for _, valid in folds)


def test_rows_are_kept_apart_once_there_are_enough():
    rng = np.random.default_rng(0)
    folds, apart = lay_folds(Fields({"x": np.zeros((2000, 50))}), np.zeros(2000, int), np.arange(2000), rng)
    inside = set(np.concatenate([np.concatenate(f) for f in folds]))
    assert len(apart) == 200 and not inside & set(apart)


def test_hashes_know_equal_rows_whatever_their_order():
    fields = Fields({"a": np.array([1.0, 2.0, 1.0]), "b": np.array(["x", "y", "x"])})
    hashes = row_hashes(fields)
    assert hashes[0] == hashes[2] != hashes[1]
    assert data_hash(hashes) == data_hash(row_hashes(fields.take(np.array([1, 2, 0]))))


def test_hashes_of_arrays_and_ragged_samples():
    ragged = Ragged.pack([np.ones((3, 1)), np.ones((4, 1)), np.ones((3, 1))])
    hashes = row_hashes(Fields({"s": ragged, "i": np.zeros((3, 2, 2))}))
    assert hashes[0] == hashes[2] != hashes[1]


def test_the_sealed_test_opens_once(tmp_path):
    sealed = Sealed.close(tmp_path, Fields({"x": np.arange(3.0)}), np.arange(3))
    fields, target = sealed.open()
    assert list(fields["x"]) == [0, 1, 2] and list(target) == [0, 1, 2]
    with pytest.raises(RunError, match="opened before"):
        sealed.open()


def test_a_dataset_survives_its_folder(tmp_path):
    ragged = Ragged.pack([np.ones((i + 1, 2), np.float32) for i in range(4)])
    fields = Fields({"x": np.arange(4.0), "c": np.array(["a", "", "b", "a"]), "s": ragged})
    schema = Schema("tabular", "x", 4, (Column("x", "number"), Column("c", "category", levels=("a", "b"))))
    dataset = Dataset(DatasetCard("n", "g", "tabular", 4, "h"), Task("", "tabular", "y", "regression", "r2"), schema, Column("y", "number"),
                      {"mean": 0.0}, fields, np.arange(4.0), ((np.array([0, 1]), np.array([2])),), np.array([3]))  # fmt: skip
    dataset.save(tmp_path)
    again = Dataset.open(tmp_path)
    assert again.card == dataset.card and again.schema == schema and again.task == dataset.task
    assert list(again.fields["c"]) == ["a", "", "b", "a"]
    assert np.array_equal(again.fields["s"][2], ragged[2])
    assert np.array_equal(again.folds[0][1], [2]) and list(again.apart) == [3]


def test_a_fold_is_prepared_once_and_mapped_from_the_disk(tmp_path, registry):
    dataset = _patients(tmp_path, registry)
    transform = registry.transforms["table-scaling"]
    fold, again = dataset.fold(0, transform), Dataset.open(tmp_path).fold(0, transform)
    plain = Dataset(**{**vars(dataset), "folder": None}).fold(0, transform)
    for view in plain.views:
        assert isinstance(again.train[view].values, np.memmap)
        assert np.array_equal(fold.train[view].values, again.train[view].values)
        assert np.array_equal(plain.train[view].values, again.train[view].values, equal_nan=True)
        assert np.array_equal(plain.valid[view].values, again.valid[view].values, equal_nan=True)
    assert again.views == plain.views and np.array_equal(again.train_target, plain.train_target)


def test_rows_of_one_group_stay_on_one_side_of_every_split(tmp_path, registry):
    dataset = _patients(tmp_path, registry)
    assert "patient" not in dataset.fields and dataset.task.group_by == "patient"
    patient = dataset.fields["stamp"]  # the same number for every row of a patient
    sealed = Fields.open(tmp_path / "sealed" / "fields")["stamp"]
    assert len(sealed) > 20 and not set(patient) & set(sealed)
    for train, valid in dataset.folds:
        assert not set(patient[train]) & set(patient[valid])


@pytest.mark.parametrize("rows, test, needed", [(60, 0.2, 3), (60, None, 2), (1800, 0.2, 3)])
def test_groups_are_enough_for_every_part_or_are_refused(tmp_path, registry, rows, test, needed):
    for many in (needed - 1, needed):
        rng = np.random.default_rng(many)
        frame = pd.DataFrame({"ward": [f"w{i % many}" for i in range(rows)], "x": rng.normal(size=rows),
                              "ill": rng.permutation(["yes", "no"] * (rows // 2))})  # fmt: skip
        wish = Wish(target="ill", group_by="ward")
        if many < needed:
            with pytest.raises(DataError, match=f"(?s){many} of 'ward'.*{needed} are needed"):
                _prepared(frame, wish, tmp_path / "few", registry, test)
            continue
        dataset = _prepared(frame, wish, tmp_path / "enough", registry, test)
        assert dataset.folds and all(len(train) and len(valid) for train, valid in dataset.folds)
        if test:
            assert Fields.open(tmp_path / "enough" / "sealed" / "fields").rows


def test_where_hardly_two_rows_differ_they_are_dealt_out_one_by_one(tmp_path, registry):
    """Else no fold would hold both classes."""
    for name, second in (("two", ["a", "b"]), ("more", ["a", "b", "c", "d", "e", "f", "g", "h"])):
        frame = pd.DataFrame({"letter": second * 16, "y": ["yes", "no"] * (8 * len(second))})
        dataset = _prepared(frame, Wish(target="y"), tmp_path / name, registry, None)
        torn = any(set(dataset.fields["letter"][t]) & set(dataset.fields["letter"][v]) for t, v in dataset.folds)
        assert torn == (name == "two")
        assert ("one by one" in dataset.findings[-1].done) == torn
        assert all(len(set(dataset.target[train])) == 2 and len(valid) for train, valid in dataset.folds)


def _patients(folder, registry):
    """200 rows of 50 patients, prepared."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(50), 4)
    frame = pd.DataFrame({"patient": [f"p{i}" for i in patient], "stamp": patient + 0.5, "x": rng.normal(size=200),
                          "ill": np.where(rng.random(200) < 0.4, "yes", "no")})  # fmt: skip
    return _prepared(frame, Wish(target="ill", group_by="patient"), folder, registry)


def _prepared(frame, wish, folder, registry, test=0.2, keep=()):
    reading = read(frame, registry.modalities)
    target = (wish.target, "named")
    task = formulate(wish, reading.schema, target, reading.column(wish.target), registry.outputs, registry.metrics)
    return prepare(task, reading, registry.outputs[task.output], Split(test), {"name": "frame"}, folder, keep)[0]


def test_a_column_to_group_by_that_is_not_there_is_named(registry):
    schema = Schema("tabular", "x", 40, (Column("patient", "category"), Column("ill", "category")))
    values = np.array(["yes", "no"] * 20)
    with pytest.raises(TaskError, match="patiant"):
        formulate(Wish(group_by="patiant"), schema, ("ill", "named"), values, registry.outputs, registry.metrics)


# -- sketches ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["class", "number"])
def test_a_column_that_is_the_target_in_other_words_is_said(tmp_path, registry, kind):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 3))
    value = x[:, 0] + 0.5 * rng.normal(size=600)
    target = np.where(value > 0, "ill", "well") if kind == "class" else 10 * value
    refund = np.where(value > 0, "paid", "none") if kind == "class" else 3 - 20 * value
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "target": target})
    honest = _prepared(frame, Wish(target="target"), tmp_path / "honest", registry)
    assert not [f for f in honest.findings if "away" in f.what], "a column that tells much is none"
    leaking = _prepared(frame.assign(refund=refund), Wish(target="target"), tmp_path / "leaking", registry)
    (found,) = [f for f in leaking.findings if "away" in f.what]
    assert found.what.startswith("refund gives target away (skill ") and (found.done, found.undo) == (
        "left out",
        "--keep refund",
    )
    assert sorted(leaking.fields) == ["a", "b", "c"] and "refund" not in leaking.schema.names
    kept = _prepared(frame.assign(refund=refund), Wish(target="target"), tmp_path / "kept", registry, keep=("refund",))
    assert "refund" in kept.fields and "refund" in kept.schema.names
    assert [f.done for f in kept.findings if "away" in f.what] == ["kept"]


def test_test_rows_that_are_learnt_from_too_are_counted(tmp_path, registry):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=90), "b": rng.normal(size=90), "target": rng.choice(["x", "y"], 90)})
    files = [tmp_path / "train.csv", tmp_path / "test.csv"]
    frame[:60].to_csv(files[0], index=False)
    frame[53:].to_csv(files[1], index=False)
    reading = read(files[0], registry.modalities)
    test = Reading(read(files[1], registry.modalities).source, reading.modality, reading.schema)
    dataset = _prepared(frame[:60], Wish(target="target"), tmp_path / "data", registry, test)
    assert [f.what for f in dataset.findings] == ["7 of 37 test rows have inputs that are learnt from, too"]


def table(n: int = 400, seed: int = 0, p: int = 8) -> Fields:
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(n, p)) @ rng.normal(size=(p, p))
    columns = {f"c{j}": np.exp(mixed[:, j] / 3) if j % 2 else mixed[:, j] for j in range(p)}
    return Fields(columns | {"k": rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1])})


def sketched(fields: Fields) -> Sketch:
    return sketch(fields, row_hashes(fields))


def shared(a: Fields, b: Fields) -> float:
    return float(np.mean(np.array(sketched(a).rows) == np.array(sketched(b).rows)))


def test_a_sketch_does_not_care_for_names_scales_and_order() -> None:
    fields = table()
    rows = np.random.default_rng(1).permutation(400)
    other = Fields({f"z{j}": fields[n][rows] * (1.8 if n != "k" else 1) + (32 if n != "k" else "") for j, n in
                    enumerate(sorted(fields, reverse=True)) if n != "k"} | {"A": fields["k"][rows]})  # fmt: skip
    assert shared(fields, other) == 1.0
    assert np.allclose(sketched(fields).quantiles, sketched(other).quantiles, atol=0.02)
    assert shared(fields, fields.take(np.arange(340))) > 0.5
    assert shared(fields, table(seed=5)) < 0.2


def test_a_sketch_of_few_or_equal_rows_says_nothing_of_them_and_arrays_have_one() -> None:
    assert sketched(Fields({"x": np.repeat([0.0, 1.0], 200), "y": np.full(400, np.nan)})).rows == ()
    rng = np.random.default_rng(0)
    pictures = Fields(
        {"p": rng.normal(size=(200, 6, 6)), "s": Ragged.pack([rng.normal(size=(4 + i % 3, 2)) for i in range(200)])}
    )
    found = sketched(pictures)
    assert found.columns == 16 and len(found.rows) == 64
    assert Sketch.from_json(found.to_json()) == found
