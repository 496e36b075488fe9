"""The machine at hand, as far as this process may use it."""

from __future__ import annotations

import os


def cores() -> int:
    """Cores this process may run on: fewer than there are where it was bound to some."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Bytes of memory."""
    import psutil

    return int(psutil.virtual_memory().total)
