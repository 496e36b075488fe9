"""Where this user's knowledge, fetched data and caches lie."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """`$METALEARNER_HOME`, else `metalearner` in the platform's user data folder."""
    named = os.environ.get("METALEARNER_HOME")
    if named:
        return Path(named).expanduser()
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "metalearner"
