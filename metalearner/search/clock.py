"""The budget and its hands."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..kinds import Rung
from ..records import Trial

# A single job may take at most this share of the budget, and always so many seconds.
JOB_SHARE, JOB_LEAST = 0.25, 3.0
# From the first interrupt to the end of the run, in seconds.
FAREWELL = 4.0


@dataclass(frozen=True)
class Budget:
    """What a run may spend: wall seconds, trials, or both."""

    seconds: float | None = 120.0
    trials: int | None = None

    @property
    def room(self) -> float | None:
        """Seconds that one fit may take; None without a limit."""
        return self.most(JOB_SHARE) if self.seconds else None

    def most(self, share: float) -> float:
        """Seconds that a job may take which is given this share; infinite without a limit."""
        return max(share * self.seconds, JOB_LEAST) if self.seconds else float("inf")


@dataclass
class Clock:
    """The budget's hands. `reserve` seconds at the end belong to what follows the search."""

    budget: Budget
    began: float = field(default_factory=time.monotonic)
    reserve: float = 0.0
    interrupted_at: float | None = None

    @property
    def interrupted(self) -> bool:
        """Whether somebody asked for an early end."""
        return self.interrupted_at is not None

    def interrupt(self) -> None:
        """End early: the search at once, the run within seconds."""
        self.interrupted_at = self.interrupted_at or time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.began

    @property
    def end(self) -> float:
        """The moment by which the run must be over, on `time.monotonic()`."""
        planned = self.began + self.budget.seconds if self.budget.seconds else float("inf")
        return planned if self.interrupted_at is None else min(planned, self.interrupted_at + FAREWELL)

    @property
    def left(self) -> float:
        """Seconds the search still has."""
        return -1.0 if self.interrupted else self.end - self.reserve - time.monotonic()

    @property
    def spent(self) -> float:
        """Share of the search's seconds that is gone, 0..1; of its trials nobody knows here."""
        if not self.budget.seconds:
            return 0.0
        return min(1.0, max(0.0, self.elapsed / max(1e-9, self.budget.seconds - self.reserve)))

    def count(self, seen: Sequence[Trial]) -> None:
        """Count the seconds that earlier processes of this run had already used, before anybody is told when it began."""
        self.began -= max((t.finished for t in seen), default=0.0)

    def rung(self, seed: int, share: float = JOB_SHARE) -> Rung:
        """A full fit that takes at most a share of the budget and ends in time."""
        return Rung(1.0, time.monotonic() + min(self.left, self.budget.most(share)), 1, seed)


@contextmanager
def interruptible(clock: Clock) -> Iterator[None]:
    """Within it the first Ctrl-C ends the run early with what there is; the second one ends it at once."""
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread alone
        yield
        return

    def hear(number: int, frame: object) -> None:
        if clock.interrupted:
            raise KeyboardInterrupt
        clock.interrupt()

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
