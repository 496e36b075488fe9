"""How the seconds of a run are shared out: what follows the search has some kept back for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ..records import Trial
from ..search import Budget, owed, price

# Seconds at the end of a run that belong to ensemble, evaluation and packaging: a share of the budget, bounded.
RESERVE_SHARE, RESERVE_LEAST, RESERVE_MOST = 0.08, 2.5, 15.0
# Of the budget, what predicting the rows kept apart may take beyond that.
OWED_MOST = 0.3
# Where more than this share of the budget is at stake it is looked at what an ensemble would be made of now, never sooner
# after the last look than that, nor so soon that looking takes more than one second in so many; but at once when something got
# further than anything had by then, for five models take longer than one. What is chosen may grow.
MUCH, SELDOM, GROWS = 0.03, 20.0, 1.5
# Seconds for it that there always are: cheap models are not left out because somebody is in a hurry.
OWED_LEAST = 1.0
# The share of the reserve that selecting and packaging take.
AFTERWARDS = 0.6


def reserve(budget: Budget) -> float:
    """Seconds kept back for what follows the search."""
    return float(np.clip(RESERVE_SHARE * budget.seconds, RESERVE_LEAST, RESERVE_MOST)) if budget.seconds else 0.0


@dataclass
class KeptBack:
    """What a search leaves to its end: the reserve, and what predicting the rows kept apart will take."""

    budget: Budget
    rows: int  # kept apart
    chosen: Callable[[Sequence[Trial]], Collection[str]]  # the names of those that an ensemble would be made of
    _told: float = float("inf")  # what these take, as of the last look
    _look: float = 0.0  # when to look again
    _furthest: float = 0.0  # the rung that was reached by then

    def seconds(self, trials: Sequence[Trial]) -> float:
        """By what is known after these trials."""
        if not self.budget.seconds:
            return 0.0
        guess = owed(trials, self.rows, OWED_MOST * self.budget.seconds)
        began, furthest = time.monotonic(), max((t.rung for t in trials if t.outcome == "ok"), default=0.0)
        if guess > MUCH * self.budget.seconds and (began >= self._look or furthest > self._furthest):
            names = self.chosen(trials)
            self._told = GROWS * price([t for t in trials if t.name in names], self.rows)
            ended, self._furthest = time.monotonic(), furthest
            self._look = ended + max(MUCH * self.budget.seconds, SELDOM * (ended - began))
        return reserve(self.budget) + min(guess, self._told)
