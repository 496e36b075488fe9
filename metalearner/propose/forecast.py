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
# A neighbour's best skill is known no better than this.
SHARPEST = 0.02


def forecast(past: Sequence[Past], nothing_like_it: float, metric: Metric, baseline: float, here: Here) -> Forecast:
    """Median and 80 % interval of the best score, median seconds of the best config.

    The neighbours' best skills, each blurred, mixed with any skill from 0 to 1 for the share of "nothing like
    it", and turned back into the metric: baseline + skill x (perfect - baseline).
    """
    if not past:
        return Forecast(metric.name, None, None, None, LEVEL, None, "no past runs: nothing to forecast from")
    if baseline is None or not math.isfinite(baseline):
        return Forecast(metric.name, None, None, None, LEVEL, None, "the naive baseline has no score here")
    skill = np.array([max(p.skill.values()) for p in past])
    weight = np.array([max(p.neighbour.weight, 1e-12) for p in past])
    low, middle, high = quantiles(skill, weight, nothing_like_it)
    value, *ends = (baseline + s * (metric.perfect - baseline) for s in (middle, low, high))
    seconds = weighted_quantile([seconds_for(here, p, p.best or "") for p in past], weight, 0.5)
    order = sorted(range(len(past)), key=lambda i: -weight[i])
    shown = ", ".join(f"{past[i].neighbour.name} {skill[i]:.2f}" for i in order[:3])
    reason = f"best skill on {neighbours(len(past))} ({shown}), {percent(nothing_like_it)} for data like none of them"
    return Forecast(metric.name, float(value), float(min(ends)), float(max(ends)), LEVEL, seconds, reason)


def quantiles(skill: np.ndarray, weight: np.ndarray, doubt: float) -> tuple[float, float, float]:
    """10, 50 and 90 % points of the skills, blurred, mixed with `doubt` of uniform on 0..1.

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
