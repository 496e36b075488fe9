"""NPZ archives, JSON rows, axis kinds and label kinds."""

import json

import numpy as np
import pytest
from metalearner_modality_signal.layout import locality
from metalearner_modality_signal.modality import SignalModality

from metalearner.arrays import Fields, Ragged
from metalearner.errors import DataError
from metalearner.records import Schema

SIGNAL = SignalModality()


def reread(schema):
    """The schema as a bundle keeps it."""
    return Schema.from_json(json.loads(json.dumps(schema.to_json())))


def decode(source, schema):
    return Fields.concat(list(SIGNAL.decode(source, reread(schema))))


def save(tmp_path, **arrays):
    path = tmp_path / "set.npz"
    np.savez_compressed(path, **arrays)
    return path


def smooth(rng, *shape, axis):
    """White noise, made smooth along one axis."""
    kernel = np.hanning(12)[1:-1]
    return np.apply_along_axis(lambda v: np.convolve(v, kernel, "same"), axis, rng.normal(size=shape))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_nameless_sensor(tmp_path, rng):
    x = smooth(rng, 60, 3, 40, 5, axis=2)
    path = save(tmp_path, x=x, y=rng.integers(0, 3, 60))
    schema = SIGNAL.sniff(path)
    assert schema.rows == 60 and schema.names == ("signal", "label") and schema.target_hint == "label"
    assert SIGNAL.views(schema)["signal"].kinds == ("set", "time")
    assert SIGNAL.views(schema)["signal"].shape == (3, 40, 5)
    assert schema.options["axes"][1]["z"] > 10 and "z " in schema.column("signal").note
    fields = decode(path, schema)
    assert fields["signal"].dtype == np.float32 and fields["signal"].shape == (60, 3, 40, 5)
    np.testing.assert_allclose(fields["signal"], x, rtol=1e-6)


def test_no_order_is_seen_where_there_is_none(rng):
    x = rng.normal(size=(50, 8, 12, 2)) + 2 * rng.normal(size=(1, 8, 12, 2))
    assert abs(locality(x, 1)) < 3 and abs(locality(x, 2)) < 3
    assert locality(x, 3) is None, "two positions are too few to tell"


def test_a_curve_shared_by_all_samples_is_order_too(rng):
    x = rng.normal(size=(40, 30, 1)) + 3 * np.sin(np.linspace(0, 6, 30))[:, None]
    assert locality(x, 1) > 3


def test_two_ordered_axes_are_space(tmp_path, rng):
    x = smooth(rng, 60, 16, 20, 1, axis=1)
    x = np.apply_along_axis(lambda v: np.convolve(v, np.ones(5), "same"), 2, x)
    assert SIGNAL.views(SIGNAL.sniff(save(tmp_path, x=x, y=np.arange(60) % 2)))["signal"].kinds == ("space", "space")


@pytest.mark.parametrize("shape, view, kind", [((30, 50), (50, 1), "time"), ((30, 5, 4), (5, 4), "set")])
def test_one_axis(tmp_path, rng, shape, view, kind):
    path = save(tmp_path, series=rng.normal(size=shape), labels=np.arange(30) % 2)
    schema = SIGNAL.sniff(path)
    assert SIGNAL.views(schema)["signal"].shape == view and SIGNAL.views(schema)["signal"].kinds == (kind,)
    assert decode(path, schema)["signal"].shape == (30, *view)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_before_time_are_found(tmp_path, rng, channels):
    x = smooth(rng, 40, channels, 60, axis=2)
    path = save(tmp_path, x=x, y=np.arange(40) % 2)
    schema = SIGNAL.sniff(path)
    assert SIGNAL.views(schema)["signal"].shape == (60, channels)
    assert schema.options["axes"][0]["z"] == round(locality(x, 2), 2)
    np.testing.assert_allclose(decode(path, schema)["signal"], x.transpose(0, 2, 1), rtol=1e-6)
    np.testing.assert_allclose(
        decode([{"signal": x[7].tolist()}], schema.without("label"))["signal"][0], x[7].T, rtol=1e-6
    )


@pytest.mark.parametrize("how", ["offsets", "lengths", "padded"])
def test_unequal_lengths(tmp_path, rng, how):
    lengths = rng.integers(9, 30, 25)
    samples = [rng.normal(size=(k, 2)) for k in lengths]
    x, cut = np.concatenate(samples), {"lengths": lengths}
    if how == "offsets":
        cut = {"offsets": np.cumsum([0, *lengths])}
    if how == "padded":
        x = np.stack([np.pad(s, ((0, 40 - len(s)), (0, 0))) for s in samples])
    path = save(tmp_path, x=x, y=np.array(list("ab") * 12 + ["a"]), **cut)
    schema = SIGNAL.sniff(path)
    assert SIGNAL.views(schema)["signal"].axes[0].ragged
    fields = decode(path, schema)
    assert isinstance(fields["signal"], Ragged)
    for found, given in zip(fields["signal"], samples, strict=True):
        np.testing.assert_allclose(found, given, rtol=1e-6)
    assert fields["label"].tolist()[:3] == ["a", "b", "a"]


