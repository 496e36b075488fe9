"""The frozen records that travel between stages. Canonical JSON; their SHA-256 is their identity."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import cached_property, partial
from typing import Any, Self

AXIS_KINDS = ("columns", "time", "space", "tokens", "set")
COLUMN_KINDS = ("number", "boolean", "category", "date", "text", "identifier", "array")
# What the note of a column that no model looks at says.
LEFT_OUT = "left out"
OUTCOMES = ("ok", "crash", "out-of-memory", "timeout", "pruned")


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces; NaN and infinity become null.

    >>> canonical({"b": (1, 2.0), "a": float("nan")})
    '{"a":null,"b":[1,2.0]}'
    """
    try:  # what is JSON already, a record just read say, needs no second copy
        return _dumps(value, default=plain)
    except (ValueError, TypeError):  # NaN, infinity, keys of several kinds
        return _dumps(plain(value))


_dumps = partial(json.dumps, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """Turn records, tuples and NumPy scalars into what JSON knows."""
    if isinstance(value, Record):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, hex."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


@dataclass(frozen=True)
class Record:
    """A frozen dataclass with a JSON form."""

    @cached_property
    def id(self) -> str:
        """Content address: SHA-256 of the canonical JSON."""
        return digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain dict, ready for `json.dumps`."""
        return {f.name: plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Build from `to_json`; unknown keys are ignored so that older code reads newer records."""
        known = {f.name for f in fields(cls)}
        return cls(**{k: cls._revive(k, v) for k, v in data.items() if k in known})

    @classmethod
    def _revive(cls, name: str, value: Any) -> Any:
        """Turn the JSON of one field back into what the record holds; lists become tuples."""
        return _tuples(value)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


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
        return tuple(Axis.from_json(v) for v in value) if name == "axes" else _tuples(value)


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
        return value if name == "options" else _tuples(value)


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
            return f"It takes {size / 1e3:,.4g} kB; at most {self.size / 1e3:,.4g} are allowed."
        if self.latency is not None and latency > self.latency:
            return f"It takes {latency * 1e3:.3g} ms for a row alone; at most {self.latency * 1e3:.3g} are allowed."
        return ""


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
        return Sketch.from_json(value) if name == "sketch" and value is not None else _tuples(value)


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
        return value if name in ("numbers", "probes") else _tuples(value)


@dataclass(frozen=True)
class Neighbour(Record):
    """A past data set that looks like this one, and what won there."""

    dataset: str  # DatasetCard.id
    name: str
    group: str
    weight: float  # weights of all neighbours and of "none of these" sum to 1
    distance: float
    best_family: str
    best_skill: float | None  # 0 naive baseline, 1 perfect
    shared: tuple[str, ...] = ()  # the descriptors that bring it near
    landmark: float | None = None  # what the best of the cheap learners in its description reached


@dataclass(frozen=True)
class Config(Record):
    """A derivation of the grammar: a production, its numbers, its parts. Its root names the Learner."""

    production: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, tuple[Config, ...]] = field(default_factory=dict)

    @cached_property
    def skeleton(self) -> Config:
        """The derivation without its numbers."""
        return Config(self.production, {}, {k: tuple(c.skeleton for c in v) for k, v in self.parts.items()})

    def walk(self, path: str = "") -> list[tuple[str, Config]]:
        """Every node with its path: "" for the root, "encoder.0", "encoder.0/body.1" below it."""
        nodes = [(path, self)]
        for slot in sorted(self.parts):
            for i, part in enumerate(self.parts[slot]):
                nodes += part.walk(f"{path}/{slot}.{i}".lstrip("/"))
        return nodes

    @classmethod
    def _revive(cls, name: str, value: Any) -> Any:
        if name == "parts":
            return {k: tuple(Config.from_json(c) for c in v) for k, v in value.items()}
        return value


