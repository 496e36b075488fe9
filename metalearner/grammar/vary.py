"""Variation for evolution: one type-matched change to a derivation, or a subtree from another one.

Names are unfolded only where a change goes inside them; what is beside it stays as it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..records import Config, View
from .derivation import FUEL, Deriver, part_symbol
from .forms import slotted
from .paths import check, complete, draw, space, with_numbers
from .types import Misfit, Productions, Typed, fits, rooted, typed

# A variation is tried so often before it is given up.
TRIES = 40

Change = Callable[[Typed, Deriver], Config | None]


def mutate(
    config: Config,
    views: Mapping[str, View],
    productions: Productions,
    rng: np.random.Generator,
    odds: Mapping[str, float] | None = None,
) -> Config:
    """One type-matched change: a subtree derived anew, a node replaced, a part more or less, a number redrawn.

    The result fits the views and differs from the config. Raises Misfit when there is nothing to change.
    """
    tree = rooted(config, views, productions)
    deriver = Deriver(productions, rng, odds)
    before = complete(config, productions)
    for _ in range(TRIES):
        deriver.fuel = FUEL
        change = CHANGES[int(rng.integers(len(CHANGES)))]
        changed = change(tree, deriver)
        if changed is None or complete(changed, productions) == before:
            continue
        if not check(changed, productions) and not fits(changed, views, productions):
            return changed
    raise Misfit(
        f"No change to '{config.production}' was found in {TRIES} tries.",
        "A change gives another number, another production of the same symbol, or another count of parts.",
        "Install a plugin that brings more productions, or derive a network anew.",
    )


def cross(
    a: Config, b: Config, views: Mapping[str, View], productions: Productions, rng: np.random.Generator
) -> Config | None:
    """`a` with one of its subtrees replaced by one of `b` of the same symbol, so that the whole fits; None without a place."""
    tree, other = rooted(a, views, productions), rooted(b, views, productions)
    places = [(path, part) for path, part in tree.walk() if path]
    donors: dict[str, list[Typed]] = {}
    for path, part in other.walk():
        if path:
            donors.setdefault(part_symbol(part, productions), []).append(part)
    pairs = [(place, donor) for place in places for donor in donors.get(part_symbol(place[1], productions), ())]
    before = [complete(c, productions) for c in (a, b)]
    for i in rng.permutation(len(pairs))[:TRIES]:
        (path, part), donor = pairs[i]
        if part.said == donor.said or not _takes(donor, part, productions):
            continue
        child = put(tree, path, donor.said)
        if complete(child, productions) not in before and not fits(child, views, productions):
            return child
    return None


def put(tree: Typed, path: tuple[int, ...], node: Config) -> Config:
    """The derivation with another node at this place; names on the way to it are unfolded."""
    if not path:
        return node
    parts = [(slot, part.said) for slot, part in tree.parts]
    slot, part = tree.parts[path[0]]
    parts[path[0]] = (slot, put(part, path[1:], node))
    return Config(tree.meant.production, tree.meant.numbers, slotted(parts))


def _takes(donor: Typed, part: Typed, productions: Productions) -> bool:
    """Whether a donor fits where a part stands: cheaper to ask first than to type the whole."""
    try:
        typed(donor.said, part.view, productions)
    except Misfit:
        return False
    return True


def _anew(tree: Typed, deriver: Deriver) -> Config | None:
    """A subtree derived anew."""
    picked = _pick(tree, deriver)
    if picked is None:
        return None
    path, part = picked
    found = deriver.part(part_symbol(part, deriver.productions), part.view, len(path) - 1)
    return None if found is None else put(tree, path, found.said)


def _replaced(tree: Typed, deriver: Deriver) -> Config | None:
    """A node replaced by another production of its symbol; numbers and parts that fit are kept."""
    picked = _pick(tree, deriver)
    if picked is None:
        return None
    path, part = picked
    for found in deriver.order(part_symbol(part, deriver.productions), len(path) - 1):
        if found.name in (part.said.production, part.meant.production) or not found.accepts(part.view):
            continue
        node = deriver.node(found, part.view, len(path) - 1, keep=part.numbers, old=[p for _, p in part.parts])
        if node is not None:
            return put(tree, path, node.said)
    return None


def _inserted(tree: Typed, deriver: Deriver) -> Config | None:
    """One part more in a slot that has room."""
    places = [
        (path, part, slot)
        for path, part in tree.walk()
        for slot, takes in part.production.parts.items()
        if path and len(part.within(slot)) < takes.most
    ]
    if not places:
        return None
    path, part, slot = places[int(deriver.rng.integers(len(places)))]
    slots = list(part.production.parts)
    first = sum(slots.index(name) < slots.index(slot) for name, _ in part.parts)
    at = first + int(deriver.rng.integers(len(part.within(slot)) + 1))
    reaching = part.view
    if part.production.flow == "series" and at > 0:
        reaching = part.parts[at - 1][1].gives
    found = deriver.part(part.production.parts[slot].symbol, reaching, len(path))
    if found is None:
        return None
    parts = [(name, child.said) for name, child in part.parts]
    parts.insert(at, (slot, found.said))
    return put(tree, path, Config(part.meant.production, part.meant.numbers, slotted(parts)))


def _removed(tree: Typed, deriver: Deriver) -> Config | None:
    """One part less in a slot that holds more than it must."""
    places = [
        (path, part, i)
        for path, part in tree.walk()
        for i, (slot, _) in enumerate(part.parts)
        if path and len(part.within(slot)) > part.production.parts[slot].least
    ]
    if not places:
        return None
    path, part, at = places[int(deriver.rng.integers(len(places)))]
    parts = [(name, child.said) for i, (name, child) in enumerate(part.parts) if i != at]
    return put(tree, path, Config(part.meant.production, part.meant.numbers, slotted(parts)))


def _redrawn(tree: Typed, deriver: Deriver) -> Config | None:
    """One number drawn again."""
    ranges = space(tree.said, deriver.productions)
    if not ranges:
        return None
    path = list(ranges)[int(deriver.rng.integers(len(ranges)))]
    return with_numbers(tree.said, {path: draw(ranges[path], deriver.rng)})


def _pick(tree: Typed, deriver: Deriver) -> tuple[tuple[int, ...], Typed] | None:
    """Any node but the root; None when there is no other."""
    places = [(path, part) for path, part in tree.walk() if path]
    return places[int(deriver.rng.integers(len(places)))] if places else None


# Alike likely; a number is redrawn oftener, being the smallest step.
CHANGES: tuple[Change, ...] = (_anew, _replaced, _inserted, _removed, _redrawn, _redrawn)
