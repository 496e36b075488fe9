"""From what the user typed to something that can be read: a path, a DataFrame, or a data set of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..kinds import Source
from ..task import Wish
from . import catalogue


@dataclass(frozen=True)
class Found:
    """A source with its name, and what a data set's card says about it."""

    name: str
    source: Source
    card: Mapping[str, str] = field(default_factory=dict)  # name, group, source, licence
    sentence: str = ""
    target: str = ""
    metric: str = ""
    group_by: str = ""

    def wish(self, wish: Wish) -> Wish:
        """The user's wish; where it is silent, the card's. Words of one's own replace the card's target too."""
        target = wish.target or (self.target if not wish.sentence or wish.sentence == self.sentence else None)
        return replace(wish, sentence=wish.sentence or self.sentence, target=target or None,
                       metric=wish.metric or (None if wish.goal else self.metric or None),
                       group_by=wish.group_by or self.group_by or None)  # fmt: skip


def find(source: Source) -> Found:
    """A path as it is; a known name as its files, fetched if need be. Raises DataError when it cannot be fetched."""
    if not isinstance(source, str | Path):
        return Found("data", source, {"name": "data"})
    name = str(source)
    cards = catalogue.everything()
    if name in cards and not Path(name).exists():
        card = cards[name]
        about = {"name": card.name, "group": card.group, "source": card.source, "licence": card.licence,
                 "synthetic": "yes" if card.synthetic else ""}  # fmt: skip
        return Found(name, catalogue.materialise(card), about, card.sentence, card.target, card.metric, card.group_by)
    stem = Path(name.partition("::")[0]).stem or "data"
    return Found(stem, name, {"name": stem})
