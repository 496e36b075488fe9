"""The machine at hand, as far as this process may use it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Iterator
from functools import cache

# Bytes that a process may hold before freed memory is handed back: doing so takes some milliseconds.
LARGE = 1_000_000_000


@cache
def speed() -> float:
    """Billions of float32 multiply-adds a second of one core: seconds measured on one machine are told for another by it."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    side, times = 256, 10
    a = np.random.default_rng(0).normal(size=(side, side)).astype(np.float32)
    taken = []
    with threadpool_limits(1):
        for _ in range(7):
            began = time.process_time()
            for _ in range(times):
                a @ a
            taken.append(time.process_time() - began)
    return times * side**3 / max(min(taken), 1e-6) / 1e9


def cores() -> int:
    """Cores this process may run on: fewer than there are where it was bound to some."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def threads_kept() -> Iterator[None]:
    """Afterwards torch has as many threads in this process as before; one a core where it came in only now."""
    before = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else cores()
    try:
        yield
    finally:
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(before)


def cpu_seconds() -> float:
    """Seconds of all cores that this process and its children that have ended took so far."""
    return sum(os.times()[:4])


def memory() -> int:
    """Bytes of memory."""
    import psutil

    return int(psutil.virtual_memory().total)


def give_back_memory() -> None:
    """Hand freed memory back to the system where this process has grown large, and the accelerator's to other processes.

    glibc keeps what training of networks frees, in pieces that the next network does not fit into: after some tens of
    large ones that is gigabytes. Other C libraries do not, or know no such call.
    """
    import psutil

    if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
        sys.modules["torch"].cuda.empty_cache()
    if psutil.Process().memory_info().rss > LARGE:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
