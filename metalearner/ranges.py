"""What a number of a derivation may be: its range, its default, its scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Float:
    """A real number to search, optionally on a log scale."""

    low: float
    high: float
    default: float
    log: bool = False

    def holds(self, value: Any) -> bool:
        """Whether a value lies inside."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True)
class Int:
    """A whole number to search, optionally on a log scale."""

    low: int
    high: int
    default: int
    log: bool = False

    def holds(self, value: Any) -> bool:
        """Whether a value lies inside."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """One of several values; the first is the default unless named."""

    options: tuple[Any, ...]
    default: Any = None

    def __post_init__(self) -> None:
        if self.default is None and None not in self.options:
            object.__setattr__(self, "default", self.options[0])

    def holds(self, value: Any) -> bool:
        """Whether a value is one of them."""
        return value in self.options


@dataclass(frozen=True)
class Name:
    """Something registered under a name (a loss, an optimiser). `options` are searched; any name may be given."""

    kind: str
    options: tuple[str, ...]

    @property
    def default(self) -> str:
        """The first of the options."""
        return self.options[0]

    def holds(self, value: Any) -> bool:
        """Whether it is a name at all; who registered it is looked up where it is used."""
        return isinstance(value, str)


Range = Float | Int | Choice | Name


def as_said(values: Range, value: Any) -> Any:
    """The same value as the range would say it: 1 and 1.0 are one number, but not where it is a size. Others stay as they are.

    >>> as_said(Float(0.0, 1.0, 0.5), 1), as_said(Choice((3, 1, 2)), 2.0), as_said(Choice((3, 1, 2)), 8)
    (1.0, 2, 8)
    """
    if isinstance(values, Float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(values, Choice):
        return next((option for option in values.options if option == value), value)
    return value


def nearest(values: Range, value: Any) -> Any:
    """The value where the range holds it, else the nearer end; of a choice its default.

    >>> nearest(Int(8, 64, 16), 200), nearest(Choice(("sgd",)), "adamw")
    (64, 'sgd')
    """
    if values.holds(value):
        return value
    if isinstance(values, Choice | Name) or isinstance(value, bool) or not isinstance(value, int | float):
        return values.default
    return at(values, placed(values, value))


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
