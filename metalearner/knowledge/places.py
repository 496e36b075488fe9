"""Where knowledge lies on this machine: what ships with the package, and what the user's own runs added."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def home() -> Path:
    """The user's folder: `$METALEARNER_HOME`, else `metalearner` in the platform's user data folder."""
    named = os.environ.get("METALEARNER_HOME")
    if named:
        return Path(named).expanduser()
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "metalearner"


def shipped() -> Path | None:
    """The folder of shared knowledge: beside an editable checkout's package, inside an installed one, else None."""
    for folder in (_PACKAGE / "_knowledge_base", _PACKAGE.parent / "knowledge_base"):
        if (folder / "records").is_dir():
            return folder
    return None
