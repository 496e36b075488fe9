"""Do neighbours along an axis resemble each other more than strangers do? No labels are needed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import Tensors
from ..kinds import Output, Probe
from ..records import View

LAGS = (1, 2, 4, 8)
SHUFFLES = 20
MOST = 512  # positions looked at
AXES = ("columns", "time", "space", "set")


class Locality(Probe):
    """Mean absolute correlation at a lag, against shuffled positions; the row width hidden in a flat table."""

    name = "locality"
    explains = {
        **{
            f"{a}_lag{k}": ("", f"mean absolute correlation of positions {k} apart along {a}")
            for a in AXES
            for k in LAGS
        },
        **{f"{a}_z": ("standard deviations", f"lag 1 along {a} over its shuffles, squashed by log") for a in AXES},
        "width": ("log10", "lag at which the correlation along columns peaks again: the width of a hidden picture"),
        "width_peak": ("", "how far that peak stands out of its surroundings"),
    }

    def measure(
        self,
        tensors: Tensors,
        views: Mapping[str, View],
        target: np.ndarray,
        output: Output,
        rng: np.random.Generator,
    ) -> dict[str, float | None]:
        """One value a kind of axis, the largest where there are several."""
        found: dict[str, float | None] = {}
        for name, view in views.items():
            for i, axis in enumerate(view.axes):
                if axis.size < 3 or axis.kind not in AXES:
                    continue
                correlation = _correlation(tensors[name].values, i + 1)
                lags = {f"{axis.kind}_lag{k}": _at(correlation, k) for k in LAGS if k < axis.size}
                lags[f"{axis.kind}_z"] = _score(correlation, rng)
                for key, value in lags.items():
                    found[key] = max(value, found.get(key) or -np.inf)
                if axis.kind == "columns" and axis.size >= 16:
                    found["width"], found["width_peak"] = _width(correlation)
        return found


def _correlation(values: np.ndarray, axis: int) -> np.ndarray:
    """|correlation| (k, k) of the positions of one axis, over samples and, one after another, other positions."""
    x = np.moveaxis(np.nan_to_num(values), axis, -1)  # (n, others..., k)
    k = x.shape[-1]
    x = x.reshape(-1, k)
    if k > MOST:
        x = x[:, :MOST]
    if len(x) > 5000:
        x = x[:: len(x) // 5000]
    x = x - x.mean(0)
    x = x / (x.std(0) + 1e-6)
    return np.abs(x.T @ x / len(x))


def _at(correlation: np.ndarray, lag: int) -> float:
    return float(np.mean(np.diagonal(correlation, lag)))


def _score(correlation: np.ndarray, rng: np.random.Generator) -> float:
    """Lag 1 in standard deviations over shuffled positions: sign(z) log(1 + |z|)."""
    shuffled = []
    for _ in range(SHUFFLES):
        order = rng.permutation(len(correlation))
        shuffled.append(float(np.mean(correlation[order[:-1], order[1:]])))
    z = (_at(correlation, 1) - np.mean(shuffled)) / (np.std(shuffled) + 1e-3)
    return float(np.sign(z) * np.log1p(abs(z)))


def _width(correlation: np.ndarray) -> tuple[float | None, float]:
    """The lag of the strongest peak beyond the first few, and its height over the lags around it."""
    lags = np.array([_at(correlation, k) for k in range(1, len(correlation) // 2)])
    inner = np.arange(2, len(lags) - 2)
    if not len(inner):
        return None, 0.0
    height = lags[inner] - (lags[inner - 2] + lags[inner + 2]) / 2
    best = int(np.argmax(height))
    return float(np.log10(inner[best] + 1)), float(height[best])
