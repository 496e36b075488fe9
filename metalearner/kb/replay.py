"""How much the knowledge base is worth: each part of the groups of data sets is forgotten in turn, then searched with what is left.

What is left is asked as a run asks it, through an embedder, which was trained on that alone.

A replay fits nothing: what a config achieves is read from the records of the data set that was forgotten, so it chooses among
configs that were tried there: the presets, which were tried everywhere. What a search once found on that very data set is left
out, for it knew them. Regret is normalised on each data set: 0 is the best preset, 1 the median one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .. import grammar
from ..kinds import Family, Metric, Moment
from ..knowledge import Base, Embedder, Memory, aligned
from ..knowledge.memory import comparable
from ..knowledge.retrieve import LEAST_DOUBT
from ..plugins import Registry
from ..propose import Judge, Portfolio, propose
from ..propose.regret import CEILING, FLAT
from ..records import DatasetCard, Description, Experience, Neighbour, Proposal, Recall, Task, Trial

AT = (1, 2, 3, 5, 10, 20, 50)  # trials after which regret is read
PARTS = 5  # that groups are left out in
FEWEST = 12  # configs that must be known of a data set to learn from it
FEWEST_PRESETS = 5  # and presets among them to replay it
SEEDS = 10  # of what depends on chance
DRAWS, SEED = 2000, 0  # of the bootstrap over groups


@dataclass(frozen=True)
class Case:
    """A data set to be searched again, what was tried on it, and what the rest of the base says."""

    card: DatasetCard
    description: Description
    everything: Mapping[str, Experience]  # full fits by config, first seed
    recall: Recall
    registry: Registry
    memory: Memory

    @cached_property
    def everybody(self) -> Recall:
        """What a portfolio for everybody is made from."""
        return everybody(self.memory, self.description.version, self.task, self.families)

    @cached_property
    def tried(self) -> dict[str, Experience]:
        """Of these the presets of what is installed."""
        presets = {p.id for f in self.families.values() for p in f.presets}
        return {c: e for c, e in self.everything.items() if c in presets}

    @cached_property
    def task(self) -> Task:
        """What was asked."""
        one = next(iter(self.everything.values()))
        return Task("", self.card.modality, "", one.task["output"], one.metric)

    @property
    def metric(self) -> Metric:
        """How it was scored."""
        return self.registry.get("metrics", self.task.metric)

    @cached_property
    def families(self) -> dict[str, Family]:
        """Families that were tried, with those of their presets that were."""
        known = {e.family for e in self.everything.values()}
        found = {}
        for name, family in self.registry.families.items():
            presets = (grammar.complete(p, self.registry.productions) for p in family.presets)
            kept = tuple(p for p in presets if p.id in self.everything)
            if name in known and kept:
                found[name] = replace(family, presets=kept)
        return found

    @property
    def telling(self) -> bool:
        """Whether enough presets went well for their order to mean something."""
        return sum(e.outcome == "ok" and e.skill is not None for e in self.tried.values()) >= FEWEST_PRESETS

    @cached_property
    def regrets(self) -> dict[str, float]:
        """Of each preset."""
        return regrets(self.tried)

    def portfolio(
        self, recall: Recall | None = None, listens: bool = True, judge: Judge | None = None, everything: bool = False
    ) -> Portfolio:
        """What would be proposed of what was tried; `everything` is to choose from, not presets alone."""
        recall = self.recall if recall is None else recall
        baseline = next((e.baseline for e in self.everything.values() if e.baseline is not None), float("nan"))
        prior = propose(self.task, recall, self.families, self.metric, baseline)
        more = ((e.config, e.family) for e in self.everything.values()) if everything else ()
        found = Portfolio(recall, prior, self.families, listens=listens, judge=judge, more=more)
        return found if everything else found.keep_to(self.tried.keys())

    def trial(self, number: int, config: str) -> Trial:
        """A config tried again, as the record says it went."""
        e = self.everything[config]
        return Trial(
            number, Proposal(e.config, e.family, "replay"), e.outcome, e.seed, e.rung, e.score, e.skill, e.seconds, 0.0
        )


def regrets(tried: Mapping[str, Experience]) -> dict[str, float]:
    """Of each config, at most CEILING; what failed is as bad as it gets."""
    skills = {c: e.skill for c, e in tried.items() if e.outcome == "ok" and e.skill is not None}
    best, median = max(skills.values()), float(np.median(list(skills.values())))
    span = max(best - median, FLAT)
    return {c: min(CEILING, (best - skills[c]) / span) if c in skills else CEILING for c in tried}


Arm = Callable[[Case, int], Iterator[str]]  # the ids of configs in the order in which they are tried


def cases(base: Base, registry: Registry) -> Iterator[Case]:
    """Every real data set that is known well enough, as a stranger to what the other parts of the groups know."""
    cards, described = base.cards(), sorted(base.archive.descriptions())
    enough = {i for i in known_well(base) if not cards[i].synthetic}
    for held in parts(base, described):
        known = [i for i in described if i not in held]
        found = strangers(base, registry, sorted(held & enough), known, aligned(base.archive, known))
        yield from (one for one in found if one.telling)


def parts(base: Base, ids: Collection[str]) -> list[frozenset[str]]:
    """Data sets by parts, whole groups in each; names count as groups."""
    groups = base.archive.groups(names=True)
    names = sorted({groups[i] for i in ids})
    part = {name: n % PARTS for n, name in enumerate(np.random.default_rng(0).permutation(names))}
    return [frozenset(i for i in ids if part[groups[i]] == n) for n in range(PARTS)]


def strangers(
    base: Base, registry: Registry, asked_about: Sequence[str], known: Collection[str], embedder: Embedder | None
) -> list[Case]:
    """Data sets as a base sees them that knows these alone, and an embedder that was trained on no others."""
    memory = Memory(base.archive, base.cards().keys() - set(known), embedder)
    return [case(i, memory, registry) for i in asked_about]


def known_well(base: Base) -> list[str]:
    """The data sets on which enough was tried, by id."""
    archive = base.archive
    ids = sorted(archive.cards.keys() & archive.descriptions().keys())
    return [
        i for i, es in archive.experiences(ids).items() if sum(e.outcome == "ok" for e in _first(es).values()) >= FEWEST
    ]


def case(i: str, memory: Memory, registry: Registry) -> Case:
    """A data set as a stranger to a memory that has forgotten it."""
    card, description = memory.archive.cards[i], memory.archive.descriptions()[i]
    tried = _first(memory.archive.experiences([i])[i])
    one = next(e for e in tried.values() if e.outcome == "ok")
    task = Task("", card.modality, "", one.task["output"], one.metric)
    return Case(card, description, tried, memory.recall(description, task), registry, memory)


def everybody(memory: Memory, version: str, task: Task, families: Mapping[str, Family]) -> Recall:
    """All real data sets of a task's modality and output as if they were as near as one another, every group alike.

    On each the presets of the families were tried, and what did best there.
    """
    archive, presets = memory.archive, {c.id for f in families.values() for c in f.presets}
    ids = [i for i in memory.index(version, task.output).ids if archive.cards[i].modality == task.modality]
    ids = [i for i in ids if not archive.cards[i].synthetic]
    groups, known, neighbours = archive.groups(), archive.experiences(ids), []
    sizes = Counter(groups[i] for i in ids)
    found = {}
    for i in ids:
        tried = comparable(known[i], archive.cards[i].rows, task)
        best = max(tried, key=lambda e: (e.outcome == "ok" and e.rung >= 1, e.skill or 0.0), default=None)
        found[i] = tuple(e for e in tried if e.config.id in presets or e is best)
        weight = (1 - LEAST_DOUBT) / len(sizes) / sizes[groups[i]]
        neighbours.append(
            Neighbour(i, archive.cards[i].name, groups[i], weight, 0.0, best.family if best else "", None)
        )
    return Recall(tuple(neighbours), LEAST_DOUBT if ids else 1.0, found)


def _first(experiences: Iterable[Experience]) -> dict[str, Experience]:
    """Full fits of the first seed, by config."""
    return {e.config.id: e for e in experiences if e.rung >= 1 and e.seed == SEED}


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
    return asked(case, seed, case.portfolio(Recall(), listens=False))


def portfolio(case: Case, seed: int) -> Iterator[str]:
    """M0: one greedy portfolio for all data of the modality."""
    return asked(case, seed, case.portfolio(case.everybody, listens=False))


def nearby(case: Case, seed: int) -> Iterator[str]:
    """A greedy portfolio for the neighbours: M1 that does not listen to what the run finds out."""
    return asked(case, seed, case.portfolio(listens=False))


def samples(case: Case, seed: int) -> Iterator[str]:
    """M1."""
    return asked(case, seed, case.portfolio())


def asked(case: Case, seed: int, proposer: Portfolio) -> Iterator[str]:
    """What a portfolio proposes of what was tried, one after the other; then any order."""
    seen: list[Trial] = []
    while True:
        proposals = proposer.ask(1, seen, Moment())
        if not proposals:
            break
        seen.append(case.trial(len(seen), proposals[0].config.id))
        yield proposals[0].config.id
    known = {t.config.id for t in seen}
    yield from (c for c in by_chance(case, seed) if c not in known)


ARMS: dict[str, tuple[Arm, bool]] = {  # and whether chance has a say
    "random": (by_chance, True),
    "catalogue order": (cold, True),
    "nearest data set": (nearest, True),
    "portfolio (M0)": (portfolio, False),
    "portfolio of the near": (nearby, False),
    "task samples (M1)": (samples, False),
}


# -- the figures -------------------------------------------------------------------------------------


def replay(base: Base, found: Iterable[Case]) -> list[dict[str, Any]]:
    """The rows of every case and arm."""
    return [row for one in found for row in replayed(one, base.groups()[one.card.id], ARMS)]


def replayed(case: Case, group: str, arms: Mapping[str, tuple[Arm, bool]]) -> Iterator[dict[str, Any]]:
    """A row for each arm and seed: the best regret reached after each number of trials in AT."""
    for name, (arm, chance) in arms.items():
        for seed in range(SEEDS if chance else 1):
            regrets = np.array([case.regrets[c] for c in arm(case, seed)])
            reached = np.minimum.accumulate(regrets)
            yield {
                "dataset": case.card.name, "group": group, "modality": case.card.modality, "arm": name, "seed": seed,
                "configs": len(regrets), "regret": {str(k): float(reached[min(k, len(reached)) - 1]) for k in AT},
            }  # fmt: skip


def by_group(rows: Sequence[Mapping[str, Any]], arm: str, trials: int) -> dict[str, float]:
    """Mean regret of an arm after so many trials, by group; every data set has as many seeds as the next."""
    return over_groups([row for row in rows if row["arm"] == arm], lambda row: row["regret"][str(trials)])


def over_groups(rows: Iterable[Mapping[str, Any]], value: Callable[[Mapping[str, Any]], float]) -> dict[str, float]:
    """The mean value of the rows of each group."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(value(row))
    return {group: float(np.mean(found)) for group, found in groups.items()}


def difference(rows: Sequence[Mapping[str, Any]], arm: str, other: str, trials: int) -> tuple[float, float, float]:
    """Mean regret of an arm less that of another after so many trials, with its 95 % bootstrap interval over groups."""
    return difference_of(by_group(rows, arm, trials), by_group(rows, other, trials))


def difference_of(one: Mapping[str, float], two: Mapping[str, float]) -> tuple[float, float, float]:
    """Mean difference over groups that both have, with its 95 % bootstrap interval."""
    gaps = np.array([one[g] - two[g] for g in sorted(one.keys() & two.keys())])
    if not len(gaps):
        return float("nan"), float("nan"), float("nan")
    rng = np.random.default_rng(SEED)
    means = gaps[rng.integers(len(gaps), size=(DRAWS, len(gaps)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(gaps.mean()), float(low), float(high)
