"""The transform from signals to tensors."""

import json
import subprocess
import sys

import numpy as np
import pytest
from metalearner_modality_signal.scaling import SignalScaling

from metalearner.arrays import Fields, Ragged
from metalearner.records import Column, Schema

SCALING = SignalScaling()


def schema(*kinds):
    return Schema("signal", "", 0, (Column("signal", "array"),), {"axes": [{"kind": k, "size": 9} for k in kinds]})


def fit(signal, *kinds):
    return json.loads(json.dumps(SCALING.fit(Fields({"signal": signal}), schema(*kinds))))


def test_channels_get_mean_0_and_deviation_1_and_nan_stays():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(50, 3, 20, 2)) * [1e-3, 500] + [5, -1000]).astype(np.float32)
    x[0, 0, 0, 0] = np.nan
    state = fit(x, "set", "time")
    tensor = SCALING.apply(state, Fields({"signal": x}))["signal"]
    assert tensor.values.dtype == np.float32 and tensor.mask is None and tensor.codes is None
    assert np.isnan(tensor.values).sum() == 1 and np.isnan(tensor.values[0, 0, 0, 0])
    np.testing.assert_allclose(np.nanmean(tensor.values, axis=(0, 1, 2)), 0, atol=1e-2)
    np.testing.assert_allclose(np.nanstd(tensor.values, axis=(0, 1, 2)), 1, rtol=1e-2)
    view = SCALING.views(state)["signal"]
    assert view.kinds == ("set", "time") and view.shape == (3, 20, 2) and not view.axes[1].ragged


def test_scales_come_from_the_training_rows_alone():
    train, other = np.arange(40, dtype=np.float32).reshape(4, 10, 1), np.full((2, 10, 1), 100, np.float32)
    state = fit(train, "time")
    got = SCALING.apply(state, Fields({"signal": other}))["signal"].values
    np.testing.assert_allclose(got, (100 - 19.5) / train.std(), rtol=1e-5)


def test_unequal_lengths_are_padded_cut_and_masked():
    samples = [np.full((k, 2), k, np.float32) for k in [*range(10, 29), 300]]
    state = fit(Ragged.pack(samples), "time")
    length = state["axes"][0]["size"]
    assert length == np.ceil(np.percentile([len(s) for s in samples], 95)) < 300
    assert SCALING.views(state)["signal"].axes[0].ragged
    tensor = SCALING.apply(state, Fields({"signal": Ragged.pack(samples)}))["signal"]
    assert tensor.values.shape == (20, length, 2) and tensor.mask.shape == (20, length)
    assert tensor.mask.sum(axis=1).tolist() == [min(len(s), length) for s in samples]
    assert (tensor.values[~tensor.mask] == 0).all() and (tensor.values[0, :10] != 0).all()


def test_a_row_is_the_same_in_any_company():
    rng = np.random.default_rng(0)
    fields = Fields({"signal": Ragged.pack([rng.normal(size=(k, 3)) for k in rng.integers(1, 40, 20)])})
    state = fit(fields["signal"], "time")
    whole = SCALING.apply(state, fields)["signal"]
    alone = SCALING.apply(state, fields.take(np.array([7])))["signal"]
    np.testing.assert_array_equal(whole.values[[7]], alone.values)
    np.testing.assert_array_equal(whole.mask[[7]], alone.mask)


@pytest.mark.parametrize("ragged", [False, True])
def test_no_rows_give_no_rows(ragged):
    x = np.ones((5, 9, 2), np.float32)
    given = Ragged.pack(list(x)) if ragged else x
    state = fit(given, "time")
    tensor = SCALING.apply(state, Fields({"signal": given}).take(np.arange(0)))["signal"]
    assert tensor.values.shape[0] == 0 and len(tensor.values.shape) == 3


def test_constant_and_empty_channels_stay_finite():
    x = np.ones((5, 9, 2), np.float32) * np.float32(0.1)
    x[..., 1] = np.nan
    tensor = SCALING.apply(fit(x, "time"), Fields({"signal": x}))["signal"]
    assert (np.abs(tensor.values[..., 0]) < 1e-6).all() and np.isnan(tensor.values[..., 1]).all()


def test_heavy_tails_do_not_set_the_scale():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 50, 1)).astype(np.float32)
    x[0, 0] = 1e6
    state = fit(x, "time")
    values = SCALING.apply(state, Fields({"signal": x}))["signal"].values
    assert state["heavy"] == [True] and 10 < values.max() < 20
    assert 0.5 < values[1:].std() < 1.5


def test_memory_mapped_fields(tmp_path):
    x = np.random.default_rng(0).normal(size=(6, 9, 2)).astype(np.float32)
    for signal in (x, Ragged.pack(list(x))):
        Fields({"signal": signal}).save(tmp_path / type(signal).__name__)
        again = Fields.open(tmp_path / type(signal).__name__)
        state = fit(again["signal"], "time")
        kept = np.asarray(SCALING.apply(state, again)["signal"].values)
        np.testing.assert_array_equal(kept, SCALING.apply(state, Fields({"signal": signal}))["signal"].values)


def test_the_plugin_is_light_and_whole():
    program = (
        "import sys, metalearner_modality_signal as plugin\n"
        "names = [k.name for k in plugin.register_modalities() + plugin.register_transforms()]\n"
        "heavy = {'torch', 'scipy', 'sklearn', 'pandas'} & set(sys.modules)\n"
        "assert names == ['signal', 'signal-scaling'] and not heavy, (names, heavy)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
