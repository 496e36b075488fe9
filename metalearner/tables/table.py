"""A table that has been opened: its column names, and its cells in chunks of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import DataError
from .cells import Cells

CHUNK = 20_000  # rows

Chunk = Mapping[str, Cells]


@dataclass(frozen=True)
class Table:
    """Where the rows come from, whatever form the source has."""

    source: str  # the file's name, "DataFrame" or "rows"
    names: tuple[str, ...]
    read: Callable[[Sequence[str]], Iterator[Chunk]]  # the cells of these columns, CHUNK rows at a time
    options: Mapping[str, Any] = field(default_factory=dict)
    categories: frozenset[str] = frozenset()  # columns the source itself declares as categories


def column_names(found: Iterable[Any], source: str) -> tuple[str, ...]:
    """Names without blanks around them; "column 3" for the third if it has none. DataError if one stands twice."""
    names = tuple(str(name).strip() or f"column {i}" for i, name in enumerate(found, 1))
    places: dict[str, list[int]] = {}
    for i, name in enumerate(names, 1):
        places.setdefault(name, []).append(i)
    for name, standing in places.items():
        if len(standing) > 1:
            columns = ", ".join(map(str, standing))
            raise DataError(
                f"Column name '{name}' stands {len(standing)} times in {source}: columns {columns}.",
                "Each column needs a name of its own.",
                "Rename them; if there is no line of names at all, add one.",
            )
    return names


def empty(source: str, what: str = "is empty") -> DataError:
    """The error for a source without rows."""
    return DataError(f"{source} {what}.", "There must be rows.", "Check how it was written.")
