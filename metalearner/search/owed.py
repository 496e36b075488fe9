"""What a search owes to what follows it: the rows kept from it are predicted at the end, by whatever it found."""

from __future__ import annotations

from collections.abc import Sequence

from ..records import Trial
from .rungs import FULL

# Skill within which a family's best may be part of the ensemble; two threads at the end do in a second what one does in so many.
NEAR, FASTER = 0.05, 1.5


def owed(trials: Sequence[Trial], rows: int, most: float) -> float:
    """Seconds to predict so many rows by the best of each family that is near the best of all, each if it is affordable."""
    good = [t for t in trials if t.outcome == "ok" and t.skill is not None]
    best = max((t.skill or 0.0 for t in good), default=0.0)
    families: dict[str, float] = {}
    for t in good:
        seconds = price(t, rows)
        if (t.skill or 0.0) >= best - NEAR and seconds <= most:
            families[t.proposal.family] = max(families.get(t.proposal.family, 0.0), seconds)
    return min(most, sum(families.values()))


def affordable(trials: Sequence[Trial], rows: int, most: float) -> list[Trial]:
    """The trials that predict so many rows in no more than so many seconds; all where none does that gave a model."""
    found = [t for t in trials if price(t, rows) <= most]
    return found if any(t.outcome == "ok" and t.rung >= FULL for t in found) else list(trials)


def price(trial: Trial, rows: int) -> float:
    """Seconds that a trial's models take for so many rows: one model a fold, and what they share once."""
    each, once = (float(trial.facts.get(name, 0.0)) for name in ("row_seconds", "row_seconds_once"))
    return (once + each * max(1, int(trial.facts.get("folds", 1)))) * rows / FASTER
