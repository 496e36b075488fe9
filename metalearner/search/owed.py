"""What a search owes to what follows it: the rows kept from it are predicted at the end, by whatever it found."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from ..records import FULL, Trial

# Skill within which a trial may be part of the ensemble, and how many of a family usually are.
NEAR, OF_A_FAMILY = 0.05, 2
# The end has the machine to itself: it does in a second what a worker, with others beside it, does in so many. What pretrained
# models read gains more (1.4 to 2.1 on texts and pictures, two cores), for it is large batches of products and nothing else.
FASTER, READ_FASTER = 1.2, 1.5


def owed(trials: Sequence[Trial], rows: int, most: float) -> float:
    """Seconds to predict so many rows by what will likely be the ensemble, at most so many.

    As soon as something was fitted on all folds it is made of that, and not of the first fold's luckiest.
    """
    able = [t for t in trials if t.outcome == "ok" and t.skill is not None]
    good = sorted([t for t in able if t.rung >= FULL] or able, key=lambda t: -(t.skill or 0.0))
    families: dict[str, list[Trial]] = {}
    for t in good:
        if (t.skill or 0.0) >= (good[0].skill or 0.0) - NEAR:
            families.setdefault(t.proposal.family, []).append(t)
    return min(most, price([t for near in families.values() for t in near[:OF_A_FAMILY]], rows))


def price(trials: Collection[Trial], rows: int, most: float = math.inf) -> float:
    """Seconds that these trials together take for so many rows: of each a model a fold, so many at most, and what they share."""
    models = (float(t.facts.get("row_seconds", 0.0)) * min(most, max(1, int(t.facts.get("folds", 1)))) for t in trials)
    return (sum(models) / FASTER + shared(trials) / READ_FASTER) * rows


def shared(trials: Collection[Trial]) -> float:
    """Seconds that a row takes once for all of them: each pretrained model that reads it for one or for several."""
    found: dict[str, float] = {}
    for t in trials:
        for name, seconds in t.facts.get("row_shared", {}).items():
            found[name] = max(found.get(name, 0.0), float(seconds))
    return sum(found.values())
