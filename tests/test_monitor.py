"""Monitoring: quiet when nothing changes, loud when something does, and silent about too few rows."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from metalearner.errors import DataError
from metalearner.monitor import ShiftReport, coverage, monitor, reference
from metalearner.monitor.reference import POINTS, summarise, watched
from metalearner.monitor.shift import compare, homogeneity, kolmogorov_smirnov
from metalearner.outputs.regression import Regression
from metalearner.records import Column, Schema, Scorecard

spec = importlib.util.spec_from_file_location("pairs", Path(__file__).parent / "doubles" / "pairs.py")
pairs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pairs)


@dataclass
class Packed:
    """What monitoring asks of a bundle."""

    predictor: Any
    reference: Any
    scorecard: Scorecard | None
    schema: Schema
    registry: Any


@pytest.fixture(scope="module", params=["kind", "size"])
def packed(request):
    predictor = pairs.predictor(request.param, rows=1000)
    fields = predictor.decode(pairs.table(1000))
    drift = reference(predictor.modality, fields, predictor.schema, predictor.table(pairs.table(800, seed=3)))
    kind = "category" if request.param == "kind" else "number"
    schema = Schema("pairs", "frame", 1000, (*predictor.schema.columns, Column(request.param, kind)))
    return Packed(predictor, json.loads(json.dumps(drift)), pairs.scorecard(predictor), schema, pairs.registry())


# -- windows: false alarms and power ------------------------------------------------------------------------------------


def windows(count, rows, shift=0.0, missing=0.0):
    """Alarms among `count` windows of eight numbers and three categories; the first number may be shifted."""
    rng = np.random.default_rng(7)

    def draw(n, moved=0.0, gap=0.1):
        table = {f"n{i}": rng.normal(size=n) for i in range(6)}
        table["n0"] = table["n0"] + moved
        table["lumpy"] = rng.poisson(1.5, n).astype(float)
        table["gappy"] = np.where(rng.random(n) < gap, np.nan, rng.exponential(size=n))
        table["letter"] = rng.choice(list("abcd"), n, p=[0.6, 0.3, 0.08, 0.02])
        table["many"] = rng.integers(0, 120, n).astype(str)
        table["names"] = rng.zipf(1.3, n).astype(str)
        return table

    from metalearner.monitor.monitor import _all, _judge

    then = {name: summarise(column) for name, column in draw(1500).items()}
    return [
        [s.name for s in _judge(_all("feature", then, draw(rows, shift, 0.1 + missing))) if s.shifted]
        for _ in range(count)
    ]


@pytest.mark.parametrize("rows", [50, 500])
def test_same_data_raise_few_alarms(rows):
    alarms = windows(200, rows)
    assert np.mean([bool(a) for a in alarms]) <= 0.10


def test_half_a_deviation_in_one_of_ten_features_is_found_and_named():
    alarms = windows(100, 500, shift=0.5)
    assert np.mean(["n0" in a for a in alarms]) > 0.9
    assert np.mean([set(a) == {"n0"} for a in alarms]) > 0.85  # and nothing else is blamed


def test_more_missing_values_are_found():
    assert np.mean(["gappy" in a for a in windows(50, 500, missing=0.15)]) > 0.9


def test_the_report_raises_few_alarms_too(packed):
    """Whole reports, the model's predictions among what is watched."""
    quiet = [monitor(packed, pairs.table(300, seed=100 + i)[["x", "colour"]]).verdict for i in range(60)]
    assert np.mean([v == "shift" for v in quiet]) <= 0.10


# -- reports ------------------------------------------------------------------------------------


def test_a_shift_is_named_with_its_size_and_reaches_the_predictions(packed):
    rows = pairs.table(500, seed=5).drop(columns=packed.predictor.task.target)
    rows["x"] += 1
    report = monitor(packed, rows)
    assert report.verdict == "shift" and report.shifted[0] in ("x", "prediction") and "colour" not in report.shifted
    first = next(s for s in report.shifts if s.name == "x")
    assert first.shifted and first.what == "values" and 0.3 < first.effect < 0.5 and first.p < 1e-20
    assert float(first.now.removeprefix("median ")) - float(first.before) == pytest.approx(1, abs=0.2)
    assert any(s.of == "prediction" and s.shifted for s in report.shifts)
    assert [s.shifted for s in report.shifts] == sorted((s.shifted for s in report.shifts), reverse=True)
    text = "\n".join(report.lines())
    assert (
        "SHIFTED  x: median" in text and "500 rows against the 1,000 learnt from" in text and "steady   colour" in text
    )
    found = json.loads(json.dumps(report.to_json()))
    assert (
        found["shifted"] == list(report.shifted)
        and found["rows"] == 500
        and found["shifts"][0]["p"] <= found["shifts"][1]["p"]
    )


