"""Who is told what happens in a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


class Observer(ABC):
    """Is told one run, event by event, in a process of its own: what it takes, and what breaks in it, costs the run nothing."""

    @abstractmethod
    def hear(self, event: Mapping[str, Any]) -> None:
        """The next event, a line of the run's `events.jsonl`: "stage", "at" in seconds since the run began, and its facts."""

    def end(self, report: Callable[[], str]) -> None:
        """Nothing more comes: the run has finished, failed or was cut off. `report` writes it as one page of HTML."""


class Callback(ABC):
    """Another program's way to keep runs, switched on by name."""

    name: str

    @abstractmethod
    def begin(self, folder: Path) -> Observer:
        """An observer of the run in this folder.

        It hears the run from its first event, each time: of a run that is resumed, or told of again, what was kept before is
        the beginning of what comes, and must not be there twice.
        """
