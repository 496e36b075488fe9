"""Search the data sets of held-out groups for real: every arm over the same grammar, on the same rows, with the same stopping."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metalearner import library, machine, plugins
from metalearner.kb.course import cold
from metalearner.kb.prepared import prepared
from metalearner.kb.replay import everybody, known_well
from metalearner.kb.teach import challenge, learn
from metalearner.kinds import Job, Moment, Proposer, Rung, Scope
from metalearner.knowledge import Base, Embedder, Memory, aligned
from metalearner.knowledge.base import EMBEDDER
from metalearner.propose import RANKER, Blocks, Here, Portfolio, Ranker, propose
from metalearner.records import Proposal, Recall, Trial, digest
from metalearner.sources import catalogue
from metalearner.steps.foresee import describe_setting
from metalearner.worker import Begin

TRIALS, SECONDS = 50, 1.0
WARM_UP = 20.0
VERDICT = "verdict.txt"
RANDOM, TPE, M0, NEAR, M1 = "random", "TPE, cold", "portfolio (M0)", "portfolio of the near", "task samples (M1)"
M2 = "ranker (M2)"
# As a run does it: its searcher, told nothing, and told what the best of these says.
COLD, WARM = "evolution, cold", "evolution, told"
TOLD = (NEAR, M1, M2, WARM)  # which wait for a description


@dataclass(frozen=True)
class Held:
    """The groups that are judged, and what was trained without them."""

    ids: frozenset[str]
    folder: Path  # holds embedder, library, and the ranker where it passed the gate; they saw none of these groups


def hold_out(base: Base, names: Sequence[str], place: Path) -> Held:
    """Forget the data sets of these names, and all that is like them, and train a ranker on the rest.

    That takes a quarter of an hour: what came out of it stays in `place` for the next call with the same base.
    """
    registry = plugins.load()
    cards = catalogue.cards()
    groups = {cards[name].group for name in names}
    named = base.archive.groups(names=True)
    lost = {named[i] for i, card in base.cards().items() if card.name in names or card.group in groups}
    ids = frozenset(i for i in base.cards() if named[i] in lost)
    known = [i for i in known_well(base) if i not in ids]
    folder = place / f"held-out-{digest([sorted(known), sorted(ids)])[:16]}"
    if (folder / VERDICT).exists():
        print((folder / VERDICT).read_text(), flush=True)
        return Held(ids, folder)
    folder.mkdir(parents=True, exist_ok=True)
    embedder = aligned(base.archive, base.cards().keys() - ids)
    if embedder:
        embedder.save(folder / EMBEDDER)
    verdict = challenge(base, registry, known, print)
    print(verdict, flush=True)
    ranker = learn(base, registry, known, embedder) if verdict.better else None
    if ranker:
        ranker.save(folder / RANKER)
    library.save(library.mine(base, registry, known), folder / library.LIBRARY)
    (folder / VERDICT).write_text(str(verdict))
    return Held(ids, folder)


def search(name: str, seed: int, held: Held) -> list[dict[str, Any]]:
    """Every arm's search of one data set, a line each. What two arms both try is fitted once."""
    folder = Path(tempfile.mkdtemp(prefix="meta-"))
    try:
        registry = plugins.load()
        base = Base.open(productions=registry.productions)
        setting = prepared(name, registry, folder)
        (folder / "trials").mkdir()
        description = describe_setting(setting)
        families = setting.families | setting.called_for(description)
        card = setting.dataset.card
        # An embedder that knows none of the groups that are judged; neighbours may be of any group but this one.
        embedder = Embedder.load(held.folder / EMBEDDER) if (held.folder / EMBEDDER).exists() else None
        memory = Memory(base.archive, base.archive.kin(card, description), embedder)
        recall = memory.recall(description, setting.task)
        ranker, learnt = Ranker.find([held.folder]), library.find([held.folder], registry)
        productions = library.known(registry.productions, learnt)
        blocks = Blocks(productions, setting.views, description.numbers)
        # As a run is: told the rows, the machine, and what a fit may take.
        here = Here(setting.dataset.rows * len(setting.dataset.folds), SECONDS, machine.speed(), SECONDS)
        prior = propose(setting.task, recall, families, setting.metric, setting.baseline, here, blocks)
        scope = cold(setting, families, seed)
        proposers: dict[str, Proposer] = {
            RANDOM: registry.get("searchers", "random").begin(scope),
            TPE: Default(scope, registry.get("searchers", "tpe").begin(scope)),
            M0: Portfolio(
                everybody(memory, description.version, setting.task, families), prior, families, here, listens=False
            ),
            NEAR: Portfolio(recall, prior, families, here, listens=False),
            M1: Portfolio(recall, prior, families, here),
        }
        judge = ranker.about(description) if ranker else None
        if judge:
            proposers[M2] = Portfolio(recall, prior, families, here, judge=judge)
        advised = Portfolio(recall, prior, families, here, judge=judge)
        told = replace(scope, prior=prior, portfolio=advised, productions=productions)
        evolution = registry.get("searchers", "evolution")
        proposers |= {COLD: evolution.begin(scope), WARM: evolution.begin(told)}
        bench = Bench(folder, seed)
        bench.warm_up([Proposal(c, f.name, "warm-up") for f in families.values() for c in f.presets[:1]])
        lines = []
        for arm, proposer in proposers.items():
            trials = bench.search(proposer, registry.get("searchers", "random").begin(scope))
            lines.append({
                "set": name, "group": catalogue.cards()[name].group, "modality": card.modality, "seed": seed, "arm": arm,
                "described": round(description.seconds, 3) if arm in TOLD else 0.0,
                "skills": [round(t.skill or 0.0, 5) if t.outcome == "ok" else None for t in trials],
                "seconds": [round(t.seconds, 3) for t in trials], "families": [t.proposal.family for t in trials],
                "configs": [t.config.id[:8] for t in trials],
            })  # fmt: skip
        return lines
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Default(Proposer):
    """A cold searcher that begins with the default config."""

    name = "default first"

    def __init__(self, scope: Scope, searcher: Proposer) -> None:
        self.first, self.searcher = Portfolio(Recall(), scope.prior, scope.families), searcher

    def ask(self, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        """The first of the catalogue's order, then the searcher."""
        return self.searcher.ask(n, seen, moment) if seen else self.first.ask(1, seen, moment)


class Bench:
    """Fits what is asked for, each config once."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.work = Begin(folder, time.monotonic())()
        self.seed, self.number = seed, 0
        self.known: dict[str, Trial] = {}

    def warm_up(self, proposals: Sequence[Proposal]) -> None:
        """One fit for each learner, so that what it imports is paid for."""
        for proposal in {p.config.production: p for p in proposals}.values():
            self.fit(proposal, WARM_UP)

    def search(self, proposer: Proposer, more: Proposer) -> list[Trial]:
        """TRIALS trials; where the proposer has nothing left, by chance."""
        seen: list[Trial] = []
        while len(seen) < TRIALS:
            proposals = proposer.ask(1, seen, Moment()) or more.ask(1, seen, Moment())
            if not proposals:
                break
            trial = self.known.get(proposals[0].config.id) or self.fit(proposals[0], SECONDS)
            self.known[trial.config.id] = trial
            seen.append(replace(trial, number=len(seen), proposal=proposals[0]))
        return seen

    def fit(self, proposal: Proposal, seconds: float) -> Trial:
        """A trial of that, cut off after so many seconds."""
        rung = Rung(1.0, time.monotonic() + seconds, 1, self.seed)
        self.number += 1
        return next(self.work(Job((self.number,), (proposal,), rung)))


def pinned(core: int) -> None:
    """This process runs on one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def tasks(names: Sequence[str], seeds: Sequence[int], there: set[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """What is to be searched and was not yet, seed by seed."""
    return ((name, seed) for seed in seeds for name in names if (name, seed) not in there)
