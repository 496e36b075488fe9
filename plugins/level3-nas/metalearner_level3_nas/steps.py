"""Small steps from numbers that are known to be good: what finds the top of a hill with a handful of configs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from metalearner import grammar
from metalearner.kinds import Choice, Float, Int, Name, Range
from metalearner.records import Config

# About so many numbers move at once, each by a normal step of this share of its range.
MOVED, STRIDE = 3.0, 0.15


def near(config: Config, productions: grammar.Productions, rng: np.random.Generator) -> Config:
    """The same skeleton with a few of its numbers moved a little; a choice is drawn again."""
    space, held = grammar.space(config, productions), grammar.numbers(config, productions)
    share = min(1.0, MOVED / max(1, len(space)))
    moved = {path: stepped(r, held[path], rng) for path, r in space.items() if rng.random() < share}
    return grammar.with_numbers(config, moved)


def stepped(values: Range, value: Any, rng: np.random.Generator) -> Any:
    """A value near another one, inside the range."""
    if isinstance(values, Choice | Name):
        return grammar.draw(values, rng)
    place = min(max(placed(values, value) + STRIDE * float(rng.normal()), 0.0), 1.0)
    moved = at(values, place)
    if isinstance(values, Int) and moved == value:
        moved = int(min(max(value + rng.choice((-1, 1)), values.low), values.high))
    return moved


def placed(values: Float | Int, value: float) -> float:
    """Where in its range, or in the range's logarithm, a number lies: 0..1.

    >>> placed(Float(0.01, 100.0, 1.0, log=True), 1.0)
    0.5
    """
    if values.high <= values.low:
        return 0.0
    inside = min(max(value, values.low), values.high)
    if values.log:
        return math.log(inside / values.low) / math.log(values.high / values.low)
    return (inside - values.low) / (values.high - values.low)


def at(values: Float | Int, place: float) -> Any:
    """The number at a place of its range: the inverse of `placed`."""
    if values.log:
        value = values.low * (values.high / values.low) ** place
    else:
        value = values.low + place * (values.high - values.low)
    value = min(max(value, values.low), values.high)
    return round(value) if isinstance(values, Int) else float(value)
