"""One model out of many: bagged greedy selection with replacement on out-of-fold predictions.

Choosing the best of a hundred trials on few rows overrates what was chosen. So the greedy choice is made many times, on
bootstrap samples of the rows (Caruana et al. 2004 and 2006) and averaged; what each choice says of the rows it did not see
tells how good the ensemble is. And what past runs expect of each family counts for as much as some held-out rows: among many
rows it is lost, of few it is most of what is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..dataset import Dataset
from ..errors import RunError
from ..kinds import Aim, Prior
from ..records import FULL, Limits, Trial, best_of_each
from .merit import Merit

# Trials whose predictions are read; candidates of a bag in all and of one family.
LOOKED_AT, CANDIDATES, OF_A_FAMILY = 80, 24, 8
# Bags, and the rows of one at most.
BAGS, BAG_ROWS = 16, 2000
# Additions in a bag at most, and how many without a gain end it.
ROUNDS, PATIENCE = 15, 3
# The ensemble keeps at most so many members, each of at least this weight: every one costs time at each prediction.
MEMBERS, LEAST = 8, 0.03
# So many held-out rows tell two ensembles apart.
TELLING = 500
# Of the merit that is missing to perfection, what the lightest members may be worth and still be left out: on rows that
# nobody chose by, fewer members predicted as well, in a fraction of the time and the bytes. Where rows are too few to tell
# merits apart, fewer members have to say the same but for so much of the spread of what is said: choosing by merit there cost
# .008 +- .003 of skill on 50 rows (benchmarks/few_rows.py), this nothing.
ENOUGH, ALIKE = 0.003, 0.03
# What was fitted on the first folds alone may join where the ensemble is better by so much of the merit that is missing, for a
# model fitted on all folds is the average of several.
BETTER = 0.03
# What past runs expect of a family is worth so many held-out rows: the chance in a skill told by one row, about 1, over that in
# how far behind the best a family will be, about .1, both squared.
PRIOR_ROWS = 100.0
# Seconds that a row takes beside its models, where latency is limited: it is decoded and scaled, what they say is calibrated.
BESIDE = 2e-4


@dataclass(frozen=True)
class Selection:
    """Which trials with which weights, and what they say together of rows that did not choose them."""

    weights: dict[str, float]  # by trial name
    rows: np.ndarray
    prediction: np.ndarray  # of each row, by the choices that row had no part in
    score: float  # of that prediction: an honest estimate
    models: int | None = None  # of each member at most so many, those of the first folds; None: all
    cut_short: bool = False  # nothing was fitted in full, and what got furthest was taken


@dataclass(frozen=True)
class Cost:
    """What the members of an ensemble take together to predict what is to be predicted next, in seconds, and what they may."""

    seconds: Callable[[Sequence[Trial]], float] = lambda trials: 0.0
    most: float = float("inf")
    limits: Limits = field(default_factory=Limits)  # of what is deployed

    def fits(self, chosen: Sequence[Trial]) -> bool:
        """Whether these together cost no more than they may, a model each."""
        return self.seconds(chosen) <= self.most and self.models(chosen, 1) > 0

    def bearable(self, trials: Sequence[Trial]) -> list[Trial]:
        """Those that fit alone; where none does all of them, for one there must be."""
        return [t for t in trials if self.fits([t])] or list(trials)

    def models(self, chosen: Sequence[Trial], most: int) -> int:
        """Of each of these trials as many models as the limits allow, at most so many."""
        if not self.limits.given:
            return most
        size, alone = (sum(float(t.facts.get(fact, 0.0)) for t in chosen) for fact in ("bytes", "alone"))
        return next((n for n in range(most, 0, -1) if self.limits.allow(n * size, n * alone + BESIDE)), 0)


FREE = Cost()


@dataclass(frozen=True)
class Expected:
    """What each family is expected to lack to the best, in skill, and how many held-out rows that is worth."""

    behind: Mapping[str, float] = field(default_factory=dict)
    rows: float = 0.0

    def handicaps(self, trials: Sequence[Trial], rows: int) -> np.ndarray:
        """(trials,) of merit that was told by so many rows; a network that was composed here is taken for an ordinary family."""
        usual = float(np.mean(list(self.behind.values()) or [0.0]))
        behind = np.array([self.behind.get(t.proposal.family, usual) for t in trials])
        return self.rows / max(1, rows) * behind


UNKNOWN = Expected()


def expected(prior: Prior) -> Expected:
    """What past runs expect: the less, the less these data are like any of theirs."""
    return Expected(prior.behind, PRIOR_ROWS * (1 - prior.nothing_like_it)) if prior.behind else UNKNOWN


def select(
    trials: Sequence[Trial], folder: Path, dataset: Dataset, aim: Aim, cost: Cost = FREE, known: Expected = UNKNOWN
) -> Selection:
    """Bagged greedy ensemble selection among trials that were fitted in full, as dear as there is time for.

    Where there is no time to fit every config on all folds, those fitted on the first ones may be chosen too: all are
    then compared on the rows that these folds hold out. Where nothing was fitted in full, what got furthest is taken as it is.
    Raises RunError where nothing gave a model.
    """
    able = [t for t in trials if t.outcome == "ok" and t.score is not None and np.isfinite(t.score)]
    if not able:
        reasons = sorted({t.error or t.outcome for t in trials})[:3]
        raise RunError(f"None of {len(trials)} trials gave a model.", "; ".join(reasons) or "Nothing was tried.",
                       "Try a larger --budget.")  # fmt: skip
    full = [t for t in able if t.rung >= FULL]
    if not full:
        furthest = max(folds_of(t, dataset) for t in able)
        able = [t for t in able if folds_of(t, dataset) == furthest]
        return replace(_selected(best_of_each(able), furthest, folder, dataset, aim, cost, known), cut_short=True)
    whole = _selected(full, len(dataset.folds), folder, dataset, aim, cost, known)
    part = [t for t in able if t.rung < FULL and t.facts.get("share", 0.0) >= FULL and folds_of(t, dataset)]
    folds = min((folds_of(t, dataset) for t in part), default=len(dataset.folds))
    if cost.limits.given:  # an average of several models is what there is no room for
        return whole
    if folds == len(dataset.folds) or sum(len(dataset.folds[i][1]) for i in range(folds)) < TELLING:
        return whole
    more = _selected(best_of_each([*full, *part]), folds, folder, dataset, aim, cost, known)
    at = np.isin(whole.rows, more.rows)
    assert np.array_equal(whole.rows[at], more.rows)  # the first folds come first
    merit = Merit(aim, dataset.target[more.rows], aim.output.baseline(aim.state, dataset.target, len(more.rows)))
    before, after = merit(whole.prediction[at]), merit(more.prediction)
    return more if after > before + BETTER * (1 - before) else whole


def _selected(
    trials: Sequence[Trial], folds: int, folder: Path, dataset: Dataset, aim: Aim, cost: Cost, known: Expected
) -> Selection:
    """The ensemble of these trials by the rows that the first so many folds hold out."""
    able = cost.bearable(trials)
    many = sum(len(dataset.folds[i][1]) for i in range(folds))
    worth = [np.mean((t.facts.get("merits") or [t.merit or 0.0])[:folds]) for t in able] - known.handicaps(able, many)
    ranked = [able[i] for i in np.argsort(-worth, kind="stable")[:LOOKED_AT]]
    stored = [np.load(folder / t.name / "rows.npy")[:many] for t in ranked]
    rows = stored[0]
    ranked = [t for t, own in zip(ranked, stored) if np.array_equal(own, rows)]
    target = dataset.target[rows]
    naive = aim.output.baseline(aim.state, dataset.target, len(target))
    weights, prediction = bagged(ranked, folder, Merit(aim, target, naive), aim, cost, known)
    chosen = {t.name: float(w) for t, w in zip(ranked, weights) if w > 0}
    models = cost.models([t for t in ranked if t.name in chosen], folds) or 1 if cost.limits.given else None
    return Selection(chosen, rows, prediction, aim.score(prediction, target), models)


def folds_of(trial: Trial, dataset: Dataset) -> int:
    """How many of the folds a trial was fitted on, the first ones."""
    return len(dataset.folds) if trial.rung >= FULL else int(trial.facts.get("folds", 0))


def bagged(
    trials: Sequence[Trial], folder: Path, merit: Merit, aim: Aim, cost: Cost = FREE, known: Expected = UNKNOWN
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (trials,) that sum to 1, and predictions (n, k) of rows by the bags they were left out of."""
    n = len(merit.target)  # of trials on more folds, the rows of the first ones
    stored = [np.load(folder / t.name / "prediction.npy", mmap_mode="r")[:n] for t in trials]
    rng, total, handicaps = np.random.default_rng(0), np.zeros(len(trials)), known.handicaps(trials, n)
    said: list[tuple[np.ndarray, np.ndarray]] = []  # of each bag the rows outside, and its weights
    for _ in range(BAGS):
        rows = rng.integers(n, size=min(n, BAG_ROWS))
        inside = [p[rows] for p in stored]
        pool = candidates(trials, [merit(p, rows) - h for p, h in zip(inside, handicaps)])
        weights = np.zeros(len(stored))
        fits = partial(_room_for, cost, [trials[i] for i in pool])
        weights[pool] = greedy([inside[i] for i in pool], partial(merit, rows=rows), aim, fits, handicaps[pool])
        total += weights / BAGS
        said.append((np.setdiff1d(np.arange(n), rows), weights))
    wanted = _pruned(total)
    kept = _afforded(wanted, trials, cost)
    if (kept > 0).sum() < (wanted > 0).sum():  # what is too dear to be deployed has no say in how good it is
        said = [(rows, _within(weights, kept)) for rows, weights in said]
    final = _sufficient(kept, stored, merit, aim)
    return final, _outside(stored, said, final, aim)


