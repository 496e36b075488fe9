"""Small steps from numbers that are known to be good: what finds the top of a hill with a handful of configs."""

from __future__ import annotations

from typing import Any

import numpy as np

from metalearner import grammar
from metalearner.kinds import Choice, Int, Name, Range
from metalearner.records import Config

# About so many numbers move at once, each by a normal step of this share of its range.
MOVED, STRIDE = 3.0, 0.15


def near(config: Config, productions: grammar.Productions, rng: np.random.Generator) -> Config:
    """The same skeleton with a few of its numbers moved a little; a choice is drawn again."""
    space, held = grammar.space(config, productions), grammar.numbers(config, productions)
    share = min(1.0, MOVED / max(1, len(space)))
    moved = {path: stepped(r, held[path], rng) for path, r in space.items() if rng.random() < share}
    return grammar.with_numbers(config, moved)


def smaller(config: Config, productions: grammar.Productions) -> Config:
    """The same skeleton with its amounts halved: whole numbers on a log scale, which are widths and counts. Not how it is trained."""
    halved = {}
    for path, node in config.walk():
        found = productions[node.production]
        for number, values in found.space().items():
            if isinstance(values, Int) and values.log and found.symbol != "recipe" and not number.startswith("min"):
                held = node.numbers.get(number, values.default)
                halved[grammar.address(path, number)] = max(values.low, held // 2)
    return grammar.with_numbers(config, halved)


def stepped(values: Range, value: Any, rng: np.random.Generator) -> Any:
    """A value near another one, inside the range."""
    if isinstance(values, Choice | Name):
        return grammar.draw(values, rng)
    place = min(max(grammar.placed(values, value) + STRIDE * float(rng.normal()), 0.0), 1.0)
    moved = grammar.at(values, place)
    if isinstance(values, Int) and moved == value:
        moved = int(min(max(value + rng.choice((-1, 1)), values.low), values.high))
    return moved
