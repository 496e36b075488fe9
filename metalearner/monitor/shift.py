"""Two-sample tests of new values against a stored distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .reference import as_words, count, grouping
from .report import Shift

# Below so many expected rows chi-square says too much (Cochran 1954).
LEAST_EXPECTED = 5.0


def compare(of: str, name: str, then: Mapping[str, Any], column: np.ndarray) -> list[Shift]:
    """Comparisons of a column (n,) now with its summary then: of what is there, and of how much is missing."""
    column = np.asarray(column)
    if then["kind"] == "number":
        values = _numbers(column)
        present = values[np.isfinite(values)]
        found = _values(of, name, then, present)
    else:
        words = as_words(column)
        present = words[words != ""]
        found = _levels(of, name, then, present)
    return [s for s in (found, _missing(of, name, then, len(column) - len(present), len(column))) if s is not None]


def kolmogorov_smirnov(points: np.ndarray, shares: np.ndarray, rows: int, sample: np.ndarray) -> tuple[float, float]:
    """Distance and p of a sample (m,) against a distribution function known at some points, from `rows` rows.

    The largest difference over these points alone is never larger than over all: the test keeps its level, for
    ties too, and loses at most the distance between neighbouring shares.
    """
    from scipy.stats import kstwo

    now = np.searchsorted(np.sort(sample), points, side="right") / len(sample)
    distance = float(np.max(np.abs(now - shares)))
    effective = rows * len(sample) / (rows + len(sample))
    return distance, float(kstwo.sf(distance, max(1, round(effective))))


def homogeneity(then: np.ndarray, now: np.ndarray) -> float:
    """p that two rows of counts (levels,) have the same shares.

    Chi-square among levels that are frequent enough for it, and Fisher's exact test of all rare ones together
    against the rest. What is rare is told from both rows alike, so that neither is favoured.
    """
    from scipy.stats import chi2, fisher_exact

    pair = np.stack([then, now]).astype(np.float64)  # (2, levels)
    rare = pair.sum(axis=0) * pair.sum(axis=1).min() / pair.sum() < LEAST_EXPECTED
    found = []
    if rare.any() and not rare.all():
        found.append(float(fisher_exact([[p[rare].sum(), p[~rare].sum()] for p in pair]).pvalue))
    common = pair[:, ~rare]
    if common.shape[1] > 1:
        expected = common.sum(axis=1, keepdims=True) * common.sum(axis=0) / common.sum()
        # A row without any frequent level expects none: the exact test has seen that.
        terms = np.divide((common - expected) ** 2, expected, out=np.zeros_like(common), where=expected > 0)
        found.append(float(chi2.sf(terms.sum(), common.shape[1] - 1)))
    return min(1.0, len(found) * min(found)) if found else 1.0


def _values(of: str, name: str, then: Mapping[str, Any], present: np.ndarray) -> Shift | None:
    points, shares = np.array(then["points"], np.float64), np.array(then["shares"], np.float64)
    if not len(points) or not len(present):
        return None
    distance, p = kolmogorov_smirnov(points, shares, then["rows"], present)
    middle = points[min(int(np.searchsorted(shares, 0.5)), len(points) - 1)]
    return Shift(name, of, "values", distance, p, False, f"{middle:.4g}", f"median {np.median(present):.4g}")


def _levels(of: str, name: str, then: Mapping[str, Any], present: np.ndarray) -> Shift | None:
    if not then["levels"] or not len(present):
        return None
    counts = count(grouping(present) if then["grouped"] else present)
    levels = list(dict.fromkeys([*then["levels"], *counts]))
    before = np.array([then["levels"].get(level, 0) for level in levels], np.float64)
    after = np.array([counts.get(level, 0) for level in levels], np.float64)
    difference = after / after.sum() - before / before.sum()
    most = int(np.argmax(np.abs(difference)))
    was, now = (f"{c[most] / c.sum():.1%}" for c in (before, after))
    effect = float(np.abs(difference).sum() / 2)
    return Shift(name, of, "levels", effect, homogeneity(before, after), False, was, f"'{levels[most]}' {now}")


def _missing(of: str, name: str, then: Mapping[str, Any], missing: int, rows: int) -> Shift | None:
    """Fisher's exact test of two shares of missing values; None where nothing is or was missing."""
    from scipy.stats import fisher_exact

    was_missing, was_there = then["missing"], then["rows"]
    if not missing and not was_missing:
        return None
    p = float(fisher_exact([[was_missing, was_there], [missing, rows - missing]]).pvalue)
    before, now = was_missing / max(1, was_missing + was_there), missing / rows
    return Shift(name, of, "missing", abs(now - before), p, False, f"{before:.1%}", f"{now:.1%} missing")


def _numbers(column: np.ndarray) -> np.ndarray:
    """Float64; what is no number counts as missing."""
    if column.dtype.kind in "fiub":
        return column.astype(np.float64)
    found = np.full(len(column), np.nan)
    for i, word in enumerate(as_words(column)):
        try:
            found[i] = float(word)
        except ValueError:
            continue
    return found