def candidates(trials: Sequence[Trial], worth: Sequence[float]) -> list[int]:
    """Positions of the trials of most worth, best first, so many of a family and in all; of equals the cheaper first."""
    taken: Counter[str] = Counter()
    pool: list[int] = []
    for i in sorted(range(len(trials)), key=lambda i: (-worth[i], trials[i].seconds)):
        family = trials[i].proposal.family
        if taken[family] < OF_A_FAMILY and len(pool) < CANDIDATES:
            taken[family] += 1
            pool.append(i)
    return pool


def _room_for(cost: Cost, trials: Sequence[Trial], at: Sequence[int]) -> bool:
    return cost.fits([trials[i] for i in at])


def greedy(
    stored: Sequence[np.ndarray], worth: Callable[[np.ndarray], float], aim: Aim,
    fits: Callable[[Sequence[int]], bool] = lambda at: True, handicaps: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Shares (candidates,) by adding, again and again, the candidate that helps the average most; cut where it was best.

    `fits` says of positions whether these candidates together are no more than there is room for; `handicaps` (candidates,) are
    taken off the worth of an average by their shares in it.
    """
    counts = np.zeros(len(stored))
    less = np.zeros(len(stored)) if handicaps is None else handicaps
    best, kept, together = -np.inf, counts, stored[0]
    for size in range(ROUNDS):
        inside = np.flatnonzero(counts).tolist()
        room = [i for i in range(len(stored)) if not inside or counts[i] or fits([*inside, i])]
        mixed = {i: aim.output.merge([together, stored[i]], [size / (size + 1), 1 / (size + 1)]) for i in room}
        values = np.full(len(stored), -np.inf)
        values[room] = [worth(p) - (counts @ less + less[i]) / (size + 1) for i, p in mixed.items()]
        at = int(np.argmax(values))  # the first of equals: candidates come best first
        together = mixed[at]
        counts = counts + np.eye(len(stored))[at]
        if values[at] > best + 1e-9 or not kept.any():
            best, kept = values[at], counts
        elif counts.sum() >= kept.sum() + PATIENCE:
            break
    return kept / kept.sum()


def _pruned(weights: np.ndarray) -> np.ndarray:
    """Only the heaviest members, summing to 1."""
    heaviest = np.argsort(-weights, kind="stable")[:MEMBERS]
    kept = np.zeros_like(weights)
    kept[heaviest] = np.where(weights[heaviest] >= min(LEAST, weights.max()), weights[heaviest], 0.0)
    return kept / kept.sum()


def _afforded(weights: np.ndarray, trials: Sequence[Trial], cost: Cost) -> np.ndarray:
    """Without the members that cost most for their weight, until the rest costs no more than it may; one stays."""
    kept = weights.copy()
    while (kept > 0).sum() > 1 and not cost.fits(chosen := [t for t, w in zip(trials, kept) if w > 0]):
        slow = cost.seconds(chosen) > cost.most  # where it is not seconds that are short, the lightest goes
        prices = np.array([cost.seconds([t]) if slow else 1.0 for t in trials])
        kept[np.argmax(np.where(kept > 0, prices / np.maximum(kept, 1e-9), -1.0))] = 0.0
    return kept / kept.sum()


def _within(weights: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """A bag's choice without the members that were not kept; those as they are where it chose none of them."""
    found = np.where(kept > 0, weights, 0.0)
    return found / found.sum() if found.any() else kept


def _sufficient(weights: np.ndarray, stored: Sequence[np.ndarray], merit: Merit, aim: Aim) -> np.ndarray:
    """Of the heaviest members as many as it takes to be about as good as all of them; of few rows, to say about the same."""
    heaviest = np.argsort(-weights, kind="stable")
    together = _merged(stored, weights, aim)
    whole = merit(together)
    differing = ALIKE * np.linalg.norm(together - together.mean(axis=0))
    for many in range(1, int((weights > 0).sum())):
        fewer = np.zeros_like(weights)
        fewer[heaviest[:many]] = weights[heaviest[:many]] / weights[heaviest[:many]].sum()
        said = _merged(stored, fewer, aim)
        if len(said) < TELLING:
            enough = np.linalg.norm(said - together) <= differing
        else:
            enough = merit(said) >= whole - ENOUGH * (1 - whole)
        if enough:
            return fewer
    return weights


def _outside(
    stored: Sequence[np.ndarray], said: Sequence[tuple[np.ndarray, np.ndarray]], final: np.ndarray, aim: Aim
) -> np.ndarray:
    """What the bags that did not draw a row say of it, averaged; the final weights speak where all drew it."""
    found = _merged(stored, final, aim)
    heard = np.zeros(len(found), int)  # how many bags spoke of each row
    for rows, weights in said:
        for before in np.unique(heard[rows]):
            some = rows[heard[rows] == before]
            new = _merged([p[some] for p in stored], weights, aim)
            found[some] = aim.output.merge([found[some], new], [before / (before + 1), 1 / (before + 1)])
        heard[rows] += 1
    return found


def _merged(stored: Sequence[np.ndarray], weights: np.ndarray, aim: Aim) -> np.ndarray:
    chosen = np.flatnonzero(weights)
    return aim.output.merge([stored[int(i)] for i in chosen], [float(weights[i]) for i in chosen])
