"""An actor's side: a copy of the run's data, the function that fits, and a thread that listens meanwhile."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray

from metalearner.kinds import Begin, Job
from metalearner.records import Trial

from .parcels import Parcel, pack, unpack
from .temporary import PREFIX, claim, sweep

# Of a node's memory, the share that all workers on it together may have as data.
MEMORY_SHARE = 0.8


@dataclass(frozen=True)
class Answer:
    """A finished trial, the files it left, and what the node's clock said then."""

    trial: Trial
    parcels: list[Parcel]
    now: float  # time.monotonic() of the node


class Worker:
    """One actor. What it writes lies in a temporary folder of the node, whose data all its workers share."""

    def __init__(self, begin: Begin, run: str, workers: int) -> None:
        self._node = ray.get_runtime_context().get_node_id()
        if size := _share(self._node, workers):
            _cap_memory(size)
        base = Path(tempfile.gettempdir())
        sweep(base)
        self._shared = base / f"{PREFIX}{run}"
        self._shared.mkdir(mode=0o700, exist_ok=True)
        self._lock = claim(self._shared)  # held as long as this process lives
        own = Path(tempfile.mkdtemp(prefix="worker-", dir=self._shared))
        (own / "data").symlink_to(self._shared / "data")
        self._trials = own / "trials"
        self._trials.mkdir()
        self._begin = begin.at(own)
        self._fit: Callable[[Job], Iterator[Trial]]

    def get_ready(self) -> str:
        """Import what is heavy and wait for the data; the node this is."""
        self._fit = self._begin()
        return self._node

    def fit(self, job: Job, checkpoints: Mapping[str, list[Parcel]]) -> Iterator[Answer]:
        """The trials of a job, whose deadline is in seconds from now: no two machines have the same clock."""
        for name, parcels in checkpoints.items():
            unpack(parcels, self._trials / name)
        job = replace(job, rung=replace(job.rung, deadline=time.monotonic() + job.rung.deadline))
        try:
            for trial in self._fit(job):
                yield Answer(trial, list(pack(self._trials / trial.name)), time.monotonic())
                shutil.rmtree(self._trials / trial.name, ignore_errors=True)  # the driver has it
        finally:
            for name in checkpoints:
                shutil.rmtree(self._trials / name, ignore_errors=True)

    @ray.method(concurrency_group="listen")
    def receive(self, parcels: Sequence[Any]) -> None:
        """Unpack the run's data, references to parcels, unless another worker of this node did."""
        with (self._shared / "unpacking").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (self._shared / "data").exists():
                part = Path(tempfile.mkdtemp(prefix=".data-", dir=self._shared))
                unpack((ray.get(parcel) for parcel in parcels), part)
                part.rename(self._shared / "data")

    @ray.method(concurrency_group="listen")
    def leave(self) -> None:
        """Remove what the run left on this node."""
        shutil.rmtree(self._shared, ignore_errors=True)


def _share(node: str, workers: int) -> int:
    """The bytes of data that one of `workers` may have on this node, which has one a CPU at most; 0 if it does not say."""
    resources = next(n["Resources"] for n in ray.nodes() if n["NodeID"] == node)
    return int(MEMORY_SHARE * resources.get("memory", 0) / min(workers, max(1, resources.get("CPU", 1))))


def _cap_memory(size: int) -> None:
    """Bound this process's data so that a greedy trial fails alone."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    except (ImportError, ValueError, OSError):  # not on this platform: the machine's own limits hold
        return
