"""What was predicted for rows whose truth is known, and how far its score can be trusted."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..kinds import Metric, Output, State

BOOTSTRAPS = 1000
# A goal is met beyond doubt when so few bootstrap samples miss it.
DOUBT = 0.2


@dataclass(frozen=True)
class Answers:
    """What was predicted for rows whose truth is known."""

    target: np.ndarray  # (n,) encoded
    prediction: np.ndarray  # (n, k)
    naive: np.ndarray  # (n, k) what the naive baseline says
    split: str  # which rows these are
    rows: np.ndarray = field(
        default_factory=lambda: np.array([], int)
    )  # (n,) their places in the data set or the sealed test
    # (n, k) sure of what is decided, each row by others, where a decision was drawn on these very rows; not saved
    decided: np.ndarray | None = None

    @property
    def judged(self) -> np.ndarray:
        """What the task's metric is asked about, (n, k)."""
        return self.prediction if self.decided is None else self.decided

    def save(self, file: Path) -> None:
        """One NPZ, for whoever wants to look at single rows later."""
        part = file.with_name(f".{file.name}")
        with part.open("wb") as out:
            np.savez(
                out, target=self.target, prediction=self.prediction, naive=self.naive, split=self.split, rows=self.rows
            )
        part.replace(file)

    @classmethod
    def open(cls, file: Path) -> Answers:
        """What `save` wrote."""
        with np.load(file, allow_pickle=False) as held:
            return cls(held["target"], held["prediction"], held["naive"], str(held["split"]), held["rows"])


def certain(output: Output, state: State, prediction: np.ndarray) -> np.ndarray:
    """Predictions (n, k) that are sure of what these decide."""
    said = output.encode(state, output.table(state, prediction)["prediction"])
    found = np.empty_like(prediction)
    for one in np.unique(said):
        found[said == one] = output.baseline(state, np.array([one]), 1)
    return found


def reaches(goal: float, metric: Metric, target: np.ndarray, prediction: np.ndarray, state: State) -> bool:
    """Whether a prediction meets a goal beyond doubt: in four of five bootstrap samples of the rows."""
    ends = score(metric, target, prediction, state, DOUBT)[1:]
    return bool(ends[0] >= goal if metric.greater_is_better else ends[1] <= goal)


def score(
    metric: Metric,
    target: np.ndarray,
    prediction: np.ndarray,
    state: State,
    outside: float = 0.025,
    most: int = BOOTSTRAPS,
) -> tuple[float, float, float]:
    """Value and its percentile bootstrap interval over rows (Efron 1979), seed 0; `outside` of it on each side.

    At most so many samples are drawn.
    """
    value = metric.score(target, prediction, state)
    rng = np.random.default_rng(0)
    repeats = int(np.clip(2e7 / max(1, prediction.size), min(100, most), most))
    draws = []
    for _ in range(repeats):
        rows = rng.integers(len(target), size=len(target))
        drawn = metric.score(target[rows], prediction[rows], state)
        if np.isfinite(drawn):
            draws.append(drawn)
    low, high = np.quantile(draws, [outside, 1 - outside]) if draws else (float("nan"), float("nan"))
    return value, float(low), float(high)
