"""Score, interval, baseline, and why it is not better."""

from __future__ import annotations

from collections.abc import Mapping

from ..kinds import Metric, Output, State
from ..records import Scorecard, Task
from .answers import Answers, certain, score
from .causes import Evidence, Found, concerns, diagnose


def evaluate(
    task: Task, output: Output, state: State, metrics: Mapping[str, Metric], answers: Answers, evidence: Evidence
) -> Scorecard:
    """Score, interval, baseline; if a goal was missed, why; if not, only what anybody should know of."""
    metric = metrics[task.metric]
    target = answers.target
    value, low, high = score(metric, target, answers.judged, state)
    others = {
        m: _other(metrics[m], output, state, answers) for m in output.metrics if m in metrics and m != task.metric
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


def _other(metric: Metric, output: Output, state: State, answers: Answers) -> float:
    """What a metric beside the task's says; of decisions where it asks for these alone, and so says the same of sure ones."""
    target, prediction = answers.target, answers.prediction
    found = metric.score(target, prediction, state)
    if answers.decided is None or metric.score(target, certain(output, state, prediction), state) != found:
        return found
    return metric.score(target, answers.decided, state)
