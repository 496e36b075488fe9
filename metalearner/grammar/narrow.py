"""A narrower search space: fewer values for numbers of productions, whichever family has them.

Searchers draw from `Production.space` and refuse what `check` finds out of range, so that productions with a narrower space
are obeyed by all of them, those of strangers too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Self

from ..errors import TaskError, unknown
from ..kinds import Production
from ..ranges import Choice, Int, Name, Range, nearest
from ..records import Config
from .paths import address, with_numbers
from .types import Productions, production

LISTED = "metalearner propose SOURCE --explain lists the numbers of each family."


@dataclass(frozen=True)
class Narrowing:
    """What is left of the ranges of some numbers, by production and number."""

    ranges: Mapping[str, Mapping[str, Range]]

    @classmethod
    def read(cls, said: Sequence[str], productions: Productions) -> Self:
        """ "trees.leaves=8..64", "gradient.schedule=cosine,constant"; a single value pins a number.

        Raises TaskError for what is unknown, or lies outside of what is searched anyway.
        """
        found: dict[str, dict[str, Range]] = {}
        for one in said:
            place, _, values = one.partition("=")
            name, _, number = place.strip().rpartition(".")
            if not name or not values.strip():
                raise TaskError(f"'{one}' narrows nothing.", "A number is narrowed by PRODUCTION.NUMBER=LOW..HIGH or =VALUE,VALUE.",
                                "--narrow trees.leaves=8..64")  # fmt: skip
            if name not in productions:
                raise TaskError(*unknown("production", name, productions, LISTED))
            known = {**productions[name].space(), **found.get(name, {})}
            if number not in known:
                raise TaskError(*unknown(f"{name} number", number, known, LISTED))
            found.setdefault(name, {})[number] = _within(place.strip(), known[number], values)
        return cls(found)

    @classmethod
    def told(cls, description: Mapping[str, float | None], productions: Productions) -> Self:
        """What the numbers of a description leave, as each production says of itself."""
        return cls({name: left for name, p in productions.items() if (left := p.narrowed(description))})

    def of(self, productions: Productions) -> dict[str, Production]:
        """The productions, those that are narrowed with what is left of their space."""
        return {name: _narrower(p, self.ranges[name]) if name in self.ranges else p for name, p in productions.items()}

    def holds(self, config: Config) -> bool:
        """Whether a config whose numbers are written out lies inside."""
        return all(
            values.holds(node.numbers[number])
            for _, node in config.walk()
            for number, values in self.ranges.get(node.production, {}).items()
            if number in node.numbers
        )

    def moved(self, config: Config) -> Config:
        """The nearest config inside, of one whose numbers are written out; itself where it lies inside."""
        values = {
            address(path, number): nearest(allowed, node.numbers[number])
            for path, node in config.walk()
            for number, allowed in self.ranges.get(node.production, {}).items()
            if number in node.numbers
        }
        return with_numbers(config, values) if values else config


def listed(config: Config, productions: Productions) -> dict[str, Range]:
    """Every number of a skeleton as `Narrowing.read` calls it, each once."""
    nodes = [production(node, productions) for _, node in config.walk()]
    return {f"{p.name}.{number}": values for p in nodes for number, values in p.space().items()}


def word(value: Any) -> str:
    """A value as it is written in a narrowing.

    >>> word(True), word(0.001), word(1 / 3), word(64), word("sgd")
    ('true', '0.001', '0.3333333333333333', '64', 'sgd')
    """
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)  # an end that is rounded may lie outside
    return str(value).lower()


def values_of(values: Range) -> str:
    """All values of a range as they are written in a narrowing: "4..128", "true,false"."""
    if isinstance(values, Choice | Name):
        return ",".join(map(word, values.options))
    return f"{word(values.low)}..{word(values.high)}"


def _narrower(found: Production, ranges: Mapping[str, Range]) -> Production:
    """A copy, for others look at what class it is of."""
    left = {**found.space(), **ranges}
    narrower = copy(found)
    vars(narrower)["space"] = lambda: left
    return narrower


def _within(place: str, values: Range, said: str) -> Range:
    """What is left of a range. Raises TaskError where nothing of it is, or more is said than there was."""
    outside = TaskError(f"{place}={said} does not lie within what is searched.", f"That is {values_of(values)}.",
                        f"--narrow {place}=LOW..HIGH, or values with commas between, within that")  # fmt: skip
    if isinstance(values, Choice | Name):
        known = {word(option): option for option in values.options}
        wanted = [w.strip().lower() for w in said.split(",")]
        if not set(wanted) <= known.keys():
            raise outside
        options = tuple(option for name, option in known.items() if name in wanted)
        return Choice(options, values.default if values.default in options else options[0])
    low, dots, high = said.partition("..")
    read = int if isinstance(values, Int) else float
    try:
        ends = [read(end) for end in ((low, high) if dots else (low, low))]
    except ValueError:
        raise outside from None
    if not values.low <= ends[0] <= ends[1] <= values.high:
        raise outside
    left = type(values)(ends[0], ends[1], ends[0], values.log)  # type: ignore[arg-type]
    return replace(left, default=nearest(left, values.default))