def test_complex_numbers_become_two_channels(tmp_path, rng):
    x = rng.normal(size=(24, 30)) + 1j * rng.normal(size=(24, 30))
    path = save(tmp_path, x=x, y=np.arange(24) % 2)
    signal = decode(path, SIGNAL.sniff(path))["signal"]
    np.testing.assert_allclose(signal[..., 0], x.real, rtol=1e-6)
    np.testing.assert_allclose(signal[..., 1], x.imag, rtol=1e-6)


def test_long_series_are_pooled_and_nan_stays_out_of_the_means(tmp_path):
    x = np.tile(np.arange(9000.0), (20, 1))
    x[0, 0] = np.nan
    x[1, :3] = np.inf
    path = save(tmp_path, x=x, y=np.arange(20) % 2)
    schema = SIGNAL.sniff(path)
    assert schema.options["pool"] == 3 and SIGNAL.views(schema)["signal"].shape == (3000, 1)
    signal = decode(path, schema)["signal"]
    assert signal.shape == (20, 3000, 1)
    assert signal[2, :2, 0].tolist() == [1, 4] and signal[0, 0, 0] == 1.5 and np.isnan(signal[1, 0, 0])


def test_chunks_are_the_whole_in_order(tmp_path, rng, monkeypatch):
    x = rng.normal(size=(50, 20)).astype(np.float32)
    path = save(tmp_path, x=x, y=np.arange(50) % 2)
    schema = SIGNAL.sniff(path)
    monkeypatch.setattr("metalearner_modality_signal.modality.CHUNK", 200)
    parts = list(SIGNAL.decode(path, schema))
    assert [p.rows for p in parts] == [10] * 5
    np.testing.assert_array_equal(Fields.concat(parts)["signal"][..., 0], x)


def test_the_training_part_is_read(tmp_path, rng):
    x, y = rng.normal(size=(30, 9)), np.arange(30) % 2
    path = save(tmp_path, x_train=x[:22], y_train=y[:22], x_test=x[22:], y_test=y[22:])
    schema = SIGNAL.sniff(path)
    assert schema.rows == 22 and schema.options["test_keys"] == ["x_test", "y_test"]
    assert len(decode(path, schema)["signal"]) == 22


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": np.zeros((20, 8, 8), np.uint8)},
        {"x": np.zeros((20, 8, 8, 3), np.uint8)},
        {"x": np.zeros((20, 3, 8, 9), np.uint8)},
        {"images": np.zeros((20, 8, 8))},
        {"x": np.array(["a"] * 20)},
        {"y": np.arange(20)},
    ],
)
def test_pictures_and_text_are_left_to_others(tmp_path, arrays):
    assert SIGNAL.sniff(save(tmp_path, **({"y": np.arange(20) % 2} | arrays))) is None


@pytest.mark.parametrize("shape", [(20, 3, 2), (20, 40, 30, 5)])
def test_bytes_in_another_shape_are_signals(tmp_path, shape):
    assert SIGNAL.sniff(save(tmp_path, x=np.ones(shape, np.uint8), y=np.arange(20) % 2)) is not None


def test_other_sources_are_left_to_others(tmp_path):
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    assert SIGNAL.sniff(tmp_path / "table.csv") is None
    assert SIGNAL.sniff(tmp_path) is None
    assert SIGNAL.sniff(tmp_path / "nothing.npz") is None
    assert SIGNAL.sniff([{"a": 1}]) is None and SIGNAL.sniff([]) is None and SIGNAL.sniff(3) is None


@pytest.mark.parametrize(
    "labels, kind, some",
    [
        (np.array(["no", "yes"] * 20), "category", "no"),
        (np.array([True, False] * 20), "category", "True"),
        (np.arange(40) % 3, "category", "0"),
        (np.arange(40) % 3 + 1.0, "category", "1"),
        (np.repeat(np.arange(50), 6), "category", "0"),
        (np.linspace(0, 1, 40), "number", 0.0),
        (np.arange(100, 400, 5), "number", 100.0),
    ],
)
def test_label_kinds(tmp_path, labels, kind, some):
    path = save(tmp_path, x=np.random.default_rng(0).normal(size=(len(labels), 9)), y=labels)
    schema = SIGNAL.sniff(path)
    assert schema.column("label").kind == kind
    assert decode(path, schema)["label"][0] == some
    assert len(schema.column("label").levels) == (len(np.unique(labels)) if kind == "category" else 0)


