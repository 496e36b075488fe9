"""Whether there is room to write."""

from __future__ import annotations

import shutil
from pathlib import Path

from .errors import RunError

# With less than this left, in bytes, a write that failed is taken to have failed for want of room.
LEAST = 1 << 18


def full(folder: Path) -> bool:
    """Whether the disk that holds a folder has no room: a failed write does not always say that this was why."""
    return shutil.disk_usage(folder).free < LEAST


def no_room(folder: Path) -> RunError:
    """What a run says that cannot be written any further."""
    return RunError(
        f"The disk of '{folder}' is full: {shutil.disk_usage(folder).free / 1e6:.1f} MB are left.",
        "Every finished trial is kept.",
        f"Make room, then: metalearner resume {folder}",
    )
