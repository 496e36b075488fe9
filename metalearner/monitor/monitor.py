"""Compare new rows with the bundle's reference; score them where they are labelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..arrays import Fields
from ..errors import DataError
from ..kinds import Metric, Source
from ..predictor import Predictor
from ..records import Schema, Scorecard
from .coverage import coverage
from .reference import watched
from .report import Coverage, Performance, Shift, ShiftReport
from .shift import compare

if TYPE_CHECKING:
    from ..plugins import Registry

ALPHA = 0.05
LEAST = 20
BOOTSTRAPS = 500
# Width of a 95 % interval in standard errors, and the one-sided 5 % point.
WIDTH, ONE_SIDED = 2 * 1.959964, 1.644854


class Watched(Protocol):
    """What is watched: a bundle, or anything with these."""

    @property
    def predictor(self) -> Predictor:
        """The model."""

    @property
    def schema(self) -> Schema:
        """The columns, the target's among them."""

    @property
    def scorecard(self) -> Scorecard | None:
        """How good it was when it was packaged."""

    @property
    def reference(self) -> Mapping[str, Any]:
        """What `reference` gave."""

    @property
    def registry(self) -> Registry:
        """To look the metric up in."""


def monitor(bundle: Watched, rows: Source) -> ShiftReport:
    """Say which features and predictions have shifted, and whether labelled rows are predicted worse than before.

    Kolmogorov-Smirnov for numbers, chi-square for categories, Fisher's exact test for what is rare or missing,
    with Bonferroni's correction over all of them. Raises DataError when the rows cannot be read.
    """
    predictor, then = bundle.predictor, bundle.reference
    fields, raw = _read(bundle, rows)
    if fields.rows < LEAST:
        return ShiftReport(fields.rows, then["rows"], "too few rows", ALPHA, least=LEAST)
    prediction = predictor.predict(fields)
    features = predictor.modality.features(fields, predictor.schema)
    said = watched(predictor.output.table(predictor.state, prediction))
    shifts = _judge([*_all("feature", then["features"], features), *_all("prediction", then["predictions"], said)])
    verdict = "shift" if any(s.shifted for s in shifts) else "no shift found"
    performance, covered = _labelled(bundle, raw, prediction)
    return ShiftReport(fields.rows, then["rows"], verdict, ALPHA, tuple(shifts), performance, covered, LEAST)


def shifted(then: Mapping[str, Any], features: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Names of features that have moved since `reference` was made, the surest first."""
    judged = _judge(_all("feature", then["features"], features))
    return tuple(dict.fromkeys(s.name for s in judged if s.shifted))


def _read(bundle: Watched, rows: Source) -> tuple[Fields, np.ndarray | None]:
    """Inputs, and the raw target where the rows have one."""
    predictor = bundle.predictor
    target = predictor.task.target
    if target in bundle.schema.names:
        try:
            fields = Fields.concat(list(predictor.modality.decode(rows, bundle.schema)))
        except DataError:
            pass  # unlabelled, or broken: what follows tells
        else:
            return fields.without(target), np.asarray(fields[target]) if fields.rows else None
    return predictor.decode(rows), None


def _all(of: str, then: Mapping[str, Any], now: Mapping[str, np.ndarray]) -> list[Shift]:
    """Comparisons of every column then that is there now."""
    return [s for name, summary in then.items() if name in now for s in compare(of, name, summary, now[name])]


def _judge(shifts: list[Shift]) -> list[Shift]:
    """Bonferroni over all comparisons; shifted ones first, then by p."""
    level = ALPHA / max(1, len(shifts))
    judged = [replace(s, shifted=bool(s.p <= level)) for s in shifts]
    return sorted(judged, key=lambda s: (not s.shifted, s.p, -s.effect))


def _labelled(
    bundle: Watched, raw: np.ndarray | None, prediction: np.ndarray
) -> tuple[Performance | None, Coverage | None]:
    """What rows whose truth is known tell; nothing where they are few."""
    if raw is None:
        return None, None
    known = np.flatnonzero(np.isfinite(raw) if raw.dtype.kind == "f" else raw.astype(str) != "")
    if len(known) < LEAST:
        return None, None
    predictor = bundle.predictor
    target = predictor.output.encode(predictor.state, raw[known])
    return _perform(bundle, target, prediction[known]), coverage(predictor, target, prediction[known])


def _perform(bundle: Watched, target: np.ndarray, prediction: np.ndarray) -> Performance | None:
    """The metric now against the scorecard; None without one."""
    card = bundle.scorecard
    if card is None or card.metric not in bundle.registry.metrics:
        return None
    metric: Metric = bundle.registry.metrics[card.metric]
    value, low, high = _interval(metric, target, prediction, bundle.predictor.state)
    before, lowest, highest = (float("nan") if v is None else v for v in (card.value, card.low, card.high))
    sign = 1 if metric.greater_is_better else -1
    error = np.hypot(high - low, highest - lowest) / WIDTH
    worse = bool(sign * (before - value) > ONE_SIDED * error)
    return Performance(card.metric, value, low, high, len(target), before, lowest, highest, worse)


def _interval(
    metric: Metric, target: np.ndarray, prediction: np.ndarray, state: dict[str, Any]
) -> tuple[float, float, float]:
    """Value and 95 % percentile bootstrap interval over rows, seed 0; draws where it is undefined are left out."""
    rng = np.random.default_rng(0)
    repeats = int(np.clip(2e7 / max(1, prediction.size), 100, BOOTSTRAPS))
    draws = []
    for _ in range(repeats):
        rows = rng.integers(len(target), size=len(target))
        draws.append(metric.score(target[rows], prediction[rows], state))
    finite = np.array(draws)[np.isfinite(draws)]
    low, high = np.quantile(finite, [0.025, 0.975]) if len(finite) else (np.nan, np.nan)
    return metric.score(target, prediction, state), float(low), float(high)
