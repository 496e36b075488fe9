"""What a run says while it goes on: one JSON line an event, for the terminal, the app and later readers."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .records import plain

Listener = Callable[[dict[str, Any]], None]
# How often whoever follows a run looks for more, in seconds.
PAUSE = 0.25


@dataclass
class Story:
    """Writes events to a file and hands them to a listener."""

    file: Path
    listen: Listener = lambda event: None
    began: float = field(default_factory=time.monotonic)
    failed: Callable[[], Iterable[tuple[str, str]]] = tuple  # callbacks that gave up since, and why

    def __post_init__(self) -> None:
        """Cut what a killed process of this run left of a line: the next event would be joined to it."""
        if self.file.exists():
            os.truncate(self.file, self.file.read_bytes().rfind(b"\n") + 1)

    def tell(self, stage: str, **facts: Any) -> None:
        """One event: the stage it belongs to, seconds since the run began, and the facts."""
        self._tell(stage, facts)
        for name, why in self.failed():
            self._tell("callback", {"name": name, "problem": why})

    def _tell(self, stage: str, facts: Mapping[str, Any]) -> None:
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


def follow(file: Path, going_on: Callable[[], bool]) -> Iterator[dict[str, Any]]:
    """All events from the first one on; while the run goes on, each as it is written, until the one that says that it is done."""
    place = 0
    while True:
        more = going_on()  # asked first: what was written by then is read below
        if file.exists():
            with file.open() as lines:
                lines.seek(place)
                while (line := lines.readline()).endswith("\n"):
                    place = lines.tell()
                    event = json.loads(line)
                    yield event
                    if event.get("done"):
                        return
        if not more:
            return
        time.sleep(PAUSE)
