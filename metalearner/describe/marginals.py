"""What single positions look like, and how they hang together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import Tensors
from ..kinds import Output, Probe
from ..records import View
from .flat import matrix, positions

MOST = 512  # positions looked at


class Marginals(Probe):
    """Skew, tails, sparsity, correlation, intrinsic dimension."""

    name = "marginals"
    explains = {
        "skew": ("", "median over positions of the absolute skewness"),
        "skew_high": ("", "its 90 % quantile"),
        "tails": ("log", "median over positions of the kurtosis, 3 for a bell curve"),
        "tails_high": ("log", "its 90 % quantile"),
        "zeros": ("share", "numbers equal to the most frequent one of their position"),
        "distinct": ("share", "distinct values of a position over rows, median"),
        "correlation": ("", "mean absolute correlation of two positions"),
        "correlation_target": ("", "largest absolute correlation of a position with the target or its class codes"),
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
        raw, x = positions(tensors), matrix(tensors, views)
        found: dict[str, float | None] = {}
        if raw.shape[1]:
            raw = raw[:, rng.permutation(raw.shape[1])[:MOST]]
            ordered = np.sort(raw, axis=0)
            found["distinct"] = float(np.median((np.diff(ordered, axis=0) > 0).sum(0) + 1) / len(raw))
            found["zeros"] = float(np.mean(raw == np.median(raw, axis=0)))
        if not x.shape[1]:
            return found
        x = x[:, rng.permutation(x.shape[1])[:MOST]]
        skew, tails = np.abs((x**3).mean(0)), np.log((x**4).mean(0) + 1e-6)
        share = np.linalg.svd(x, compute_uv=False) ** 2
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
            "components_90": float(np.log10(1 + np.searchsorted(np.cumsum(share), 0.9))),
            "correlation_target": float(_with_target(x, target)),
        }
        if few.shape[1] > 1:
            found["correlation"] = float(
                (correlation.sum() - np.trace(correlation)) / (few.shape[1] * (few.shape[1] - 1))
            )
        return found


def _with_target(x: np.ndarray, target: np.ndarray) -> float:
    columns = target[:, None] == np.unique(target) if target.dtype.kind == "i" else target[:, None]
    y = columns - columns.mean(0)
    y = y / (y.std(0) + 1e-9)
    return float(np.abs(x.T @ y / len(x)).max())