def test_new_and_vanished_levels_are_a_shift(packed):
    rows = pairs.table(200, seed=6)
    rows["colour"] = np.where(rows["colour"] == "red", "green", "blue")
    report = monitor(packed, rows)
    colour = next(s for s in report.shifts if s.name == "colour")
    assert colour.shifted and colour.what == "levels" and colour.effect == pytest.approx(0.5, abs=0.1)
    assert colour.line().startswith("colour: ")


def test_a_column_gone_missing_is_a_shift(packed):
    rows = pairs.table(100, seed=6)
    rows["x"] = np.nan
    gone = next(s for s in monitor(packed, rows).shifts if s.name == "x")
    assert gone.shifted and gone.what == "missing" and (gone.before, gone.now) == ("0.0%", "100.0% missing")


def test_too_few_rows_tell_nothing(packed):
    for rows in (0, 1, 19):
        report = monitor(packed, pairs.table(200).iloc[:rows])
        assert (
            report.verdict == "too few rows"
            and report.shifts == ()
            and report.performance is None
            and report.coverage is None
        )
        assert "fewer than 20" in report.lines()[0] and len(report.lines()) == 1
    assert monitor(packed, pairs.table(200).iloc[:20]).verdict != "too few rows"


def test_labelled_rows_are_scored_against_the_scorecard(packed):
    target = packed.predictor.task.target
    same = monitor(packed, pairs.table(400, seed=8)).performance
    assert same is not None and not same.worse and same.rows == 400 and same.low < same.value < same.high
    assert same.before == packed.scorecard.value and "in line with" in same.line()
    rows = pairs.table(400, seed=8)
    rows[target] = rows[target].sample(frac=1, random_state=0).to_numpy()
    report = monitor(packed, rows)
    assert report.performance.worse and report.performance.value < same.value - 0.2
    assert "WORSE than" in report.lines()[-2] and report.verdict == "no shift found"


def test_regions_of_labelled_rows_cover_what_they_promise_or_it_is_said(packed):
    target = packed.predictor.task.target
    same = monitor(packed, pairs.table(400, seed=8)).coverage
    assert same.promised == 0.9 and same.rows == 400 and not same.less and same.low < same.share < same.high
    assert same.share > 0.85 and "in line with the 90% promised" in same.line()
    rows = pairs.table(400, seed=8)
    rows[target] = rows[target].sample(frac=1, random_state=0).to_numpy()
    report = monitor(packed, rows)
    assert report.coverage.less and report.coverage.high < 0.9 and report.lines()[-1] == report.coverage.line()
    assert report.to_json()["coverage"]["less"] is True


def test_a_class_that_was_never_seen_is_not_covered():
    predictor = pairs.predictor("kind")
    rows = pairs.table(50, seed=8)
    prediction = predictor.predict(predictor.decode(rows))
    found = coverage(predictor, np.full(50, -1), prediction)
    assert found.share == 0 and found.low == 0 and found.less
    assert coverage(predictor, np.zeros(0, int), prediction[:0]) is None
    assert coverage(replace(predictor, conformal={}), np.zeros(50, int), prediction) is None


def test_low_coverage_is_rarely_called_where_it_is_by_chance():
    """Regions fitted on few rows cover less than promised every other time: that alone is no alarm."""
    rng = np.random.default_rng(0)
    output = Regression()
    state = {"mean": 0.0, "scale": 1.0}
    alarms = []
    for _ in range(400):
        residuals, new = rng.normal(size=60), rng.normal(size=300)
        fitted = output.conform(state, np.zeros((60, 1)), residuals, 0.9)
        predictor = SimpleNamespace(output=output, state=state, conformal=fitted)
        alarms.append(coverage(predictor, new, np.zeros((300, 1))).less)
        assert not coverage(predictor, new / 2, np.zeros((300, 1))).less
    assert 0.01 < np.mean(alarms) < 0.08


