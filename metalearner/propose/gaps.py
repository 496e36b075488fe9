"""How far behind the best a family ends up, in skill: what is known of it before it has shown anything.

Regret compares configs, for a search; where held-out rows are few a choice among what was fitted needs skills, whose chance is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .regret import Past


def gaps(past: Sequence[Past], families: Sequence[str]) -> dict[str, float]:
    """By how much skill the best config of each family was behind the best of all, mean over neighbours by their weights.

    A family that nobody tried is taken for an ordinary one: the mean of the others. Empty where nothing is known.
    """
    found: dict[str, float] = {}
    for family in families:
        told = [(p.neighbour.weight, max(p.skill.values()) - max(own)) for p in past if (own := _skills(p, family))]
        weight = np.array([max(w, 1e-12) for w, _ in told])
        if told:
            found[family] = float(weight @ np.array([gap for _, gap in told]) / weight.sum())
    if not found:
        return {}
    usual = float(np.mean(list(found.values())))
    return {family: found.get(family, usual) for family in families}


def _skills(past: Past, family: str) -> list[float]:
    return [skill for config, skill in past.skill.items() if past.family[config] == family]
