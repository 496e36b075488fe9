"""One number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..kinds import Denied, Output, State
from ..pictures import Picture
from .calibration import better, held_out
from .classification import conformal_quantile
from .pictures import agreement, residuals

# Heavy tails: beyond this excess kurtosis, or with more than this share of rows further out than FAR.
TAILED, FAR, FAR_SHARE = 3.0, 4.0, 0.005
# A target of at most this many whole numbers is ordered levels rather than a quantity.
LEVELS = 10
# The calibration that changes nothing.
# Robust deviations of the residuals, of which a normal spread has one row in 500 million beyond.
DENIED = 6.0
ALONE: State = {"slope": 1.0, "centre": 0.0, "shift": 0.0}


class Regression(Output):
    """Predictions are the value (n, 1), standardised by the training rows' mean and spread."""

    name = "regression"
    metrics = ("r2", "rmse", "mae")
    losses = ("squared", "huber", "pinball")

    def claims(self, target: np.ndarray, kind: str) -> float:
        """Numbers and dates; a little less sure when they are few."""
        if kind not in ("number", "date"):
            return 0.0
        return 0.8 if len(np.unique(target[np.isfinite(target)])) > 2 else 0.0

    def fit(self, target: np.ndarray) -> State:
        """Mean and standard deviation."""
        target = np.asarray(target, np.float64)
        return {"mean": float(target.mean()), "scale": float(target.std()) or 1.0}

    def encode(self, state: State, target: np.ndarray) -> np.ndarray:
        """Standardise."""
        return (np.asarray(target, np.float64) - state["mean"]) / state["scale"]

    def width(self, state: State) -> int:
        """One number."""
        return 1

    def activate(self, state: State, raw: np.ndarray) -> np.ndarray:
        """As it is."""
        return np.asarray(raw, np.float64)

    def baseline(self, state: State, target: np.ndarray, rows: int) -> np.ndarray:
        """The mean of the training rows."""
        return np.full((rows, 1), float(np.mean(target)))

    def merge(self, predictions: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
        """Weighted average."""
        return sum(w * p for w, p in zip(weights, predictions))  # type: ignore[return-value]

    def strata(self, target: np.ndarray) -> np.ndarray:
        """Fifths of the target, so that every fold sees its whole range."""
        return np.searchsorted(np.quantile(target, [0.2, 0.4, 0.6, 0.8]), target)

    def calibrate(self, state: State, prediction: np.ndarray, target: np.ndarray) -> State:
        """A shift and a slope by least squares, kept only where they help rows held out of the fit by more than noise."""

        def loss(calibration: State, said: np.ndarray, truth: np.ndarray) -> np.ndarray:
            return (self.calibrated(calibration, said)[:, 0] - truth) ** 2

        alone = held_out(lambda said, truth: ALONE, loss, prediction, target)
        fitted = held_out(_line, loss, prediction, target)
        return _line(prediction, target) if better(fitted, alone, 1.0) else dict(ALONE)

    def calibrated(self, calibration: State, prediction: np.ndarray) -> np.ndarray:
        """Apply shift and slope."""
        return calibration["shift"] + calibration["slope"] * (prediction - calibration["centre"])

    def conform(self, state: State, prediction: np.ndarray, target: np.ndarray, level: float) -> State:
        """Split conformal on absolute residuals, in standard deviations of the target."""
        scores = np.abs(prediction[:, 0] - target)
        return {"level": level, "threshold": conformal_quantile(scores, level), "rows": len(scores)}

    def regions(self, conformal: State, state: State, prediction: np.ndarray) -> list[Any]:
        """[low, high] in the target's unit."""
        half = conformal["threshold"] * state["scale"]
        values = prediction[:, 0] * state["scale"] + state["mean"]
        return [[float(v - half), float(v + half)] for v in values]

    def covers(self, conformal: State, state: State, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Whether the value lies within the interval."""
        return np.abs(prediction[:, 0] - target) <= conformal["threshold"]

    def table(self, state: State, prediction: np.ndarray) -> dict[str, np.ndarray]:
        """`prediction` in the target's unit."""
        return {"prediction": prediction[:, 0] * state["scale"] + state["mean"]}

    def pictures(self, state: State, target: np.ndarray, prediction: np.ndarray) -> list[Picture]:
        """What was said against what is true, and what is left over."""
        truth, said = target * state["scale"] + state["mean"], self.table(state, prediction)["prediction"]
        return [agreement(truth, said), residuals(truth, said)]

    def words(self, state: State, target: np.ndarray) -> list[str]:
        """In the target's unit."""
        return [f"{v * state['scale'] + state['mean']:.5g}" for v in target]

    def errors(self, state: State, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Distance, in standard deviations of the target."""
        return np.abs(prediction[:, 0] - target)

    def denied(self, state: State, target: np.ndarray, prediction: np.ndarray) -> Denied | None:
        """Rows that lie so many robust deviations from what was said of them that no usual spread puts them there."""
        away = np.abs(prediction[:, 0] - target)
        furthest = np.argsort(-away, kind="stable")
        rows = furthest[away[furthest] > DENIED * 1.4826 * np.median(away)]
        return Denied(rows, len(away), float((away[rows] ** 2).sum() / max(float((away**2).sum()), 1e-300)))

    def choose_metric(self, target: np.ndarray, state: State, sentence: str) -> tuple[str, str]:
        """By the user's words; the share of variance explained otherwise."""
        if re.search(r"typical error|on average off|absolute error", sentence.lower()):
            return "mae", "the typical error is asked for"
        if re.search(r"large errors|squared error|rms", sentence.lower()):
            return "rmse", "large errors are said to weigh more"
        return "r2", "the share of variance explained can be compared between data sets"

    def choose_loss(self, state: State, metric_name: str, target: np.ndarray) -> tuple[str, str]:
        """The metric's own loss; Huber where a few far values would rule the squares."""
        if metric_name == "mae":
            return "pinball", "the mean absolute error is least at the median, which the pinball loss seeks"
        known = target[np.isfinite(target)]
        z = (known - known.mean()) / (known.std() or 1.0)
        kurtosis, far = float(np.mean(z**4) - 3), float(np.mean(np.abs(z) > FAR))
        if kurtosis > TAILED or far > FAR_SHARE:
            return "huber", (
                f"the target has heavy tails (excess kurtosis {kurtosis:.1f}, {far:.1%} beyond {FAR:g} deviations)"
            )
        levels = np.unique(np.round(known * state["scale"] + state["mean"], 6))
        if len(levels) <= LEVELS and bool(np.all(levels == np.round(levels))):
            return "squared", (
                f"{metric_name} is about squares; the target is {len(levels)} ordered whole numbers, "
                "between which it may answer"
            )
        return "squared", f"{metric_name} is about squares and the target has no heavy tails"


def _line(prediction: np.ndarray, target: np.ndarray) -> State:
    """Mean and slope of the target over the prediction, kept close to the identity by a ridge of ten rows."""
    centre = prediction[:, 0].mean()
    x, y = prediction[:, 0] - centre, target - target.mean()
    slope = (x @ y + 10 * x.var()) / (x @ x + 10 * x.var() + 1e-12)
    return {"slope": float(np.clip(slope, 0.5, 1.5)), "centre": float(centre), "shift": float(target.mean())}
