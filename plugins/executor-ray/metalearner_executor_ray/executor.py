"""The driver's side: jobs out to actors, trials back into the run's folder, and what to do when a node is gone."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from metalearner.errors import RunError
from metalearner.kinds import Begin, Executor, Job
from metalearner.records import Trial, plain

from .connection import Connection
from .parcels import pack, unpack

if TYPE_CHECKING:
    from .worker import Answer

# A worker that has not come back this long after its job's deadline is ended: the way over the network included.
GRACE = 5.0
# How often a trial is begun again whose node was lost.
AGAIN = 2
# A node that is shut down ends its workers this long, at most, before it says so itself; as long has a worker that was
# never ready to tidy up.
SETTLE = 0.5
# Workers that may die one after the other before they are ready, until the reason is no accident.
STILLBORN = 3
# How long jobs may wait while not one worker is ready, in seconds.
PATIENCE = 120.0
# How long a trial's files may take from its node to here, and all nodes to tidy up, in seconds.
TRANSIT, TIDY = 60.0, 2.0
# What of the run's data no worker may see.
SEALED = ("sealed",)


class RayCluster(Executor):
    """An actor a worker, one CPU each. Nothing in Ray is kept: what counts is in the run's folder, which only this writes.

    A trial whose node is lost is begun again elsewhere; one whose own process dies is a crash.
    """

    name = "ray"

    def start(self, begin: Begin, workers: int, address: str = "") -> None:
        """Join or start a cluster and bring actors up: as many as asked for or as there are CPUs; 0 is all there are."""
        self._begin, self._run = begin, secrets.token_hex(4)
        self._queue: deque[Job] = deque()
        self._lost: Counter[int] = Counter()  # by trial
        self._data: list[Any] = []  # references to parcels
        self._workers: list[_Worker] = []
        self._stillborn, self._alone = 0, time.monotonic()
        self._connection = Connection(address, workers)
        self._ray = self._connection.ray
        try:
            self._many = min(workers or self._connection.cpus(), self._connection.cpus())
            if not self._many:
                raise RunError("The Ray cluster has no CPU for a worker.", "Each takes one.", "ray status")
            self._workers = [self._spawn() for _ in range(self._many)]
        except BaseException:
            self.stop()
            raise

    def submit(self, job: Job) -> None:
        """Queue a job for the first worker that is free."""
        self._queue.append(job)
        self._dispatch()

    def collect(self, timeout: float) -> list[Trial]:
        """Finished trials, once their files are in the run's folder; ends workers that are far past their deadline."""
        self._dispatch()
        found: list[Trial] = []
        for worker, answer in self._answers(max(0.0, timeout)):
            if worker in self._workers:  # it may have been replaced a moment ago
                found += self._hear(worker, answer)
        now = time.monotonic()
        for worker in self._workers:
            if worker.job is not None and worker.missing and now > worker.job.rung.deadline + GRACE:
                found += self._ended(worker, "timeout", f"no answer {GRACE:.0f} s after its deadline")
                self._replace(worker)
        self._dispatch()
        self._despair()
        return found

    def idle(self) -> int:
        """Workers that are ready and have no job."""
        return max(0, sum(w.free for w in self._workers) - len(self._queue))

    def stop(self) -> None:
        """End all workers at once, remove what they left on their nodes, leave the cluster."""
        ready = {w.node: w for w in self._workers if w.node}  # one of each node tidies up
        others = [w for w in self._workers if not w.node]  # on their way there, or waiting for a CPU
        for worker in self._workers:
            if worker not in (*ready.values(), *others):
                self._kill(worker)
        for tidying, seconds in ((list(ready.values()), TIDY), (others, SETTLE)):
            if leaving := [worker.actor.leave.remote() for worker in tidying]:
                self._ray.wait(leaving, num_returns=len(leaving), timeout=seconds)
            for worker in tidying:
                self._kill(worker)
        self._workers, self._data = [], []
        self._connection.close()

    def _dispatch(self) -> None:
        """Send the data out once they are prepared, and each waiting job to a free worker."""
        data = self._begin.folder / "data"
        if not self._data and (data / "dataset.json").exists():
            self._data = [self._ray.put(parcel) for parcel in pack(data, leave=SEALED)]
            for worker in self._workers:
                worker.receives = worker.actor.receive.remote(self._data)
        for worker in self._workers:
            if worker.free and self._queue:
                job = self._queue.popleft()
                trials = self._begin.folder / "trials"
                checkpoints = {name: list(pack(trials / name)) for name in set(job.resume) if name}
                worker.job, worker.missing, worker.since = job, set(job.numbers), time.monotonic()
                left = job.rung.deadline - time.monotonic()
                sent = replace(job, rung=replace(job.rung, deadline=left))
                worker.awaits = worker.actor.fit.remote(sent, checkpoints)

    def _answers(self, timeout: float) -> list[tuple[_Worker, Any]]:
        """Who has something to say, waiting for the first, and to which question."""
        asked = {asked: w for w in self._workers for asked in (w.awaits, w.receives) if asked is not None}
        if not asked:
            time.sleep(timeout)
            return []
        ready, rest = self._ray.wait(list(asked), num_returns=1, timeout=timeout)
        if ready and rest:
            ready += self._ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        return [(asked[answer], answer) for answer in ready]

    def _hear(self, worker: _Worker, ready: Any) -> list[Trial]:
        """What a worker's answer, or its end, means: trials, or nothing yet."""
        errors = self._ray.exceptions
        try:
            if ready is worker.receives:
                worker.receives = None
                self._ray.get(ready)
                return []
            if worker.job is None:
                worker.node, worker.awaits = self._ray.get(ready), None
                self._stillborn = 0
                return []
            answer: Answer = self._ray.get(next(ready), timeout=TRANSIT)
        except StopIteration:
            found = self._ended(worker, "crash", "the fit gave no trial of it")
            worker.job = worker.awaits = None
            return found
        except errors.RayError as problem:
            return self._failed(worker, problem)
        if answer.trial.number not in worker.missing:
            return []
        trial = self._keep(answer)
        worker.missing.discard(trial.number)
        return [trial]

    def _failed(self, worker: _Worker, problem: Exception) -> list[Trial]:
        """The trials that end with a worker that cannot go on, or that raised; a new worker takes its place."""
        errors = self._ray.exceptions
        raised = problem.cause if isinstance(problem, errors.RayTaskError) else None
        if worker.job is None:
            self._count_stillborn(raised or problem)
            found = []
        elif isinstance(raised, OSError):  # it cannot be written: that is no trial's fault, and ends the run
            raise raised
        elif raised is not None:
            found = self._ended(worker, "crash", f"{type(raised).__name__}: {raised}"[:500])
        elif isinstance(problem, errors.OutOfMemoryError):
            found = self._ended(worker, "out-of-memory", "its node had no memory left")
        elif isinstance(problem, errors.ActorDiedError) and self._alive(worker.node):
            found = self._ended(worker, "crash", "the worker died")
        else:
            found = self._again(worker)
        self._replace(worker)
        return found

    def _again(self, worker: _Worker) -> list[Trial]:
        """Queue what a lost node had not finished; what was lost too often is given up as a crash."""
        self._lost.update(worker.missing)
        often = {n for n in worker.missing if self._lost[n] > AGAIN}
        assert worker.job is not None
        if rest := worker.missing - often:
            self._queue.appendleft(_part(worker.job, rest))
        worker.missing = often
        return self._ended(worker, "crash", f"its node was lost {AGAIN + 1} times")

    def _ended(self, worker: _Worker, outcome: str, error: str) -> list[Trial]:
        """Trials for what a worker's job has not finished; fitted side by side, each took its share of the seconds."""
        job, missing = worker.job, worker.missing
        assert job is not None
        seconds = (time.monotonic() - worker.since) / max(1, len(missing))
        lost = Trial(0, job.proposals[0], outcome, job.rung.seed, job.rung.share, None, None, seconds, 0.0, {}, error)
        unfinished = [(n, p) for n, p in zip(job.numbers, job.proposals) if n in missing]
        return [replace(lost, number=number, proposal=proposal) for number, proposal in unfinished]

    def _keep(self, answer: Answer) -> Trial:
        """Write a trial's files, then give them their name; its moment is put on this machine's clock."""
        moved = time.monotonic() - answer.now
        trial = replace(answer.trial, finished=answer.trial.finished + moved)
        place = self._begin.folder / "trials" / trial.name
        if answer.parcels and not place.exists():
            part = place.parent / f".{trial.name}.ray"
            shutil.rmtree(part, ignore_errors=True)
            unpack(answer.parcels, part)
            (part / "trial.json").write_text(json.dumps(plain(trial)))
            part.rename(place)
        return trial

    def _alive(self, node: str) -> bool:
        """Whether a node still stands after its worker died."""
        until = time.monotonic() + SETTLE
        while any(n["NodeID"] == node and n["Alive"] for n in self._ray.nodes()):
            if time.monotonic() > until:
                return True
            time.sleep(0.05)
        return False

    def _count_stillborn(self, why: Exception) -> None:
        self._stillborn += 1
        if self._stillborn > STILLBORN:
            raise RunError(
                f"Workers cannot start on the Ray cluster: {type(why).__name__}: {why}",
                "Every node needs the same Python, metalearner and plugins as this machine.",
                "metalearner doctor",
            )

    def _despair(self) -> None:
        """Raise RunError when jobs have waited too long for any worker at all."""
        now, many = time.monotonic(), len(self._queue)
        if not many or any(w.node for w in self._workers):
            self._alone = now
        elif now > self._alone + PATIENCE:
            raise RunError(
                f"{'1 job waits' if many == 1 else f'{many} jobs wait'}, and no worker was ready for {PATIENCE:.0f} s.",
                "Every finished trial is kept.",
                f"ray status; metalearner resume {self._begin.folder}",
            )

    def _spawn(self) -> _Worker:
        from .worker import Worker

        remote = self._ray.remote(
            num_cpus=1, max_restarts=0, concurrency_groups={"listen": 1}, scheduling_strategy="SPREAD"
        )
        actor = remote(Worker).remote(self._begin, self._run, self._many)
        receives = actor.receive.remote(self._data) if self._data else None
        return _Worker(actor, actor.get_ready.remote(), receives)

    def _replace(self, worker: _Worker) -> None:
        """A new worker in its place. While no node has a free CPU it waits for one: a node that joins takes it up."""
        self._kill(worker)
        self._workers[self._workers.index(worker)] = self._spawn()

    def _kill(self, worker: _Worker) -> None:
        with suppress(self._ray.exceptions.RayError, ValueError):  # it is dead already
            self._ray.kill(worker.actor, no_restart=True)


@dataclass(eq=False)
class _Worker:
    """One actor, what it was asked last, and the job it has."""

    actor: Any
    awaits: Any  # that it is ready, then a stream of answers; None when it has nothing to do
    receives: Any = None  # that it has the data
    node: str = ""  # where it is, once it is ready
    job: Job | None = None
    missing: set[int] = field(default_factory=set)  # numbers of the job that have no trial yet
    since: float = 0.0

    @property
    def free(self) -> bool:
        return bool(self.node) and self.job is None


def _part(job: Job, numbers: set[int]) -> Job:
    """The same job for some of its proposals."""
    kept = [i for i, number in enumerate(job.numbers) if number in numbers]
    resume = tuple(job.resume[i] for i in kept) if job.resume else ()
    return replace(job, numbers=tuple(job.numbers[i] for i in kept),
                   proposals=tuple(job.proposals[i] for i in kept), resume=resume)  # fmt: skip
