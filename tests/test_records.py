"""Records: canonical JSON, identity, revival."""

from __future__ import annotations

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metalearner.records import Axis, Config, Experience, Proposal, Trial, View, canonical, digest

NUMBERS = st.dictionaries(
    st.text(min_size=1, max_size=5), st.one_of(st.integers(), st.floats(allow_nan=False), st.text()), max_size=3
)
CONFIGS = st.recursive(
    st.builds(Config, st.text(min_size=1, max_size=8), NUMBERS),
    lambda inner: st.builds(
        Config,
        st.text(min_size=1, max_size=8),
        NUMBERS,
        st.dictionaries(st.text(max_size=4), st.tuples(inner), max_size=2),
    ),
    max_leaves=6,
)


@given(CONFIGS)
def test_a_config_survives_json_and_keeps_its_identity(config):
    revived = Config.from_json(json.loads(json.dumps(config.to_json())))
    assert revived.id == config.id
    assert revived.skeleton.id == config.skeleton.id


def test_identity_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": (1, 2), "a": 1})


def test_numpy_and_nan_become_json():
    assert json.loads(canonical({"x": np.float32(0.5), "y": math.nan, "z": np.arange(2)})) == {
        "x": 0.5,
        "y": None,
        "z": [0, 1],
    }


def test_a_trial_survives_json():
    config = Config("net", {}, {"encoder": (Config("mlp", {"width": 8}),)})
    trial = Trial(3, Proposal(config, "mlp", "tpe"), "ok", 0, 1.0, 0.9, 0.8, 1.5, 2.0, {"curve": [1.0, 0.5]})
    assert Trial.from_json(json.loads(json.dumps(trial.to_json()))) == trial


def test_newer_records_with_unknown_keys_are_read():
    view = View((Axis("time", 5),), 2)
    assert View.from_json(view.to_json() | {"colour": "red"}) == view


def test_a_skeleton_forgets_numbers_alone():
    one = Config("net", {"a": 1}, {"encoder": (Config("mlp", {"width": 8}),)})
    two = Config("net", {"a": 2}, {"encoder": (Config("mlp", {"width": 9}),)})
    other = Config("net", {"a": 1}, {"encoder": (Config("resnet", {"width": 8}),)})
    assert one.id != two.id and one.skeleton == two.skeleton != other.skeleton


def test_experience_revives_its_config():
    config = Config("linear", {"penalty": 1.0})
    e = Experience("d", "h", {"output": "regression"}, config, "linear", 0, 1.0, "ok", "r2", 0.5, 0.0, 0.5, 0.1)
    assert Experience.from_json(e.to_json()) == e
