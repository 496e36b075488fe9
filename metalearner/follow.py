"""Tell a callback of a run: what has happened, and, as long as it goes on, what happens."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from . import events, runs
from .kinds import Callback
from .plugins import Registry
from .report.account import Account
from .report.page import report


def follow(folder: Path, callback: Callback, registry: Registry) -> None:
    """Returns when the run in this folder ends, or at once when it has. Raises UserError where there is no run."""
    Account.open(folder)
    observer = callback.begin(folder)
    for event in events.follow(folder / "events.jsonl", lambda: runs.owner(folder) is not None):
        observer.hear(event)
    observer.end(partial(report, folder, registry))
