"""What past runs say about configs, made comparable: regret between the best known and the median config.

Raw scores of different data sets are never mixed. On one data set the best config has regret 0, the
median config 1, whatever failed the ceiling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ..records import Config, Experience, Neighbour, Recall

# Regret is cut off here: how bad a bad config was teaches nothing.
CEILING = 2.0
# Differences in skill below this are nobody's merit; where all configs are alike the scale is not blown up.
FLAT = 0.005
FULL = 0.999  # a rung this near to 1 is a full fit
FAILED = ("crash", "out-of-memory", "timeout")


@dataclass(frozen=True)
class Past:
    """How configs did on one neighbour, by Config.id."""

    neighbour: Neighbour
    configs: Mapping[str, Config]
    family: Mapping[str, str]
    skill: Mapping[str, float]  # those that went well; mean over seeds
    regret: Mapping[str, float]  # all full fits
    seconds: Mapping[str, float]  # those that went well
    rows: float | None

    @property
    def best(self) -> str | None:
        """The config with the highest skill."""
        return min(self.skill, key=lambda c: (-self.skill[c], c), default=None)

    def of(self, family: str) -> list[float]:
        """The regrets of a family's configs that went well."""
        return [self.regret[c] for c in self.skill if self.family[c] == family]

    def imputed(self, family: str) -> float:
        """The regret to expect of a config that was not tried here: its family's median, else the worst."""
        found = self.of(family)
        return float(np.median(found)) if found else max(self.regret.values())


def pasts(recall: Recall) -> list[Past]:
    """One for each neighbour on which something went well, nearest first."""
    found = [_past(n, recall.experiences.get(n.dataset, ())) for n in recall.neighbours]
    return [p for p in found if p.skill]


def _past(neighbour: Neighbour, experiences: Iterable[Experience]) -> Past:
    full = [(e.config.id, e) for e in experiences if e.rung >= FULL]
    good: dict[str, list[Experience]] = {}
    for c, e in full:
        if e.outcome == "ok" and e.skill is not None:
            good.setdefault(c, []).append(e)
    skill = {c: float(np.mean([e.skill for e in es])) for c, es in good.items()}
    regret = {c: CEILING for c, e in full if e.outcome in FAILED}
    if skill:
        values = np.array(list(skill.values()))
        span = max(float(values.max() - np.median(values)), FLAT)
        regret |= {c: min(CEILING, (float(values.max()) - s) / span) for c, s in skill.items()}
    rows = [float(e.facts["rows"]) for _, e in full if e.facts.get("rows")]
    return Past(
        neighbour=neighbour,
        configs={c: e.config for c, e in full},
        family={c: e.family for c, e in full},
        skill=skill,
        regret=regret,
        seconds={c: float(np.median([e.seconds for e in es])) for c, es in good.items()},
        rows=float(np.median(rows)) if rows else None,
    )


def seconds_for(rows: int | None, past: Past, config: str) -> float:
    """What a config that ran on a neighbour would take on so many rows: linear in them."""
    scale = rows / past.rows if rows and past.rows else 1.0
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
