"""Forms of one derivation: unfolded, without numbers, as a shape, as a bag of productions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ..records import Config, View
from .types import Productions, Typed, own_numbers, production, rooted


def unfold(config: Config, views: Mapping[str, View], productions: Productions) -> Config:
    """Every name replaced by what it stands for, every number written out: two ways of saying one network become equal."""
    return _plain(rooted(config, views, productions))


def _plain(node: Typed) -> Config:
    return Config(node.meant.production, node.numbers, slotted((slot, _plain(part)) for slot, part in node.parts))


def slotted(parts: Iterable[tuple[str, Config]]) -> dict[str, tuple[Config, ...]]:
    """Parts with their slots as a Config holds them; slots without any are left out."""
    slots: dict[str, tuple[Config, ...]] = {}
    for slot, part in parts:
        slots[slot] = (*slots.get(slot, ()), part)
    return slots


def identity(config: Config) -> str:
    """The canonical hash of a derivation without its numbers: who a family is."""
    return config.skeleton.id


def shape(config: Config, productions: Productions) -> str:
    """The hash of a config without its loose numbers: configs that share it can be trained as one batch."""
    return _tight(config, productions).id


def _tight(config: Config, productions: Productions) -> Config:
    found = production(config, productions)
    own = {n: v for n, v in own_numbers(config, productions).items() if n not in found.loose}
    parts = ((slot, _tight(part, productions)) for slot, children in config.parts.items() for part in children)
    return Config(config.production, own, slotted(parts))


def likeness(a: Config, b: Config) -> float:
    """How alike two derivations are, 0..1: what their bags of productions and parent-child pairs share (Jaccard)."""
    first, second = bag(a), bag(b)
    return (first & second).total() / (first | second).total()


def bag(config: Config) -> Counter[tuple[str, ...]]:
    """How often each production and each pair of parent and child occurs."""
    found: Counter[tuple[str, ...]] = Counter([(config.production,)])
    for _, node in config.walk():
        for children in node.parts.values():
            found.update((child.production,) for child in children)
            found.update((node.production, child.production) for child in children)
    return found
