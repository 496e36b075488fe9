"""What fits a config, and what a fit leaves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Fold, Tensors
from ..records import Config, View
from .outputs import Metric, Output, State

if TYPE_CHECKING:
    from ..plugins import Registry


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

    def score(self, prediction: np.ndarray, target: np.ndarray) -> float:
        """The metric of a prediction (n, k) of rows not learnt from, its decision drawn where it serves the metric."""
        state = self.output.decide(self.state, self.metric.name, None, prediction, target)
        return self.metric.score(target, prediction, state)


class Model(ABC):
    """One fitted predictor."""

    @abstractmethod
    def predict(self, tensors: Tensors) -> np.ndarray:
        """Prediction (n, k) in the Output's sense; deterministic, the same row gives the same numbers in any batch."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write everything needed into an existing empty folder: safetensors, JSON, text. Never pickle."""

    def export(self, views: Mapping[str, View]) -> Iterator[bytes]:
        """ONNX from "<view>.values", "<view>.codes", "<view>.mask" to "prediction", with a dynamic batch.

        Ways to make it, the quickest first: the first that is seen to equal the model is kept. None at all when what
        `save` writes is already a portable form of its own.
        """
        return iter(())


@dataclass(frozen=True)
class Fitted:
    """One config fitted on every fold, a model each, and what was learned about the fit."""

    config: Config
    models: tuple[Model, ...]
    # parameters, epochs, curve, stopped_early ...; `row_shared` is what a new row takes once for all models that share it, of
    # all folds and configs: seconds by the name of what is shared
    facts: Mapping[str, Any] = field(default_factory=dict)


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

    def look(self, config: Config, views: Mapping[str, View], aim: Aim) -> Mapping[str, Any]:
        """What can be said of a config before it is fitted, its size above all; by the names that facts of a fit have.

        `weight_bytes` is what its weights will take in a bundle, `beside_bytes` what has to be there beside the bundle;
        `effort` is what fitting it takes for each row, to compare configs of this learner by.
        """
        return {}

    def warm(self, views: Mapping[str, View]) -> None:
        """Import and open what fits on these views need, where that takes seconds; called once a worker, beside its work."""

    def together(self, facts: Mapping[str, Any]) -> int:
        """How many configs of one shape to fit side by side, judged by the facts of an earlier fit of that shape."""
        return 1
