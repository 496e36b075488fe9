"""How far behind the best a family ends up, in skill: what is known of it before it has shown anything.

Regret compares configs, for a search; where held-out rows are few a choice among what was fitted needs skills, whose chance is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .regret import Past

# Of the families that are known best, what share a neighbour must know to say how far others are behind the best of them all.
COMPARABLE = 0.8


def gaps(past: Sequence[Past], families: Sequence[str]) -> dict[str, float]:
    """By how much skill the best config of each family was behind the best of all, mean over neighbours by their weights.

    Neighbours of which others know far more families are left out: on a table nobody tried what reads texts. On none of them a gap
    counts as more than what lies between perfect and the naive baseline. A family that nobody tried is taken for an ordinary
    one: the mean of the others. Empty where nothing is known.
    """
    best = [(p, {f: max(own) for f in families if (own := _skills(p, f))}) for p in past]
    most = max((len(known) for _, known in best), default=0)
    told = [(p, known) for p, known in best if known and len(known) >= COMPARABLE * most]
    found: dict[str, float] = {}
    for family in families:
        behind = [(p, min(1.0, max(p.skill.values()) - known[family])) for p, known in told if family in known]
        if behind:
            weights = [max(p.neighbour.weight, 1e-12) for p, _ in behind]
            found[family] = float(np.average([gap for _, gap in behind], weights=weights))
    if not found:
        return {}
    usual = float(np.mean(list(found.values())))
    return {family: found.get(family, usual) for family in families}


def _skills(past: Past, family: str) -> list[float]:
    return [skill for config, skill in past.skill.items() if past.family[config] == family]