@dataclass(frozen=True)
class Proposal(Record):
    """A config worth trying, with the family it belongs to, who proposed it and why."""

    config: Config
    family: str
    arm: str  # proposer, "tpe", "uniform", "first"
    reason: str = ""
    odds: float | None = None
    expected_seconds: float | None = None

    @classmethod
    def _revive(cls, name: str, value: Any) -> Any:
        return Config.from_json(value) if name == "config" else _tuples(value)


@dataclass(frozen=True)
class Forecast(Record):
    """What the priors expect before anything is trained, in the task's own metric."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    level: float = 0.8
    seconds: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Trial(Record):
    """A proposal tried: what it scored out of fold and what it cost."""

    number: int
    proposal: Proposal
    outcome: str  # one of OUTCOMES
    seed: int
    rung: float  # share of the full fit, 0..1
    score: float | None  # in the task's metric, on out-of-fold rows
    skill: float | None  # 0 naive baseline, 1 perfect
    seconds: float  # wall seconds of the fit
    finished: float  # seconds since the run began
    facts: Mapping[str, Any] = field(default_factory=dict)  # parameters, epochs, peak memory, curve ...
    error: str = ""

    @property
    def config(self) -> Config:
        """What was fitted."""
        return self.proposal.config

    @property
    def cost(self) -> float:
        """Seconds that the config has cost up to this rung, those below included."""
        return self.seconds + float(self.facts.get("seconds_before", 0.0))

    @property
    def merit(self) -> float | None:
        """What trials of a run are compared by: skill, told more finely where the facts say."""
        return self.facts.get("merit", self.skill) if self.skill is not None else None

    @property
    def name(self) -> str:
        """The folder of this trial."""
        return f"{self.number:05d}"

    @classmethod
    def _revive(cls, name: str, value: Any) -> Any:
        return Proposal.from_json(value) if name == "proposal" else (value if name == "facts" else _tuples(value))


def best_of_each(trials: Sequence[Trial]) -> list[Trial]:
    """One trial a config: its furthest."""
    furthest: dict[str, Trial] = {}
    for trial in trials:
        known = furthest.get(trial.config.id)
        if known is None or trial.rung >= known.rung:
            furthest[trial.config.id] = trial
    return list(furthest.values())


@dataclass(frozen=True)
class Scorecard(Record):
    """How good the packaged model is, beside the naive baseline."""

    metric: str
    value: float
    low: float  # 95 % bootstrap interval over rows
    high: float
    baseline: float
    rows: int
    split: str  # "sealed test" or "out of fold"
    others: Mapping[str, float] = field(default_factory=dict)
    goal: float | None = None
    goal_met: bool | None = None
    diagnosis: tuple[str, ...] = ()

    @classmethod
    def _revive(cls, name: str, value: Any) -> Any:
        return value if name == "others" else _tuples(value)


@dataclass(frozen=True)
class Experience(Record):
    """One finished trial as the knowledge base keeps it: no rows, no names, no category strings."""

    dataset: str  # DatasetCard.id
    data_hash: str
    task: Mapping[str, Any]  # output, metric, sentence: what the scores mean
    config: Config
    family: str
    seed: int
    rung: float
    outcome: str
    metric: str
    score: float | None
    baseline: float | None  # the naive baseline in the same metric on the same rows
    skill: float | None  # 0 baseline, 1 perfect
    seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    hardware: str = ""

    @classmethod
    def _revive(cls, name: str, value: Any) -> Any:
        if name == "config":
            return Config.from_json(value)
        return value if name in ("task", "facts", "versions") else _tuples(value)


@dataclass(frozen=True)
class Recall:
    """What the knowledge base remembers for a description: the neighbours and all that was tried on them."""

    neighbours: tuple[Neighbour, ...] = ()
    nothing_like_it: float = 1.0
    experiences: Mapping[str, tuple[Experience, ...]] = field(default_factory=dict)  # by DatasetCard.id
