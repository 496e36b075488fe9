"""Configs as numbers: which productions they are made of, which stand in which, and what their numbers are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .. import grammar
from ..records import Config

# Values this many deviations from the middle are not told apart.
CLIP = 4.0


def words(config: Config) -> dict[str, float]:
    """Productions and pairs of them with how often they occur, options as 1, numbers on a scale that spreads small ones.

    >>> words(Config("mlp", {"depth": 2, "norm": "batch"}))
    {'mlp': 1.0, 'mlp.depth': 8.29, 'mlp.norm=batch': 1.0}
    """
    found = {">".join(names): float(count) for names, count in grammar.bag(config).items()}
    values: dict[str, list[float]] = {}
    for _, node in config.walk():
        for name, value in node.numbers.items():
            if isinstance(value, str | bool):
                found[f"{node.production}.{name}={str(value).lower()}"] = 1.0
            elif isinstance(value, int | float):
                values.setdefault(f"{node.production}.{name}", []).append(math.asinh(1000 * value))
    return found | {name: round(sum(v) / len(v), 2) for name, v in values.items()}


@dataclass(frozen=True)
class Vocabulary:
    """The words that are known, with the middle and the spread of their values."""

    names: tuple[str, ...]
    centre: np.ndarray  # (p,)
    scale: np.ndarray  # (p,)

    @classmethod
    def fit(cls, groups: Iterable[Iterable[Config]], least: int) -> Self:
        """The words of configs that occur on at least so many data sets."""
        spread: Counter[str] = Counter()
        values: dict[str, list[float]] = {}
        for configs in groups:
            here: set[str] = set()
            for said in map(words, configs):
                here |= said.keys()
                for name, value in said.items():
                    values.setdefault(name, []).append(value)
            spread.update(here)
        names = tuple(sorted(name for name, n in spread.items() if n >= least))
        counted = [_counts(n) for n in names]
        centre = [0.0 if c else float(np.mean(values[n])) for n, c in zip(names, counted)]
        scale = [1.0 if c else max(float(np.std(values[n])), 0.1) for n, c in zip(names, counted)]
        return cls(names, np.array(centre), np.array(scale))

    def encode(self, configs: Sequence[Config]) -> np.ndarray:
        """(n, p) float32; what a config does not have is 0, like the middle of what it might have."""
        place = {name: j for j, name in enumerate(self.names)}
        table = np.zeros((len(configs), len(self.names)), dtype=np.float32)
        for row, config in zip(table, configs):
            for name, value in words(config).items():
                if (j := place.get(name)) is not None:
                    row[j] = np.clip((value - self.centre[j]) / self.scale[j], -CLIP, CLIP)
        return table

    def to_json(self) -> dict[str, Any]:
        """Plain lists."""
        return {"names": self.names, "centre": self.centre.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        return cls(tuple(found["names"]), np.array(found["centre"]), np.array(found["scale"]))


def _counts(name: str) -> bool:
    """Whether a word's value says how often it occurs, rather than where a number lies."""
    return "." not in name or "=" in name
