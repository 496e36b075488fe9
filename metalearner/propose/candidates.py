"""What may be proposed: every config that neighbours know and every preset, and what is known of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..kinds import Family
from ..records import Config
from .regret import Here, Past, seconds_for, weighted_quantile

# What is expected of a config of a family nobody has tried, and of one that the description calls for.
UNTRIED, CALLED_FOR = 0.5, 0.1


@dataclass(frozen=True)
class Candidate:
    """A config of an accepted family and what is known of it on the neighbours."""

    key: str  # Config.id
    config: Config
    family: str
    preset: int | None  # its place among the family's presets
    known: int  # neighbours it ran on
    regret: float  # weighted mean on those; UNTRIED when there are none
    best_on: tuple[str, ...]  # names of the neighbours where none was better
    seconds: float | None  # expected here; None when nothing of its family was ever timed


def candidates(
    past: Sequence[Past], families: Mapping[str, Family], here: Here, more: Iterable[tuple[Config, str]] = ()
) -> Iterable[Candidate]:
    """Every config the neighbours know, every preset, and `more` with their families: those of accepted families, once."""
    presets = {c.id: (i, name) for name, family in families.items() for i, c in enumerate(family.presets)}
    configs = {c.id: (c, name) for name, family in families.items() for c in family.presets}
    for p in past:
        configs |= {i: (p.configs[i], f) for i, f in p.family.items() if f in families and i not in configs}
    configs |= {c.id: (c, f) for c, f in more if f in families and c.id not in configs}
    timed = {name: [(p, i) for p in past for i in p.seconds if p.family[i] == name] for name in families}
    usual = {name: _seconds(pairs, here) for name, pairs in timed.items()}
    for key, (config, family) in configs.items():
        ran = [p for p in past if key in p.regret]
        weights = [max(p.neighbour.weight, 1e-12) for p in ran]
        own = _seconds([(p, key) for p in ran if key in p.seconds], here)
        yield Candidate(
            key=key,
            config=config,
            family=family,
            preset=presets[key][0] if key in presets else None,
            known=len(ran),
            regret=float(np.average([p.regret[key] for p in ran], weights=weights)) if ran else UNTRIED,
            best_on=tuple(p.neighbour.name for p in ran if p.best == key),
            seconds=usual[family] if own is None else own,
        )


def _seconds(timed: Sequence[tuple[Past, str]], here: Here) -> float | None:
    """Weighted median of what configs took on neighbours, scaled to what is here."""
    if not timed:
        return None
    weights = [max(p.neighbour.weight, 1e-12) for p, _ in timed]
    return weighted_quantile([seconds_for(here, p, i) for p, i in timed], weights, 0.5)
