"""What a search owes to what follows it: the rows kept from it are predicted at the end, by whatever it found."""

from __future__ import annotations

from collections.abc import Sequence

from ..records import Trial

# Skill within which a trial may be part of the ensemble, and how many of a family usually are; two threads at the end do in a
# second what one does in so many.
NEAR, OF_A_FAMILY, FASTER = 0.05, 2, 1.2


def owed(trials: Sequence[Trial], rows: int, most: float) -> float:
    """Seconds to predict so many rows by what will likely be the ensemble, at most so many."""
    good = sorted((t for t in trials if t.outcome == "ok" and t.skill is not None), key=lambda t: -(t.skill or 0.0))
    families: dict[str, list[float]] = {}
    for t in good:
        if (t.skill or 0.0) >= (good[0].skill or 0.0) - NEAR:
            families.setdefault(t.proposal.family, []).append(price(t, rows))
    return min(most, sum(sum(prices[:OF_A_FAMILY]) for prices in families.values()))


def price(trial: Trial, rows: int) -> float:
    """Seconds that a trial's models take for so many rows: one model a fold, and what they share once."""
    each, once = (float(trial.facts.get(name, 0.0)) for name in ("row_seconds", "row_seconds_once"))
    return (once + each * max(1, int(trial.facts.get("folds", 1)))) * rows / FASTER
