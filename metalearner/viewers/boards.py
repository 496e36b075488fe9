"""What TensorBoard reads."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from ..follow import follow
from ..observers import Observers
from ..plugins import Registry
from ..report.account import Account

CALLBACK = "tensorboard"  # and the folder below a run that it writes


def write(account: Account, registry: Registry) -> Path:
    """The event files of a run: the callback's own where it was on, else made of what happened, and followed while more does."""
    if CALLBACK not in registry.callbacks:
        raise UserError("The callback 'tensorboard' is not installed.", "It writes what TensorBoard reads.",
                        "pip install metalearner-callback-tensorboard")  # fmt: skip
    if account.state == "running":
        if CALLBACK not in account.request.get("callbacks", ()):
            Observers([CALLBACK], account.folder)
    else:
        follow(account.folder, registry.get("callbacks", CALLBACK), registry)
    return account.folder / CALLBACK
