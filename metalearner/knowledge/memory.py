"""What of the base may be remembered, of a description: its neighbours and all that was tried on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np

from .. import grammar
from ..kinds import Production
from ..records import FULL, Config, DatasetCard, Description, Experience, Neighbour, Recall, Task
from ..space import landmark
from ..weights import bounded
from .embedder import Embedder, train
from .groups import group
from .retrieve import Index, weigh
from .store import Store

# Of a modality of which so many groups are known the neighbours are of it, too: others say nothing of what is made for it alone.
ENOUGH = 3


class Archive:
    """The records of a store, read once, with the groups that data sets form.

    With `productions` configs are read as these would write them: what was recorded before a production had a number had its
    default, and is one with what is recorded of the same config today.
    """

    def __init__(self, store: Store, productions: Mapping[str, Production] | None = None) -> None:
        self._store, self._productions = store, productions or {}
        self._cards: dict[str, DatasetCard] | None = None
        self._groups: dict[bool, dict[str, str]] = {}
        self._descriptions: dict[str | None, dict[str, Description]] = {}
        self._experiences: dict[str, tuple[Experience, ...]] = {}
        self._written: dict[str, Config] = {}  # as today, by the id it has in the records: data sets share configs

    @property
    def cards(self) -> Mapping[str, DatasetCard]:
        """All data sets by id."""
        if self._cards is None:
            self._cards = self._store.cards()
        return self._cards

    def groups(self, names: bool = False) -> Mapping[str, str]:
        """The group of each data set by id: same source, same data, or nearly so; with `names` also of the same name."""
        if names not in self._groups:
            self._groups[names] = group(self.cards, self.descriptions(), names)
        return self._groups[names]

    def descriptions(self, version: str | None = None) -> Mapping[str, Description]:
        """One description of each data set that has a card, of this version where there is one."""
        if version not in self._descriptions:
            found = self._store.descriptions(version)
            self._descriptions[version] = {i: d for i, d in found.items() if i in self.cards}
        return self._descriptions[version]

    def experiences(self, datasets: Collection[str]) -> Mapping[str, tuple[Experience, ...]]:
        """All that was tried on these data sets."""
        missing = [i for i in datasets if i not in self._experiences]
        self._experiences |= {i: tuple(map(self._today, es)) for i, es in self._store.experiences(missing).items()}
        return {i: self._experiences[i] for i in datasets}

    def _today(self, experience: Experience) -> Experience:
        """With its config as it is written today, where all of its productions are here."""
        config = experience.config
        if config.id not in self._written:
            here = all(node.production in self._productions for _, node in config.walk())
            self._written[config.id] = grammar.complete(config, self._productions) if here else config
        return replace(experience, config=self._written[config.id])

    def taught(self, output: str | None) -> set[str]:
        """The data sets of which a full fit went well, for this output where one is named."""
        sql = (
            "SELECT DISTINCT dataset FROM experiences WHERE outcome = 'ok' AND rung >= ? AND (? IS NULL OR output = ?)"
        )
        return {row["dataset"] for row in self._store.query(sql, [FULL, output, output])}

    def kin(self, card: DatasetCard, description: Description) -> frozenset[str]:
        """The data sets that are this one: its name, source or hash, near duplicates, and all in their groups."""
        if card == self.cards.get(card.id) and self.descriptions(description.version).get(card.id) == description:
            groups = self.groups(names=True)
            return frozenset(i for i in self.cards if groups[i] == groups[card.id])
        cards = {**self.cards, "": card}  # "" is the one that is asked about
        groups = group(cards, {**self.descriptions(description.version), "": description}, names=True)
        return frozenset(i for i in self.cards if groups[i] == groups[""])


class Memory:
    """An archive, or what is left of it when some data sets are forgotten."""

    def __init__(self, archive: Archive, forgotten: Collection[str] = (), embedder: Embedder | None = None) -> None:
        """The embedder must not have been trained on what is forgotten: it would remember."""
        self.archive, self.forgotten, self.embedder = archive, frozenset(forgotten), embedder
        self._indexes: dict[tuple[str, str | None, str], Index] = {}

    def recall(self, description: Description, task: Task | None = None, k: int = 15) -> Recall:
        """At most k weighted neighbours of a description, and all that was tried on them.

        With `task` only data sets with its output count, of its modality where enough are known, and on each its metric is preferred.
        Each experience's facts have the `rows` of its data set; of several metrics tried on a data set only the commonest is brought.
        """
        index = self.index(description.version, task.output, task.modality) if task else self.index(description.version)
        found = index.nearest(description, k)
        if not found:
            return Recall()
        doubt, groups, cards = index.doubt(found[0][1]), self.archive.groups(), self.archive.cards
        weights = bounded(weigh(found, groups, doubt), [cards[i].synthetic for i, _ in found])
        tried = self.archive.experiences([i for i, _ in found])
        experiences = {i: comparable(tried[i], cards[i].rows, task) for i, _ in found}
        neighbours = []
        for (i, distance), weight in zip(found, weights):
            family, skill = best(experiences[i])
            shared, reached = index.shared(description, i), landmark(index.numbers(i))
            named = i, cards[i].name, groups[i]
            neighbours.append(Neighbour(*named, weight, distance, family, skill, shared, reached, cards[i].synthetic))
        return Recall(tuple(neighbours), doubt, experiences)

    def index(self, version: str, output: str | None = None, modality: str = "") -> Index:
        """The data sets that can teach something: described, of a known card, with a full fit that went well."""
        if (version, output, modality) not in self._indexes:
            cards, groups = self.archive.cards, self.archive.groups()
            known = (self.archive.taught(output) & cards.keys()) - self.forgotten
            described = {i: d for i, d in self.archive.descriptions(version).items() if i in known}
            own = {i: d for i, d in described.items() if cards[i].modality == modality}
            enough = len({groups[i] for i in own}) >= ENOUGH
            self._indexes[version, output, modality] = Index(own if enough else described, groups, self.embedder)
        return self._indexes[version, output, modality]


def material(
    archive: Archive, ids: Collection[str]
) -> tuple[dict[str, Description], dict[str, dict[str, float]], Mapping[str, str]]:
    """What an embedder learns from: descriptions, the skill of each config, the groups."""
    known = {i: d for i, d in archive.descriptions().items() if i in ids}
    return known, {i: skills(es) for i, es in archive.experiences(list(known)).items()}, archive.groups()


def aligned(archive: Archive, ids: Collection[str]) -> Embedder | None:
    """An embedder that knows these data sets alone."""
    return train(*material(archive, ids))


def comparable(experiences: Iterable[Experience], rows: int, task: Task | None) -> tuple[Experience, ...]:
    """Those of one output and metric, the task's if there are any of them, with the rows of their data set."""
    found = [e for e in experiences if task is None or e.task.get("output") == task.output]
    metrics = Counter(e.metric for e in found if _counts(e))
    if not metrics:
        return ()
    metric = task.metric if task and task.metric in metrics else min(metrics, key=lambda m: (-metrics[m], m))
    return tuple(replace(e, facts={"rows": rows, **e.facts}) for e in found if e.metric == metric)


def best(experiences: Iterable[Experience]) -> tuple[str, float | None]:
    """The family and the skill of the best config over its full fits; seeds are averaged, lest luck win."""
    found = [e for e in experiences if _counts(e) and e.skill is not None]
    known, families = skills(found), {e.config.id: e.family for e in found}
    if not known:
        return "", None
    config = min(known, key=lambda c: (-known[c], families[c], c))
    return families[config], known[config]


def skills(experiences: Iterable[Experience]) -> dict[str, float]:
    """Mean skill of every config, by its id, over its full fits."""
    found: dict[str, list[float]] = {}
    for e in experiences:
        if _counts(e) and e.skill is not None:
            found.setdefault(e.config.id, []).append(e.skill)
    return {config: float(np.mean(values)) for config, values in found.items()}


def _counts(e: Experience) -> bool:
    return e.outcome == "ok" and e.rung >= FULL
