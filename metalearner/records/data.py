"""What is learnt from and what is wanted of it: views, columns, tasks, data sets and what was found out about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .record import Record, tuples

AXIS_KINDS = ("columns", "time", "space", "tokens", "set")
COLUMN_KINDS = ("number", "boolean", "category", "date", "text", "identifier", "array")
# What the note of a column that no model looks at says.
LEFT_OUT = "left out"


@dataclass(frozen=True)
class Axis(Record):
    """One axis of a view: its kind (one of AXIS_KINDS), its size, whether samples differ in length."""

    kind: str
    size: int
    ragged: bool = False


@dataclass(frozen=True)
class View(Record):
    """How one field group looks as a tensor: samples x axes x channels, beside categorical codes."""

    axes: tuple[Axis, ...]
    channels: int
    cardinalities: tuple[int, ...] = ()
    raw: str = ""  # what lies beside it as it was decoded, for learners that read it themselves: "text", "pixels"
    channel_kind: str = ""  # what its channels are to each other: "colours", "bands" of a spectrum; "": nobody knows

    def to_json(self) -> dict[str, Any]:
        """As others; a view of which neither is known is what it was before they could be."""
        return {k: v for k, v in super().to_json().items() if k not in ("raw", "channel_kind") or v}

    @property
    def shape(self) -> tuple[int, ...]:
        """(sizes of the axes..., channels), without the samples."""
        return (*(a.size for a in self.axes), self.channels)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the axes, in order."""
        return tuple(a.kind for a in self.axes)

    @classmethod
    def _revive(cls, name: str, value: Any) -> Any:
        return tuple(Axis.from_json(v) for v in value) if name == "axes" else tuples(value)


@dataclass(frozen=True)
class Column(Record):
    """One named column of a source and what was found in it."""

    name: str
    kind: str
    missing: float = 0.0
    levels: tuple[str, ...] = ()  # the level strings of a category, most frequent first (local only)
    note: str = ""

    @property
    def left_out(self) -> bool:
        """Whether its note says that no model looks at it."""
        return LEFT_OUT in self.note


@dataclass(frozen=True)
class Schema(Record):
    """What a modality sniffed in a source: enough to decode this source or another of its kind."""

    modality: str
    source: str
    rows: int
    columns: tuple[Column, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    target_hint: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(c.name for c in self.columns)

    def column(self, name: str) -> Column:
        """The column of that name; KeyError when there is none."""
        for c in self.columns:
            if c.name == name:
                return c
        raise KeyError(name)

    def without(self, *names: str) -> Schema:
        """The same without these columns."""
        kept = tuple(c for c in self.columns if c.name not in names)
        return Schema(self.modality, self.source, self.rows, kept, self.options, self.target_hint)

    @classmethod
    def _revive(cls, name: str, value: Any) -> Any:
        if name == "columns":
            return tuple(Column.from_json(v) for v in value)
        return value if name == "options" else tuples(value)


@dataclass(frozen=True)
class Limits(Record):
    """What the models of a bundle may take together, once deployed; None where nothing was said."""

    size: int | None = None  # bytes on disk
    latency: float | None = None  # seconds for one row alone, on this machine

    @property
    def given(self) -> bool:
        """Whether there is any."""
        return self.size is not None or self.latency is not None

    def allow(self, size: float, latency: float) -> bool:
        """Whether a model of so many bytes and seconds keeps them."""
        return not self.exceeded(size, latency)

    def exceeded(self, size: float, latency: float) -> str:
        """Which one is not kept, in words; empty where all are."""
        if self.size is not None and size > self.size:
            return f"Too large for {_plain(self.size / 1e3)} kB: it takes {_plain(size / 1e3)} kB."
        if self.latency is not None and latency > self.latency:
            return f"Too slow for {_plain(self.latency * 1e3)} ms: a row alone takes {_plain(latency * 1e3)} ms."
        return ""


def _plain(value: float) -> str:
    """Four digits that count, and all of those before the point."""
    return f"{value:,.0f}" if value >= 1e4 else f"{value:,.4g}"


@dataclass(frozen=True)
class Task(Record):
    """What is wanted: the target, how it is scored, when it counts as met."""

    sentence: str
    modality: str
    target: str
    output: str  # name of the Output kind, "classification" say
    metric: str
    goal: float | None = None
    reasons: tuple[str, ...] = ()
    group_by: str = ""  # rows with one value of this column stay on one side of every split
    limits: Limits = Limits()

    @classmethod
    def _revive(cls, name: str, value: Any) -> Any:
        return Limits.from_json(value) if name == "limits" else super()._revive(name, value)


@dataclass(frozen=True)
class Finding(Record):
    """One thing noticed in the data: what, what was done, how to undo it."""

    what: str
    done: str = ""
    undo: str = ""


@dataclass(frozen=True)
class Sketch(Record):
    """What near duplicates of a data set share, whatever was renamed, reordered or rescaled; no row can be read from it."""

    columns: int
    quantiles: tuple[float, ...] = ()  # of standardised columns, in an order of their own
    rows: tuple[int, ...] = ()  # MinHash of rank-quantised rows; empty where they are too few or too much alike


@dataclass(frozen=True)
class DatasetCard(Record):
    """Who a data set is, without any of its rows."""

    name: str
    group: str  # same source, near duplicates and other views of it share one group
    modality: str
    rows: int
    data_hash: str
    source: str = ""
    licence: str = ""
    synthetic: bool = False
    sketch: Sketch | None = None

    def to_json(self) -> dict[str, Any]:
        """As others; a card without a sketch is what it was before there were any."""
        return {k: v for k, v in super().to_json().items() if k != "sketch" or v is not None}

    @classmethod
    def _revive(cls, name: str, value: Any) -> Any:
        return Sketch.from_json(value) if name == "sketch" and value is not None else tuples(value)


@dataclass(frozen=True)
class Description(Record):
    """A data set as named numbers (None: not measurable here) beside its embedded task sentence."""

    version: str
    numbers: Mapping[str, float | None]
    sentence: tuple[float, ...]  # unit length, empty if the encoder was not available
    seconds: float = 0.0
    views: Mapping[str, View] = field(default_factory=dict)  # how the data look as tensors
    probes: Mapping[str, int] = field(default_factory=dict)  # what measured, in which version

    @classmethod
    def _revive(cls, name: str, value: Any) -> Any:
        if name == "views":
            return {k: View.from_json(v) for k, v in value.items()}
        return value if name in ("numbers", "probes") else tuples(value)
