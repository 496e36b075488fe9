"""Joining a Ray cluster, or starting one of this machine alone, and leaving things as they were."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

from metalearner.errors import PluginError, UserError

from .temporary import PREFIX, claim, sweep

# Ray's store for objects on a machine that is a cluster of its own, in bytes; what is more goes to disk.
STORE = 200 << 20
# How long a cluster may take to accept a connection, in seconds.
ANSWER = 5.0
# No reports to Ray's makers, and no interest in the tool that started this process.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}


class Connection:
    """This process as a driver: of the cluster at `address`, or without one of a cluster it starts and ends.

    A process that is in a cluster already stays in it. Raises UserError when no cluster can be reached.
    """

    def __init__(self, address: str, workers: int) -> None:
        self.ray = _ray()
        self._folder = ""  # of a cluster of this machine alone
        self._ours = not self.ray.is_initialized()
        if not self._ours:
            return
        main = threading.current_thread() is threading.main_thread()
        before = signal.getsignal(signal.SIGTERM)
        try:
            self._join(address) if address else self._found(workers)
        finally:
            if main:  # Ray takes this signal for itself
                signal.signal(signal.SIGTERM, before)
        self._speak(False)

    def cpus(self) -> int:
        """CPUs of all nodes together."""
        return int(self.ray.cluster_resources().get("CPU", 0))

    def close(self) -> None:
        """Leave the cluster, and end it if it is ours."""
        if self._ours:
            self.ray.shutdown()
            self._speak(True)
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._lock.close()

    def _speak(self, aloud: bool) -> None:
        """Let Ray print what happens to workers on stdout, or not: there the command line has a result to give."""
        self.ray._private.worker._worker_logs_enabled = aloud  # as Ray's own debugger does

    def _join(self, address: str) -> None:
        _knock(address)
        try:
            self.ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as problem:
            self.ray.shutdown()
            raise _unreachable(address, problem) from None

    def _found(self, workers: int) -> None:
        # Sockets lie in here, and their paths may have 107 characters at most.
        base = Path("/tmp")
        sweep(base)
        self._folder = tempfile.mkdtemp(prefix=PREFIX, dir=base)
        self._lock = claim(Path(self._folder))
        options: dict[str, Any] = {"include_dashboard": False, "object_store_memory": STORE, "_temp_dir": self._folder}
        options |= {"num_cpus": workers or os.cpu_count(), "log_to_driver": False, "logging_level": logging.ERROR}
        constants = self.ray._private.ray_constants
        before = constants.ENABLE_RAY_CLUSTER
        try:
            # Ray's servers ask for no password: what is for this machine alone shall not be heard outside it.
            constants.ENABLE_RAY_CLUSTER = False
            self.ray.init(address="local", **options)
        except Exception as problem:
            self.close()
            raise UserError(
                f"Ray cannot start on this machine: {problem}",
                "It needs room below /tmp and shared memory.",
                "ray status",
            ) from None
        finally:
            constants.ENABLE_RAY_CLUSTER = before


def _ray() -> Any:
    """The library, imported when a run needs it; it reads its environment at that moment."""
    for key, value in QUIET.items():
        os.environ.setdefault(key, value)
    try:
        import ray
    except ImportError as problem:
        raise PluginError(
            f"Ray cannot be imported: {problem}.",
            "The executor 'ray' needs it.",
            "pip install metalearner-executor-ray",
        ) from None
    return ray


def _knock(address: str) -> None:
    """Raise UserError unless something listens there: Ray itself would wait for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        raise UserError(
            f"'{address}' is no address of a Ray cluster.",
            "It is HOST:PORT, or auto for the cluster that this machine is a node of.",
            "ray start --head",
        )
    try:
        socket.create_connection((host, int(port)), ANSWER).close()
    except OSError as problem:
        raise _unreachable(address, problem) from None


def _unreachable(address: str, problem: Exception) -> UserError:
    said = str(problem).strip().splitlines() or [type(problem).__name__]
    return UserError(
        f"The Ray cluster at {address} cannot be joined: {said[0]}",
        "A run is driven from a machine that is a node of the cluster, with or without CPUs of its own.",
        f"ray start --num-cpus 0 --address {'HOST:6379' if address == 'auto' else address}",
    )
