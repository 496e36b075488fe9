"""How much each production is believed in among those of its symbol, in closed form, so that the reason can be shown.

    share = 0.9 x normalised(confirmed probes x what the neighbours' best networks are made of) + 0.1 x uniform

A probe is confirmed when the paired landmarker behind it has gained more than two standard errors; what was only proposed
moves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .. import grammar
from ..errors import PluginError
from ..kinds import Production
from ..records import Config, View
from .odds import FLOOR, SOFTNESS, neighbours
from .regret import Past

# Standard errors, as descriptions tell them, and what a gain is worth: one of .1 triples the odds.
CONFIRMED, STRENGTH = math.log1p(2.0), 11.0
# No probe and no neighbours move odds by more than this factor.
MOST = 8.0
# Beside what networks have a production, so much that says nothing.
SMOOTH = 0.2
# Of networks that are no presets so many of each neighbour are looked into, the best.
LOOKED_INTO = 5


@dataclass(frozen=True)
class Blocks:
    """What networks for the data at hand can be made of, and what the data themselves say about it."""

    productions: Mapping[str, Production]
    views: Mapping[str, View]
    numbers: Mapping[str, float | None]  # of the description


@dataclass(frozen=True)
class Leaning:
    """One production's odds, as the product of what made them."""

    production: str
    symbol: str
    gains: Mapping[str, float]  # of confirmed paired landmarkers, skill, by the number's name
    neighbours: float  # the factor that their networks give
    of: int  # neighbours whose networks were compared
    share: float  # among the productions of its symbol, floor included
    uniform: float  # the share if nothing were known

    @property
    def odds(self) -> float:
        """Against chance: 1 is as likely as any other of its symbol."""
        return self.share / self.uniform

    @property
    def reason(self) -> str:
        """One sentence, every number of which is read from here; empty where only the others of its symbol moved it."""
        parts = [f"{name} {gain:.2f} (x{worth(gain):.1f})" for name, gain in self.gains.items()]
        if abs(math.log(self.neighbours)) > 0.05:
            parts.append(f"networks of {neighbours(self.of)} (x{self.neighbours:.1f})")
        return f"{self.production} x{self.odds:.1f}: {'; '.join(parts)}" if parts else ""


def leanings(past: Sequence[Past], blocks: Blocks) -> dict[str, Leaning]:
    """By production, of every symbol that networks are made of and that has a choice."""
    worths, of = _made_of(past, blocks)
    worths |= _recurring(past, blocks.productions)
    found = {}
    for symbol, names in _inside(blocks.productions).items():
        gains = {n: confirmed(blocks.productions[n], blocks.numbers) for n in names}
        near = {n: float(np.clip(worths.get(n, 1.0), 1 / MOST, MOST)) for n in names}
        weight = {n: near[n] * math.prod(map(worth, gains[n].values())) for n in names}
        total = sum(weight.values())
        for n in names:
            share = (1 - FLOOR) * weight[n] / total + FLOOR / len(names)
            found[n] = Leaning(n, symbol, gains[n], near[n], of, share, 1 / len(names))
    return found


def confirmed(production: Production, numbers: Mapping[str, float | None]) -> dict[str, float]:
    """The gains that speak for a production, or against it, beyond doubt."""
    found = {}
    for name in production.evidence:
        gain, z = numbers.get(name), numbers.get(f"{name}_z")
        if gain is not None and z is not None and abs(z) > CONFIRMED and gain * z > 0:
            found[name] = gain
    return found


def worth(gain: float) -> float:
    """The factor on odds that a gain in skill is worth.

    >>> round(worth(0.1), 1), worth(0.0), round(worth(-0.1), 2)
    (3.0, 1.0, 0.33)
    """
    return float(np.clip(math.exp(STRENGTH * gain), 1 / MOST, MOST))


def _inside(productions: Mapping[str, Production]) -> dict[str, list[str]]:
    """Productions by symbol, of the symbols below an encoder."""
    by_symbol: dict[str, list[str]] = {}
    for name, production in productions.items():
        by_symbol.setdefault(production.symbol, []).append(name)
    reached: list[str] = ["encoder"]
    for symbol in reached:
        below = {slot.symbol for n in by_symbol.get(symbol, ()) for slot in productions[n].parts.values()}
        reached += sorted(below - set(reached))
    return {s: sorted(by_symbol[s]) for s in reached if s != "encoder" and len(by_symbol.get(s, ())) > 1}


def _made_of(past: Sequence[Past], blocks: Blocks) -> tuple[dict[str, float], int]:
    """How much oftener the good networks of neighbours have a production than all of their networks, and how many counted."""
    logs: dict[str, float] = {}
    of, held = 0, {}
    for p in past:
        nets = [c for c in p.skill if p.configs[c].production == "net"]
        nets = sorted(nets, key=lambda c: p.regret[c])
        seldom = [c for c in nets if not _named(p.configs[c])]
        nets = [c for c in nets if c not in set(seldom[LOOKED_INTO:])]
        for c in nets:
            if c not in held:
                held[c] = _parts(p.configs[c], blocks)
        nets = [c for c in nets if held[c]]
        if len(nets) < 2:
            continue
        of += 1
        regret = np.array([p.regret[c] for c in nets])
        belief = np.exp(-(regret - regret.min()) / SOFTNESS)
        belief /= belief.sum()
        for name in sorted(set().union(*(held[c] for c in nets))):
            has = np.array([name in held[c] for c in nets])
            lift = (belief @ has + SMOOTH) / (has.mean() + SMOOTH)
            logs[name] = logs.get(name, 0.0) + p.neighbour.weight * math.log(lift)
    return {name: math.exp(value) for name, value in logs.items()}, of


def _recurring(past: Sequence[Past], productions: Mapping[str, Production]) -> dict[str, float]:
    """For what was learnt: all that neighbours may give, by the weight of those among whose winners it recurs."""
    learnt = {n: p for n, p in productions.items() if isinstance(p, grammar.Learned)}
    return {
        n: MOST ** sum(q.neighbour.weight for q in past if q.neighbour.group in p.groups) for n, p in learnt.items()
    }


def _named(config: Config) -> bool:
    """Whether its encoders are names: networks of the catalogue, which many neighbours share."""
    return all(not encoder.parts for encoder in config.parts.get("encoder", ()))


def _parts(config: Config, blocks: Blocks) -> frozenset[str]:
    """The productions of what a config stands for here; none where it does not fit these views."""
    try:
        return frozenset(node.production for _, node in grammar.unfold(config, blocks.views, blocks.productions).walk())
    except PluginError:
        return frozenset()
