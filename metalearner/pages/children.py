"""Processes that outlive the page: each is known by a lock that it holds until it dies, whoever started it."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from metalearner.home import home

# A warning of Python's, with the line of source that it shows beneath.
WARNING = re.compile(r"^.*:\d+: \w*Warning: .*\n?(  .*\n?)?", re.MULTILINE)
ALIVE, LOG = "alive", "log.txt"
FAULT = (
    "Something went wrong that should not have.\nIt is a fault of the program, not of your data.\n"
    "The whole story is in log.txt in the run's folder."
)


def begin(folder: Path, arguments: Sequence[str], out: str = LOG) -> bool:
    """Start `metalearner` with these arguments; what it says goes to the folder. False when one is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ALIVE).open("a") as lock, (folder / LOG).open("w") as log, (folder / out).open("a") as answer:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        child = subprocess.Popen(
            [sys.executable, "-m", "metalearner", *arguments], stdin=subprocess.DEVNULL, stdout=answer, stderr=log,
            start_new_session=True, pass_fds=(lock.fileno(),),
        )  # fmt: skip
        lock.truncate(0)
        lock.write(str(child.pid))
    return True


def owner(folder: Path) -> int | None:
    """The process that works in this folder; None when there is none."""
    file = folder / ALIVE
    if not file.exists():
        return None
    with file.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            said = lock.read().strip()
            return int(said) if said.isdigit() else 0
    return None


def end(pid: int, sign: signal.Signals, everyone: bool = False) -> None:
    """Tell a process, or with it all that it began, to end; nothing when it has ended by then."""
    try:
        if everyone and os.getpgid(pid) == pid:
            os.killpg(pid, sign)
        else:
            os.kill(pid, sign)
    except ProcessLookupError:
        pass


def said(folder: Path) -> str:
    """What a process that failed said, in words for people; of what is a fault of ours only that it is."""
    log = folder / LOG
    text = log.read_text(errors="replace")[-4000:].strip() if log.exists() else ""
    if "Traceback (most recent call last)" in text or text.startswith("Usage:"):
        return FAULT
    for place in (folder, home(), Path.cwd()):  # where on the server things lie is nobody's business
        text = text.replace(f"{place}/", "")
    told = [line for line in WARNING.sub("", text).splitlines() if line.strip()]
    return "\n".join(told[-6:])
