"""The data sets that come along: one folder each in datasets/, with a card and its files or where to fetch them.

Beside them made ones, of which there are no folders: `metalearner/sources/made.py` knows them. Nothing is fetched over the network:
sources are packages that are installed and archives that lie beside the project.
"""

from __future__ import annotations

import shutil
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl

from ..errors import DataError, unknown
from ..home import home
from . import made
from .fetchers import FETCHERS

DATASETS = Path(__file__).parent.parent.parent / "datasets"


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
    group_by: str = ""  # the column of what belongs together
    files: str = ""  # a file or folder beside the card
    fetch: str = ""  # or where to get it: "scheme:place?option=value"
    synthetic: bool = False  # made by a program, a rule or a simulation, not observed
    folder: Path = DATASETS  # where the card lies


@cache
def cards(root: Path = DATASETS) -> dict[str, Card]:
    """Every data set by name; none where the project was installed without them. Raises DataError for a broken card."""
    return {file.parent.name: _read(file) for file in sorted(root.glob("*/dataset.toml"))}


@cache
def everything() -> dict[str, Card]:
    """Real data sets and made ones, by name."""
    return cards() | {card.name: card for bias in made.BIASES for card in _made(bias)}


def _made(bias: str) -> list[Card]:
    """The variants of one bias; they are one group, and their words do not tell which."""
    summary = (made.BIASES[bias].__doc__ or "").strip()
    return [
        Card(name=f"made-{bias}-{i}", group=f"made-{bias}", modality=made.modality(bias), title=f"Made: {summary}",
             sentence="what is it?", licence="MIT", source="metalearner/sources/made.py", fetch=f"made:{bias}?variant={i}",
             synthetic=True, target="target" if made.modality(bias) == "tabular" else "")
        for i in range(made.VARIANTS)
    ]  # fmt: skip


def _read(file: Path) -> Card:
    try:
        card = Card(name=file.parent.name, folder=file.parent, **tomllib.loads(file.read_text()))
    except (tomllib.TOMLDecodeError, TypeError) as problem:
        raise DataError(f"{file} is no card of a data set: {problem}.", "Its keys are listed in datasets/README.md.",
                        "Mend the card.") from problem  # fmt: skip
    if bool(card.files) == bool(card.fetch):
        raise DataError(f"{file} has files = '{card.files}' and fetch = '{card.fetch}'.",
                        "A card has exactly one of the two.", "Mend the card.")  # fmt: skip
    return card


def materialise(card: Card) -> Path:
    """The path to a data set's files, fetched into the user's folder once, and again when its card says another source.

    Raises DataError when its source is absent.
    """
    if card.files:
        return card.folder / card.files
    place = home() / "datasets" / card.name
    said = place.with_name(f".{card.name}.fetch")
    if place.exists() and said.exists() and said.read_text() != card.fetch:
        place.rename(
            tempfile.mkdtemp(prefix=f".{card.name}.old.", dir=place.parent)
        )  # onto an empty folder, in one step
        for old in place.parent.glob(f".{card.name}.old.*"):
            shutil.rmtree(old, ignore_errors=True)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{card.name}.", dir=place.parent))
        try:
            _fetch(card, part)
            part.chmod(0o755)
            try:
                part.rename(place)
                said.write_text(card.fetch)
            except OSError:
                if not place.exists():  # otherwise another process was faster: its files are as good
                    raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
    inside = [p for p in place.iterdir() if p.suffix in (".csv", ".npz")]
    return inside[0] if len(inside) == 1 else place


def _fetch(card: Card, into: Path) -> None:
    """Run the fetcher that `card.fetch` names, into an empty folder."""
    scheme, _, rest = card.fetch.partition(":")
    where, _, options = rest.partition("?")
    fetchers = FETCHERS | {"made": made.make}
    if scheme not in fetchers:
        raise DataError(
            *unknown("fetch scheme", scheme, fetchers, "The schemes are in metalearner/sources/fetchers.py.")
        )
    try:
        fetchers[scheme](where, into, **dict(parse_qsl(options)))
    except (KeyError, TypeError, ValueError, AttributeError, OSError, zipfile.BadZipFile) as problem:
        raise DataError(
            f"Data set '{card.name}' could not be made from '{card.fetch}': {type(problem).__name__}: {problem}.",
            "Its source is not as the card expects it.",
            "Compare the card's `fetch` with the source, or choose another data set.",
        ) from problem
