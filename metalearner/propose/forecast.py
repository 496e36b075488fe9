"""What the best config will reach, and what it will cost, before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from ..kinds import Metric
from ..records import Forecast
from .odds import neighbours, percent
from .regret import Here, Past, seconds_for, weighted_quantile

LEVEL = 0.8
# What a neighbour won is known no better than this.
SHARPEST = 0.02
# A cheap learner that all but reaches perfection leaves so much to be won.
LEAST = 0.02


def forecast(
    past: Sequence[Past],
    nothing_like_it: float,
    metric: Metric,
    baseline: float,
    here: Here,
    landmark: float | None = None,
) -> Forecast:
    """Median and 80 % interval of the best score, median seconds of the best config.

    Where the description has landmarkers, `landmark` is what the best of them reaches, and neighbours say what share of the rest
    was won on them: the quantiles of that share, each blurred, mixed with any share from 0 to 1 for the weight of "nothing
    like it". Without, neighbours' best skills are taken as they are. Skills are turned back into the metric: baseline + skill
    x (perfect - baseline).
    """
    if not past:
        return Forecast(metric.name, None, None, None, LEVEL, None, "no past runs: nothing to forecast from")
    if baseline is None or not math.isfinite(baseline):
        return Forecast(metric.name, None, None, None, LEVEL, None, "the naive baseline has no score here")
    weight = np.array([max(p.neighbour.weight, 1e-12) for p in past])
    low, middle, high = skills(past, weight, nothing_like_it, landmark)
    value, *ends = (baseline + s * (metric.perfect - baseline) for s in (middle, low, high))
    seconds = weighted_quantile([seconds_for(here, p, p.best or "") for p in past], weight, 0.5)
    order = sorted(range(len(past)), key=lambda i: -weight[i])
    shown = ", ".join(f"{past[i].neighbour.name} {max(past[i].skill.values()):.2f}" for i in order[:3])
    reached = "" if landmark is None else f"a cheap learner reaches skill {landmark:.2f} here; "
    reason = f"{reached}best skill on {neighbours(len(past))} ({shown}), {percent(nothing_like_it)} for data like none of them"
    return Forecast(metric.name, float(value), float(min(ends)), float(max(ends)), LEVEL, seconds, reason)


def skills(
    past: Sequence[Past], weight: np.ndarray, doubt: float, landmark: float | None
) -> tuple[float, float, float]:
    """10, 50 and 90 % points of the best skill."""
    best = np.array([max(p.skill.values()) for p in past])
    reached = [p.neighbour.landmark for p in past]
    if landmark is None or any(r is None for r in reached):
        return quantiles(best, weight, doubt)
    floor, here = np.array(reached, dtype=float), min(landmark, 1 - LEAST)
    won = (best - floor) / np.maximum(1 - floor, LEAST)
    low, middle, high = (here + (1 - here) * share for share in quantiles(won, weight, doubt))
    return low, middle, high


def quantiles(skill: np.ndarray, weight: np.ndarray, doubt: float) -> tuple[float, float, float]:
    """10, 50 and 90 % points of skills, or of shares won, blurred, mixed with `doubt` of uniform on 0..1.

    The blur is by Silverman's rule of thumb, on the number of neighbours that the weights amount to.
    """
    weight = weight / weight.sum()
    spread = math.sqrt(float(weight @ (skill - weight @ skill) ** 2))
    blur = max(SHARPEST, spread * float(1 / (weight**2).sum()) ** -0.2)
    grid = np.linspace(min(0.0, float(skill.min()) - 3 * blur), 1.0, 1001)
    reached = ndtr((grid[:, None] - skill) / blur) @ weight
    reached = reached / reached[-1]  # nothing lies above perfect
    reached = (1 - doubt) * reached + doubt * np.clip(grid, 0, 1)
    low, middle, high = np.interp([(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2], reached, grid)
    return float(low), float(middle), float(high)
