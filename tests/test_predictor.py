"""Many rows are predicted in parts, and as they would be all at once."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from metalearner import predictor as module
from metalearner.arrays import Fields, Ragged

spec = importlib.util.spec_from_file_location("pairs", Path(__file__).parent / "doubles" / "pairs.py")
pairs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pairs)


class Counted(pairs.PairScaling):
    """Notes how many rows came at once."""

    def __init__(self):
        self.rows = []

    def apply(self, state, fields):
        self.rows.append(fields.rows)
        return super().apply(state, fields)


@pytest.mark.parametrize("target", ["kind", "size"])
def test_parts_say_what_the_whole_says(target, monkeypatch):
    predictor = replace(pairs.predictor(target, tiny={}), transform=Counted())
    rows = pairs.table(100, seed=3)
    fields, whole = predictor.decode(rows), predictor.table(rows, regions=True)
    prediction = predictor.predict(fields)
    monkeypatch.setattr(module, "AT_ONCE", 7)
    predictor.transform.rows.clear()
    np.testing.assert_allclose(predictor.predict(fields), prediction, rtol=1e-6, atol=1e-6)
    assert max(predictor.transform.rows) == 7 and sum(predictor.transform.rows) == 100 * len(predictor.transforms)
    assert predictor.predict(fields.take(np.arange(0))).shape == (0, prediction.shape[1])
    parted = predictor.table(rows, regions=True)
    assert list(parted) == list(whole) and len(parted) == 100
    if target == "kind":
        assert parted["prediction"].equals(whole["prediction"])


def test_one_long_text_does_not_widen_all_rows_at_once(monkeypatch):
    monkeypatch.setattr(module, "ROOM", 10_000)
    predictor = replace(pairs.predictor(), transform=Counted())
    fields = predictor.decode(pairs.table(50))
    long = Ragged.pack([np.zeros(1000 if i == 20 else 3, np.uint8) for i in range(50)])
    predictor.predict(Fields({**fields, "text": long}))
    assert max(predictor.transform.rows) * 1000 <= 10_000
    predictor.transform.rows.clear()
    predictor.predict(Fields({**fields, "text": Ragged.pack([np.zeros(3, np.uint8)] * 50)}))
    assert max(predictor.transform.rows) == 50


def test_what_a_source_gives_in_parts_is_not_gathered():
    class Parted(pairs.Pairs):
        def decode(self, source, schema):
            [whole] = super().decode(source, schema)
            for start in range(0, whole.rows, 8):
                yield whole.take(np.arange(start, min(start + 8, whole.rows)))

    predictor = pairs.predictor("size")
    parted = replace(predictor, modality=Parted(), transform=Counted())
    rows = pairs.table(30, seed=4)
    np.testing.assert_allclose(parted.table(rows)["prediction"], predictor.table(rows)["prediction"], rtol=1e-9)
    assert max(parted.transform.rows) == 8
