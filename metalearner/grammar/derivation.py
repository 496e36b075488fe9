"""Random derivations: a symbol expanded for a view, production by production, until nothing is open.

Every part is typed as it is made, so what comes out fits; what does not fit is drawn again or left out where it may be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..kinds import Production, Slot
from ..ranges import Range, as_said
from ..records import Config, View
from .forms import slotted
from .paths import draw
from .types import Misfit, Productions, Typed, closed, production, shown, typed

# A production is tried so often with what is drawn, and once more as plainly as it can be.
DRAWS = 3
# Nodes that one derivation may try in all, before it says that it found nothing.
FUEL = 3000
# A further part in a slot that may hold several is as likely as this; a production within its own kind likewise.
MORE = 0.5


def derive(
    symbol: str,
    view: View,
    productions: Productions,
    rng: np.random.Generator,
    odds: Mapping[str, float] | None = None,
    deepest: int = 5,
) -> Config:
    """A random derivation of a symbol for a view, every number drawn; it passes `check` and `flow`.

    `odds` weigh productions by name (missing: 1; 0: never). From depth `deepest` on only productions are chosen
    that need no part of their own symbol, so that it ends. Raises Misfit when nothing fits.
    """
    return Deriver(productions, rng, odds, deepest).must(symbol, view).said


def derive_net(
    views: Mapping[str, View],
    productions: Productions,
    rng: np.random.Generator,
    odds: Mapping[str, float] | None = None,
    recipe: Config | None = None,
) -> Config:
    """A whole network: an encoder for each view in their order, fused or not, and a recipe, given or drawn."""
    deriver = Deriver(productions, rng, odds)
    parts = {"encoder": tuple(deriver.must("encoder", view).said for view in views.values())}
    first = next(iter(views.values()))
    if len(views) > 1 and deriver.by_symbol.get("fusion") and rng.random() < MORE:
        parts["fusion"] = (deriver.must("fusion", first).said,)
    parts["recipe"] = (recipe or deriver.must("recipe", first).said,)
    root = production(Config("net"), productions)
    return Config(root.name, deriver.numbers(root.space()), parts)


class Deriver:
    """What a derivation needs at hand: productions by symbol, odds, and which symbols lead back to themselves."""

    def __init__(
        self,
        productions: Productions,
        rng: np.random.Generator,
        odds: Mapping[str, float] | None = None,
        deepest: int = 5,
    ) -> None:
        self.productions, self.rng, self.odds, self.deepest = productions, rng, odds or {}, deepest
        self.fuel = FUEL
        self.by_symbol: dict[str, list[Production]] = {}
        for found in productions.values():
            self.by_symbol.setdefault(found.symbol, []).append(found)
        self.below, self.heights = _below(self.by_symbol), _heights(self.by_symbol)

    def must(self, symbol: str, view: View) -> Typed:
        """`part` at the top, with all the fuel there is; Misfit when there is none.

        Where branches grew until the fuel was gone, shallower ones are tried.
        """
        deepest = self.deepest
        try:
            for self.deepest in sorted({deepest, deepest // 2, 0}, reverse=True):
                self.fuel = FUEL
                found = self.part(symbol, view)
                if found is not None:
                    return found
        finally:
            self.deepest = deepest
        names = sorted(p.name for p in self.by_symbol.get(symbol, ()))
        raise Misfit(
            f"No derivation of '{symbol}' was found for {shown(view)}.",
            f"Productions of it: {', '.join(names) or 'none'}.",
            "Install a plugin with productions for such views (metalearner plugin list), or raise the odds of those above.",
        )

    def part(self, symbol: str, view: View, depth: int = 0) -> Typed | None:
        """A derivation of a symbol for a view; None when nothing fits."""
        for found in self.order(symbol, depth):
            if not found.accepts(view):
                continue
            for attempt in range(DRAWS + 1):
                if self.fuel <= 0:
                    return None
                self.fuel -= 1
                node = self.node(found, view, depth, plain=attempt == DRAWS)
                if node is not None:
                    return node
        return None

    def order(self, symbol: str, depth: int) -> list[Production]:
        """The productions of a symbol in a weighted random order, without those that may not be chosen this deep."""
        candidates = [p for p in self.by_symbol.get(symbol, ()) if self.odds.get(p.name, 1.0) > 0]
        if depth >= self.deepest:
            ending = [p for p in candidates if not self.returns(p)]
            candidates = ending or [p for p in candidates if _height(p, self.heights) == self.heights.get(symbol)]
        weights = [self.odds.get(p.name, 1.0) * (MORE if self.returns(p) else 1.0) for p in candidates]
        times = self.rng.exponential(size=len(candidates)) / np.array(weights)
        return [candidates[i] for i in np.argsort(times)]

    def returns(self, found: Production) -> bool:
        """Whether a production needs parts that lead back to its own symbol."""
        return any(takes.least > 0 and self.leads_back(found, takes) for takes in found.parts.values())

    def leads_back(self, found: Production, takes: Slot) -> bool:
        """Whether what stands in a slot may hold the production's own symbol again."""
        return takes.symbol == found.symbol or found.symbol in self.below.get(takes.symbol, ())

    def node(
        self,
        found: Production,
        view: View,
        depth: int,
        plain: bool = False,
        keep: Mapping[str, Any] | None = None,
        old: Sequence[Typed] = (),
    ) -> Typed | None:
        """One node with its parts, drawn, or as plain as it can be; None when it came out as a misfit.

        Numbers in `keep` are taken over where they are in range, parts in `old` where they fit.
        """
        ranges = found.space()
        drawn = {n: r.default for n, r in ranges.items()} if plain else self.numbers(ranges)
        drawn |= {n: as_said(ranges[n], v) for n, v in (keep or {}).items() if n in ranges and ranges[n].holds(v)}
        try:
            meant = found.expand(drawn, view)
            if meant is not None:
                return typed(Config(found.name, drawn), view, self.productions)
            parts = self._parts(found, view, depth, plain, list(old))
            if parts is None:
                return None
            said = Config(found.name, drawn, slotted((slot, part.said) for slot, part in parts))
            return closed(said, said, view, parts, self.productions)
        except Misfit:
            return None

    def _parts(
        self, found: Production, view: View, depth: int, plain: bool, old: list[Typed]
    ) -> list[tuple[str, Typed]] | None:
        """Parts for every slot in order; None when a slot stays emptier than it may."""
        parts: list[tuple[str, Typed]] = []
        reaching = view
        for slot, takes in found.parts.items():
            kept = [part for part in old if part_symbol(part, self.productions) == takes.symbol][: takes.most]
            old = [part for part in old if not any(part is other for other in kept)]
            for i in range(max(len(kept), self.count(found, takes, depth, plain))):
                part = self.again(kept[i], reaching) if i < len(kept) else None
                part = part or self.part(takes.symbol, reaching, depth + 1)
                if part is None and i < takes.least:
                    return None
                if part is None:
                    break
                parts.append((slot, part))
                if found.flow == "series":
                    reaching = part.gives
        return parts

    def again(self, part: Typed, view: View) -> Typed | None:
        """A part that exists, for another view; None where it does not fit."""
        try:
            return typed(part.said, view, self.productions)
        except Misfit:
            return None

    def count(self, found: Production, takes: Slot, depth: int, plain: bool) -> int:
        """How many parts to put into a slot: each one more is half as likely."""
        if plain or (depth >= self.deepest and self.leads_back(found, takes)):
            return takes.least
        count = takes.least
        while count < takes.most and self.rng.random() < MORE:
            count += 1
        return count

    def numbers(self, ranges: Mapping[str, Range]) -> dict[str, Any]:
        """A value for each number."""
        return {name: draw(values, self.rng) for name, values in ranges.items()}


