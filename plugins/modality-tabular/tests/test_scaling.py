"""The transform: finite where there is a value, codes within their cardinalities, the same for each row."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metalearner_modality_tabular.modality import TabularModality
from metalearner_modality_tabular.scaling import BOUND, TableScaling

from metalearner.arrays import Fields
from metalearner.records import Column, Schema

TRANSFORM = TableScaling()


def schema_of(**kinds: str) -> Schema:
    return Schema("tabular", "t", 1, tuple(Column(name, kind) for name, kind in kinds.items()))


CELL = st.one_of(
    st.none(),
    st.floats(),
    st.integers(),
    st.booleans(),
    st.text(max_size=6),
    st.sampled_from(["1e308", "-1e308", "1.50", "2020-02-29", "31/01/2020", "yes", "No", "NA", "3.0", "1e-320"]),
)
ROW = st.fixed_dictionaries({"n": CELL, "b": CELL, "d": CELL, "c": CELL})


@settings(max_examples=150, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=30), st.lists(ROW, max_size=10))
def test_whatever_the_cells_the_tensors_are_sound(train: list[dict], later: list[dict]) -> None:
    schema = schema_of(n="number", b="boolean", d="date", c="category")
    modality = TabularModality()
    seen = Fields.concat(list(modality.decode(train, schema)))
    state = TRANSFORM.fit(seen, schema)
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    view = TRANSFORM.views(state)["table"]
    for rows in (train, later):
        fields = Fields.concat(list(modality.decode(rows, schema)))
        tensor = TRANSFORM.apply(state, fields)["table"]
        assert tensor.values.shape == (len(rows), *view.shape) and tensor.values.dtype == np.float32
        np.testing.assert_array_equal(np.isnan(tensor.values[:, 0, 0]), np.isnan(fields["n"]))
        np.testing.assert_array_equal(np.isnan(tensor.values[:, 1, 0]), np.isnan(fields["b"]))
        for i in range(2, view.shape[0]):
            np.testing.assert_array_equal(np.isnan(tensor.values[:, i, 0]), np.isnan(fields["d"]))
        assert np.nanmax(np.abs(tensor.values), initial=0) <= BOUND
        assert tensor.codes is not None and tensor.codes.shape == (len(rows), 1)
        assert ((tensor.codes >= 0) & (tensor.codes < view.cardinalities)).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e30, 1e30), min_size=2, max_size=40))
def test_the_order_of_values_is_kept(values: list[float]) -> None:
    schema = schema_of(n="number")
    fields = Fields({"n": np.sort(np.array(values))})
    tensor = TRANSFORM.apply(TRANSFORM.fit(fields, schema), fields)["table"]
    assert (np.diff(tensor.values[:, 0, 0]) >= 0).all()


def test_robust_scale_and_smooth_clip() -> None:
    values = np.append(np.random.default_rng(0).normal(5, 2, 4000), [1e9, np.nan])
    fields = Fields({"n": values})
    state = TRANSFORM.fit(fields, schema_of(n="number"))
    (number,) = state["numbers"]
    assert number["centre"] == pytest.approx(5, abs=0.1) and number["scale"] == pytest.approx(2, abs=0.1)
    scaled = TRANSFORM.apply(state, fields)["table"].values[:, 0, 0]
    z = (values[:-1] - number["centre"]) / number["scale"]
    np.testing.assert_allclose(scaled[:-1], z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-5)
    assert np.isnan(scaled[-1])


def test_rare_ones_and_constants_have_a_scale() -> None:
    rare = np.zeros(100)
    rare[:5] = 1
    fields = Fields({"rare": rare, "same": np.full(100, 1e9 + 0.1), "none": np.full(100, np.nan)})
    schema = schema_of(rare="boolean", same="number", none="number")
    values = TRANSFORM.apply(TRANSFORM.fit(fields, schema), fields)["table"].values[:, :, 0]
    assert values[0, 0] > 1 and values[50, 0] == 0
    assert np.all(np.abs(values[:, 1]) < 1e-3)
    assert np.isnan(values[:, 2]).all()


def test_dates_give_their_cycles_where_they_vary() -> None:
    days = Fields({"d": np.arange(18262.0, 18262 + 400)})
    state = TRANSFORM.fit(days, schema_of(d="date"))
    assert state["numbers"][0]["cycles"] == ["month", "weekday"]
    values = TRANSFORM.apply(state, days)["table"].values[:, :, 0]
    assert values.shape == (400, 5)
    np.testing.assert_allclose(values[0, 1:3], [0, 1], atol=1e-6)  # January
    np.testing.assert_allclose(values[91, 1:3], [1, 0], atol=1e-6)  # 1 April 2020
    np.testing.assert_allclose(values[0, 3:], values[7, 3:], atol=1e-6)
    assert not np.allclose(values[0, 3:], values[1, 3:])
    hours = Fields({"d": 18262 + np.arange(24) / 24})
    assert TRANSFORM.fit(hours, schema_of(d="date"))["numbers"][0]["cycles"] == ["hour"]


def test_codes_go_by_frequency_and_zero_is_unknown() -> None:
    schema = schema_of(c="category")
    state = TRANSFORM.fit(Fields({"c": np.array(["b", "a", "a", "", "z", "b", "a"])}), schema)
    assert state["categories"][0]["levels"] == ["a", "b", "z"]
    tensor = TRANSFORM.apply(state, Fields({"c": np.array(["a", "b", "z", "new", ""])}))["table"]
    assert tensor.codes is not None and tensor.codes[:, 0].tolist() == [1, 2, 3, 0, 0]
    assert tensor.values.shape == (5, 0, 1)
    assert TRANSFORM.views(state)["table"].cardinalities == (4,)


def test_only_the_most_frequent_levels_are_kept() -> None:
    words = np.array([f"w{i}" for i in range(1200)] + ["often"] * 3)
    state = TRANSFORM.fit(Fields({"c": words}), schema_of(c="category"))
    assert len(state["categories"][0]["levels"]) == 1000 and state["categories"][0]["levels"][0] == "often"


def test_columns_left_out_are_not_looked_for_and_no_rows_are_fine() -> None:
    columns = (
        Column("id", "identifier", note="left out: unique for each row"),
        Column("n", "number"),
        Column("same", "category", note="left out: 'x' in every row"),
        Column("free", "text", note="left out: free text"),
    )
    schema = Schema("tabular", "t", 3, columns)
    state = TRANSFORM.fit(Fields({"n": np.array([1.0, 2.0, 4.0])}), schema)
    tensor = TRANSFORM.apply(state, Fields({"n": np.zeros(0)}))["table"]
    assert tensor.values.shape == (0, 1, 1) and tensor.codes is None


def test_a_row_does_not_depend_on_the_others() -> None:
    rng = np.random.default_rng(0)
    fields = Fields({"n": rng.normal(size=50), "d": rng.uniform(0, 20000, 50), "c": rng.choice(list("abc"), 50)})
    schema = schema_of(n="number", d="date", c="category")
    state = TRANSFORM.fit(fields, schema)
    whole = TRANSFORM.apply(state, fields)["table"]
    for i in (0, 17, 49):
        one = TRANSFORM.apply(state, fields.take(np.array([i])))["table"]
        np.testing.assert_array_equal(one.values[0], whole.values[i])
        np.testing.assert_array_equal(one.codes[0], whole.codes[i])
