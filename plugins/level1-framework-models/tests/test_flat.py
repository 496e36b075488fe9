"""Views as one matrix: widths known beforehand, pooling, and padding that never shows."""

import numpy as np
import pytest
from metalearner_level1_framework_models import flat

from metalearner.arrays import Tensor
from metalearner.records import Axis, View

RNG = np.random.default_rng(0)
SERIES = View((Axis("time", 30, ragged=True),), 3)


def ragged(rows=6, garbage=0.0):
    lengths = np.array([30, 17, 5, 3, 1, 12])[:rows]
    values = np.random.default_rng(1).normal(size=(rows, 30, 3)).astype(np.float32)
    mask = np.arange(30) < lengths[:, None]
    return Tensor(np.where(mask[:, :, None], values, np.float32(garbage)), None, mask)


@pytest.mark.parametrize(
    "view",
    [
        View((Axis("columns", 7),), 1, (3, 4)),
        View((Axis("columns", 0),), 1, (3,)),
        View((Axis("space", 8), Axis("space", 9)), 3),
        View((Axis("space", 200), Axis("space", 90)), 3),
        View((Axis("set", 3), Axis("time", 5000)), 2),
        View((Axis("columns", 6000),), 1),
        View((Axis("time", 50, ragged=True),), 4),
        View((Axis("set", 5, ragged=True),), 4),
        View((Axis("time", 20, ragged=True),), 600),
    ],
    ids=lambda v: "x".join(map(str, v.shape)),
)
def test_width_is_known_before_any_data(view):
    values = RNG.normal(size=(3, *view.shape)).astype(np.float32)
    mask = np.arange(view.shape[0]) < np.array([[1], [2], [view.shape[0]]]) if view.axes[0].ragged else None
    codes = np.zeros((3, len(view.cardinalities)), np.int64) if view.cardinalities else None
    for rows in (3, 0):
        tensors = {"v": Tensor(values, codes, mask).take(np.arange(rows))}
        assert flat.numeric(tensors, {"v": view}).shape == (rows, flat.width({"v": view}))
        assert flat.codes(tensors, {"v": view}).shape == (rows, len(view.cardinalities))
    if view.kinds[0] in ("space", "time"):
        assert flat.width({"v": view}) <= flat.MOST


def test_large_images_are_averaged_and_gaps_left_out():
    view = View((Axis("space", 96), Axis("space", 96)), 1)
    values = RNG.normal(size=(2, 96, 96, 1)).astype(np.float32)
    values[0, 0, 0], values[1, :2, :2] = np.nan, np.nan
    found = flat.numeric({"image": Tensor(values)}, {"image": view}).reshape(2, 48, 48)
    assert found[0, 0, 0] == pytest.approx(np.nanmean(values[0, :2, :2]), abs=1e-6)
    assert np.isnan(found[1, 0, 0]) and np.isnan(found).sum() == 1
    assert found[1, 47, 47] == pytest.approx(values[1, 94:, 94:].mean(), abs=1e-6)


def test_padding_does_not_show():
    clean, dirty = (flat.numeric({"s": ragged(garbage=g)}, {"s": SERIES}) for g in (0.0, 1e6))
    np.testing.assert_array_equal(clean, dirty)
    longer = ragged()
    longer = Tensor(np.pad(longer.values, ((0, 0), (0, 9), (0, 0))), None, np.pad(longer.mask, ((0, 0), (0, 9))))
    wide = flat.numeric({"s": longer}, {"s": View((Axis("time", 39, ragged=True),), 3)})
    np.testing.assert_allclose(clean[:, 1:], wide[:, 1:], atol=1e-6)  # all but the share of valid steps


def test_statistics_of_valid_steps():
    tensor = ragged()
    found = flat.numeric({"s": tensor}, {"s": SERIES})
    valid = tensor.values[1, :17]
    expected = [valid.mean(0), valid.std(0), valid.min(0), valid.max(0)]
    np.testing.assert_allclose(found[1, 1:13].reshape(4, 3), expected, atol=1e-5)
    picture = found[:, 13:].reshape(6, flat.STEPS, 3)
    np.testing.assert_allclose(picture.mean(axis=1), found[:, 1:4], atol=1e-5)  # equal stretches average to the mean
    np.testing.assert_allclose(picture[4], np.tile(tensor.values[4, 0], (flat.STEPS, 1)), atol=1e-6)  # one step alone


def test_rows_without_a_single_step_are_missing():
    tensor = Tensor(np.ones((2, 30, 3), np.float32), None, np.zeros((2, 30), bool))
    found = flat.numeric({"s": tensor}, {"s": SERIES})
    assert np.all(found[:, 0] == 0) and np.isnan(found[:, 1:]).all()


def test_several_views_are_joined():
    views = {"a": View((Axis("columns", 2),), 1, (4,)), "b": View((Axis("time", 3),), 2)}
    tensors = {
        "a": Tensor(np.ones((2, 2, 1), np.float32), np.array([[1], [3]])),
        "b": Tensor(np.zeros((2, 3, 2), np.float32)),
    }
    assert flat.numeric(tensors, views).tolist() == [[1, 1, 0, 0, 0, 0, 0, 0]] * 2
    assert flat.codes(tensors, views).tolist() == [[1], [3]] and flat.cardinalities(views) == (4,)
