"""Score, interval, baseline, and why a goal was missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..kinds import Metric, Output, State
from ..records import Forecast, Scorecard, Task, Trial

BOOTSTRAPS = 1000
# A goal is met beyond doubt when so few bootstrap samples miss it.
DOUBT = 0.2


@dataclass(frozen=True)
class Evidence:
    """What a diagnosis of a missed goal is read from."""

    trials: Sequence[Trial] = ()
    forecast: Forecast | None = None
    learning_rows: int = 0


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


def evaluate(
    task: Task, output: Output, state: State, metrics: Mapping[str, Metric], answers: Answers, evidence: Evidence
) -> Scorecard:
    """Score, interval, baseline and, if a goal was missed, why."""
    metric = metrics[task.metric]
    target, prediction = answers.target, answers.prediction
    value, low, high = score(metric, target, prediction, state)
    others = {
        m: metrics[m].score(target, prediction, state) for m in output.metrics if m in metrics and m != task.metric
    }
    met = None
    if task.goal is not None:
        met = bool(value >= task.goal if metric.greater_is_better else value <= task.goal)
    return Scorecard(
        metric=task.metric,
        value=value,
        low=low,
        high=high,
        baseline=metric.score(target, answers.naive, state),
        rows=len(target),
        split=answers.split,
        others=others,
        goal=task.goal,
        goal_met=met,
        diagnosis=() if met is not False else diagnose(task.goal or 0.0, metric, (value, low, high), evidence),
    )


def reaches(goal: float, metric: Metric, target: np.ndarray, prediction: np.ndarray, state: State) -> bool:
    """Whether a prediction meets a goal beyond doubt: in four of five bootstrap samples of the rows."""
    ends = score(metric, target, prediction, state, DOUBT)[1:]
    return bool(ends[0] >= goal if metric.greater_is_better else ends[1] <= goal)


def score(
    metric: Metric, target: np.ndarray, prediction: np.ndarray, state: State, outside: float = 0.025
) -> tuple[float, float, float]:
    """Value and its percentile bootstrap interval over rows (Efron 1979), seed 0; `outside` of it on each side."""
    value = metric.score(target, prediction, state)
    rng = np.random.default_rng(0)
    repeats = int(np.clip(2e7 / max(1, prediction.size), 100, BOOTSTRAPS))
    draws = []
    for _ in range(repeats):
        rows = rng.integers(len(target), size=len(target))
        drawn = metric.score(target[rows], prediction[rows], state)
        if np.isfinite(drawn):
            draws.append(drawn)
    low, high = np.quantile(draws, [outside, 1 - outside]) if draws else (float("nan"), float("nan"))
    return value, float(low), float(high)


def diagnose(goal: float, metric: Metric, found: tuple[float, float, float], evidence: Evidence) -> tuple[str, ...]:
    """What the run's own numbers say about a missed goal, and what to try."""
    _, low, high = found
    reasons = []
    if low <= goal <= high:
        reasons.append(
            f"{goal:g} lies within the interval [{low:.3g}, {high:.3g}]: on these rows a hit and a miss cannot be "
            "told apart; more test rows would settle it"
        )
    forecast = evidence.forecast
    if forecast is not None and forecast.low is not None and forecast.high is not None:
        best = forecast.high if metric.greater_is_better else forecast.low
        beyond = goal > best if metric.greater_is_better else goal < best
        reasons.append(
            f"on similar data sets the best runs reached {best:.3g}: "
            + (
                "the goal asks for more than was ever seen there"
                if beyond
                else "the goal is within what was seen there"
            )
        )
    gain = _late_gain(evidence.trials, metric)
    if gain is not None:
        late, total = gain
        reasons.append(
            f"the last third of {len(evidence.trials)} trials improved the best score by {late:.3g} of {total:.3g} in all: "
            + (
                "search has not settled, try a larger --budget"
                if late > 0.1 * abs(total)
                else "more search alone will not do"
            )
        )
    reasons.append(f"{evidence.learning_rows} rows were learnt from; more labelled rows are the next thing to try")
    return tuple(reasons)


def _late_gain(trials: Sequence[Trial], metric: Metric) -> tuple[float, float] | None:
    scores = [t.score for t in sorted(trials, key=lambda t: t.finished) if t.score is not None]
    if len(scores) < 6:
        return None
    best = np.maximum.accumulate(scores) if metric.greater_is_better else np.minimum.accumulate(scores)
    return abs(float(best[-1] - best[2 * len(best) // 3])), abs(float(best[-1] - best[0]))
