"""How much past data sets count beside one another."""

from __future__ import annotations

from collections.abc import Sequence

# Of the weight of all neighbours, what made data sets may have.
MADE = 0.5


def bounded(weights: Sequence[float], made: Sequence[bool]) -> list[float]:
    """The weights, those of made data sets no more than MADE of all where there are real ones beside them.

    >>> bounded([0.6, 0.2, 0.1], [True, False, False])
    [0.45, 0.3, 0.15]
    """
    total, theirs = sum(weights), sum(w for w, m in zip(weights, made) if m)
    if theirs <= MADE * total or theirs == total:
        return list(weights)
    down, up = MADE * total / theirs, (1 - MADE) * total / (total - theirs)
    return [round(w * (down if m else up), 12) for w, m in zip(weights, made)]
