"""The soft space: the numbers of each family are looked for first where they did well on the neighbours.

It is a mixture over the configs that neighbours know, each weighted by its neighbour and by how well it did there; who draws from
it steps away from them, and a tenth of the draws is uniform, so that nothing is ruled out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import grammar
from ..kinds import Choice, Float, Int, Name, Production
from ..records import Config
from .odds import SOFTNESS
from .regret import Past, weighted_quantile

Weighted = tuple[tuple[Config, float], ...]  # configs with weights that sum to 1

# Configs that are kept of a family, those of the most weight.
MOST = 20
# What is shown of a number: between these shares of the weight. Numbers that are spread over more of their values say nothing.
SHOWN, WIDE = (0.1, 0.9), 0.5


def soft(past: Sequence[Past], families: Sequence[str]) -> dict[str, Weighted]:
    """The configs of each family that did well on the neighbours; families that were never tried there are left out."""
    found = {}
    for family in families:
        weights: dict[str, float] = {}
        configs: dict[str, Config] = {}
        for p in past:
            own = [c for c in p.skill if p.family[c] == family]
            regret = np.array([p.regret[c] for c in own])
            belief = np.exp(-(regret - regret.min(initial=np.inf)) / SOFTNESS)
            for c, share in zip(own, belief / belief.sum() if own else belief):
                weights[c] = weights.get(c, 0.0) + p.neighbour.weight * float(share)
                configs[c] = p.configs[c]
        kept = [(configs[c], w) for c, w in sorted(weights.items(), key=lambda i: (-i[1], i[0]))[:MOST] if w > 0]
        total = sum(w for _, w in kept)
        if kept:
            found[family] = tuple((config, w / total) for config, w in kept)
    return found


def moved(known: Mapping[str, Weighted], narrowing: grammar.Narrowing) -> dict[str, Weighted]:
    """The same, every config at its nearest place inside a narrower space."""
    return {family: tuple((narrowing.moved(config), w) for config, w in of) for family, of in known.items()}


def spread(known: Weighted, productions: Mapping[str, Production]) -> dict[str, Any]:
    """Where the weight lies of the numbers that it narrows down: [low, high] by path, or options by their share; narrowest first."""
    told: dict[str, list[tuple[Any, float]]] = {}
    ranges: dict[str, Any] = {}
    for config, weight in known:
        ranges |= grammar.space(config, productions)
        for path, value in grammar.numbers(config, productions).items():
            told.setdefault(path, []).append((value, weight))
    found = {}
    for path, values in sorted(told.items()):
        width, where = _options(values) if isinstance(ranges[path], Choice | Name) else _ends(values, ranges[path])
        if width < WIDE:
            found[path] = width, where
    return {path: where for path, (_, where) in sorted(found.items(), key=lambda item: item[1][0])}


def _options(values: Sequence[tuple[Any, float]]) -> tuple[float, dict[str, float]]:
    """The weight that does not go to the commonest option, and the commonest ones."""
    shares: dict[str, float] = {}
    for value, weight in values:
        option = str(value).lower()
        shares[option] = shares.get(option, 0.0) + weight / sum(w for _, w in values)
    common = {o: round(s, 2) for o, s in sorted(shares.items(), key=lambda i: -i[1])[:3] if s >= 0.005}
    return 1 - max(shares.values()), common


def _ends(values: Sequence[tuple[float, float]], within: Float | Int) -> tuple[float, list[float]]:
    """The share of its range that a number is spread over, and between what."""
    each, weights = zip(*values)
    low, high = (weighted_quantile(each, weights, share) for share in SHOWN)
    return grammar.placed(within, high) - grammar.placed(within, low), [low, high]
