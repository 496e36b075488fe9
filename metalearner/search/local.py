"""Trials in long-lived worker processes on this machine, one job each at a time."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from .. import machine
from ..errors import RunError
from ..kinds import Begin, Executor, Job
from ..records import Trial

# A worker that has not come back this long after its job's deadline is ended: seconds, and a share of what the job was given.
GRACE, GRACE_SHARE = 2.0, 0.15
PR_SET_PDEATHSIG = 1  # of Linux's prctl
# Workers that may die before they are ready, until the reason is no accident.
STILLBORN = 3
# Of the machine's memory, the share that all workers together may have as data.
MEMORY_SHARE = 0.8


class LocalProcesses(Executor):
    """Spawned processes; one that dies is recorded as a crash and replaced."""

    name = "local"

    def __init__(self) -> None:
        self._workers: list[_Worker] = []
        self._stillborn = 0

    def start(self, begin: Begin, workers: int, address: str = "") -> None:
        """Spawn `workers` processes; they import and wait while the caller goes on."""
        workers = workers or machine.cores()
        self._begin = begin
        self._memory = int(machine.memory() * MEMORY_SHARE / workers)
        self._workers = [_Worker.spawn(begin, self._memory) for _ in range(workers)]

    def submit(self, job: Job) -> None:
        """Hand the job to a worker that has none; one that is still getting ready takes it up as soon as it is."""
        free = [w for w in self._workers if w.job is None]
        worker = next((w for w in free if w.ready), free[0])
        try:
            worker.connection.send(job)
        except OSError:  # it died while it had nothing to do
            self._died(worker)
            self.submit(job)
        else:
            worker.job, worker.since, worker.missing = job, time.monotonic(), len(job.numbers)

    def collect(self, timeout: float) -> list[Trial]:
        """Finished trials; ends workers that are far past their deadline, and replaces those that died."""
        listening = {w.connection: w for w in self._workers}
        found: list[Trial] = []
        for connection in wait(list(listening), timeout=max(0.0, timeout)):
            found += self._receive(listening[connection])  # type: ignore[index]
        for worker in self._workers:
            # What keeps a worker from getting ready is no fault of the trial that waits for it.
            if worker.ready and worker.job is not None and (late := worker.late()):
                found += self._lost(worker, "timeout", f"no answer {late:.0f} s after its deadline")
        return found

    def idle(self) -> int:
        """Workers that are ready and have no job."""
        return sum(w.ready and w.job is None for w in self._workers)

    def stop(self) -> None:
        """End all workers at once; what they were fitting is lost, what they finished is on disk."""
        for worker in self._workers:
            worker.end()
        self._workers = []

    def _receive(self, worker: _Worker) -> list[Trial]:
        """A worker's answer: a trial, or nothing when it said that it is ready."""
        try:
            answer: Trial | OSError | None = worker.connection.recv()
        except (EOFError, OSError):
            return self._died(worker)
        if answer is None:
            worker.ready = True
            return self._receive(worker) if worker.connection.poll() else []  # it may have said more since
        if isinstance(answer, OSError):
            raise answer
        worker.missing -= 1
        if not worker.missing:
            worker.job = None
        return [answer]

    def _died(self, worker: _Worker) -> list[Trial]:
        """The trials that are lost with a worker; a new one takes its place, unless they keep dying before they are ready."""
        worker.process.join(1)
        why = f"the worker died (exit code {worker.process.exitcode})"
        if worker.job is not None:
            return self._lost(worker, "crash", why)
        self._stillborn += not worker.ready
        if self._stillborn > STILLBORN:
            raise RunError(
                f"Workers cannot start: {why}.", "They load the plugins and the data.", "metalearner doctor"
            ) from None
        self._replace(worker)
        return []

    def _lost(self, worker: _Worker, outcome: str, error: str) -> list[Trial]:
        """The trials of a worker that will not answer; a new worker takes its place.

        Where several were fitted side by side, those that were not finished are lost together.
        """
        job = worker.job
        assert job is not None
        self._replace(worker)
        seconds = (time.monotonic() - worker.since) / max(1, worker.missing)
        lost = Trial(0, job.proposals[0], outcome, job.rung.seed, job.rung.share, None, None, seconds, 0.0, {}, error)
        unfinished = list(zip(job.numbers, job.proposals))[len(job.numbers) - worker.missing :]
        return [replace(lost, number=number, proposal=proposal) for number, proposal in unfinished]

    def _replace(self, worker: _Worker) -> None:
        worker.end()
        self._workers[self._workers.index(worker)] = _Worker.spawn(self._begin, self._memory)


class _Worker:
    """One process, the pipe to it, and the job it has."""

    def __init__(self, process: BaseProcess, connection: Connection) -> None:
        self.process, self.connection = process, connection
        self.job: Job | None = None
        self.since = 0.0
        self.missing = 0  # proposals of the job that have no trial yet
        self.ready = False

    @classmethod
    def spawn(cls, begin: Begin, memory: int) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, begin, memory), daemon=True)
        before = {k: os.environ.get(k) for k in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        os.environ.update(dict.fromkeys(before, "1"))  # read once, when the child loads its libraries
        try:
            with _no_main():
                process.start()
        finally:
            for key, value in before.items():
                os.environ.pop(key) if value is None else os.environ.update({key: value})
        theirs.close()
        return cls(process, ours)

    def late(self) -> float:
        """Seconds past its deadline, when it is past bearing; else 0."""
        assert self.job is not None
        deadline = self.job.rung.deadline
        grace = GRACE + GRACE_SHARE * max(0.0, deadline - self.since)
        late = time.monotonic() - deadline
        return late if late > grace else 0.0

    def end(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join(2)


@contextmanager
def _no_main() -> Iterator[None]:
    """Hide the caller's main module from spawn, which would run it again in every worker: none of ours needs it.

    So a script that calls `metalearner.fit` works without `if __name__ == "__main__"`.
    """
    main = vars(sys.modules["__main__"])
    held: dict[str, Any] = {name: main[name] for name in ("__spec__", "__file__") if name in main}
    main.update(dict.fromkeys(held))
    try:
        yield
    finally:
        main.update(held)


def _serve(connection: Connection, begin: Begin, memory: int) -> None:
    """A worker's life: get ready once, then fit job after job until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    _die_with_parent()
    _cap_memory(memory)
    fit = begin()
    connection.send(None)  # ready
    while True:
        try:
            job: Job = connection.recv()
        except (EOFError, OSError):
            return
        try:
            for trial in fit(job):
                connection.send(trial)
        except BrokenPipeError:  # the parent is gone; the trial is on disk
            return
        except OSError as problem:  # it cannot be written: that is no trial's fault, and ends the run
            connection.send(problem)
            return


def _die_with_parent() -> None:
    """End at once when the parent does, however it ends: what a resumed run tries again must not be written twice."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):  # not Linux: the closed pipe ends the worker after its job
        return


def _cap_memory(size: int) -> None:
    """Bound this process's data so that a greedy trial fails alone."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    except (ImportError, ValueError, OSError):  # not on this platform: the machine's own limits hold
        return
