"""What is tried, foretold, measured and remembered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .record import Record, tuples

OUTCOMES = ("ok", "crash", "out-of-memory", "timeout", "pruned")
# A rung this near to 1 is a full fit.
FULL = 0.999


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
    made: bool = False  # by a recipe of ours, not measured in the world


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
        return Config.from_json(value) if name == "config" else tuples(value)


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
        return Proposal.from_json(value) if name == "proposal" else (value if name == "facts" else tuples(value))


def best_of_each(trials: Sequence[Trial]) -> list[Trial]:
    """One trial a config: its furthest."""
    furthest: dict[str, Trial] = {}
    for trial in trials:
        known = furthest.get(trial.config.id)
        if known is None or trial.rung >= known.rung:
            furthest[trial.config.id] = trial
    return list(furthest.values())


@dataclass(frozen=True)
class Cause(Record):
    """One reason why a score is not better, read off the run's own numbers, and what to do about it."""

    of: str  # "data", "model" or "learnability"
    name: str
    said: str
    advice: str = ""
    share: float = 0.0  # of what is missing to a perfect score, as much as this may account for: 0..1

    def __str__(self) -> str:
        """One line for people."""
        told = f"{self.of}, {self.name}: {self.said}" if self.of else self.said
        return f"{told}; {self.advice}" if self.advice else told


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
    diagnosis: tuple[Cause, ...] = ()  # what accounts for most comes first

    @classmethod
    def _revive(cls, name: str, value: Any) -> Any:
        if name == "diagnosis":  # in former bundles these were sentences
            return tuple(Cause("", "", d) if isinstance(d, str) else Cause.from_json(d) for d in value)
        return value if name == "others" else tuples(value)


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
        return value if name in ("task", "facts", "versions") else tuples(value)


@dataclass(frozen=True)
class Recall:
    """What the knowledge base remembers for a description: the neighbours and all that was tried on them."""

    neighbours: tuple[Neighbour, ...] = ()
    nothing_like_it: float = 1.0
    experiences: Mapping[str, tuple[Experience, ...]] = field(default_factory=dict)  # by DatasetCard.id
