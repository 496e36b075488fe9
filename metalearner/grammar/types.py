"""The types of derivations: which view comes out of a node, and what it stands for.

Types are views, so they carry shapes and axis kinds: what `flow` lets through can be built and run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import PluginError, unknown
from ..kinds import Production
from ..records import Config, View

if TYPE_CHECKING:
    from . import Productions


class Misfit(PluginError):
    """A node does not fit the view that reaches it."""


def production(node: Config, productions: Productions) -> Production:
    """The production a node names; PluginError when nobody brings it."""
    if node.production not in productions:
        raise PluginError(*unknown("production", node.production, productions, "More: metalearner plugin list"))
    return productions[node.production]


def own_numbers(node: Config, productions: Productions) -> dict[str, object]:
    """The node's own numbers, by name; what it leaves open has its default."""
    return {n: node.numbers.get(n, r.default) for n, r in production(node, productions).space().items()}


def flow(node: Config, view: View, productions: Productions) -> View:
    """The view that comes out of a node. Raises Misfit, naming the node, when it or a part does not fit."""
    meant = unfolded(node, view, productions)
    found = production(meant, productions)
    if not found.accepts(view):
        raise Misfit(f"'{node.production}' does not take {shown(view)}.", "Types carry shapes and axis kinds.")
    inner = view
    for _, part, reaches in reached(meant, view, productions):
        inner = flow(part, reaches, productions)
    gives = found.gives(own_numbers(meant, productions), view, inner)
    if gives is None:
        raise Misfit(f"The parts of '{node.production}' turn {shown(view)} into {shown(inner)}.", "It cannot take that.")
    return gives


def reached(node: Config, view: View, productions: Productions) -> list[tuple[str, Config, View]]:
    """Each part with its slot and the view that reaches it, in the order of the slots."""
    found = production(node, productions)
    reaching, result = view, []
    for slot in found.parts:
        for part in node.parts.get(slot, ()):
            result.append((slot, part, reaching))
            if found.flow == "series":
                reaching = flow(part, reaching, productions)
    return result


def unfolded(node: Config, view: View, productions: Productions) -> Config:
    """What a node stands for: itself, or the derivation that its production is a name for."""
    for _ in range(16):
        meant = production(node, productions).expand(own_numbers(node, productions), view)  # type: ignore[arg-type]
        if meant is None:
            return node
        node = meant
    raise PluginError(f"The expansion of '{node.production}' does not end.", "A name stands for something simpler.")


def fits(config: Config, views: Mapping[str, View], productions: Productions) -> str:
    """Why the encoders of a network do not fit these views; empty when they do."""
    encoders = config.parts.get("encoder", ())
    if len(encoders) != len(views):
        return f"{len(encoders)} encoders for {len(views)} views"
    try:
        for node, view in zip(encoders, views.values()):
            flow(node, view, productions)
    except PluginError as problem:
        return problem.happened
    return ""


def shown(view: View) -> str:
    """A view for people.

    >>> from metalearner.records import Axis
    >>> shown(View((Axis("time", 40),), 3))
    'time 40 x 3 channels'
    """
    axes = [f"{a.kind} {a.size}" for a in view.axes] + [f"{view.channels} channels"]
    return " x ".join(axes) + (f" and {len(view.cardinalities)} categories" if view.cardinalities else "")
