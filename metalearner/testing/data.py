"""Modalities and transforms: from a source to tensors."""

from __future__ import annotations

import json

import numpy as np

from ..arrays import Fields, rows_of
from ..kinds import Modality, Source, Transform
from ..kinds.data import CELL_FORMS
from ..records import Schema, plain


def check_modality(modality: Modality, source: Source, foreign: Source = "nothing-of-the-kind") -> Schema:
    """A modality recognises its source, reads it the same way twice, and leaves others alone."""
    schema = modality.sniff(source)
    assert schema is not None, f"{modality.name} does not recognise its own source"
    assert schema.modality == modality.name, f"the schema names modality '{schema.modality}'"
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema, "the schema does not survive JSON"
    assert modality.sniff(foreign) is None, f"{modality.name} claims {foreign!r}"
    first, again = (Fields.concat(list(modality.decode(source, schema))) for _ in range(2))
    assert first.rows > 0, "no rows were decoded"
    assert set(first) <= set(schema.names), f"columns {set(first) - set(schema.names)} are not in the schema"
    for name in first:
        assert _equal(first[name], again[name]), f"column '{name}' differs between two readings"
    assert modality.views(schema), "a modality has at least one view"
    cells = modality.cells(schema)
    assert set(cells) <= set(schema.names), f"cells {set(cells) - set(schema.names)} are not in the schema"
    assert all(c.form in CELL_FORMS for c in cells.values()), f"a cell's form is one of {', '.join(CELL_FORMS)}"
    features = modality.features(first, schema)
    assert all(len(v) == first.rows for v in features.values()), "features have one value a row"
    return schema


def check_transform(transform: Transform, fields: Fields, schema: Schema) -> None:
    """A transform's state is JSON, and its tensors have the views it says."""
    state = transform.fit(fields, schema)
    revived = json.loads(json.dumps(plain(state)))
    tensors, again = transform.apply(state, fields), transform.apply(revived, fields)
    for name, view in transform.views(revived).items():
        values = tensors[name].values
        assert values.dtype == np.float32, f"view '{name}' is {values.dtype}, not float32"
        assert values.shape == (fields.rows, *view.shape), f"view '{name}' is {values.shape}, not {view.shape}"
        assert np.array_equal(values, again[name].values, equal_nan=True), (
            "a state read back from JSON gives other tensors"
        )
        codes = tensors[name].codes
        if view.cardinalities:
            assert codes is not None and np.all(codes < np.array(view.cardinalities)), (
                "codes exceed their cardinalities"
            )
    empty = transform.apply(state, fields.take(np.array([], int)))
    assert rows_of(empty) == 0, "no rows in, no rows out"
    one = transform.apply(state, fields.take(np.array([0])))
    for name in transform.views(state):
        same = np.array_equal(one[name].values[0], tensors[name].values[0], equal_nan=True)
        assert same, "a row's tensor depends on the other rows"


def _equal(a, b) -> bool:  # type: ignore[no-untyped-def]
    if hasattr(a, "offsets"):
        return np.array_equal(a.offsets, b.offsets) and np.array_equal(a.values, b.values, equal_nan=True)
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
