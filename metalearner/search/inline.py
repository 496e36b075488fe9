"""Trials in the process that asks for them, one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from ..kinds import Begin, Executor, Job
from ..records import Trial


class InProcess(Executor):
    """Nothing to bring up and nothing to send: for a few trials on small data, where that would take longer than fitting.

    What worker processes are there for is given up. A fit is asked to end by its deadline but cannot be ended, so a budget of
    seconds holds only as far as learners keep to theirs, and an interrupt waits for the fit under way; memory has no cap; what
    kills its process kills the caller's.
    """

    name = "inline"

    def __init__(self) -> None:
        self._fit: Callable[[Job], Iterator[Trial]] | None = None
        self._jobs: deque[Job] = deque()
        self._under_way: Iterator[Trial] = iter(())
        self._missing = 0  # trials of the job under way

    def start(self, begin: Begin, workers: int, address: str = "") -> None:
        """Nothing yet: this process is about to prepare the data that a beginning would wait for."""
        self._begin = begin

    def submit(self, job: Job) -> None:
        """Queue a job for `collect`."""
        self._jobs.append(job)

    def collect(self, timeout: float) -> list[Trial]:
        """The next trial, fitted now, however long it takes; none where there is nothing to fit or no time to wait."""
        if timeout <= 0 or not (self._missing or self._jobs):
            return []
        self._fit = self._fit or self._begin()
        if not self._missing:
            job = self._jobs.popleft()
            self._under_way, self._missing = self._fit(job), len(job.numbers)
        self._missing -= 1
        return [next(self._under_way)]

    def idle(self) -> int:
        """One while nothing is queued or under way."""
        return int(not (self._missing or self._jobs))

    def stop(self) -> None:
        """Forget what was not fitted."""
        self._fit, self._under_way, self._missing = None, iter(()), 0
        self._jobs.clear()
