"""Train what proposes on what is known: the ranker, M2, as a challenger that has to earn its place, and the library of blocks.

Whatever is judged is judged as a stranger: data sets are left out by group, and neither neighbours, nor the embedder, nor the
ranker have seen them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from .. import library
from ..errors import UserError
from ..knowledge import LEARNT, SHIPPED, TRAINED, Base, Embedder, aligned
from ..plugins import Registry
from ..propose import RANKER, Lesson, Ranker, Vocabulary, train
from ..propose.lessons import LEAST
from ..propose.portfolio import START
from ..propose.ranker import State
from ..weights import MADE
from .replay import (
    PARTS,
    Case,
    asked,
    by_group,
    difference_of,
    known_well,
    parts,
    regrets,
    replayed,
    samples,
    strangers,
)

# What is learnt is learnt again when so many data sets came, and the base has grown by this share.
FEWEST_NEW, GROWN = 10, 0.1
# A state of a lesson is what is known after so many trials.
AFTER = (0, 0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 30)
# Trials come from the front of what M1 would try: the chance falls with the place on this scale.
FRONT = 12.0
# The champion goes when the challenger has less regret, beyond doubt: the mean over these numbers of trials.
TRIALS = (1, 2, 3, 5, 10, 20)
M1, M2 = "task samples (M1)", "ranker (M2)"


@dataclass(frozen=True)
class Verdict:
    """Regret of the challenger less that of M1, mean over TRIALS, with its 95 % interval over groups."""

    rows: Sequence[Mapping[str, Any]]  # of the replay
    mean: float
    low: float
    high: float

    @property
    def better(self) -> bool:
        """Beyond doubt."""
        return self.high < 0

    def __str__(self) -> str:
        groups = len({row["group"] for row in self.rows})
        told = f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}] over {groups} groups"
        return f"ranker less task samples, mean regret after {', '.join(map(str, TRIALS))} trials: {told}"


@contextmanager
def opened(shipped: bool, registry: Registry) -> Iterator[tuple[Base, Path]]:
    """The base to learn from, and the folder for what is learnt: the user's own, or what ships, from its records alone.

    Raises UserError where that folder cannot be written.
    """
    with (
        TemporaryDirectory() as scratch,
        Base.open(Path(scratch) if shipped else None, productions=registry.productions) as base,
    ):
        folder = (SHIPPED and SHIPPED / TRAINED) if shipped else base.trained
        if folder is None:
            raise UserError("There is nowhere to keep what is learnt.",
                            "The folder of the knowledge base cannot be written, or no records ship with this installation.",
                            "Set METALEARNER_HOME to a folder that can be written.")  # fmt: skip
        yield base, folder


def due(base: Base) -> int:
    """How many data sets came since something was last learnt from all of them; 0 where it is too soon to learn again."""
    learnt = base.learnt()
    known, since = learnt.get("data_sets", 0), learnt.get("since", len(base.cards()))
    return since if since >= max(FEWEST_NEW, known * GROWN) else 0


def teach(base: Base, registry: Registry, folder: Path, say: Callable[[str], None]) -> bool:
    """Embedder, library and ranker from a base, kept in a folder; whether the ranker won against M1 and is in use from now on."""
    embedder = base.train(folder)
    say(f"embedder: {'trained' if embedder else 'too few data sets'}")
    entries = library.mine(base, registry, known_well(base))
    library.save(entries, folder / library.LIBRARY)
    for entry in entries:
        say(str(entry))
    verdict = challenge(base, registry, known_well(base), say)
    file = folder / RANKER
    say(str(verdict))
    ranker = learn(base, registry, known_well(base), embedder) if verdict.better else None
    if ranker is None:
        file.unlink(missing_ok=True)
    else:
        ranker.save(file)
    (folder / LEARNT).write_text(json.dumps({"data_sets": len(base.cards()), "verdict": str(verdict)}))
    return ranker is not None


def challenge(base: Base, registry: Registry, ids: Collection[str], say: Callable[[str], None]) -> Verdict:
    """Those of these data sets that are real, searched again by M1 and M2, each part of the groups by what the others know."""
    rows: list[dict[str, Any]] = []
    groups = base.groups()
    for part, held in enumerate(parts(base, ids)):
        known = [i for i in ids if i not in held]
        embedder = aligned(base.archive, known)
        ranker = learn(base, registry, known, embedder)
        real = [i for i in sorted(held) if not base.cards()[i].synthetic]
        for one in strangers(base, registry, real, known, embedder):
            if ranker is not None and one.telling:
                rows += replayed(one, groups[one.card.id], _arms(ranker, one))
        say(f"part {part + 1} of {PARTS}: {len(held)} data sets by what {len(known)} others know")
    return Verdict(rows, *difference_of(_regret(rows, M2), _regret(rows, M1)))


def _regret(rows: Sequence[Mapping[str, Any]], arm: str) -> dict[str, float]:
    """Mean over TRIALS, by group."""
    each = [by_group(rows, arm, k) for k in TRIALS]
    return {group: float(np.mean([found[group] for found in each])) for group in each[0]}


def _arms(ranker: Ranker, one: Case) -> Any:
    judge = ranker.about(one.description)
    return {
        M1: (samples, False),
        M2: (lambda c, seed: asked(c, seed, c.portfolio(judge=judge)), False),
    }


def learn(base: Base, registry: Registry, ids: Collection[str], embedder: Embedder | None) -> Ranker | None:
    """A ranker from these data sets, each told as a stranger to the others, through an embedder where theirs have one."""
    found: list[Case] = []
    for held in parts(base, ids):
        known = [i for i in ids if i not in held]
        alike = aligned(base.archive, known) if embedder else None
        found += strangers(base, registry, sorted(held), known, alike)
    vocabulary = Vocabulary.fit([[e.config for e in c.everything.values()] for c in found], LEAST)
    rng = np.random.default_rng(0)
    return train([lesson(c, vocabulary, rng) for c in found], vocabulary)


def lesson(one: Case, vocabulary: Vocabulary, rng: np.random.Generator) -> Lesson:
    """States of a search on a data set, with what is true of every config that was tried there."""
    proposer = one.portfolio(everything=True)
    known = np.array([i for i, c in enumerate(proposer.candidates) if c.key in one.everything])
    keys = [proposer.candidates[i].key for i in known]
    everywhere = regrets(one.everything)
    truth = np.array([everywhere[key] for key in keys])
    mean = proposer.state([], vocabulary.encode).facts[known, 0]
    chance = np.exp(-np.argsort(np.argsort(mean)) / FRONT)
    states, gains = [], []
    for n in AFTER:
        drawn = rng.choice(len(known), min(n, len(known) - 1), replace=False, p=chance / chance.sum())
        seen = [one.trial(k, keys[j]) for k, j in enumerate(drawn)]
        states.append(_only(proposer.state(seen, vocabulary.encode), known))
        gains.append(np.maximum(0.0, min(START, *truth[drawn], START) - truth))
    tried = [one.everything[key] for key in keys]
    took = [e.seconds if e.outcome == "ok" else np.nan for e in tried]
    return Lesson(
        description=one.description,
        states=states,
        regrets=truth,
        gains=gains,
        seconds=np.log(np.maximum(took, 1e-2) / np.maximum(proposer.seconds[known], 1e-2)),
        weight=MADE if one.card.synthetic else 1.0,
    )


def _only(state: State, rows: np.ndarray) -> State:
    """The state with these candidates alone; what was seen is among them."""
    place = {row: i for i, row in enumerate(rows)}
    return replace(
        state, facts=state.facts[rows], words=state.words[rows], seen=np.array([place[s] for s in state.seen], int)
    )
