"""What single positions look like, and how they hang together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import Tensors
from ..kinds import Output, Probe
from ..records import View
from .flat import matrix, positions

# Positions that are known in fewer rows than this say nothing of their values.
LEAST = 10
MOST = 512  # positions looked at


class Marginals(Probe):
    """Skew, tails, sparsity, correlation, intrinsic dimension."""

    name = "marginals"
    explains = {
        "skew": ("", "median over positions of the absolute skewness"),
        "skew_high": ("", "its 90 % quantile"),
        "tails": ("log", "median over positions of the kurtosis, 3 for a bell curve"),
        "tails_high": ("log", "its 90 % quantile"),
        "repeated": ("share", "numbers equal to the most frequent one of their position, mean"),
        "distinct": ("share", "distinct values of a position over its known ones, median"),
        "correlation": ("", "mean absolute correlation of two positions"),
        "correlation_target": ("", "largest absolute correlation of a position with the target or one of its classes"),
        "rank": ("share", "effective rank: principal components that matter, over positions"),
        "components_90": ("log10", "principal components for 90 % of the variance"),
    }

    def measure(
        self,
        tensors: Tensors,
        views: Mapping[str, View],
        target: np.ndarray,
        output: Output,
        rng: np.random.Generator,
    ) -> dict[str, float | None]:
        """Quantiles over at most 512 positions."""
        found = _values(positions(tensors, MOST, rng))
        x = matrix(tensors, views, MOST, rng)
        if not x.shape[1]:
            return found
        skew, tails = np.abs((x**3).mean(0)), np.log((x**4).mean(0) + 1e-6)
        gram = x.T @ x if x.shape[1] <= len(x) else x @ x.T  # the same eigenvalues, the smaller matrix
        share = np.maximum(np.linalg.eigvalsh(gram)[::-1], 0)
        share = share / share.sum()
        entropy = -(share * np.log(share + 1e-12)).sum()
        few = x[:, :300]
        correlation = np.abs(few.T @ few / len(few))
        found |= {
            "skew": float(np.median(skew)),
            "skew_high": float(np.quantile(skew, 0.9)),
            "tails": float(np.median(tails)),
            "tails_high": float(np.quantile(tails, 0.9)),
            "rank": float(np.exp(entropy) / x.shape[1]),
            "components_90": float(np.log10(1 + np.searchsorted(np.cumsum(share), 0.9 - 1e-6))),
            "correlation_target": float(_with_target(x, target)),
        }
        if few.shape[1] > 1:
            found["correlation"] = float(
                (correlation.sum() - np.trace(correlation)) / (few.shape[1] * (few.shape[1] - 1))
            )
        return found


def _values(raw: np.ndarray) -> dict[str, float | None]:
    """How often the values of a position repeat, over positions (n, p); NaN is missing."""
    repeated, distinct = [], []
    for column in raw.T:
        known = column[np.isfinite(column)]
        if len(known) >= LEAST:
            counts = np.unique(known, return_counts=True)[1]
            repeated.append(counts.max() / len(known))
            distinct.append(len(counts) / len(known))
    if not repeated:
        return {}
    return {"repeated": float(np.mean(repeated)), "distinct": float(np.median(distinct))}


def _with_target(x: np.ndarray, target: np.ndarray) -> float:
    columns = target[:, None] == np.unique(target) if target.dtype.kind == "i" else target[:, None]
    y = columns - columns.mean(0)
    y = y / (y.std(0) + 1e-9)
    return float(np.abs(x.T @ y / len(x)).max())
