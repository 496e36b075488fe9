"""How the seconds of a run are shared out: what follows the search has some kept back for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Fields
from ..predictor import Predictor
from ..records import Trial
from ..search import Budget, Clock, owed, price

# Seconds at the end of a run that belong to ensemble, evaluation and packaging: a share of the budget, bounded.
RESERVE_SHARE, RESERVE_LEAST, RESERVE_MOST = 0.08, 2.5, 15.0
# Of the budget, what predicting the rows kept apart may take beyond that.
OWED_MOST = 0.45
# Where more than this share of the budget is at stake it is looked at what an ensemble would be made of now, never sooner
# after the last look than that, nor so soon that looking takes more than one second in so many; but at once when something got
# further than anything had by then, for five models take longer than one. What is chosen may grow.
MUCH, SELDOM, GROWS = 0.03, 20.0, 1.5
# Seconds for it that there always are: cheap models are not left out because somebody is in a hurry.
OWED_LEAST = 1.0
# The share of the reserve that selecting and packaging take.
AFTERWARDS = 0.6
# What a row takes was told by a fold, of few rows perhaps, in a worker that shared its core. Where that is more than the first
# share of what time is left, it is measured anew, which is to take about the second, reading included; by so many rows at least.
CLOSE, TIMING, TIMED = 0.5, 0.04, 16
# To leave out models saves nothing where what they share takes longer than all of them: they may take this share of it.
LITTLE = 0.1


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


def left(clock: Clock) -> float:
    """Seconds for predicting the rows kept apart, as of now; without end where only trials are counted."""
    return max(OWED_LEAST, clock.end - time.monotonic() - AFTERWARDS * reserve(clock.budget))


def in_time(plain: Predictor, members: Collection[Trial], known: Fields, rows: int, clock: Clock) -> Predictor:
    """With as many models of each member as there is time for to predict so many rows like those known; one at least."""
    if price(members, rows) <= CLOSE * left(clock):
        return plain
    together = price(members, rows, 0)  # what they share
    told = price(members, rows, 1) - together
    many = int(np.clip(TIMING * left(clock) / (told + together) * rows, TIMED, max(TIMED, rows)))
    one, some = plain.thinned(1), known.take(np.linspace(0, known.rows - 1, many).astype(int))
    one.raw(some)  # what is read of them once, and all that a first call waits for, is over then
    began = time.monotonic()
    one.raw(some)
    each = (time.monotonic() - began) * rows / many
    # What pretrained models read was not measured: it is no dearer than told in a worker, and as much cheaper as the rest.
    reading = together * min(1.0, each / told if told else 1.0)
    return plain.thinned(max(1, int(max(left(clock) - reading, LITTLE * together) / each)))
