"""What a user may ask of a run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import TaskError
from .search import Budget
from .task import Wish

SHORTEST_BUDGET = 5.0


@dataclass(frozen=True)
class Request:
    """A source, a wish and a budget; the rest has defaults."""

    source: Any
    wish: Wish = field(default_factory=Wish)
    budget: Budget = field(default_factory=Budget)
    out: Path | None = None
    test: str = "auto"  # a fraction, a file, or "none"; "auto": the source's own test file, else a fifth
    seed: int = 0
    cold: bool = False  # use no knowledge
    blind: bool = False  # forget data that are the same as this or nearly so
    executor: str = "local"
    workers: int = 2
    address: str = ""  # of the cluster, for executors that have one
    searcher: str = "auto"
    families: tuple[str, ...] = ()  # that may be used; all when empty
    callbacks: tuple[str, ...] = ()  # that are told what happens
    learn: bool = True  # what the run teaches goes into the user's knowledge base
    keep: tuple[str, ...] = ()  # columns to learn from although they give the target away; "*" for all
    narrow: tuple[str, ...] = ()  # numbers that are searched less widely: "trees.leaves=8..64"

    @property
    def fraction(self) -> float | None:
        """The share of rows to seal; None when `test` is not a number. Raises TaskError outside (0, 0.9]."""
        try:
            share = float(self.test.rstrip("%")) / (100 if self.test.endswith("%") else 1)
        except ValueError:
            return None
        if not 0 < share <= 0.9:
            raise TaskError(f"--test {self.test} is not a share of the rows.", "It must lie above 0 and up to 0.9.",
                            "--test 0.2, --test rows.csv or --test none")  # fmt: skip
        return share

    def to_json(self) -> dict[str, Any]:
        """What `resume` needs to go on."""
        source = self.source if isinstance(self.source, str | Path) else ""
        return {
            "source": str(source),
            "wish": vars(self.wish),
            "budget": vars(self.budget),
            "test": self.test,
            "seed": self.seed,
            "cold": self.cold,
            "blind": self.blind,
            "executor": self.executor,
            "workers": self.workers,
            "address": self.address,
            "searcher": self.searcher,
            "families": self.families,
            "callbacks": self.callbacks,
            "learn": self.learn,
            "keep": self.keep,
            "narrow": self.narrow,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], out: Path) -> Request:
        """Read back what `to_json` gave, for the run in folder `out`."""
        names = ("source", "test", "seed", "cold", "blind", "executor", "workers", "address", "searcher", "learn")
        kept = {k: data[k] for k in names if k in data}
        kept |= {k: tuple(data.get(k, ())) for k in ("families", "keep", "narrow", "callbacks")}
        return cls(**kept, wish=Wish(**data["wish"]), budget=Budget(**data["budget"]), out=out)


def parse_budget(text: str) -> Budget:
    """ "90", "90s", "2m", "1h" or "40trials".

    >>> parse_budget("2m"), parse_budget("40trials")
    (Budget(seconds=120.0, trials=None), Budget(seconds=None, trials=40))
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|sec|m|min|h|trials?)?\s*", text.lower())
    example = '"90s", "2m", "1h" or "40trials"'
    if not found:
        raise TaskError(f"Budget '{text}' is not understood.", "A budget is a time or a number of trials.", example)
    number, unit = float(found[1]), found[2] or "s"
    if unit.startswith("trial"):
        if number < 1 or number != int(number):
            raise TaskError(f"Budget '{text}' holds no whole trial.", "At least one trial is needed.", example)
        return Budget(None, int(number))
    seconds = number * {"s": 1, "m": 60, "h": 3600}[unit[0]]
    if seconds < SHORTEST_BUDGET:
        raise TaskError(
            f"A budget of {seconds:g} s is too short.", f"At least {SHORTEST_BUDGET:g} s are needed.", example
        )
    return Budget(seconds)
