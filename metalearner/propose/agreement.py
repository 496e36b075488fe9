"""M1: each past data set is a sample of how configs rank; those that rank them as this run found out count for more.

Rank-based, so that no scales have to match, and without training (task samples, in the spirit of RGPE's ranking weights:
Feurer et al. 2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..records import Trial

# How fast trust grows with agreement and with the root of how much was seen.
TRUST = 3.0
# Agreement over fewer configs is chance; over the latest so many it is told well enough.
FEWEST, MOST = 3, 64


def trust(seen: Sequence[Trial], places: Mapping[str, int], regrets: np.ndarray) -> np.ndarray:
    """Factors (t,) for the weights of past data sets, from the regrets (candidates, t) of those configs that were seen.

    `places` are the rows of configs by their id. 1 everywhere as long as nothing can be told.
    """
    furthest: dict[str, Trial] = {}
    for t in seen:
        if t.outcome == "ok" and t.merit is not None and t.config.id in places:
            known = furthest.get(t.config.id)
            if known is None or t.rung >= known.rung:
                furthest[t.config.id] = t
    chosen = list(furthest.items())[-MOST:]
    if len(chosen) < FEWEST:
        return np.ones(regrets.shape[1])
    merits = np.array([t.merit for _, t in chosen], dtype=float)
    rows = [places[key] for key, _ in chosen]
    return np.exp(TRUST * np.sqrt(len(chosen)) * kendall(merits, regrets[rows]))


def kendall(merits: np.ndarray, regrets: np.ndarray) -> np.ndarray:
    """Tau-b (t,) of merits (k,) with falling regrets (k, t); 0 where either is the same all over.

    >>> kendall(np.array([1.0, 2.0, 3.0]), np.array([[3.0, 1.0, 5.0], [2.0, 2.0, 5.0], [1.0, 3.0, 5.0]])).tolist()
    [1.0, -1.0, 0.0]
    """
    first, second = np.triu_indices(len(merits), 1)
    here = np.sign(merits[first] - merits[second])  # (pairs,)
    there = np.sign(regrets[second] - regrets[first])  # (pairs, t)
    scale = np.sqrt((here**2).sum() * (there**2).sum(axis=0))
    return here @ there / np.where(scale > 0, scale, np.inf)
