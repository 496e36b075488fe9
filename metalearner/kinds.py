"""What a plugin fills in: one abstract class a kind, a handful of methods each. No torch at run time.

A kind has a `name`, unique among its kind and kebab-case. Instances are stateless: what is fitted is
returned as JSON-able state or as a Model, never kept on the kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import Fields, Fold, Tensors
from .ranges import Choice, Float, Int, Name, Range
from .records import Config, Forecast, Neighbour, Proposal, Schema, Trial, View

if TYPE_CHECKING:
    import torch

    from .plugins import Registry

Source = Any  # a path, a DataFrame, or a list of JSON rows (dicts by column name)
State = dict[str, Any]  # fitted, JSON-able


# -- data ------------------------------------------------------------------------------------------


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


# -- outputs ---------------------------------------------------------------------------------------


class Output(ABC):
    """What differs by task. A prediction is an array (n, k) whose meaning only its Output knows."""

    name: str
    metrics: tuple[str, ...]  # that make sense for it, default first
    losses: tuple[str, ...]  # gradient losses, default first
    finer: str = ""  # a metric that still tells predictions apart where the default one is equal

    @abstractmethod
    def claims(self, target: np.ndarray, kind: str) -> float:
        """How well this raw target column (n,) of column kind `kind` fits: 0 no, 1 surely."""

    @abstractmethod
    def fit(self, target: np.ndarray) -> State:
        """Learn the classes or the scale from the raw training target."""

    @abstractmethod
    def encode(self, state: State, target: np.ndarray) -> np.ndarray:
        """Raw target (n,) to what metrics and losses take; -1 or NaN for what was never seen."""

    @abstractmethod
    def width(self, state: State) -> int:
        """Raw numbers a network's head gives per row."""

    @abstractmethod
    def activate(self, state: State, raw: np.ndarray) -> np.ndarray:
        """Head output (n, width) to prediction (n, k): probabilities, or the standardised value."""

    def graph(self, state: State, raw: torch.Tensor) -> torch.Tensor:
        """`activate` in torch, for export; raw is (..., width)."""
        return raw

    @abstractmethod
    def baseline(self, state: State, target: np.ndarray, rows: int) -> np.ndarray:
        """The naive prediction for `rows` rows, knowing only the encoded training target."""

    @abstractmethod
    def merge(self, predictions: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
        """The weighted average of several predictions (weights sum to 1)."""

    @abstractmethod
    def strata(self, target: np.ndarray) -> np.ndarray:
        """Small integers (n,) by which folds are balanced."""

    @abstractmethod
    def calibrate(self, state: State, prediction: np.ndarray, target: np.ndarray) -> State:
        """Fit a calibration on out-of-fold predictions."""

    @abstractmethod
    def calibrated(self, calibration: State, prediction: np.ndarray) -> np.ndarray:
        """Apply it."""

    @abstractmethod
    def conform(self, state: State, prediction: np.ndarray, target: np.ndarray, level: float) -> State:
        """Conformal scores from rows the prediction was not fitted on; covers `level` of new rows."""

    @abstractmethod
    def regions(self, conformal: State, state: State, prediction: np.ndarray) -> list[Any]:
        """For each row the JSON of its conformal set or interval, in the target's own words and units."""

    @abstractmethod
    def table(self, state: State, prediction: np.ndarray) -> dict[str, np.ndarray]:
        """Columns for people: `prediction`, and for classes `p_<class>`."""

    def problem(self, state: State, rows: int) -> str:
        """Why this target cannot be learnt from so many rows; empty when it can."""
        return ""

    def choose_metric(self, target: np.ndarray, state: State, sentence: str) -> tuple[str, str]:
        """Metric and the reason for it, from the encoded target and the user's words."""
        return self.metrics[0], f"the default for {self.name}"

    def choose_loss(self, state: State, metric_name: str, target: np.ndarray) -> tuple[str, str]:
        """Loss and the reason for it, from the metric it should serve and the encoded training target."""
        return self.losses[0], f"the default for {self.name}"


class Metric(ABC):
    """A score for an encoded target and a prediction."""

    name: str
    greater_is_better: bool = True
    perfect: float = 1.0
    words: tuple[str, ...] = ()  # what a user may call it

    @abstractmethod
    def score(self, target: np.ndarray, prediction: np.ndarray, state: State) -> float:
        """The value, in the metric's unit. NaN when it is undefined on these rows."""

    def skill(self, value: float, baseline: float) -> float:
        """The value between the naive baseline (0) and perfect (1); below 0 is worse than naive."""
        span = self.perfect - baseline
        return float((value - baseline) / span) if abs(span) > 1e-12 else 0.0


# -- the grammar -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slot:
    """A place in a production: the symbol that expands it, and how many may stand there, one after the other."""

    symbol: str
    least: int = 1
    most: int = 1


@dataclass(frozen=True)
class Part:
    """A part of a production, ready to be built: each `make()` is a module of its own, with its own weights."""

    make: Callable[[], torch.nn.Module]
    view: View  # what goes in
    gives: View  # what comes out


class Production(ABC):
    """One way to expand a symbol of the grammar: its numbers, its parts, its type and its `build`.

    `symbol` is what it expands: "learner" for roots, "encoder", "recipe", those of the networks
    ("tokeniser", "stage", "down", "block", "norm", "mixer", "pool"), or one a plugin names. `parts` says what its own slots take, in
    the order in which data flow through them.

    Types are views. An encoder's module takes one view of the data, (values, codes, mask), and returns features
    (B, width), or (B, members, width) for an ensemble in one network; it has attributes `width: int` and
    `members: int` (1 when plain). Everything inside an encoder takes and returns features x (B, axes..., channels)
    and mask (B, size of the ragged axis) or None: a tokeniser makes them of (values, codes, mask), a pool ends with
    (B, width). A feature view has no codes.
    """

    name: str
    symbol: str
    parts: Mapping[str, Slot] = {}
    flow: str = "series"  # each part takes what the one before gives; "parallel": all take what comes in
    tags: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()  # numbers that change no shape: configs differing in these alone can be trained as one batch

    def space(self) -> Mapping[str, Range]:
        """The numbers to search, beside `build` that uses them."""
        return {}

    def accepts(self, view: View) -> bool:
        """Whether it fits a view of this shape and these axis kinds. Types carry shapes."""
        return True

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View | None:
        """The view that comes out of `view`, given the one that comes out of its parts; None where they do not fit."""
        return inner

    def expand(self, numbers: Mapping[str, Any], view: View) -> Config | None:
        """The derivation that this one is a name for; None when it is no abbreviation. Then `build` is never called."""
        return None

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> torch.nn.Module:
        """Make the torch module. Only productions that end up inside a Net have one."""
        raise TypeError(f"production '{self.name}' of symbol '{self.symbol}' builds no network")


@dataclass(frozen=True)
class Family:
    """A named set of derivations: a skeleton, the presets tried first, and what it is good for.

    `presets[0]` is the default; all presets share one skeleton. `accepts` says for which views.
    """

    name: str
    summary: str
    presets: tuple[Config, ...]
    accepts: Callable[[Mapping[str, View]], bool]
    level: int = 1  # of the five levels of automation
    tags: tuple[str, ...] = ()


class Loss(ABC):
    """A differentiable loss, per row."""

    name: str
    outputs: tuple[str, ...]  # names of the Output kinds it fits
    smooths: bool = False  # whether label smoothing makes sense for it

    @abstractmethod
    def __call__(self, raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """raw (B, width), target (B,) long or float -> loss (B,)."""


class Optimiser(ABC):
    """A way to step parameters."""

    name: str

    @abstractmethod
    def build(self, parameters: Iterable[torch.nn.Parameter], lr: float, weight_decay: float) -> torch.optim.Optimizer:
        """The torch optimiser over these parameters."""


# -- learning --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rung:
    """How far to fit: a share of the config's full length, and never past a moment.

    `deadline` is on `time.monotonic()`'s clock, which all processes of one machine share.
    """

    share: float = 1.0  # of the epochs, rounds ... of one fit
    deadline: float = float("inf")
    threads: int = 1
    seed: int = 0
    folds: int | None = None  # only the first so many; None: all
    halved: int = 0  # how often the rows of a batch were halved because memory ran out


@dataclass(frozen=True)
class Aim:
    """What a fit is for: the output with its state, the metric, and the registry to look names up in."""

    output: Output
    state: State
    metric: Metric
    registry: Registry


class Model(ABC):
    """One fitted predictor."""

    @abstractmethod
    def predict(self, tensors: Tensors) -> np.ndarray:
        """Prediction (n, k) in the Output's sense; deterministic, the same row gives the same numbers in any batch."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write everything needed into an existing empty folder: safetensors, JSON, text. Never pickle."""

    def export(self, views: Mapping[str, View]) -> bytes | None:
        """ONNX from "<view>.values", "<view>.codes", "<view>.mask" to "prediction", with a dynamic batch.

        None when what `save` writes is already a portable form of its own.
        """
        return None


@dataclass(frozen=True)
class Fitted:
    """One config fitted on every fold, a model each, and what was learned about the fit."""

    config: Config
    models: tuple[Model, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)  # parameters, epochs, curve, stopped_early ...


class Learner(ABC):
    """Interprets configs whose root production bears its name."""

    name: str

    @abstractmethod
    def accepts(self, views: Mapping[str, View], output: Output) -> bool:
        """Whether it can learn from these views for this output."""

    @abstractmethod
    def fit(
        self,
        configs: Sequence[Config],
        folds: Sequence[Fold],
        aim: Aim,
        upto: Rung,
        resume: Sequence[Path | None],
    ) -> Iterator[Fitted]:
        """Fit each config on every fold, in order, up to the rung; stop in time for its deadline.

        `folds` are those of the rung. `resume[i]` is a folder with one numbered subfolder a fold, as `Model.save` wrote
        them at an earlier rung of the same config (some folds may not have been fitted yet), or None. Seeds come from
        `upto.seed` and the fold's index. Where several configs differ in loose numbers alone they may be fitted as one batch.
        """

    @abstractmethod
    def load(self, folder: Path, aim: Aim) -> Model:
        """Read back what `Model.save` wrote; equal predictions."""

    def partial(self, config: Config) -> bool:
        """Whether a share of a fit says something about the whole, and can be gone on with."""
        return False

    def together(self, facts: Mapping[str, Any]) -> int:
        """How many configs of one shape to fit side by side, judged by the facts of an earlier fit of that shape."""
        return 1


# -- search ----------------------------------------------------------------------------------------


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


@dataclass(frozen=True)
class Scope:
    """What a searcher may choose from, and what is known beforehand."""

    families: Mapping[str, Family]  # those that take the data, every number of their presets written out
    productions: Mapping[str, Production]
    learners: Mapping[str, Learner]
    views: Mapping[str, View]
    metric: Metric
    prior: Prior
    portfolio: Proposer  # the configs that did well on similar data, best first
    begun: tuple[Proposal, ...] = ()  # being fitted already, before anything was asked
    seed: int = 0


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


class Probe(ABC):
    """A measurement of a data set: named numbers for its description."""

    name: str
    version: int = 1

    @abstractmethod
    def measure(
        self, tensors: Tensors, views: Mapping[str, View], target: np.ndarray, output: Output, rng: np.random.Generator
    ) -> dict[str, float | None]:
        """Numbers by name, None where they make no sense; at most 1,000 samples come in."""
