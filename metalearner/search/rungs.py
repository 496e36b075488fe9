"""Multi-fidelity: every fit begins cheap, the best are gone on with, never begun again.

Asynchronous successive halving (Li et al. 2020, arXiv 1810.05934) with two rungs. Where there are several folds the
first ones are the cheap fit, as many as hold out enough rows to tell configs apart; where there is one, a third of
the epochs or rounds. Scores of the cheap rung are compared with each other alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean
from typing import Any

import numpy as np

from .. import grammar
from ..kinds import Learner, Moment, Production, Rung
from ..records import FULL, Config, Proposal, Trial

# Of the cheap fits, one in so many goes on.
ETA = 3
# Held-out rows below which a score says next to nothing.
TELLING = 100
# Of one fold, the share of the epochs that is cheap.
SHARE = 1 / 3
# A full fit expected to take fewer seconds than this has no use for a cheap one before it.
NO_RUNG = 1.0
# Of the search's time, the last part belongs to those that were begun: a new one could not become full any more.
ENDGAME = 0.85
# Skill within which a family's best still counts as one that an ensemble may want, and the share of the seconds left
# that this variety may cost: a dear one has to earn it.
NEAR, VARIETY_SHARE = 0.05, 0.1
# What costs more than that is gone on with only this near to the best, and not before this share of the time is spent: by
# then it is known what else there is. Where so many rows are held out that an ensemble may be made of cheap fits, later.
CLOSE, PATIENT = 0.02, 0.35
MANY, MOST_PATIENT = 500, 0.65
# Nor where it would have to gain more than this on the way to be as good as what was fitted in full: of one fold, cheap fits
# are compared with each other alone, and the best of them may be far behind.
LIFT = 0.3


@dataclass
class Rungs:
    """Which fits are cheap, which are full, and who goes on."""

    held: Sequence[int]  # held-out rows of each fold
    learners: Mapping[str, Learner]
    productions: Mapping[str, Production]
    look: Callable[[Config], Mapping[str, Any]] = lambda config: {}  # what is known of a config before it is fitted
    whole: bool = False  # no cheap fits: every trial is a full one
    promoted: set[str] = field(default_factory=set)  # names of trials gone on with
    _shapes: dict[str, str] = field(default_factory=dict)
    _comparable: dict[str, float] = field(default_factory=dict)

    def opening(self, proposal: Proposal, rung: Rung, seen: Sequence[Trial]) -> Rung:
        """How far a new proposal is fitted at first."""
        seconds = self._seconds(proposal, seen)
        if self.first_share(proposal.config) >= FULL or (seconds is not None and seconds < NO_RUNG):
            return rung
        return replace(rung, folds=self.cheap) if len(self.held) > 1 else replace(rung, share=SHARE)

    def first_share(self, config: Config) -> float:
        """The share of a full fit that is made of a config at first, unless that takes no time anyway."""
        if self.whole:
            return 1.0
        if len(self.held) > 1:
            return self.cheap / len(self.held)
        return SHARE if self.learners[config.production].partial(config) else 1.0

    @cached_property
    def cheap(self) -> int:
        """Folds of the cheap fit; all of them where rows are so few that less would be luck."""
        enough = np.flatnonzero(np.cumsum(self.held) >= TELLING)
        folds = int(enough[0]) + 1 if len(enough) else len(self.held)
        return folds if folds <= len(self.held) / 2 else len(self.held)

    def due(self, seen: Sequence[Trial], moment: Moment) -> list[Trial]:
        """Cheap fits to go on with now, best first, all of one shape; empty when none has earned it."""
        level = self._cheap(seen)
        waiting = {t.name for t in level if t.rung < FULL and rest(t) <= moment.seconds_left} - self.promoted
        if not waiting:
            return []
        ranked = sorted(level, key=lambda t: -self.comparable(t))
        earned = {t.name for t in ranked[: max(1, len(ranked) // ETA)]} if len(ranked) >= ETA else set()
        earned |= self._first_of_family(level, seen)
        if moment.spent >= ENDGAME:
            earned |= {t.name for t in ranked[: max(1, len(ranked) // 2)]}
        cheap, close = VARIETY_SHARE * moment.seconds_left, self._close(ranked[0], seen, moment)
        worth = {t.name for t in ranked if rest(t) <= cheap or self.comparable(t) >= close}
        ready = earned & worth & waiting
        chosen = [t for t in ranked if t.name in ready]
        if not chosen:
            return []
        return [t for t in chosen if self._shape(t.config) == self._shape(chosen[0].config)]

    def _close(self, best: Trial, seen: Sequence[Trial], moment: Moment) -> float:
        """The merit from which on what is dear is gone on with; `best` is the best cheap fit."""
        if moment.spent < self._patience:
            return math.inf
        full = [t.merit for t in seen if t.outcome == "ok" and t.rung >= FULL and t.merit is not None]
        return max(self.comparable(best) - CLOSE, max(full, default=-math.inf) - LIFT)

    @property
    def many(self) -> bool:
        """Whether the cheap folds hold out so many rows that an ensemble may be made of cheap fits."""
        return len(self.held) > 1 and sum(self.held[: self.cheap]) >= MANY

    @property
    def _patience(self) -> float:
        """The share of the time from which on dear fits are gone on with."""
        return MOST_PATIENT if self.many else PATIENT

    def resumed(self, seen: Sequence[Trial]) -> None:
        """Count as gone on with what an earlier process had already gone on with."""
        full = {t.config.id for t in seen if t.rung >= FULL or t.outcome != "ok"}
        self.promoted |= {t.name for t in seen if t.rung < FULL and t.config.id in full}

    def reach(self, rung: Rung) -> float:
        """The share of a full fit that is made on a rung."""
        return rung.share * self._folds(rung) / len(self.held)

    def facts_of_shape(self, proposal: Proposal, rung: Rung, seen: Sequence[Trial]) -> Mapping[str, Any]:
        """Facts, as they would be on this rung, of the latest fit that had this shape, else of the one of its skeleton nearest in
        size; empty without one.
        """
        good = [t for t in reversed(seen) if t.outcome == "ok"]
        shape = self._shape(proposal.config)
        alike = next((t.facts for t in good if self._shape(t.config) == shape), None)
        if alike is not None:
            return self._on(rung, alike)
        kind = _kind(proposal.config)
        known = [t.facts for t in good if _kind(t.config) == kind and t.facts.get("parameters")]
        own = self.look(proposal.config) if known else {}
        if not own.get("parameters"):
            return {}
        nearest = min(known, key=lambda facts: abs(math.log(facts["parameters"] / own["parameters"])))
        return {**self._on(rung, nearest), **own}

    def _on(self, rung: Rung, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """The facts of a fit as those of one that goes as far as this rung: more folds, or more epochs, take longer."""
        folds = self._folds(rung)
        longer = rung.share * folds / (facts.get("share", FULL) * facts.get("folds", len(self.held)))
        told = {"fit_seconds": facts["fit_seconds"] * longer} if "fit_seconds" in facts else {}
        return {**facts, "folds": folds, **told}

    def _folds(self, rung: Rung) -> int:
        return len(self.held) if rung.folds is None else min(rung.folds, len(self.held))

    def _shape(self, config: Config) -> str:
        """Remembered: it is asked for every trial at every step."""
        if config.id not in self._shapes:
            self._shapes[config.id] = grammar.shape(config, self.productions)
        return self._shapes[config.id]

    def comparable(self, trial: Trial) -> float:
        """Merit on the cheap rung: of its folds where there are several. Remembered: all are ranked at every step."""
        if trial.name not in self._comparable:
            merits = (trial.facts.get("merits") or ())[: self.cheap]
            alike = fmean(merits) if len(self.held) > 1 and merits else trial.merit or 0.0
            self._comparable[trial.name] = alike
        return self._comparable[trial.name]

    def _cheap(self, seen: Sequence[Trial]) -> list[Trial]:
        """One trial a config as the cheap rung sees it; on one fold, full fits are another matter."""
        found: dict[str, Trial] = {}
        for trial in seen:
            if trial.outcome == "ok" and (len(self.held) > 1 or trial.rung < FULL):
                found.setdefault(trial.config.id, trial)
        return list(found.values())

    def _first_of_family(self, level: Sequence[Trial], seen: Sequence[Trial]) -> set[str]:
        """The best of each family that has no full fit yet, if it is near the best of all: ensembles live on variety."""
        full = {t.proposal.family for t in seen if t.outcome == "ok" and t.rung >= FULL}
        best = max((self.comparable(t) for t in level), default=0.0)
        leaders: dict[str, Trial] = {}
        for t in level:
            family = t.proposal.family
            if family not in full and (family not in leaders or self.comparable(t) > self.comparable(leaders[family])):
                leaders[family] = t
        return {t.name for t in leaders.values() if self.comparable(t) >= best - NEAR}

    def _seconds(self, proposal: Proposal, seen: Sequence[Trial]) -> float | None:
        """What a full fit of this production has taken so far; None when it was never seen."""
        alike = [t for t in seen if t.outcome == "ok" and _kind(t.config) == _kind(proposal.config)]
        return max((t.cost / max(t.rung, 1e-3) for t in alike[-8:]), default=None)


def rest(trial: Trial) -> float:
    """Seconds that the rest of a cheap fit is expected to take."""
    return trial.seconds * (1 - trial.rung) / max(trial.rung, 1e-3)


def going_on(trial: Trial) -> dict[str, Any]:
    """The facts of a cheap fit as those of what is left of it: more folds, or more epochs, take longer."""
    left = (1 - trial.rung) / max(trial.rung, 1e-3)
    folds = max(1, round(trial.facts.get("folds", 1) * left))
    return {**trial.facts, "folds": folds, "fit_seconds": trial.facts.get("fit_seconds", trial.seconds) * left}


def _kind(config: Config) -> str:
    """What takes about as long: the learner, and for networks the skeleton."""
    return grammar.identity(config)
