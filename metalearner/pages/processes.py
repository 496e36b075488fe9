"""Runs and servers as processes of their own: begun, stopped, paused and gone on with from a page, which they outlive."""

from __future__ import annotations

import re
import secrets
import signal
import time
from pathlib import Path

from metalearner import runs
from metalearner.report.account import Account

from . import children
from .draft import Draft

PAUSED, SERVER = "paused", "server"
# Tenths of a second that a server has to end.
FAREWELL = 80


def start(root: Path, draft: Draft) -> Path:
    """Begin a run; returns its folder at once."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(draft.source).stem).strip("-")[:40] or "run"
    folder = root / f"{name}-{secrets.token_hex(2)}"
    only = [f"--families={','.join(draft.families)}"] if draft.families else []
    only += [f"--narrow={one}" for one in draft.narrow]
    only += [f"--callback={one}" for one in draft.callbacks]
    told = ["--budget", draft.budget, "--out", str(folder), "--quiet"]
    children.begin(folder, ["run", *draft.options(), *only, *told, *draft.asked()])
    return folder


def folders(root: Path) -> list[Path]:
    """All runs, newest first."""
    found = [f for f in root.glob("*") if (f / "request.json").exists() or (f / children.LOG).exists()]
    return sorted(found, key=lambda f: -f.stat().st_mtime)


def state(folder: Path) -> str:
    """ "starting", "running", "finished", "paused", "failed" or "cut off"."""
    if (folder / "run.json").exists():
        return "finished"
    if runs.owner(folder) is not None:
        return "running"
    if children.owner(folder) is not None:
        return "starting"
    if (folder / PAUSED).exists():
        return "paused"
    return "failed" if children.said(folder) or not (folder / "request.json").exists() else "cut off"


def account(folder: Path) -> Account | None:
    """What a run has to show; None as long as it has nothing."""
    return Account.open(folder) if (folder / "request.json").exists() else None


def stop(folder: Path) -> None:
    """End a run early: it packages the best so far within seconds."""
    if pid := _pid(folder):
        children.end(pid, signal.SIGINT)


def pause(folder: Path) -> None:
    """End a run's processes at once; what was finished is on disk, and `go_on` begins there."""
    if pid := _pid(folder):
        (folder / PAUSED).touch()
        children.end(pid, signal.SIGKILL, everyone=True)


def go_on(folder: Path) -> None:
    """Resume a run that was paused or cut off."""
    (folder / PAUSED).unlink(missing_ok=True)
    children.begin(folder, ["resume", str(folder), "--quiet"])


def serve(folder: Path) -> None:
    """Start the server of a finished run's bundle, on a free port of this machine."""
    place = folder / SERVER
    place.mkdir(exist_ok=True)
    (place / "said.txt").unlink(missing_ok=True)
    children.begin(place, ["serve", str(folder / "bundle"), "--port", "0"], "said.txt")


def address(folder: Path) -> str | None:
    """Where the server of a run listens: empty while it starts, None when there is none."""
    place = folder / SERVER
    if children.owner(place) is None:
        return None
    said = (place / "said.txt").read_text() if (place / "said.txt").exists() else ""
    found = re.search(r"http://127\.0\.0\.1:\d+/", said)
    return found[0] if found else ""


def end_server(folder: Path) -> None:
    """Stop the server; requests under way are answered first. One that has not ended by then is ended."""
    if pid := children.owner(folder / SERVER):
        children.end(pid, signal.SIGTERM)
        for _ in range(FAREWELL):
            if children.owner(folder / SERVER) is None:
                return
            time.sleep(0.1)
        children.end(pid, signal.SIGKILL, everyone=True)


def _pid(folder: Path) -> int | None:
    return runs.owner(folder) or children.owner(folder)
