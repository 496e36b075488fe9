"""Folders of runs: their names, who owns them, and what was installed when they ran."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from . import disk, machine
from .errors import RunError, UserError
from .plugins import Registry
from .records import plain
from .request import Request

# What was predicted for the rows that measured the model, beside their truth.
ANSWERS = "answers.npz"
# The same for rows that were learnt from, by models that had not seen them.
HELD = "held.npz"


@contextmanager
def owned(request: Request, name: str) -> Iterator[Path]:
    """The run's folder, made and locked; the kernel frees the lock when this process dies."""
    folder = request.out or Path("runs") / f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name)[:40]}-{secrets.token_hex(2)}"
    fresh = not folder.exists()
    try:
        (folder / "trials").mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")  # whoever holds it has written who that is
    except OSError as problem:
        raise UserError(
            f"The run's folder '{folder}' cannot be written: {problem.strerror}.", "", "Name another with --out."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"The run in '{folder}' is going on in another process.", "A run has one owner.") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        if (folder / "run.json").exists():
            raise UserError(f"'{folder}' holds a finished run.", "", "Name another folder with --out.")
        try:
            write(folder / "request.json", request.to_json())
            yield folder
        except OSError as problem:
            if disk.full(folder):
                raise disk.no_room(folder) from problem
            raise
        except UserError:  # nothing half-written is left of what could not be begun; what was tried is never lost
            if fresh and not any((folder / "trials").glob("[0-9]*")):
                shutil.rmtree(folder, ignore_errors=True)
                if request.out is None:
                    with contextlib.suppress(OSError):  # runs/ itself, if nothing else is in it
                        folder.parent.rmdir()
            raise


def write(file: Path, told: Any) -> None:
    """JSON that is there whole, or not at all, whenever this process ends; a file that says the same keeps its date."""
    text = json.dumps(plain(told), indent=1)
    if file.exists() and file.read_text() == text:
        return
    part = file.with_name(f".{file.name}")
    part.write_text(text)
    part.replace(file)


def owner(folder: Path) -> int | None:
    """The process that holds this run, None when nobody does."""
    lock = folder / "lock"
    if not lock.exists():
        return None
    with lock.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            written = handle.read().strip()
            return int(written) if written.isdigit() else 0
    return None


def request_of(folder: Path) -> Request:
    """What was asked of the run in this folder. Raises UserError when there is none to go on with."""
    file = folder / "request.json"
    if not file.exists():
        raise UserError(f"'{folder}' is not the folder of a run.", "It would hold a request.json.", "ls runs")
    if (folder / "run.json").exists():
        raise UserError(f"The run in '{folder}' is finished.", "", f"metalearner evaluate {folder / 'bundle'} ROWS")
    return Request.from_json(json.loads(file.read_text()), folder)


def versions(registry: Registry) -> dict[str, str]:
    """What a result depends on: Python, the libraries that compute, the plugins."""
    return _libraries() | {p.distribution: p.version for p in registry.plugins if not p.failure}


@cache
def _libraries() -> dict[str, str]:
    """Looked up once: it reads folders, and each trial of a run is kept with it."""
    from importlib import metadata

    found = {"python": platform.python_version()}
    for name in ("torch", "numpy", "lightgbm"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> str:
    """The class of machine, never its name."""
    return f"{platform.machine()} {machine.cores()} cores {sys.platform}"
