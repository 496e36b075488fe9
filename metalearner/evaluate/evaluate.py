"""Score, interval, baseline, and why it is not better."""

from __future__ import annotations

from collections.abc import Mapping

from ..kinds import Metric, Output, State
from ..records import Scorecard, Task
from .answers import Answers, score
from .causes import Evidence, Found, concerns, diagnose


def evaluate(
    task: Task, output: Output, state: State, metrics: Mapping[str, Metric], answers: Answers, evidence: Evidence
) -> Scorecard:
    """Score, interval, baseline; if a goal was missed, why; if not, only what anybody should know of."""
    metric = metrics[task.metric]
    target, prediction = answers.target, answers.prediction
    value, low, high = score(metric, target, prediction, state)
    others = {
        m: metrics[m].score(target, prediction, state) for m in output.metrics if m in metrics and m != task.metric
    }
    met = None
    if task.goal is not None:
        met = bool(value >= task.goal if metric.greater_is_better else value <= task.goal)
    baseline = metric.score(target, answers.naive, state)
    found = Found(metric, output, state, value, low, high, baseline, answers.split)
    return Scorecard(
        metric=task.metric,
        value=value,
        low=low,
        high=high,
        baseline=baseline,
        rows=len(target),
        split=answers.split,
        others=others,
        goal=task.goal,
        goal_met=met,
        diagnosis=diagnose(task.goal or 0.0, found, evidence) if met is False else concerns(found, evidence),
    )
