"""Why a score is not better: causes in the data, in what was tried, in what can be known, read off the run's own numbers.

Each says how much of what is missing to a perfect score it may account for; the largest comes first. What was looked for and not
found has no share; None stands where nothing tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..kinds import Metric, Output, State
from ..records import FULL, Cause, Forecast, Trial
from .answers import Answers, score

# Standard errors between rows held out and rows sealed, from which on chance is no explanation.
APART = 3.0
# Share of what is wrong that denied targets account for, from which on it is said unasked.
MOSTLY = 0.3
# What the next as many rows, or trials, gain of what the last ones did, and so what all that could come would gain.
GOES_ON = 0.7
AHEAD = GOES_ON / (1 - GOES_ON)
# Skill that a simple model must have gained from the second half of the rows; rows that it was asked about at most.
LEAST_SLOPE, SAMPLED = 0.02, 1000
# Configurations fitted in full below which hardly anything was tried; families that agree on how far one gets.
FEW_FITS, AGREEING = 5, 3
# Causes that account for less are not worth a line; lines; rows, or groups of equal ones, that are looked at; bootstrap samples.
LEAST_SHARE, LINES, MOST_ROWS, SAMPLES = 0.05, 5, 5000, 200


@dataclass(frozen=True)
class Found:
    """The score with its interval, and all it takes to judge another one."""

    metric: Metric
    output: Output
    state: State
    value: float
    low: float
    high: float
    baseline: float
    split: str

    @property
    def missing(self) -> float:
        """Skill that is missing to a perfect score."""
        return max(1e-9, 1 - self.metric.skill(self.value, self.baseline))

    def skill(self, difference: float) -> float:
        """A difference of scores as one of skills."""
        return abs(difference / ((self.metric.perfect - self.baseline) or 1.0))


@dataclass(frozen=True)
class Evidence:
    """What causes are read from; what is not there says nothing."""

    trials: Sequence[Trial] = ()
    forecast: Forecast | None = None
    learning_rows: int = 0
    held: Answers | None = None  # what the same ensemble said of rows held out of folds
    alike: Callable[[], np.ndarray] | None = None  # (held rows,) from 0, equal numbers for equal inputs
    slope: float | None = None  # skill that a simple model gains from the second half of at most SAMPLED rows
    seconds: float = 0.0  # that the run took
    shifted: Callable[[], Sequence[str]] = tuple  # inputs that lie otherwise in the rows measured on, the surest first


def diagnose(goal: float, found: Found, evidence: Evidence) -> tuple[Cause, ...]:
    """Why a goal was missed, and what to try: what accounts for most comes first."""
    known = [shift(found, evidence), labels(found, evidence), twins(goal, found, evidence), nothing(found, evidence),
             rows(found, evidence), search(found, evidence)]  # fmt: skip
    looked = [c for c in known if c is not None]
    causes = [*looked, limit(found, evidence, looked), past(goal, found, evidence)]
    ranked = sorted((c for c in causes if c is not None and c.share >= LEAST_SHARE), key=lambda c: -c.share)
    absent = [c.name for c in looked if c.share < LEAST_SHARE]
    told = [within(goal, found), *(ranked[:LINES] or [unexplained(evidence)])]
    told += [Cause("", "", f"looked for and not found: {', '.join(absent)}")] if absent else []
    return tuple(c for c in told if c is not None)


def concerns(found: Found, evidence: Evidence) -> tuple[Cause, ...]:
    """What anybody should know of, whatever the goal: rows that were drawn otherwise, targets that are mostly what is wrong."""
    known = shift(found, evidence), labels(found, evidence)
    return tuple(c for c, least in zip(known, (LEAST_SHARE, MOSTLY)) if c is not None and c.share >= least)


def within(goal: float, found: Found) -> Cause | None:
    """A hit and a miss cannot be told apart."""
    if not found.low <= goal <= found.high:
        return None
    said = (
        f"{goal:g} lies within the interval [{found.low:.3g}, {found.high:.3g}]: a hit and a miss cannot be told apart"
    )
    return Cause("data", "few rows to measure on", said, "more test rows would settle it")


def shift(found: Found, evidence: Evidence) -> Cause | None:
    """The sealed rows are told worse than those held out of folds, beyond chance."""
    held = evidence.held
    if held is None or held.split == found.split:
        return None
    metric, sign = found.metric, 1 if found.metric.greater_is_better else -1
    value, low, high = _scored(held, found)
    error = float(np.hypot(high - low, found.high - found.low)) / 3.92
    gap = sign * (value - found.value)
    if not error or not gap > APART * error:
        return Cause("data", "shift", "")
    names = evidence.shifted()
    which = f" (most of all {', '.join(names[:3])})" if names else ""
    said = (
        f"{metric.name} is {value:.3g} on rows held out of folds and {found.value:.3g} on the sealed ones, "
        f"{gap / error:.1f} standard errors apart: these were drawn otherwise{which}"
    )
    return Cause("data", "shift", said, "learn from rows like those that will be asked about; where rows belong together, --group-by",
                 min(1.0, found.skill(gap) / found.missing))  # fmt: skip


def labels(found: Found, evidence: Evidence) -> Cause | None:
    """Models that never saw a row deny its target, where they are surest."""
    held = evidence.held
    denied = None if held is None else found.output.denied(found.state, held.target, held.prediction)
    if denied is None:
        return None
    if not denied.many:
        return Cause("data", "wrong labels", "")
    said = (
        f"models that never saw them deny the target of {len(denied.rows):,} of {denied.among:,} rows where they are surest"
        f" (at least {denied.least:.0%} of such rows)"
    )
    return Cause(
        "data",
        "wrong labels",
        said,
        "look at these rows in the report: `metalearner report RUN`",
        min(1.0, denied.share),
    )


def twins(goal: float, found: Found, evidence: Evidence) -> Cause | None:
    """Rows with the same inputs have different targets: nobody can be right about all of them."""
    held = evidence.held
    if held is None or evidence.alike is None:
        return None
    alike = evidence.alike()
    if alike.max(initial=-1) + 1 == len(alike):
        return Cause("learnability", "equal inputs", "")
    some = alike < MOST_ROWS  # whole groups
    best = _best_possible(held.target[some], alike[some], found)
    share = found.skill(found.metric.perfect - best) / found.missing
    if not np.isfinite(best):
        return None
    short = goal > best if found.metric.greater_is_better else goal < best
    said = (
        f"rows with equal inputs have different targets: {found.metric.name} {best:.3g} is all that anybody can reach"
        + (", less than the goal" if short else "")
    )
    return Cause("learnability", "equal inputs", said, "add columns that tell such rows apart", min(1.0, share))


def nothing(found: Found, evidence: Evidence) -> Cause | None:
    """The score is not beyond what comes without looking."""
    sign = 1 if found.metric.greater_is_better else -1
    worst = found.low if sign > 0 else found.high
    if sign * (worst - found.baseline) > 0:
        return Cause("learnability", "nothing to tell it from", "")
    said = (
        f"{found.metric.name} {found.value:.3g} is no better, beyond doubt, than {found.baseline:.3g} without looking"
    )
    return Cause("learnability", "nothing to tell it from", said, "ask whether these columns can know it at all", 0.9)


def rows(found: Found, evidence: Evidence) -> Cause | None:
    """A simple model still gains from rows."""
    slope = evidence.slope
    if slope is None:
        return None
    if slope < LEAST_SLOPE:
        return Cause("data", "few rows", "")
    gain = slope * (SAMPLED / max(SAMPLED, evidence.learning_rows)) ** 0.5
    said = (
        f"{evidence.learning_rows:,} rows were learnt from, and a simple model gains {slope:.2f} of skill from the second half"
        " of those it was shown"
    )
    worth = GOES_ON * gain * abs(found.metric.perfect - found.baseline)
    advice = f"twice as many rows may be worth about {worth:.2g} of {found.metric.name}"
    return Cause("data", "few rows", said, advice, min(1.0, AHEAD * gain / found.missing))


def search(found: Found, evidence: Evidence) -> Cause | None:
    """What was tried last still helped, or hardly anything was tried."""
    longer = (
        f"a budget three times as long, {3 * evidence.seconds:.0f} s, is the next thing to try"
        if evidence.seconds
        else ""
    )
    fits = len({t.config.id for t in evidence.trials if t.outcome == "ok" and t.rung >= FULL})
    if evidence.trials and fits < FEW_FITS:
        said = f"only {fits} configuration{'s were' if fits != 1 else ' was'} fitted in full"
        return Cause("model", "search cut short", said, longer, 0.5)
    gain = _late_gain(evidence.trials, found.metric)
    if gain is None:
        return None
    said = f"the last third of {len(evidence.trials)} trials still improved the best score by {gain:.3g}"
    return Cause("model", "search not settled", said, longer, min(1.0, AHEAD * found.skill(gain) / found.missing))


def limit(found: Found, evidence: Evidence, others: Sequence[Cause]) -> Cause | None:
    """Models of different kinds end level: what no other cause accounts for is hardly to be known from these columns."""
    left = 1 - sum(c.share for c in others)
    best: dict[str, float] = {}
    sign = 1 if found.metric.greater_is_better else -1
    for t in evidence.trials:
        if t.outcome == "ok" and t.score is not None and t.rung >= FULL:
            best[t.proposal.family] = max(best.get(t.proposal.family, -np.inf), sign * t.score)
    error = (found.high - found.low) / 3.92
    level = [f for f, s in best.items() if s >= max(best.values()) - error]
    if left < LEAST_SHARE or len(level) < AGREEING:
        return None
    said = f"{len(level)} kinds of model end level ({', '.join(level[:4])}): these columns hardly tell more"
    return Cause("learnability", "what can be known", said, "add columns that say something new", left)


def past(goal: float, found: Found, evidence: Evidence) -> Cause | None:
    """What the best runs reached on similar data."""
    f = evidence.forecast
    if f is None or f.low is None or f.high is None:
        return None
    best = f.high if found.metric.greater_is_better else f.low
    beyond = goal > best if found.metric.greater_is_better else goal < best
    if not beyond:
        return None
    said = f"on similar data sets the best runs reached {best:.3g}: the goal asks for more than was ever seen there"
    return Cause("learnability", "past runs", said, "", min(1.0, found.skill(goal - best) / found.missing))


def unexplained(evidence: Evidence) -> Cause:
    """Nothing stands out."""
    said = f"nothing stands out; {evidence.learning_rows:,} rows were learnt from"
    return Cause("data", "few rows", said, "more labelled rows are the next thing to try")


def _scored(held: Answers, found: Found) -> tuple[float, float, float]:
    """Value and interval on rows held out, of at most MOST_ROWS."""
    some = np.random.default_rng(0).permutation(len(held.target))[:MOST_ROWS]
    return score(found.metric, held.target[some], held.judged[some], found.state, most=SAMPLES)


def _best_possible(target: np.ndarray, alike: np.ndarray, found: Found) -> float:
    """The score of whoever knows the targets of all rows with the same inputs."""
    order = np.argsort(alike, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(alike[order]) != 0])
    known = found.output.baseline(found.state, target, len(target)).astype(float)
    for members in np.split(order, starts[1:]):
        known[members] = found.output.baseline(found.state, target[members], len(members))
    return found.metric.score(target, known, found.state)


def _late_gain(trials: Sequence[Trial], metric: Metric) -> float | None:
    """How much better the best score became in the last third of the trials; None where they are few."""
    scores = [t.score for t in sorted(trials, key=lambda t: t.finished) if t.score is not None]
    if len(scores) < 6:
        return None
    best = np.maximum.accumulate(scores) if metric.greater_is_better else np.minimum.accumulate(scores)
    return abs(float(best[-1] - best[2 * len(best) // 3]))
