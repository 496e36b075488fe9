"""Search every group of the base again on its records: rivals, ablations, and how much the base must hold.

Each part of the groups is replayed by what the other parts know, and everything that is trained is trained on those alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import numpy as np

from metalearner import plugins
from metalearner.kb.replay import (
    ARMS,
    PARTS,
    Case,
    asked,
    by_group,
    case,
    difference,
    known_well,
    parts,
    regrets,
    replayed,
    samples,
    strangers,
)
from metalearner.kb.teach import learn
from metalearner.knowledge import Base, Memory, aligned
from metalearner.knowledge.memory import Archive
from metalearner.plugins import Registry
from metalearner.propose import Vocabulary
from metalearner.records import Description, Experience
from metalearner.space import Space

M1, M2, TREES = "task samples (M1)", "ranker (M2)", "boosted trees"
SHARES = (0.25, 0.5)
# Probes that only count; without the others a description says how large the data are and how their columns are distributed.
PLAIN = ("size.", "marginals.")


class Altered(Archive):
    """An archive whose descriptions say less."""

    def __init__(self, base: Base, alter: Callable[[Description], Description]) -> None:
        super().__init__(base.store, base.productions)
        self.alter = alter

    def descriptions(self, version: str | None = None) -> Mapping[str, Description]:
        """As they are altered."""
        return {i: self.alter(d) for i, d in super().descriptions(version).items()}


def rows(jobs: int, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """A row for each real data set, arm and seed; so many parts at once, each as a process of its own."""
    found: list[dict[str, Any]] = []
    Base.open(productions=plugins.load().productions)  # made before all of them read it
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_alone, initargs=(jobs,)) as pool:
        for part, own in enumerate(pool.map(rows_of, range(PARTS))):
            say(f"part {part + 1} of {PARTS}: {len({row['dataset'] for row in own})} data sets")
            found += own
    return found


def rows_of(part: int) -> list[dict[str, Any]]:
    """Those of one part of the groups."""
    registry = plugins.load()
    base = Base.open(productions=registry.productions)
    ids, groups = known_well(base), base.groups()
    altered = {
        "M1, no task sentence": Altered(base, lambda d: replace(d, sentence=())),
        "M1, no probes": Altered(base, _counted),
    }
    held = parts(base, ids)[part]
    known = [i for i in ids if i not in held]
    real = [i for i in sorted(held) if not base.cards()[i].synthetic]
    embedder = aligned(base.archive, known)
    ranker, trees = learn(base, registry, known, embedder), Trees(base, registry, known)
    memories = {"M1, no embedding": Memory(base.archive, base.archive.cards.keys() - set(known))}
    memories |= {name: remembered(archive, known) for name, archive in altered.items()}
    memories |= {
        f"M1, {share:.0%} of the groups": remembered(base.archive, _kept(base, known, share)) for share in SHARES
    }
    found: list[dict[str, Any]] = []
    for one in strangers(base, registry, real, known, embedder):
        if not one.telling:
            continue
        i = one.card.id
        arms: dict[str, Any] = {**ARMS, TREES: (trees.arm, False)}
        if ranker:
            judge = ranker.about(one.description)
            arms[M2] = (lambda c, seed, j=judge: asked(c, seed, c.portfolio(judge=j)), False)
        found += replayed(one, groups[i], arms)
        for name, memory in memories.items():
            found += replayed(case(i, memory, registry), groups[i], {name: (samples, False)})
    return found


def _alone(jobs: int) -> None:
    """So many processes share the cores."""
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))


def remembered(archive: Archive, known: Collection[str]) -> Memory:
    """What is left of an archive when these data sets alone are known, with an embedder that knows no others."""
    return Memory(archive, archive.cards.keys() - set(known), aligned(archive, known))


def _counted(description: Description) -> Description:
    """Without what was measured by probes."""
    numbers = {k: v if k.startswith(PLAIN) else None for k, v in description.numbers.items()}
    return replace(description, numbers=numbers)


def _kept(base: Base, known: Sequence[str], share: float) -> list[str]:
    """Data sets of a share of the groups, drawn by chance."""
    groups = base.archive.groups(names=True)
    names = sorted({groups[i] for i in known})
    kept = set(np.random.default_rng(0).permutation(names)[: round(share * len(names))])
    return [i for i in known if groups[i] in kept]


class Trees:
    """The rival of the ranker: gradient-boosted trees on [description, config] that predict regret."""

    def __init__(self, base: Base, registry: Registry, known: Collection[str]) -> None:
        from sklearn.ensemble import HistGradientBoostingRegressor

        memory = Memory(base.archive)
        cases = [case(i, memory, registry) for i in known]
        self.space = Space.fit([c.description for c in cases])
        self.vocabulary = Vocabulary.fit([[e.config for e in c.everything.values()] for c in cases], 5)
        x = np.concatenate([self._features(c, c.everything.values()) for c in cases])
        y = np.concatenate([list(regrets(c.everything).values()) for c in cases])
        self.model = HistGradientBoostingRegressor(
            max_iter=300, learning_rate=0.05, early_stopping=True, random_state=0
        )
        self.told = np.isfinite(x).any(axis=0)  # scikit-learn cannot bin what no data set has
        self.model.fit(x[:, self.told], y)

    def arm(self, one: Case, seed: int) -> Iterator[str]:
        """The lowest predicted regret first."""
        order = np.argsort(self.model.predict(self._features(one, one.tried.values())[:, self.told]), kind="stable")
        keys = list(one.tried)
        return (keys[i] for i in order)

    def _features(self, one: Case, experiences: Collection[Experience]) -> np.ndarray:
        made = self.vocabulary.encode([e.config for e in experiences])
        return np.concatenate([np.repeat(self.space.standard([one.description]), len(made), axis=0), made], axis=1)


def report(found: Sequence[Mapping[str, Any]], at: Sequence[int] = (1, 2, 3, 5, 10, 20, 50)) -> str:
    """Regret after so many trials, and the difference to M1 after ten."""
    arms = list(dict.fromkeys(row["arm"] for row in found))
    groups = len({row["group"] for row in found})
    text = [
        f"Replayed on records, {groups} groups, mean over groups; what depends on chance over 10 seeds.", "",
        "| after trials | " + " | ".join(map(str, at)) + " | less M1 after 10 [95 %] |", "|---|" + "---|" * (len(at) + 1),
    ]  # fmt: skip
    for arm in arms:
        means = " | ".join(f"{np.mean(list(by_group(found, arm, k).values())):.3f}" for k in at)
        mean, low, high = difference(found, arm, M1, 10)
        text.append(f"| {arm} | {means} | " + ("|" if arm == M1 else f"{mean:+.3f} [{low:+.3f}, {high:+.3f}] |"))
    return "\n".join(text) + "\n"
