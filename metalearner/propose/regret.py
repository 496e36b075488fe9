"""What past runs say about configs, made comparable: regret between the best known and the median config.

Raw scores of different data sets are never mixed. On one data set the best config has regret 0, the
median config 1, whatever failed the ceiling.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ..records import FULL, Config, Experience, Neighbour, Recall

# Regret is cut off here: how bad a bad config was teaches nothing.
CEILING = 2.0
# Differences in skill below this are nobody's merit; where all configs are alike the scale is not blown up.
FLAT = 0.005
REFUSED = ("crash", "out-of-memory")
FAILED = (*REFUSED, "timeout")
# A fit that had to stop early says nothing of one that has so many times its seconds.
MORE = 1.5
# What would take more than so many times the seconds that there are for all its fits comes to nothing half of the time, at twice that
# nearly always, and is not counted on; five times cost little, for what learns step by step paces itself (benchmarks/short_fits.md).
# What is on record as stopped early is taken to be half done.
OUT_OF_REACH, WHOLE = 8.0, 2.0


@dataclass(frozen=True)
class Here:
    """The data and the machine at hand; what is None is not known, and past seconds are taken as they are."""

    rows: int | None = None  # training rows times folds
    room: float | None = None  # seconds that one fit may take
    speed: float | None = None  # of a core, as the facts of past fits have it
    budget: float | None = None  # seconds that all fits of a config may take: one that begins cheap is gone on with


@dataclass(frozen=True)
class Past:
    """How configs did on one neighbour, by Config.id."""

    neighbour: Neighbour
    configs: Mapping[str, Config]
    family: Mapping[str, str]
    skill: Mapping[str, float]  # those that went well and would here; mean over seeds
    regret: Mapping[str, float]  # all full fits; the ceiling for those that nothing would come of here
    seconds: Mapping[str, float]  # those that went well
    rows: float | None  # times folds
    short: frozenset[str] = frozenset()  # families of which something was cut too short to tell

    @property
    def best(self) -> str | None:
        """The config with the highest skill."""
        return min(self.skill, key=lambda c: (-self.skill[c], c), default=None)

    def of(self, family: str) -> list[float]:
        """The regrets of a family's configs that went well."""
        return [self.regret[c] for c in self.skill if self.family[c] == family]

    def least(self, family: str) -> float:
        """The regret of a family's best config; NaN where none was tried."""
        return min((r for c, r in self.regret.items() if self.family[c] == family), default=math.nan)

    def imputed(self, family: str) -> float | None:
        """The regret to expect of a config of this family that was not tried here; None where nobody knows.

        Its median, the worst where it only failed. Those that were not cut short do not speak for those that were.
        """
        found = self.of(family)
        if family in self.short:
            return None
        if found:
            return float(np.median(found))
        return CEILING if any(self.family[c] == family for c in self.regret) else None


def pasts(recall: Recall, here: Here | None = None, as_reached: bool = False) -> list[Past]:
    """One for each neighbour on which something went well, nearest first.

    A past fit that was cut short says how good it was only where there is about as little time again; with more it would
    use that up. For what was reached all the same, count it `as_reached`.
    """
    found = [_past(n, recall.experiences.get(n.dataset, ()), here or Here(), as_reached) for n in recall.neighbours]
    return [p for p in found if p.skill]


def _past(neighbour: Neighbour, experiences: Iterable[Experience], here: Here, as_reached: bool) -> Past:
    # What crashes on one fold crashes on all; what one fold had not time for says nothing of a fit with all the time there is.
    full = [(e.config.id, e) for e in experiences if e.rung >= FULL or e.outcome in REFUSED]
    good: dict[str, list[Experience]] = {}
    for c, e in full:
        if e.outcome == "ok" and e.skill is not None:
            good.setdefault(c, []).append(e)
    beyond = {c for c, es in good.items() if all(_out_of_reach(e, here) for e in es)}
    telling = {c: [e for e in es if as_reached or not _too_short(e, here)] for c, es in good.items() if c not in beyond}
    skill = {c: float(np.mean([e.skill for e in es])) for c, es in telling.items() if es}
    regret = {c: CEILING for c, e in full if e.outcome in FAILED or c in beyond}
    if skill:
        values = np.array(list(skill.values()))
        span = max(float(values.max() - np.median(values)), FLAT)
        regret |= {c: min(CEILING, (float(values.max()) - s) / span) for c, s in skill.items()}
    known = [n for _, e in full if (n := fitted_rows(e)) is not None]
    return Past(
        neighbour=neighbour,
        configs={c: e.config for c, e in full},
        family={c: e.family for c, e in full},
        skill=skill,
        regret=regret,
        seconds={c: float(np.median([_seconds(e, here) for e in _timed(es)])) for c, es in good.items()},
        rows=float(np.median(known)) if known else None,
        short=frozenset(e.family for _, e in full if not as_reached and _too_short(e, here)),
    )


def _too_short(e: Experience, here: Here) -> bool:
    """Whether a past fit was cut off so early that it says nothing of one with so much room on so many rows."""
    if here.room is None or e.facts.get("stopped") != "deadline":
        return False
    return MORE * e.seconds * _slower(e, here) * _larger(e, here) < here.room


def _out_of_reach(e: Experience, here: Here) -> bool:
    """Whether a past fit took so much longer than there is time for that nothing would come of it here."""
    if here.budget is None:
        return False
    whole = e.seconds * (WHOLE if e.facts.get("stopped") == "deadline" else 1.0)
    return whole * _slower(e, here) * _larger(e, here) > OUT_OF_REACH * here.budget


def _seconds(e: Experience, here: Here) -> float:
    """What a past fit would take of its data on this machine; one that was cut too short would take all the room there is."""
    if here.room is not None and _too_short(e, here):
        return here.room / _larger(e, here)
    return e.seconds * _slower(e, here)


def _timed(experiences: list[Experience]) -> list[Experience]:
    """Fits whose seconds tell of a processor; those of an accelerator only where there are no others."""
    return [e for e in experiences if "device" not in e.facts] or experiences


def _slower(e: Experience, here: Here) -> float:
    """How many times longer the same work takes here."""
    speed = e.facts.get("speed")
    return float(speed) / here.speed if speed and here.speed else 1.0


def _larger(e: Experience, here: Here) -> float:
    """How many times more rows there are here."""
    rows = fitted_rows(e)
    return here.rows / rows if rows and here.rows else 1.0


def fitted_rows(e: Experience) -> float | None:
    """Rows of the data set times folds: what a full fit's seconds grow with; None where that is not recorded."""
    rows = e.facts.get("rows")
    return float(rows) * float(e.facts.get("folds", 1)) if rows else None


def seconds_for(here: Here, past: Past, config: str) -> float:
    """What a config that ran on a neighbour would take here: linear in rows."""
    scale = here.rows / past.rows if here.rows and past.rows else 1.0
    return past.seconds[config] * scale


def weighted_quantile(values: Iterable[float], weights: Iterable[float], share: float) -> float:
    """The smallest value with at least `share` of the weight at or below it.

    >>> weighted_quantile([3.0, 1.0, 2.0], [1.0, 1.0, 1.0], 0.5)
    2.0
    """
    value, weight = np.asarray(list(values), float), np.asarray(list(weights), float)
    order = np.argsort(value, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    return float(value[order][min(int(np.searchsorted(reached, share - 1e-12)), len(value) - 1)])