def part_symbol(part: Typed, productions: Productions) -> str:
    """The symbol that a part expands, as it was written."""
    return productions[part.said.production].symbol


def _below(by_symbol: Mapping[str, Sequence[Production]]) -> dict[str, set[str]]:
    """For each symbol all symbols that may stand below it."""
    below = {s: {t.symbol for p in found for t in p.parts.values()} for s, found in by_symbol.items()}
    grown = True
    while grown:
        grown = False
        for symbols in below.values():
            more = set().union(*(below.get(s, set()) for s in symbols)) - symbols
            symbols |= more
            grown = grown or bool(more)
    return below


def _heights(by_symbol: Mapping[str, Sequence[Production]]) -> dict[str, float]:
    """The least height of a derivation of each symbol that has one."""
    heights: dict[str, float] = {}
    grown = True
    while grown:
        lowest = {s: min(_height(p, heights) for p in found) for s, found in by_symbol.items()}
        lowest = {s: h for s, h in lowest.items() if h < np.inf}
        grown, heights = lowest != heights, lowest
    return heights


def _height(found: Production, heights: Mapping[str, float]) -> float:
    """The least height of a derivation that begins with this production; infinite when a part of it never ends."""
    return 1 + max((heights.get(t.symbol, np.inf) for t in found.parts.values() if t.least > 0), default=0)
