"""The data sets that come along: one folder each in datasets/, with a card and its files or where to fetch them.

Nothing is fetched over the network: sources are packages that are installed and archives that lie beside the project.
"""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl

from .fetchers import FETCHERS
from .home import home

DATASETS = Path(__file__).parent.parent / "datasets"


@dataclass(frozen=True)
class Card:
    """What datasets/<name>/dataset.toml says."""

    name: str
    group: str  # one source, one group
    modality: str
    title: str
    sentence: str
    licence: str
    source: str
    target: str = ""
    metric: str = ""
    files: str = ""  # a file or folder beside the card
    fetch: str = ""  # or where to get it: "scheme:place?option=value"


@cache
def cards() -> dict[str, Card]:
    """Every data set by name; none where the project was installed without them."""
    found = {}
    for file in sorted(DATASETS.glob("*/dataset.toml")):
        about = tomllib.loads(file.read_text())
        found[file.parent.name] = Card(name=file.parent.name, **about)
    return found


def materialise(card: Card) -> Path:
    """The path to a data set's files, fetched once into the user's folder. Raises DataError when its source is absent."""
    if card.files:
        return DATASETS / card.name / card.files
    place = home() / "datasets" / card.name
    if not place.exists():
        scheme, _, rest = card.fetch.partition(":")
        where, _, options = rest.partition("?")
        part = place.with_name(f".{card.name}.{os.getpid()}")
        part.mkdir(parents=True)
        try:
            fetcher: Callable[..., None] = FETCHERS[scheme]
            fetcher(where, part, **dict(parse_qsl(options)))
            if not place.exists():
                part.rename(place)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    inside = [p for p in place.iterdir() if p.suffix in (".csv", ".npz")]
    return inside[0] if len(inside) == 1 else place
