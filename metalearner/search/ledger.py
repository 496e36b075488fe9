"""The trial files of a run: the only truth about what was tried."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ..records import Trial, plain


def read(folder: Path) -> list[Trial]:
    """All finished trials in order; what a killed worker left half-written is removed."""
    trials = []
    for entry in sorted(folder.iterdir()) if folder.exists() else []:
        if entry.name.startswith("."):
            shutil.rmtree(entry, ignore_errors=True)
        elif (entry / "trial.json").exists():
            trials.append(Trial.from_json(json.loads((entry / "trial.json").read_text())))
    return trials


def keep(folder: Path, trial: Trial) -> None:
    """Write a trial whose worker could not: one that died or hung is not tried again either."""
    place = folder / trial.name
    if not place.exists():
        part = folder / f".{trial.name}"
        part.mkdir(exist_ok=True)
        (part / "trial.json").write_text(json.dumps(plain(trial)))
        part.rename(place)
