"""A picture as data: what is to be seen, before anybody has chosen how to draw it. Report and pages draw the same ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .records import Record

# How a series is drawn.
STYLES = ("points", "line", "steps", "reference", "bars")


@dataclass(frozen=True)
class Series(Record):
    """Values y at x: numbers, or for bars names."""

    name: str
    x: tuple[Any, ...]
    y: tuple[float | None, ...]
    style: str = "line"  # one of STYLES
    notes: tuple[str, ...] = ()  # what each value is, for whoever points at it


@dataclass(frozen=True)
class Picture(Record):
    """Series on two axes, or a grid of values with named rows and columns."""

    title: str
    says: str  # in one sentence, what it shows and how to read it
    x: str = ""
    y: str = ""
    series: tuple[Series, ...] = ()
    grid: tuple[tuple[float | None, ...], ...] = ()
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    band: tuple[float, float, str] | None = None  # from y to y, and what lies there

    @property
    def labelled(self) -> bool:
        """Whether it is a grid whose cells have names and are to be read one by one."""
        return bool(self.grid and self.rows)

    @classmethod
    def _revive(cls, name: str, value: Any) -> Any:
        return tuple(Series.from_json(v) for v in value) if name == "series" else super()._revive(name, value)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from low to high, some `about` of them.

    >>> ticks(0, 1), ticks(0.83, 0.97)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.85, 0.9, 0.95])
    """
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10 ** math.floor(math.log10(rough))
    step = min((m * power for m in (1, 2, 5, 10)), key=lambda s: abs(s - rough))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) + 0.0 for i in range(first, last + 1)]
