"""Data: how they are recognised, read, turned into tensors and described."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Fields, Tensors
from ..records import Schema, View
from .outputs import Output, State

Source = Any  # a path, a DataFrame, or a list of JSON rows (dicts by column name)


# What a cell of a JSON row may be: a plain value, a file in base64, or nested lists of numbers.
CELL_FORMS = ("value", "picture", "recording", "numbers")


@dataclass(frozen=True)
class Cell:
    """What a JSON row holds in one column, for whoever makes a form or a client."""

    form: str = "value"  # one of CELL_FORMS
    shape: tuple[int | None, ...] = ()  # of nested lists (axes..., channels); None where any length will do


class Modality(ABC):
    """A kind of data: how to recognise a source, read it, and which axes it has."""

    name: str
    transform: str  # the Transform that turns its fields into tensors

    @abstractmethod
    def sniff(self, source: Source) -> Schema | None:
        """Return the schema of a source of this kind, None when it is of another.

        Raises DataError when the source is of this kind but broken (empty, ragged, no labels ...).
        Every column is listed, the target's too; `Schema.target_hint` names it where the source says so.
        """

    @abstractmethod
    def decode(self, source: Source, schema: Schema) -> Iterator[Fields]:
        """Read the columns of `schema` in chunks, in order. Stateless: same source, same schema, same fields.

        `source` may be another one than was sniffed, or a list of JSON rows: columns are found by name,
        extra ones ignored, a missing one is a DataError that names it.
        """

    @abstractmethod
    def views(self, schema: Schema) -> dict[str, View]:
        """The tensor views these columns will have, as far as the schema alone can tell."""

    @abstractmethod
    def features(self, fields: Fields, schema: Schema) -> dict[str, np.ndarray]:
        """Named per-row columns (n,), numbers or strings, on which a shift of the data can be seen."""

    def cells(self, schema: Schema) -> dict[str, Cell]:
        """What the JSON rows that `decode` reads hold in each column of `schema`; those they need not hold are left out."""
        views = self.views(schema)
        found = {}
        for column in schema.columns:
            if column.kind == "array":
                view = views[column.name if column.name in views else next(iter(views))]
                axes = tuple(None if axis.ragged else axis.size for axis in view.axes)
                found[column.name] = Cell("numbers", (*axes, view.channels))
            else:
                found[column.name] = Cell()
        return found

    def meet(self, modalities: Mapping[str, Modality], transforms: Mapping[str, Transform]) -> None:
        """Told once, when all plugins are loaded, who else is there: for a modality that is made of others."""


class Transform(ABC):
    """Decoded fields -> tensors. Fitted on training rows only; its state is saved in the bundle."""

    name: str

    @abstractmethod
    def fit(self, fields: Fields, schema: Schema) -> State:
        """Learn scales, vocabularies, lengths."""

    @abstractmethod
    def apply(self, state: State, fields: Fields) -> Tensors:
        """Rows to float32 tensors by view name; deterministic, any number of rows (also 0)."""

    @abstractmethod
    def views(self, state: State) -> dict[str, View]:
        """The exact views `apply` gives."""

    def meet(self, modalities: Mapping[str, Modality], transforms: Mapping[str, Transform]) -> None:
        """Told once, when all plugins are loaded, who else is there."""


@dataclass(frozen=True)
class Sight:
    """Something that a probe saw, for people: a line or a grid of values (h, w), NaN where there is nothing."""

    title: str
    axis: str  # what lies across
    values: tuple[float, ...] | tuple[tuple[float, ...], ...]
    chance: float | None = None  # what a line would reach by chance
    first: int = 0  # where a line begins on its axis


class Probe(ABC):
    """A measurement of a data set: named numbers for its description."""

    name: str
    version: int = 1

    @abstractmethod
    def measure(
        self, tensors: Tensors, views: Mapping[str, View], target: np.ndarray, output: Output, rng: np.random.Generator
    ) -> dict[str, float | None]:
        """Numbers by name, None where they make no sense; at most 1,000 samples come in."""

    def sights(self, tensors: Tensors, views: Mapping[str, View], rng: np.random.Generator) -> list[Sight]:
        """What there is to be seen of the same samples; asked for by people alone, never in a run."""
        return []