def test_missing_labels_are_counted(tmp_path):
    path = save(tmp_path, x=np.ones((20, 9)), y=np.array([0.0, np.nan] * 10))
    schema = SIGNAL.sniff(path)
    assert schema.column("label").missing == 0.5
    assert decode(path, schema)["label"][:2].tolist() == ["0", ""]


def test_rows_from_a_server(tmp_path, rng):
    x = rng.normal(size=(20, 9, 2))
    schema = SIGNAL.sniff(save(tmp_path, x=x, y=np.arange(20) % 2))
    inputs = schema.without("label")
    rows = [{"extra": 1, "signal": s.tolist()} for s in x[:3]]
    rows[1]["signal"][4][1] = None
    rows[2]["signal"][0][0] = float("inf")
    signal = decode(rows, inputs)["signal"]
    assert signal.shape == (3, 9, 2) and np.argwhere(np.isnan(signal)).tolist() == [[1, 4, 1], [2, 0, 0]]
    assert decode([], inputs)["signal"].shape == (0, 9, 2)
    labelled = decode([row | {"label": 1} for row in rows], schema)
    assert labelled["label"].tolist() == ["1", "1", "1"]
    with pytest.raises(DataError, match="no column 'label'"):
        decode(rows, schema)


def test_rows_can_be_learned_from(rng):
    rows = [{"signal": rng.normal(size=9 + i % 4).tolist(), "label": "ab"[i % 2]} for i in range(20)]
    schema = SIGNAL.sniff(rows)
    assert schema.options["ragged"] and schema.column("label").levels == ("a", "b")
    assert decode(rows[:1], schema)["signal"].lengths.tolist() == [9]


@pytest.mark.parametrize(
    "row, message",
    [
        ({"x": [1]}, "Row 1 has no column 'signal'"),
        ({"signal": [[1, 2], [3]]}, "no rectangle"),
        ({"signal": "abc"}, "is text"),
        ({"signal": [{"a": 1}]}, "no rectangle"),
        ({"signal": []}, "shape"),
        ({"signal": [[1.0, 2.0]] * 8}, "8 x 2"),
    ],
)
def test_rows_that_do_not_fit(tmp_path, rng, row, message):
    schema = SIGNAL.sniff(save(tmp_path, x=rng.normal(size=(20, 9, 2)), y=np.arange(20) % 2))
    with pytest.raises(DataError, match=message):
        decode([row], schema.without("label"))


def test_features_show_a_shift(tmp_path, rng):
    x = rng.normal(size=(30, 50, 12))
    path = save(tmp_path, x=x, y=np.arange(30) % 2)
    schema = SIGNAL.sniff(path)
    found = SIGNAL.features(decode(path, schema), schema)
    assert len(found) == 8 * 5 and all(v.shape == (30,) for v in found.values())
    np.testing.assert_allclose(found["channels 1-2 mean"], x[..., :2].mean(axis=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(found["channel 12 deviation"], x[..., 11].std(axis=1), rtol=1e-5)
    assert np.abs(found["channel 12 lag-1 correlation"]).max() < 0.6
    walk = Fields({"signal": np.cumsum(x, axis=1).astype(np.float32)})
    assert SIGNAL.features(walk, schema)["channel 12 lag-1 correlation"].min() > 0.5
    aside = Schema("signal", "", 30, (), {"channels": 12, "axes": [{"kind": "set"}, {"kind": "time"}]})
    walk = Fields({"signal": np.repeat(walk["signal"][:, None], 3, axis=1) * [[[1]], [[-1]], [[9]]]})
    assert SIGNAL.features(walk, aside)["channel 12 lag-1 correlation"].min() > 0.5


def test_features_of_ragged_and_empty_signals(rng):
    rows = [{"signal": rng.normal(size=9 + i).tolist(), "label": "ab"[i % 2]} for i in range(20)]
    schema = SIGNAL.sniff(rows)
    found = SIGNAL.features(decode(rows, schema), schema)
    assert found["length"].tolist() == list(range(9, 29)) and len(found) == 6
    np.testing.assert_allclose(found["signal maximum"][5], max(rows[5]["signal"]), rtol=1e-6)
    gone = Ragged(np.full((3, 1), np.nan, np.float32), np.array([0, 0, 3]))
    assert np.isnan(SIGNAL.features(Fields({"signal": gone}), schema)["signal mean"]).all()
    assert SIGNAL.features(decode([], schema.without("label")), schema)["signal mean"].shape == (0,)
