"""What takes torch or seconds is asked of a process of its own, once for the same question; pages look whether it has answered."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metalearner.home import home
from metalearner.records import digest

from . import children

ANSWER, PART = "answer.json", "answer.part"
# Answers that are kept; the oldest go first.
KEPT = 60


@dataclass(frozen=True)
class Reply:
    """An answer, or why there is none; neither while it is waited for."""

    folder: Path
    answer: Any = None
    problem: str = ""

    @property
    def waiting(self) -> bool:
        """Whether it may still come."""
        return self.answer is None and not self.problem


def ask(kind: str, arguments: Sequence[str], about: Any = None, keep: str = "") -> Reply:
    """The JSON that `metalearner <arguments>` prints. `about` is what else the answer hangs on: other values, another question.

    With `keep` the command is given that option with a folder of its own, which lies beside the answer.
    """
    folder = home() / "asked" / f"{kind}-{digest([list(arguments), about])[:24]}"
    if (folder / ANSWER).exists():
        return Reply(folder, json.loads((folder / ANSWER).read_text()))
    if children.owner(folder) is not None:
        return Reply(folder)
    if (folder / PART).exists():
        try:
            answer = json.loads((folder / PART).read_text())
        except ValueError:
            return Reply(folder, problem=children.said(folder) or "It ended without an answer.\n\nTry again.")
        os.replace(folder / PART, folder / ANSWER)
        return Reply(folder, answer)
    _forget_oldest(folder.parent)
    folder.mkdir(parents=True, exist_ok=True)
    verb, *rest = arguments  # what was asked may end in a "--", behind which nothing is an option
    children.begin(folder, [verb, *([keep, str(folder / "kept")] if keep else []), *rest], PART)
    return Reply(folder)


def forget(reply: Reply) -> None:
    """Ask anew next time."""
    shutil.rmtree(reply.folder, ignore_errors=True)


def _forget_oldest(place: Path) -> None:
    known = sorted(place.glob("*"), key=lambda f: -f.stat().st_mtime) if place.exists() else []
    for folder in known[KEPT:]:
        if children.owner(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)


def knowledge_stamp() -> list[int]:
    """What changes when the knowledge base does."""
    file = home() / "knowledge" / "records.jsonl"
    return [file.stat().st_size, int(file.stat().st_mtime)] if file.exists() else [0, 0]
