"""Workers that go from data set to data set, so that what they import is paid once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .. import kinds
from ..kinds import Executor, Job, Rung
from ..plugins import Registry
from ..records import Proposal, Trial
from ..worker import Begin
from .course import Course
from .prepared import SEED

# Seconds for a first fit that pays for imports, and the number of the first of them, far from any that counts.
WARM_UP, UNCOUNTED = 20.0, 90_000
# After these a worker may be a new one, whose first fits would pay for imports again.
ENDED = ("timeout", "crash")
# The file that says which data set the workers are about.
NOW = "now.txt"


@dataclass(frozen=True)
class Wandering(kinds.Begin):
    """A worker that goes from data set to data set: each job is about the one that `folder`/now names by then."""

    folder: Path
    began: float

    def __call__(self) -> Callable[[Job], Iterator[Trial]]:
        """Import once, then open the data of each job as they change."""
        at: dict[str, Callable[[Job], Iterator[Trial]]] = {}

        def fit(job: Job) -> Iterator[Trial]:
            name = (self.folder / NOW).read_text()
            if name not in at:
                at.clear()
                at[name] = Begin(self.folder / name, self.began)()
            return at[name](job)

        return fit

    def at(self, folder: Path) -> Wandering:
        """The same elsewhere."""
        return replace(self, folder=folder)


class Gang:
    """Workers that stay while data sets change, so that what they import is paid once."""

    def __init__(self, registry: Registry, folder: Path, workers: int) -> None:
        self.folder, self.workers = folder, workers
        self.executor: Executor = registry.get("executors", "local")
        self.executor.start(Wandering(folder, time.monotonic()), workers)
        self.warm: set[str] = set()  # roots whose imports are paid
        self.uncounted = UNCOUNTED  # the number of the next warm-up: none is used twice

    def turn_to(self, name: str, course: Course) -> None:
        """The next data set."""
        part = self.folder / f"{NOW}.part"
        part.write_text(name)
        part.replace(self.folder / NOW)
        self._warm_up(course)

    def run(self, course: Course, most: float, until: float) -> Iterator[Trial]:
        """Keep the workers busy until nothing is left or the time is up; what was begun is finished."""
        number, over, replaced = len(course.trials), False, False
        while course.open or not over:
            over = over or time.monotonic() >= until
            if replaced and not course.open and not over:
                self.warm.clear()
                self._warm_up(course)
                replaced = False
            while self.executor.idle() and not over and not replaced:
                found = course.next()
                if found is None:
                    over = not course.open  # else what is under way says what comes next
                    break
                proposal, seed = found
                self.executor.submit(Job((number,), (proposal,), Rung(1.0, time.monotonic() + most, 1, seed)))
                number += 1
            for trial in self.executor.collect(0.5):
                replaced = replaced or trial.outcome in ENDED
                course.learn(trial)
                yield trial

    def _warm_up(self, course: Course) -> None:
        """Each worker fits something of each learner that is new to it, which nobody counts."""
        first = {c.production: Proposal(c, f, "warm-up") for c, f in reversed(course.presets)}
        for root in sorted(first.keys() - self.warm):
            self._all_idle()
            for _ in range(self.workers):
                rung = Rung(1.0, time.monotonic() + WARM_UP, 1, SEED)
                self.executor.submit(Job((self.uncounted,), (first[root],), rung))
                self.uncounted += 1
            self._all_idle()
            self.warm.add(root)

    def _all_idle(self) -> None:
        while self.executor.idle() < self.workers:
            self.executor.collect(0.2)
