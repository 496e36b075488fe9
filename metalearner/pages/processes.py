"""Runs started from the app: a process of their own each, that outlives the page."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

from metalearner import events
from metalearner.home import home

RUNS = Path("runs")


def start(source: str, sentence: str, target: str, budget: str, goal: str) -> Path:
    """Begin a run; returns its folder at once."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(source).stem)[:40] or "run"
    folder = RUNS / f"{name}-{secrets.token_hex(2)}"
    folder.mkdir(parents=True)
    arguments = ["run", source, sentence, "--budget", budget, "--out", str(folder), "--quiet"]
    arguments += ["--target", target] if target else []
    arguments += ["--goal", goal] if goal else []
    with (folder / "log.txt").open("w") as log:
        subprocess.Popen(
            [sys.executable, "-m", "metalearner", *arguments], stdout=log, stderr=log, start_new_session=True
        )
    return folder


def keep_upload(name: str, data: bytes) -> Path:
    """Store an uploaded file under a name of ours, with the ending it came with."""
    ending = Path(name).suffix.lower()
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(name).stem)[:40] or "upload"
    folder = home() / "uploads" / secrets.token_hex(8)
    folder.mkdir(parents=True)
    file = folder / f"{stem}{ending if re.fullmatch(r'[.][a-z0-9]{1,8}', ending) else ''}"
    file.write_bytes(data)
    return file


def folders() -> list[Path]:
    """All runs, newest first."""
    found = [f for f in RUNS.glob("*") if (f / "log.txt").exists() or (f / "request.json").exists()]
    return sorted(found, key=lambda f: -f.stat().st_mtime)


def story(folder: Path) -> list[dict[str, Any]]:
    """The run's events so far."""
    return events.read(folder / "events.jsonl")


def result(folder: Path) -> dict[str, Any] | None:
    """The finished run, None while it goes on or when it failed."""
    file = folder / "run.json"
    return json.loads(file.read_text()) if file.exists() else None


def complaint(folder: Path) -> str:
    """What a run that ended without a result said."""
    log = folder / "log.txt"
    return log.read_text()[-2000:].strip() if log.exists() else ""


def going_on(folder: Path) -> bool:
    """Whether a process owns this run."""
    import fcntl

    lock = folder / "lock"
    if not lock.exists():
        return result(folder) is None and not complaint(folder)
    with lock.open("r+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
