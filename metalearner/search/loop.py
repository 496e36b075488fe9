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
    interrupted: bool = False

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

    def rung(self, seed: int, share: float = TRIAL_SHARE) -> Rung:
        """A full fit that takes at most a share of the budget and ends in time."""
        share = share * self.budget.seconds if self.budget.seconds else float("inf")
        return Rung(1.0, time.monotonic() + min(self.left, max(share, 3.0)), 1, seed)


def search(
    proposer: Proposer,
    executor: Executor,
    clock: Clock,
    seed: int,
    seen: Sequence[Trial] = (),
    listen: Callable[[Trial], None] = lambda trial: None,
    begun: int = 0,
) -> list[Trial]:
    """Submit, collect, listen; KeyboardInterrupt ends it early. Returns all trials, those of `seen` included.

    `begun` jobs were submitted before, numbered on from `seen`.
    """
    trials = list(seen)
    number = first_number(seen) + begun
    pending = begun
    try:
        while True:
            exhausted = False
            while (
                executor.idle()
                and clock.left > SHORTEST
                and number < (clock.budget.trials or float("inf"))
                and not exhausted
            ):
                proposals = proposer.ask(1, trials, clock.left)
                exhausted = not proposals
                for proposal in proposals:
                    executor.submit(Job(number, proposal, clock.rung(seed)))
                    number, pending = number + 1, pending + 1
            more = clock.left > SHORTEST and number < (clock.budget.trials or float("inf")) and not exhausted
            if (not pending and not more) or clock.left < -GRACE:
                return trials
            for trial in executor.collect(min(0.5, max(0.05, clock.left))):
                pending -= 1
                trials.append(trial)
                listen(trial)
    except KeyboardInterrupt:
        clock.interrupted = True
        return trials


def first_number(seen: Sequence[Trial]) -> int:
    """The number of the next trial."""
    return max((t.number for t in seen), default=-1) + 1


# How long the search waits for the last trials after its time is up, in seconds.
GRACE = 0.7
