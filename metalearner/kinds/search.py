"""Who proposes, what runs, and when."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..records import Config, Forecast, Neighbour, Proposal, Trial, View
from .grammar import Family, Production
from .learning import Rung
from .outputs import Metric


@dataclass(frozen=True)
class Moment:
    """When in a run something is asked for."""

    seconds_left: float = float("inf")  # for search
    spent: float = 0.0  # share of the budget, 0..1
    levels: frozenset[int] | None = None  # the levels of automation that are allowed now; None: all


class Proposer(ABC):
    """Says what to try next."""

    name: str

    @abstractmethod
    def ask(self, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        """At most n proposals, best first; empty when it has nothing to add."""

    def siblings(self, proposal: Proposal, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        """At most n more of the same shape: configs that differ from it in loose numbers alone."""
        return []


@dataclass(frozen=True)
class Prior:
    """What the knowledge base said about a task, for proposers and for people."""

    neighbours: tuple[Neighbour, ...]
    nothing_like_it: float  # weight of "none of these"
    forecast: Forecast
    odds: Mapping[str, float]  # by family, sums to 1, never below the uniform floor
    reasons: Mapping[str, str]  # by family, every number read from what made the odds
    productions: Mapping[str, float] = field(default_factory=dict)  # odds of blocks against chance: 1 is like any other
    leanings: Mapping[str, str] = field(default_factory=dict)  # the reasons of those that have one of their own
    # By family the configs that did well on the neighbours, with weights that sum to 1.
    soft: Mapping[str, tuple[tuple[Config, float], ...]] = field(default_factory=dict)
    # By family the skill that its best config is expected to lack to the best of all; empty where nobody knows.
    behind: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Scope:
    """What a searcher may choose from, and what is known beforehand."""

    families: Mapping[str, Family]  # those that take the data, every number of their presets written out
    productions: Mapping[str, Production]  # what they search is all that may be proposed: users may have narrowed it
    views: Mapping[str, View]
    metric: Metric
    prior: Prior
    portfolio: Proposer  # the configs that did well on similar data, best first
    begun: tuple[Proposal, ...] = ()  # being fitted already, before anything was asked
    seed: int = 0
    look: Callable[[Config], Mapping[str, Any]] = lambda config: {}  # what is known of a config before it is fitted
    first_share: Callable[[Config], float] = lambda config: 1.0  # of a full fit, what is made of a config at first


class Searcher(ABC):
    """A way to search: grid, chance, Bayes, evolution. Rungs, checkpoints and the clock are the search loop's."""

    name: str

    @abstractmethod
    def begin(self, scope: Scope) -> Proposer:
        """A proposer for one run; what it knows it reads from the trials it is shown, so that a resumed run goes on."""


@dataclass(frozen=True)
class Job:
    """Proposals to fit side by side, by what numbers they will be known, and how far."""

    numbers: tuple[int, ...]
    proposals: tuple[Proposal, ...]
    rung: Rung
    resume: tuple[str, ...] = ()  # names of the trials whose checkpoints to go on from, one a proposal; or none at all


class Begin(ABC):
    """What a worker does first, in its own process. Frozen and small: it travels there."""

    folder: Path  # the run's; its data may still be on their way

    @abstractmethod
    def __call__(self) -> Callable[[Job], Iterator[Trial]]:
        """Load what is needed; the function that fits jobs, a trial for each proposal as it is finished."""

    @abstractmethod
    def at(self, folder: Path) -> Begin:
        """The same for a copy of the run's folder elsewhere."""


class Executor(ABC):
    """Runs jobs somewhere and hands trials back as they finish."""

    name: str

    @abstractmethod
    def start(self, begin: Begin, workers: int, address: str = "") -> None:
        """Bring workers up; each calls `begin` once, in its own process. `address` is where, for those that need one."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Queue a job."""

    @abstractmethod
    def collect(self, timeout: float) -> list[Trial]:
        """Trials finished since the last call, waiting at most `timeout` seconds for the first.

        A worker that died gives a Trial with outcome "crash" for each proposal it had not finished; it is replaced.
        """

    @abstractmethod
    def idle(self) -> int:
        """Workers with nothing to do."""

    @abstractmethod
    def stop(self) -> None:
        """End all workers now."""
