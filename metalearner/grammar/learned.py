"""Productions that were learnt: subtrees that recurred among winners, each under a name of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..kinds import Production
from ..records import Config, View
from .types import Productions


class Learned(Production):
    """A name for a subtree. Only derivations are made with it; what leaves the grammar is spelled out."""

    def __init__(self, symbol: str, meaning: Config, groups: Sequence[str]) -> None:
        """`groups` are those of the data sets among whose winners it recurred."""
        self.name, self.symbol = f"learned-{meaning.skeleton.id[:4]}", symbol
        self.meaning, self.groups = meaning, tuple(groups)

    def expand(self, numbers: Mapping[str, Any], view: View) -> Config:
        """The subtree, with the numbers that winners had."""
        return self.meaning


def spelled(config: Config, productions: Productions) -> Config:
    """The same with everything learnt replaced by what it stands for: any installation understands it."""
    found = productions.get(config.production)
    if isinstance(found, Learned):
        return spelled(found.meaning, productions)
    parts = {slot: tuple(spelled(part, productions) for part in parts) for slot, parts in config.parts.items()}
    return Config(config.production, config.numbers, parts)
