"""Which column is wanted, what kind of answer that is, how it is scored, and when it counts as met."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import TaskError, nearest, unknown
from ..kinds import Metric, Output
from ..records import Schema, Task
from .limits import limits

# Fewer labelled rows than this say nothing that would hold on others; where nothing is sealed to measure on, fewer will do.
FEWEST_ROWS, FEWEST_UNMEASURED = 20, 6


@dataclass(frozen=True)
class Wish:
    """What the user said: a sentence, and whatever was named outright."""

    sentence: str = ""
    target: str | None = None
    metric: str | None = None
    goal: str | None = None  # "0.9" or "recall 0.85"
    group_by: str | None = None  # the column of what belongs together: patient, photograph, speaker
    max_size: str | None = None  # of the deployed models: "200kB"
    max_latency: str | None = None  # for one row alone: "1ms"
    output: str | None = None  # what kind of answer: "classification", "regression"


def find_target(schema: Schema, wish: Wish) -> tuple[str, str]:
    """The target column's name and why it is that one.

    In this order: the one named; the longest column name found in the sentence; what the source itself
    marks; the last column. Raises TaskError when the named one does not exist.
    """
    names = tuple(c.name for c in schema.columns if c.kind != "array")
    if not names:
        raise TaskError("The source has no column that could be predicted.", "Labels are needed to learn from.")
    if wish.target is not None:
        if wish.target not in names:
            happened, holds, _ = unknown("target column", wish.target, names)
            raise TaskError(happened, holds, "Name it with --target, exactly as in the file's first line.")
        return wish.target, "named"
    words = _words(wish.sentence)
    texts = {c.name for c in schema.columns if c.kind == "text"}  # which are told from, not told
    names = tuple(n for n in names if n not in texts) or names
    spoken = [n for n in names if _words(n) and f" {_words(n)} " in f" {words} "]
    if spoken:
        # Of several, the first one said: the goal comes before what it is told from.
        first = min(spoken, key=lambda n: (f" {words} ".index(f" {_words(n)} "), -len(n)))
        return first, f"'{first}' is in the sentence"
    if schema.target_hint:
        return schema.target_hint, "the source marks it"
    return names[-1], "the last column; --target names another"


def formulate(
    wish: Wish,
    schema: Schema,
    target: tuple[str, str],
    values: np.ndarray,
    outputs: Mapping[str, Output],
    metrics: Mapping[str, Metric],
    fewest: int = FEWEST_ROWS,
) -> Task:
    """The Task, with a reason for each choice.

    `values` is the raw target column (n,), of which at least `fewest` must be known. Raises TaskError when nothing can be
    learned from it, or when the output, metric or goal does not fit.
    """
    name, why = target
    present = _present(values)
    check_target(name, values, present, fewest)
    kind = schema.column(name).kind
    best, chosen = _output(wish, name, kind, present, outputs)
    output = outputs[best]
    state = output.fit(present)
    problem = output.problem(state, len(present))
    if problem:
        raise TaskError(
            f"Target '{name}' has {problem}.",
            "A class needs several rows each, a number must be written as one.",
            "Name another column with --target.",
        )
    goal_metric, goal = _parse_goal(wish.goal, metrics, output)
    metric, reason = output.choose_metric(output.encode(state, present), state, wish.sentence)
    for given, source in ((wish.metric, "named"), (goal_metric, "the goal is given in it")):
        if given is not None:
            metric, reason = _metric(given, metrics, output), source
    reasons = (f"target {name}: {why}", f"{best}: {chosen}", f"metric {metric}: {reason}")
    allowed = limits(wish.max_size, wish.max_latency, wish.sentence)
    return Task(
        wish.sentence, schema.modality, name, best, metric, goal, reasons, _group_by(wish, schema, name), allowed
    )


def _output(wish: Wish, target: str, kind: str, present: np.ndarray, outputs: Mapping[str, Output]) -> tuple[str, str]:
    """The name of the output that is asked for, else of the one that is surest of the target; and why."""
    if wish.output is not None:
        if wish.output not in outputs:
            raise TaskError(*unknown("output", wish.output, outputs))
        return wish.output, "named"
    claims = {k: o.claims(present, kind) for k, o in outputs.items()}
    best = max(claims, key=lambda k: claims[k])
    if claims[best] <= 0:
        raise TaskError(
            f"No output fits the target '{target}' of kind {kind}.", f"Installed: {', '.join(sorted(outputs))}."
        )
    return best, f"the target is {kind}"


def check_target(name: str, values: np.ndarray, present: np.ndarray, fewest: int = FEWEST_ROWS) -> None:
    """Refuse a target that is all missing, too short or constant."""
    if not len(present):
        raise TaskError(
            f"Target '{name}' is missing in all {len(values)} rows.",
            "Learning needs rows where it is known.",
            "Name another column with --target, or fill it in.",
        )
    distinct = len(np.unique(present))
    if distinct == 1:
        raise TaskError(
            f"Target '{name}' is '{present[0]}' in all {len(present)} rows.",
            "There must be at least two classes or values to tell apart.",
            "Name another column with --target, or add rows of another kind.",
        )
    if len(present) < fewest:
        raise TaskError(
            f"Only {len(present)} rows have a known '{name}'.",
            f"At least {fewest} are needed to learn{' and to measure' if fewest >= FEWEST_ROWS else ''}.",
            "Add labelled rows.",
        )


def _present(values: np.ndarray) -> np.ndarray:
    """The rows whose target is known."""
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values[values != ""]


def _group_by(wish: Wish, schema: Schema, target: str) -> str:
    """The column whose equal values stay together; TaskError when there is none of that name."""
    names = [c.name for c in schema.columns if c.kind != "array" and c.name != target]
    if wish.group_by and wish.group_by not in names:
        happened, holds, _ = unknown("column to group by", wish.group_by, names)
        raise TaskError(happened, holds, "Name one with --group-by, exactly as in the file's first line.")
    return wish.group_by or ""


def _words(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def _metric(given: str, metrics: Mapping[str, Metric], output: Output) -> str:
    """The name of the metric a user means, if it fits the output."""
    said = given.strip().lower().replace("_", "-")
    for name in output.metrics:
        if name in metrics and (said == name or said in metrics[name].words):
            return name
    happened = f"Metric '{given}' does not fit {output.name}.{nearest(said, output.metrics)}"
    raise TaskError(happened, f"Known: {', '.join(output.metrics)}.")


def _parse_goal(goal: str | None, metrics: Mapping[str, Metric], output: Output) -> tuple[str | None, float | None]:
    """ "0.9" -> (None, 0.9); "recall 0.85" or "recall >= 85 %" -> ("recall", 0.85)."""
    if goal is None:
        return None, None
    found = re.fullmatch(r"\s*([A-Za-z][\w\s-]*?)?\s*(?:[<>]=?|=|of|at least)?\s*(-?\d*\.?\d+)\s*(%)?\s*", goal)
    if not found:
        raise TaskError(
            f"Goal '{goal}' is not understood.", "A goal is a number, or a metric and a number.", '--goal "recall 0.85"'
        )
    name, number, percent = found.groups()
    value = float(number) / (100 if percent else 1)
    return (_metric(name, metrics, output) if name else None), value
