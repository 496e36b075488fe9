"""Temporary folders that are removed even when who made them was killed: by the next one that comes along."""

from __future__ import annotations

import fcntl
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO

# What names of such folders begin with; no others are touched.
PREFIX = "metalearner-ray-"


def claim(folder: Path) -> IO[str]:
    """Mark a folder as in use, beside others who use it, for as long as the file returned is open."""
    lock = (folder / "lock").open("a")
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def sweep(base: Path) -> None:
    """Remove what is in use no more: the kernel frees the lock of a process that dies."""
    for folder in base.glob(f"{PREFIX}*"):
        with suppress(OSError), (folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
