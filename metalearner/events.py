"""What a run says while it goes on: one JSON line an event, for the terminal, the app and later readers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .records import plain

Listener = Callable[[dict[str, Any]], None]


@dataclass
class Story:
    """Writes events to a file and hands them to a listener."""

    file: Path
    listen: Listener = lambda event: None
    began: float = field(default_factory=time.monotonic)

    def tell(self, stage: str, **facts: Any) -> None:
        """One event: the stage it belongs to, seconds since the run began, and the facts."""
        event = {"stage": stage, "at": round(time.monotonic() - self.began, 3), **plain(facts)}
        with self.file.open("a") as out:
            out.write(json.dumps(event) + "\n")
        self.listen(event)


def read(file: Path) -> list[dict[str, Any]]:
    """All events written so far; a half-written last line is left for later."""
    if not file.exists():
        return []
    lines = file.read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines if line]
