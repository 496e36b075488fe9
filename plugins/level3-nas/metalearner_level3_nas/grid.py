"""Grid search that may be cut off anywhere: defaults first, coarse before fine, one number off before two.

Every number has its values in an order of their own: the default, then points that halve the range again and again
(van der Corput's sequence). A point of the grid costs the sum of its places in these orders; cheap points come first. So a
grid cut off early has looked along every axis, and one that is not cut off is the full grid.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

from metalearner import grammar
from metalearner.kinds import Choice, Family, Float, Int, Moment, Name, Proposer, Range, Scope, Searcher
from metalearner.records import Config, Proposal, Trial

from .chance import allowed
from .history import History

# Values of one number in the full grid.
FINEST = 5
# What the next value of a number costs, by how much the number usually matters: scales before counts before choices.
WEIGHTS = {"log": 1.0, "plain": 1.5, "choice": 2.0}


class Grid(Searcher):
    """A grid over the numbers of each family, one point of each family in turn."""

    name = "grid"

    def begin(self, scope: Scope) -> Proposer:
        """A proposer for one run."""
        return OverGrid(scope)


class OverGrid(Proposer):
    """Walks the families' grids side by side."""

    name = "grid"

    def __init__(self, scope: Scope) -> None:
        self.scope, self.history = scope, History(scope)
        self.walks = {name: walk(family, scope.productions) for name, family in sorted(scope.families.items())}
        self.steps = dict.fromkeys(self.walks, 0)

    def ask(self, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        """The next n points that were not tried, in turn over the families that are not finished."""
        self.history.learn(seen)
        found: list[Proposal] = []
        open_families = [f for f in allowed(self.scope.families, moment) if f in self.walks]
        while len(found) < n and open_families:
            name = min(open_families, key=lambda f: (self.steps[f], f))
            config = next(self.walks[name], None)
            if config is None:
                open_families.remove(name)
                continue
            self.steps[name] += 1
            if self.history.fresh(config):
                reason = f"point {self.steps[name]} of the grid of {name}"
                found.append(Proposal(config, name, "grid", reason, self.scope.prior.odds.get(name)))
                self.history.expect(found[-1])
        return found


def walk(family: Family, productions: grammar.Productions) -> Iterator[Config]:
    """The presets, then the grid around the default one, cheap points first."""
    yield from family.presets
    space = grammar.space(family.presets[0], productions)
    held = grammar.numbers(family.presets[0], productions)
    axes = [(path, axis(r, held[path]), _weight(r)) for path, r in space.items()]
    axes = sorted((a for a in axes if len(a[1]) > 1), key=lambda a: a[2])
    for places in _cheap_first([len(values) for _, values, _ in axes], [weight for _, _, weight in axes]):
        chosen = {path: values[i] for (path, values, _), i in zip(axes, places)}
        yield grammar.with_numbers(family.presets[0], chosen)


def axis(values: Range, default: Any) -> list[Any]:
    """The values of one number, coarse to fine, the default in front.

    >>> axis(Float(0.01, 100.0, 1.0, log=True), 1.0)
    [1.0, 0.1, 10.0, 0.01, 100.0]
    >>> axis(Int(1, 3, 2), 2)
    [2, 1, 3]
    """
    if isinstance(values, Choice | Name):
        return [default, *(o for o in values.options if o != default)]
    assert isinstance(values, Float | Int)
    found = [default]
    for share in (0.25, 0.75, 0.0, 1.0, 0.5):
        value = grammar.at(values, share)
        value = value if isinstance(values, Int) else min(max(float(f"{value:.6g}"), values.low), values.high)
        if value not in found and len(found) < FINEST:
            found.append(value)
    return found


def _weight(values: Range) -> float:
    if isinstance(values, Choice | Name):
        return WEIGHTS["choice"]
    return WEIGHTS["log" if values.log else "plain"]


def _cheap_first(sizes: Sequence[int], weights: Sequence[float]) -> Iterator[tuple[int, ...]]:
    """Every point of the grid by rising cost, without holding more than the border of those given out.

    A point is reached from the one whose last place off zero is one less, so that each is reached once.
    """
    border: list[tuple[float, tuple[int, ...], int]] = [(0.0, (0,) * len(sizes), 0)]
    while border:
        cost, places, last = heapq.heappop(border)
        yield places
        for i in range(last, len(sizes)):
            if places[i] + 1 < sizes[i]:
                further = (*places[:i], places[i] + 1, *places[i + 1 :])
                heapq.heappush(border, (cost + weights[i], further, i))
