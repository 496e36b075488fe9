"""How much the knowledge base is worth: each group of data sets is forgotten in turn, then searched with what is left.

A replay fits nothing: what a config achieves is read from the records of the data set that was forgotten, so it chooses among
configs that were tried there. Regret is normalised on each data set: 0 is the best config known, 1 the median one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from . import grammar
from .kinds import Family, Metric, Moment
from .knowledge import Base
from .plugins import Registry
from .propose import Portfolio, propose
from .propose.regret import CEILING, FLAT
from .records import DatasetCard, Description, Experience, Proposal, Recall, Task, Trial

AT = (1, 2, 3, 5, 10, 20, 50)  # trials after which regret is read
FEWEST = 12  # configs that must be known of a data set to be replayed
SEEDS = 10  # of what depends on chance
DRAWS, SEED = 2000, 0  # of the bootstrap over groups


@dataclass(frozen=True)
class Case:
    """A data set to be searched again, what was tried on it, and what the rest of the base says."""

    card: DatasetCard
    description: Description
    tried: Mapping[str, Experience]  # full fits by config, first seed
    recall: Recall
    registry: Registry

    @cached_property
    def task(self) -> Task:
        """What was asked."""
        one = next(iter(self.tried.values()))
        return Task("", self.card.modality, "", one.task["output"], one.metric)

    @property
    def metric(self) -> Metric:
        """How it was scored."""
        return self.registry.get("metrics", self.task.metric)

    @cached_property
    def families(self) -> dict[str, Family]:
        """Families that were tried, with those of their presets that were."""
        known = {e.family for e in self.tried.values()}
        found = {}
        for name, family in self.registry.families.items():
            presets = (grammar.complete(p, self.registry.productions) for p in family.presets)
            kept = tuple(p for p in presets if p.id in self.tried)
            if name in known and kept:
                found[name] = replace(family, presets=kept)
        return found

    @cached_property
    def regrets(self) -> dict[str, float]:
        """Of each config, at most CEILING; what failed is as bad as it gets."""
        skills = {c: e.skill for c, e in self.tried.items() if e.outcome == "ok" and e.skill is not None}
        best, median = max(skills.values()), float(np.median(list(skills.values())))
        span = max(best - median, FLAT)
        return {c: min(CEILING, (best - skills[c]) / span) if c in skills else CEILING for c in self.tried}

    def trial(self, number: int, config: str) -> Trial:
        """A config tried again, as the record says it went."""
        e = self.tried[config]
        return Trial(
            number, Proposal(e.config, e.family, "replay"), e.outcome, e.seed, e.rung, e.score, e.skill, e.seconds, 0.0
        )


Arm = Callable[[Case, int], Iterator[str]]  # the ids of configs in the order in which they are tried


def cases(base: Base, registry: Registry) -> Iterator[Case]:
    """Every real data set that is known well enough, with its group forgotten."""
    descriptions = base.store.descriptions()
    for i, card in base.cards().items():
        if card.synthetic or i not in descriptions:
            continue
        tried = {e.config.id: e for e in base.experiences(i) if e.rung >= 1 and e.seed == SEED}
        if sum(e.outcome == "ok" for e in tried.values()) < FEWEST:
            continue
        one = next(e for e in tried.values() if e.outcome == "ok")
        task = Task("", card.modality, "", one.task["output"], one.metric)
        recall = base.recall(descriptions[i], task=task, blind=card)
        yield Case(card, descriptions[i], tried, recall, registry)


# -- the arms ----------------------------------------------------------------------------------------


def by_chance(case: Case, seed: int) -> Iterator[str]:
    """Any order."""
    names = sorted(case.tried)
    return (names[i] for i in np.random.default_rng(seed).permutation(len(names)))


def nearest(case: Case, seed: int) -> Iterator[str]:
    """What did best on the nearest neighbour, best first; then any order."""
    first = case.recall.neighbours[0].dataset if case.recall.neighbours else ""
    found = [e for e in case.recall.experiences.get(first, ()) if e.outcome == "ok" and e.skill is not None]
    ranked = dict.fromkeys(e.config.id for e in sorted(found, key=lambda e: -(e.skill or 0.0)))
    yield from dict.fromkeys([*(c for c in ranked if c in case.tried), *by_chance(case, seed)])


def cold(case: Case, seed: int) -> Iterator[str]:
    """No knowledge: the order of the catalogue."""
    return _portfolio(replace(case, recall=Recall()), seed, listens=False)


def portfolio(case: Case, seed: int) -> Iterator[str]:
    """M0."""
    return _portfolio(case, seed, listens=False)


def samples(case: Case, seed: int) -> Iterator[str]:
    """M1."""
    return _portfolio(case, seed, listens=True)


def _portfolio(case: Case, seed: int, listens: bool) -> Iterator[str]:
    baseline = next((e.baseline for e in case.tried.values() if e.baseline is not None), float("nan"))
    prior = propose(case.task, case.recall, case.families, case.metric, baseline)
    asked = Portfolio(case.recall, prior, case.families, listens=listens)
    seen: list[Trial] = []
    while True:
        known = {t.config.id for t in seen}
        proposals = (p.config.id for p in asked.ask(len(asked.candidates), seen, Moment()))
        found = next((c for c in proposals if c in case.tried and c not in known), None)
        if found is None:
            break
        seen.append(case.trial(len(seen), found))
        yield found
    yield from (c for c in by_chance(case, seed) if c not in {t.config.id for t in seen})


ARMS: dict[str, tuple[Arm, bool]] = {  # and whether chance has a say
    "random": (by_chance, True),
    "catalogue order": (cold, True),
    "nearest data set": (nearest, True),
    "portfolio (M0)": (portfolio, False),
    "task samples (M1)": (samples, False),
}


# -- the figures -------------------------------------------------------------------------------------


def replay(base: Base, registry: Registry, arms: Mapping[str, tuple[Arm, bool]] = ARMS) -> list[dict[str, Any]]:
    """A row for each data set, arm and seed: the best regret reached after each number of trials in AT."""
    rows = []
    for case in cases(base, registry):
        for name, (arm, chance) in arms.items():
            for seed in range(SEEDS if chance else 1):
                regrets = np.array([case.regrets[c] for c in arm(case, seed)])
                reached = np.minimum.accumulate(regrets)
                rows.append(
                    {"dataset": case.card.name, "group": base.groups()[case.card.id], "modality": case.card.modality,
                     "arm": name, "seed": seed, "configs": len(regrets),
                     "regret": {str(k): float(reached[min(k, len(reached)) - 1]) for k in AT}}
                )  # fmt: skip
    return rows


def by_group(rows: Sequence[Mapping[str, Any]], arm: str, trials: int) -> dict[str, float]:
    """Mean regret of an arm after so many trials, by group: over seeds, then over the data sets of a group."""
    sets: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row["arm"] == arm:
            sets.setdefault((row["group"], row["dataset"]), []).append(row["regret"][str(trials)])
    groups: dict[str, list[float]] = {}
    for (group, _), values in sets.items():
        groups.setdefault(group, []).append(float(np.mean(values)))
    return {group: float(np.mean(values)) for group, values in groups.items()}


def difference(rows: Sequence[Mapping[str, Any]], arm: str, other: str, trials: int) -> tuple[float, float, float]:
    """Mean regret of an arm less that of another after so many trials, with its 95 % bootstrap interval over groups."""
    one, two = by_group(rows, arm, trials), by_group(rows, other, trials)
    gaps = np.array([one[g] - two[g] for g in sorted(one.keys() & two.keys())])
    if not len(gaps):
        return float("nan"), float("nan"), float("nan")
    rng = np.random.default_rng(SEED)
    means = gaps[rng.integers(len(gaps), size=(DRAWS, len(gaps)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(gaps.mean()), float(low), float(high)