def test_rows_without_labels_or_with_few_are_not_scored(packed):
    target = packed.predictor.task.target
    assert monitor(packed, pairs.table(100, seed=8).drop(columns=target)).performance is None
    rows = pairs.table(100, seed=8)
    rows[target] = rows[target].astype(object).where(np.arange(100) < 10)
    assert monitor(packed, rows).performance is None
    rows = pairs.table(100, seed=8)
    rows[target] = rows[target].astype(object).where(np.arange(100) < 60)
    assert monitor(packed, rows).performance.rows == 60


def test_rows_that_cannot_be_read_say_why(packed):
    with pytest.raises(DataError, match="no column 'x'"):
        monitor(packed, pairs.table(100).drop(columns="x"))


def test_json_rows_and_frames_give_the_same_report(packed):
    rows = pairs.table(60, seed=9)
    assert monitor(packed, rows.to_dict("records")).to_json() == monitor(packed, rows).to_json()


# -- the reference and the tests ------------------------------------------------------------------------------------


def test_the_reference_holds_quantiles_and_counts_and_no_extremes():
    rng = np.random.default_rng(0)
    values = np.append(rng.normal(size=5000), [1e6, np.nan, np.inf])
    found = summarise(values)
    assert found["rows"] == 5001 and found["missing"] == 2 and len(found["points"]) == POINTS
    assert max(found["points"]) < 5 and found["shares"] == sorted(found["shares"])
    words = summarise(np.array(["b"] * 3 + ["a"] * 5 + [""] * 2))
    assert words == {"kind": "category", "rows": 8, "missing": 2, "grouped": False, "levels": {"a": 5, "b": 3}}
    many = summarise(np.array([str(i) for i in range(500)]))
    assert many["grouped"] and len(many["levels"]) == 64 and sum(many["levels"].values()) == 500
    assert summarise(np.array(["x", None, float("nan")], dtype=object))["missing"] == 2
    assert summarise(np.full(5, np.nan))["points"] == []


def test_probabilities_are_watched_as_confidence():
    table = pd.DataFrame({"prediction": ["a", "b"], "p_a": [0.9, 0.2], "p_b": [0.1, 0.8]})
    assert watched(table)["confidence"].tolist() == [0.9, 0.8]
    assert list(watched({"prediction": np.zeros(2)})) == ["prediction"] and watched({}) == {}


def test_the_distance_is_that_of_the_two_samples():
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(1)
    for then, now in (
        (rng.normal(size=3000), rng.normal(0.1, 1.2, size=700)),
        (rng.poisson(3, 3000).astype(float), rng.poisson(3.3, 700).astype(float)),
    ):
        kept = summarise(then)
        distance, p = kolmogorov_smirnov(np.array(kept["points"]), np.array(kept["shares"]), kept["rows"], now)
        exact = ks_2samp(then, now, method="asymp")
        assert exact.statistic - 1 / POINTS <= distance <= exact.statistic + 1e-12
        assert exact.pvalue <= p * 1.0001


def test_counts_are_compared_as_by_the_textbook():
    from scipy.stats import chi2_contingency, fisher_exact

    then, now = np.array([600, 300, 100]), np.array([70, 20, 10])
    assert homogeneity(then, now) == pytest.approx(chi2_contingency([then, now], correction=False).pvalue)
    assert homogeneity(np.array([1000, 0]), np.array([50, 50])) < 1e-50
    exact = fisher_exact([[0, 1000], [2, 98]]).pvalue
    assert homogeneity(np.array([1000, 0]), np.array([98, 2])) == pytest.approx(exact)
    assert homogeneity(np.array([500, 500, 0]), np.array([0, 0, 100])) < 1e-50
    assert homogeneity(np.array([1000, 3]), np.array([100, 0])) == 1.0  # too rare to tell
    assert homogeneity(np.array([0, 1000]), np.array([0, 100])) == 1.0


def test_constant_empty_and_mistyped_columns_do_no_harm():
    constant = summarise(np.ones(100))
    assert compare("feature", "c", constant, np.ones(50))[0].p == 1.0
    assert compare("feature", "c", constant, np.full(50, 2.0))[0].p < 1e-10
    assert compare("feature", "c", summarise(np.full(100, np.nan)), np.ones(50))[0].what == "missing"
    assert compare("feature", "c", constant, np.array(["1.0", "x"] * 25))[0].effect == 0.0
    assert compare("feature", "c", summarise(np.array(["1.0"] * 99)), np.ones(50))[0].p == 1.0


def test_an_empty_report_is_plain_json():
    assert json.loads(json.dumps(ShiftReport(0, 10, "too few rows", 0.05).to_json()))["shifted"] == []
