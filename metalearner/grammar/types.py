"""The types of derivations: which view reaches a node, which comes out of it, and what it stands for.

Types are views, so they carry shapes and axis kinds: what `flow` lets through can be built and run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import PluginError, unknown
from ..kinds import Production
from ..ranges import as_said
from ..records import Config, View

Productions = Mapping[str, Production]

# The longest chain of names that stand for names.
NAMES = 16


class Misfit(PluginError):
    """A node does not fit the view that reaches it."""


@dataclass(frozen=True)
class Typed:
    """A node that fits: what was written, what it stands for, the views that go in and come out, its parts likewise."""

    said: Config
    meant: Config  # `said`, or what its name stands for
    production: Production  # of `meant`
    numbers: Mapping[str, Any]  # of `meant`, complete
    view: View
    gives: View
    parts: tuple[tuple[str, Typed], ...]  # with their slots, in the order in which data flow

    def walk(self, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Typed]]:
        """Every node with the positions in `parts` that lead to it."""
        yield path, self
        for i, (_, part) in enumerate(self.parts):
            yield from part.walk((*path, i))

    def within(self, slot: str) -> list[Typed]:
        """The parts in one slot."""
        return [part for name, part in self.parts if name == slot]


def typed(node: Config, view: View, productions: Productions) -> Typed:
    """The node with all its types, each found once. Raises Misfit, naming the node, when it or a part does not fit."""
    meant = unfolded(node, view, productions)
    found = production(meant, productions)
    reaching, parts = view, []
    for slot in found.parts:
        for child in meant.parts.get(slot, ()):
            part = typed(child, reaching, productions)
            parts.append((slot, part))
            if found.flow == "series":
                reaching = part.gives
    return closed(node, meant, view, parts, productions)


def closed(said: Config, meant: Config, view: View, parts: list[tuple[str, Typed]], productions: Productions) -> Typed:
    """A node whose parts are typed already. Raises Misfit where what comes out of them cannot go on."""
    found = production(meant, productions)
    if found.flow == "parallel" and any(part.gives != parts[0][1].gives for _, part in parts):
        different = ", ".join(dict.fromkeys(shown(part.gives) for _, part in parts))
        raise Misfit(
            f"The parts of '{meant.production}' give different views: {different}.",
            "Parts side by side give the same view.",
            "Take parts that keep the shape, or change their numbers.",
        )
    inner = parts[-1][1].gives if parts else view
    own = {n: as_said(r, meant.numbers.get(n, r.default)) for n, r in found.space().items()}
    gives = found.gives(own, view, inner)
    if gives is None:
        raise Misfit(
            f"'{meant.production}' cannot go on from {shown(inner)}, which its parts make of {shown(view)}.",
            f"Its numbers are {own}.",
            "Take other parts or other numbers.",
        )
    return Typed(said, meant, found, own, view, gives, tuple(parts))


def production(node: Config, productions: Productions) -> Production:
    """The production a node names; PluginError when nobody brings it."""
    if node.production not in productions:
        raise PluginError(*unknown("production", node.production, productions, "More: metalearner plugin list"))
    return productions[node.production]


def own_numbers(node: Config, productions: Productions) -> dict[str, Any]:
    """The node's own numbers, by name; what it leaves open has its default."""
    return {n: node.numbers.get(n, r.default) for n, r in production(node, productions).space().items()}


def flow(node: Config, view: View, productions: Productions) -> View:
    """The view that comes out of a node. Raises Misfit, naming the node, when it or a part does not fit."""
    return typed(node, view, productions).gives


def reached(node: Config, view: View, productions: Productions) -> list[tuple[str, Config, View]]:
    """Each part with its slot and the view that reaches it, in the order of the slots."""
    return [(slot, part.said, part.view) for slot, part in typed(node, view, productions).parts]


def unfolded(node: Config, view: View, productions: Productions) -> Config:
    """What a node stands for: itself, or the derivation that its production is a name for. Misfit where it is refused."""
    for _ in range(NAMES):
        found = production(node, productions)
        if not found.accepts(view):
            raise Misfit(
                f"'{node.production}' does not take {shown(view)}.",
                "Types carry shapes and axis kinds.",
                f"Take another {found.symbol}.",
            )
        meant = found.expand(own_numbers(node, productions), view)
        if meant is None:
            return node
        node = meant
    raise PluginError(
        f"The expansion of '{node.production}' has not ended after {NAMES} names.",
        "A name stands for something simpler.",
        f"Look at `expand` of '{node.production}'.",
    )


def rooted(config: Config, views: Mapping[str, View], productions: Productions) -> Typed:
    """A whole config with its types: the encoders take the views in order, whatever else a root holds the first one."""
    found = production(config, productions)
    first = next(iter(views.values()), View((), 0))
    parts: list[tuple[str, Typed]] = []
    for slot, takes in found.parts.items():
        children = config.parts.get(slot, ())
        reaching = [first] * len(children)
        if takes.symbol == "encoder":
            if len(children) != len(views):
                raise Misfit(
                    f"The derivation has {len(children)} encoders for {len(views)} views.",
                    "Each view needs one.",
                    "Derive the network for the views at hand.",
                )
            reaching = [replace(view, raw="") for view in views.values()]  # what lies beside it never goes through it
        parts += [(slot, typed(child, view, productions)) for child, view in zip(children, reaching)]
    return Typed(config, config, found, own_numbers(config, productions), first, first, tuple(parts))


def fits(config: Config, views: Mapping[str, View], productions: Productions) -> str:
    """Why the parts of a network do not fit these views; empty when they do."""
    try:
        rooted(config, views, productions)
    except PluginError as problem:
        return problem.happened
    return ""


def shown(view: View) -> str:
    """A view for people.

    >>> from metalearner.records import Axis
    >>> shown(View((Axis("time", 40),), 3))
    'time 40 x 3 channels'
    """
    axes = [f"{a.kind} {a.size}{' at most' if a.ragged else ''}" for a in view.axes] + [f"{view.channels} channels"]
    return " x ".join(axes) + (f" and {len(view.cardinalities)} categories" if view.cardinalities else "")
