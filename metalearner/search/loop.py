"""Keep the workers busy until the budget is spent."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..kinds import Executor, Job, Proposer, Rung
from ..records import Trial

# A single trial may take at most this share of the budget.
TRIAL_SHARE = 0.25
# A trial is not begun with less than this left, in seconds.
SHORTEST = 1.0


@dataclass(frozen=True)
class Budget:
    """What a run may spend: wall seconds, trials, or both."""

    seconds: float | None = 120.0
    trials: int | None = None


@dataclass
class Clock:
    """The budget's hands. `reserve` seconds at the end belong to what follows the search."""

    budget: Budget
    began: float = field(default_factory=time.monotonic)
    reserve: float = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.began

    @property
    def end(self) -> float:
        """The moment by which the run must be over, on `time.monotonic()`."""
        return self.began + self.budget.seconds if self.budget.seconds else float("inf")

    @property
    def left(self) -> float:
        """Seconds the search still has."""
        return self.end - self.reserve - time.monotonic()

    def spent(self, seen: Sequence[Trial]) -> None:
        """Count the seconds an earlier process of this run had already used."""
        self.began -= max((t.finished for t in seen), default=0.0)

    def rung(self, seed: int) -> Rung:
        """A full fit that ends in time."""
        share = TRIAL_SHARE * self.budget.seconds if self.budget.seconds else float("inf")
        return Rung(1.0, time.monotonic() + min(self.left, max(share, 3.0)), 1, seed)


def search(
    proposer: Proposer,
    executor: Executor,
    clock: Clock,
    seed: int,
    seen: Sequence[Trial] = (),
    listen: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Submit, collect, listen; KeyboardInterrupt ends it early. Returns all trials, those of `seen` included."""
    trials = list(seen)
    number = max((t.number for t in trials), default=-1) + 1
    limit = clock.budget.trials
    try:
        while True:
            while executor.idle() and clock.left > SHORTEST and (limit is None or number < limit):
                proposals = proposer.ask(1, trials, clock.left)
                if not proposals:
                    break
                executor.submit(Job(number, proposals[0], clock.rung(seed)))
                number += 1
            pending = number - (max((t.number for t in seen), default=-1) + 1) - (len(trials) - len(seen))
            if pending == 0:
                return trials
            for trial in executor.collect(min(0.5, max(0.05, clock.left))):
                trials.append(trial)
                listen(trial)
            if clock.left < -GRACE:
                return trials
    except KeyboardInterrupt:
        return trials


# How long the search waits for the last trials after its time is up, in seconds.
GRACE = 0.7
