"""The learning rate over a fit, and what becomes of it when the deadline comes before the last epoch."""

from __future__ import annotations

import math
import time

# Steps after which the pace of a fit is known.
KNOWN = 8


def rate(schedule: str, warmup: float, progress: float) -> float:
    """Share of the full learning rate at a progress of 0..1.

    >>> [round(rate("cosine", 0.1, p), 2) for p in (0.0, 0.1, 0.55, 1.0)]
    [0.05, 1.0, 0.51, 0.01]
    """
    if schedule == "one-cycle":
        warmup = 0.3
    if progress < warmup:
        return 0.05 + 0.95 * progress / warmup
    if schedule == "constant":
        return 1.0
    through = min(1.0, (progress - warmup) / max(1e-9, 1 - warmup))
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * through))


class Pace:
    """How fast a fit goes. Where its steps cannot all be done in time, its schedule follows the clock instead of them.

    A cosine that is cut at a third is much worse than one that is shortened. Without pressure of time nothing here
    depends on the clock, so that the same seed gives the same model.
    """

    def __init__(self, deadline: float, shortens: bool, look: float) -> None:
        """`deadline` on `time.monotonic()`; `shortens` is for fits that are to reach their end.

        `look` is what a look at the watched slice costs, in steps, until the first one has been timed.
        """
        self.began, self.deadline, self.shortens = time.monotonic(), deadline, shortens
        self.look, self.steps = look, 0
        self.judging: float | None = None
        self.pressed = False

    def stepped(self, left: int) -> bool:
        """Count a step, `left` more to go; False when there is time for no other."""
        self.steps += 1
        now = time.monotonic()
        if self.shortens and not self.pressed and self.steps >= KNOWN:
            self.pressed = left * (now - self.began) / self.steps > self.deadline - now
        return now < self.end

    def judged(self, began: float) -> None:
        """Remember how long a look at the watched slice takes."""
        self.judging = time.monotonic() - began

    @property
    def end(self) -> float:
        """The moment of the last step: early enough to judge what it gives."""
        used = time.monotonic() - self.began
        return self.deadline - (self.look * used / max(1, self.steps) if self.judging is None else self.judging)

    def progress(self, planned: float, start: float) -> float:
        """Where the schedule stands, 0..1: `planned` by the epochs, which began at `start`, or later by the clock."""
        if not self.pressed:
            return planned
        used = (time.monotonic() - self.began) / max(1e-9, self.end - self.began)
        return max(planned, min(1.0, start + (1 - start) * used))
