"""What somebody is about to ask, from the first page to the run; kept on disk, so that a reload loses nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Draft:
    """A source, a wish, a budget, and what was ruled out."""

    source: str = ""
    name: str = ""  # of the source, for people
    sentence: str = ""
    target: str = ""
    metric: str = ""
    goal: str = ""
    group_by: str = ""
    trusted: tuple[str, ...] = ()  # columns to learn from although they give the target away
    budget: str = "60s"
    vetoed: tuple[str, ...] = ()  # families that may not be used
    pinned: tuple[str, ...] = ()  # families that alone may be used
    families: tuple[str, ...] = ()  # what is left then; all when empty
    narrow: tuple[str, ...] = ()  # numbers that are searched less widely, as `--narrow` takes them
    callbacks: tuple[str, ...] = ()  # programs that are told what happens

    @classmethod
    def open(cls, root: Path) -> Self:
        """What was kept in this space."""
        file = root / "draft.json"
        try:
            found: Mapping[str, Any] = json.loads(file.read_text())
            known = {f.name for f in fields(cls)}
            kept: dict[str, Any] = {
                k: tuple(v) if isinstance(v, list) else str(v) for k, v in found.items() if k in known
            }
            return cls(**kept)
        except (OSError, ValueError):
            return cls()

    def keep(self, root: Path) -> Self:
        """Write it down."""
        root.mkdir(parents=True, exist_ok=True)
        part = root / ".draft.json"
        part.write_text(json.dumps(asdict(self)))
        part.replace(root / "draft.json")
        return self

    def having(self, **changes: Any) -> Self:
        """With these changes; another source or wish leaves what was decided about the former one behind."""
        if changes.get("source", self.source) != self.source:
            changes = {
                "target": "",
                "metric": "",
                "goal": "",
                "group_by": "",
                "trusted": (),
                "vetoed": (),
                "pinned": (),
                "families": (),
                "narrow": (),
                **changes,
            }
        return replace(self, **changes)

    def options(self) -> list[str]:
        """As the command line takes the wish. What a visitor wrote cannot be taken for another option."""
        names = ("target", "metric", "goal", "group_by")
        named = [f"--{name.replace('_', '-')}={value}" for name in names if (value := getattr(self, name))]
        return named + [f"--keep={column}" for column in self.trusted]

    def asked(self) -> list[str]:
        """Source and sentence, which come last and after a "--"."""
        return ["--", self.source, self.sentence]

    def ruling(self, known: Sequence[str], pinned: Sequence[str], vetoed: Sequence[str]) -> Self:
        """With these families alone, or without those; of the families that are `known`."""
        left = [name for name in (pinned or known) if name not in vetoed]
        return replace(
            self, pinned=tuple(pinned), vetoed=tuple(vetoed), families=tuple(left) if pinned or vetoed else ()
        )

    def narrowed(self, number: str, values: str) -> Self:
        """With these values of a number alone; with all that it has where nothing is said."""
        left = tuple(one for one in self.narrow if one.partition("=")[0] != number)
        return replace(self, narrow=(*left, f"{number}={values}") if values else left)

    def values(self, number: str) -> str:
        """What is left of a number's values; empty where all are."""
        return next((values for name, _, values in (one.partition("=") for one in self.narrow) if name == number), "")
