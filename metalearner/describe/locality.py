"""Do neighbours along an axis resemble each other more than strangers do? No labels are needed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import Tensors
from ..kinds import Output, Probe, Sight
from ..records import View
from .flat import standardised, values

LAGS = (1, 2, 4, 8)
SHUFFLES = 20
MOST = 512  # positions of an axis that are looked at
ROWS = 4000  # samples, times the positions of the other axes
AXES = ("columns", "time", "space", "set")
PEAK = 5.0  # standard deviations over shuffles from which a peak counts
NARROWEST = 16  # columns in which a hidden width is sought
FARTHEST = 64  # lags that are shown


class Locality(Probe):
    """Mean absolute correlation at a lag, against shuffled positions; the row width hidden in a flat table."""

    name = "locality"
    explains = {
        **{
            f"{a}_lag{k}": ("", f"mean absolute correlation of positions {k} apart along {a}")
            for a in AXES
            for k in LAGS
        },
        **{f"{a}_z": ("log1p(sd)", f"lag 1 along {a} in standard deviations over its shuffles") for a in AXES},
        **{f"{a}_ratio": ("log", f"lag 1 along {a} over the mean of its shuffles") for a in AXES},
        "width": ("log10", "lag at which the correlation along columns peaks again: the width of a hidden picture"),
        "width_z": ("log1p(sd)", "how far that peak stands out, in standard deviations over shuffles"),
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
        found: dict[str, float] = {}
        for name, view in views.items():
            x = values(tensors[name])
            for i, axis in enumerate(view.axes):
                if axis.size < 3 or axis.kind not in AXES:
                    continue
                correlation = correlation_along(x, i + 1, rng)
                kind = axis.kind
                measured = {f"{kind}_lag{k}": at(correlation, k) for k in LAGS if k < len(correlation)}
                measured[f"{kind}_z"], measured[f"{kind}_ratio"] = _against_shuffles(correlation, rng)
                for key, value in measured.items():
                    found[key] = max(value, found.get(key, -np.inf))
                if view.kinds == ("columns",):
                    width, height = hidden_width(correlation, rng)
                    found |= {"width": np.log10(width) if width else np.nan, "width_z": height}
        return dict(found)

    def sights(self, tensors: Tensors, views: Mapping[str, View], rng: np.random.Generator) -> list[Sight]:
        """Correlation against lag, along every axis."""
        found = []
        for name, view in views.items():
            for i, axis in enumerate(view.axes):
                if axis.size >= 3 and axis.kind in AXES:
                    correlation = correlation_along(values(tensors[name]), i + 1, rng)
                    lags = tuple(at(correlation, k) for k in range(1, min(FARTHEST, len(correlation) - 1) + 1))
                    apart = correlation[~np.eye(len(correlation), dtype=bool)]
                    where = f"positions apart along {axis.kind}" + (f" of {name}" if len(views) > 1 else "")
                    found.append(Sight("correlation against lag", where, lags, float(apart.mean()), first=1))
        return found


def correlation_along(x: np.ndarray, axis: int, rng: np.random.Generator, most: int = MOST) -> np.ndarray:
    """|correlation| (k, k) of an axis' first positions, over samples times the positions of the other axes.

    Of x (n, axes..., channels) with NaN where missing; a pair counts the rows in which both are known.
    """
    x = np.moveaxis(x, axis, -1)[..., :most]
    x = x.reshape(-1, x.shape[-1])
    if len(x) > ROWS:
        x = x[np.sort(rng.permutation(len(x))[:ROWS])]
    known = np.isfinite(x)
    x = standardised(x)
    if known.all():
        return np.abs(x.T @ x / len(x))
    both = known.astype(np.float32).T @ known.astype(np.float32)
    # few common rows correlate by chance: shrunk
    return np.minimum(np.abs(x.T @ x) / np.maximum(both, 30), 1)


def at(correlation: np.ndarray, lag: int) -> float:
    """Mean |correlation| of positions `lag` apart."""
    return float(np.mean(np.diagonal(correlation, lag)))


def hidden_width(correlation: np.ndarray, rng: np.random.Generator) -> tuple[int | None, float]:
    """The lag at which the correlation (k, k) peaks again, None where no peak stands out of shuffles; and its log1p z."""
    if len(correlation) < NARROWEST:
        return None, 0.0
    heights = _heights(correlation)
    if heights.max() <= 0:
        return None, 0.0
    shuffled = []
    for _ in range(SHUFFLES):
        order = rng.permutation(len(correlation))
        shuffled.append(_heights(correlation[np.ix_(order, order)]).max())
    z = float((heights.max() - np.mean(shuffled)) / (np.std(shuffled) + 1e-3))
    # multiples of the width peak too: the first that is nearly the highest
    first = int(np.flatnonzero(heights >= 0.7 * heights.max())[0])
    return (first + 2 if z > PEAK else None), squashed(z)


def _heights(correlation: np.ndarray) -> np.ndarray:
    """For lags 2, 3, ... up to half the positions: how far the correlation rises over both sides, one or two lags away.

    Both sides, since the slope of a smooth decay is no peak; two lags, since in a picture the next pixel is much alike.
    """
    lags = np.array([at(correlation, k) for k in range(1, len(correlation) // 2 + 2)])
    heights = lags[1:-1] - np.maximum(lags[:-2], lags[2:])
    heights[1:-1] = np.maximum(heights[1:-1], lags[2:-2] - np.maximum(lags[:-4], lags[4:]))
    return heights


def _against_shuffles(correlation: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Lag 1 over shuffled positions: standard deviations, squashed, and the log of the ratio."""
    shuffled = []
    for _ in range(SHUFFLES):
        order = rng.permutation(len(correlation))
        shuffled.append(float(np.mean(correlation[order[:-1], order[1:]])))
    lag1 = at(correlation, 1)
    z = float((lag1 - np.mean(shuffled)) / (np.std(shuffled) + 1e-3))
    return squashed(z), float(np.log((lag1 + 1e-3) / (np.mean(shuffled) + 1e-3)))


def squashed(z: float) -> float:
    """sign(z) log(1 + |z|).

    >>> round(squashed(-9.0), 3)
    -2.303
    """
    return float(np.sign(z) * np.log1p(abs(z)))
