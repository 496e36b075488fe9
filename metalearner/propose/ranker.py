"""M2: a small network that says how good each config will be, from what M1 says of it, what it is made of, and what was seen.

It is conditioned on the set of configs tried so far: each candidate attends to those that are made like it and reads how they
did. It corrects what M1 expects, the regret and the gain, instead of replacing it, so that with nothing to add it is M1.
PyTorch trains it, NumPy runs it: to propose needs no torch.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np

from ..records import Config, Description
from ..space import Space
from .regret import CEILING
from .words import Vocabulary

RANKER = "ranker.npz"
# What the past says of a candidate, in this order; the first two are corrected: the regret, and the gain on what was reached.
FACTS = ("mean", "gain", "spread", "anywhere", "known", "seconds", "doubt")
# Of each config seen: how far from the best, and whether it failed.
MERITS = 2
QUANTILES = (0.1, 0.5, 0.9)
FORMAT = 1


@dataclass(frozen=True)
class State:
    """What is known at one moment of a run; c candidates, k of them seen."""

    facts: np.ndarray  # (c, len(FACTS))
    words: np.ndarray  # (c, p) by the vocabulary
    seen: np.ndarray  # (k,) which candidates
    merits: np.ndarray  # (k, MERITS)


@dataclass(frozen=True)
class Ranker:
    """Weights by name, the words of configs, the space that descriptions are points of."""

    vocabulary: Vocabulary
    space: Space
    weights: Mapping[str, np.ndarray]

    def about(self, description: Description) -> Judge:
        """What it says of one data set."""
        return Judge(self, self.space.points([description])[0])

    def save(self, file: Path) -> None:
        """One NPZ: the weights, and the words as JSON."""
        part = file.with_name(file.name + ".part.npz")
        about = {
            "format": FORMAT,
            "facts": FACTS,
            "vocabulary": self.vocabulary.to_json(),
            "space": self.space.to_json(),
        }
        held: dict[str, Any] = {k: v.astype(np.float32) for k, v in self.weights.items()}
        np.savez_compressed(part, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **held)
        part.replace(file)

    @classmethod
    def load(cls, file: Path) -> Self:
        """What `save` wrote. Raises OSError or ValueError where it is none, or one of another version."""
        with np.load(file, allow_pickle=False) as held:
            about = json.loads(held["about"].tobytes())
            if (about["format"], tuple(about["facts"])) != (FORMAT, FACTS):
                raise ValueError("it was made by another version of the program")
            weights = {k: held[k] for k in held.files if k != "about"}
            return cls(Vocabulary.from_json(about["vocabulary"]), Space.from_json(about["space"]), weights)

    @classmethod
    def find(cls, folders: Iterable[Path]) -> Self | None:
        """The first that can be read; None where there is none."""
        for folder in folders:
            try:
                return cls.load(folder / RANKER)
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, BadZipFile) as problem:
                warnings.warn(f"knowledge base: {RANKER} cannot be read ({problem})", RuntimeWarning, stacklevel=2)
        return None


@dataclass(frozen=True)
class Judge:
    """A ranker with the data set that it is asked about."""

    ranker: Ranker
    point: np.ndarray  # (e,)

    def encode(self, configs: Sequence[Config]) -> np.ndarray:
        """Configs (n, p) as `State` has them."""
        return self.ranker.vocabulary.encode(configs)

    def says(self, state: State) -> Expectation:
        """What to expect of each candidate."""
        said = forward(self.ranker.weights, batch([state], [self.point]), np.exp, _joined)[0]
        regrets, gains, seconds = said[:, :-2], said[:, -2], said[:, -1]
        slower = np.exp(np.clip(seconds, -2.0, 2.0))
        return Expectation(np.clip(np.sort(regrets, axis=1), 0.0, CEILING), gains - state.facts[:, 1], slower)


@dataclass(frozen=True)
class Expectation:
    """What a ranker expects of c candidates."""

    regrets: np.ndarray  # (c, 3) at QUANTILES, rising
    correction: np.ndarray  # (c,) on the gain that M1 expects
    slower: np.ndarray  # (c,) the factor on expected seconds


def batch(states: Sequence[State], points: Iterable[np.ndarray]) -> tuple[np.ndarray, ...]:
    """facts (b, c, f), words (b, c, p), point (b, e), seen (b, k, p) as words, merits (b, k, 2), real (b, k): padded."""
    candidates, seen = max(len(s.facts) for s in states), max(1, *(len(s.seen) for s in states), 1)
    rows = [
        (
            padded(s.facts, candidates),
            padded(s.words, candidates),
            point,
            padded(s.words[s.seen], seen),
            padded(s.merits, seen),
            padded(np.ones(len(s.seen), np.float32), seen),
        )
        for s, point in zip(states, points)
    ]
    return tuple(np.stack(part).astype(np.float32) for part in zip(*rows))


def padded(values: np.ndarray, length: int, filled: float = 0.0) -> np.ndarray:
    """Float32, the first axis as long as said."""
    more = np.full((length - len(values), *values.shape[1:]), filled, dtype=np.float32)
    return np.concatenate([values.astype(np.float32), more])


def _joined(*parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts, -1)


def forward(w: Mapping[str, Any], inputs: Sequence[Any], exp: Callable[[Any], Any], join: Callable[..., Any]) -> Any:
    """(b, c, 5) of what `batch` gives: quantiles of regret, gain, log factor on seconds; the same for NumPy and torch."""
    facts, words, point, seen, merits, real = inputs

    def silu(x: Any) -> Any:
        return x / (1 + exp(-x.clip(-60, 60)))

    each = facts[..., :1] * 0 + 1  # (b, c, 1)
    scaled = (facts - w["centre"]) / w["scale"]  # (b, c, f)
    made = words @ w["made"]  # (b, c, MADE)
    crossed = made * (point @ w["crossed"])[:, None]
    pointed = each * (point @ w["pointed"])[:, None]  # (b, c, POINT)
    likeness = (words @ w["key"]) @ (seen @ w["key"]).swapaxes(1, 2) / w["key"].shape[1] ** 0.5  # (b, c, k)
    likeness = exp(likeness.clip(-20, 20)) * real[:, None]
    share = likeness / (likeness.sum(-1)[..., None] + 1)  # the 1: nothing like it was seen
    told = join(share @ merits, share.sum(-1)[..., None], each * real.sum(-1)[:, None, None] / 10)
    hidden = join(scaled, made, crossed, pointed, told)
    hidden = silu(hidden @ w["first"] + w["first_shift"])
    hidden = silu(hidden @ w["second"] + w["second_shift"])
    corrected = hidden @ w["last"] + w["last_shift"]
    regrets, gain = corrected[..., :-2] + facts[..., :1], corrected[..., -2:-1] + facts[..., 1:2]
    return join(regrets, gain, corrected[..., -1:])
