"""How far behind the best a family ends up, in skill: what is known of it before it has shown anything.

Regret compares configs, for a search; where held-out rows are few a choice among what was fitted needs skills, whose chance is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .regret import Past


def gaps(past: Sequence[Past], families: Sequence[str]) -> dict[str, float]:
    """By how much skill the best config of each family was behind the best of all, mean over neighbours by their weights.

    On none of them it counts as more than what lies between perfect and the naive baseline. A family that nobody tried is taken for
    an ordinary one: the mean of the others. Empty where nothing is known.
    """
    found: dict[str, float] = {}
    for family in families:
        known = [p for p in past if _skills(p, family)]
        if known:
            behind = [min(1.0, max(p.skill.values()) - max(_skills(p, family))) for p in known]
            found[family] = float(np.average(behind, weights=[max(p.neighbour.weight, 1e-12) for p in known]))
    if not found:
        return {}
    usual = float(np.mean(list(found.values())))
    return {family: found.get(family, usual) for family in families}


def _skills(past: Past, family: str) -> list[float]:
    return [skill for config, skill in past.skill.items() if past.family[config] == family]
