"""What many learners share: folds are fitted one by one, each with its part of the time left."""

from __future__ import annotations

import importlib
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from . import grammar
from .arrays import Fold
from .kinds import Aim, Fitted, Learner, Model, Output, Production, Rung
from .records import Config, View


class FoldByFold(Learner):
    """A learner that fits one config on one fold, whatever the config is made of."""

    libraries: tuple[str, ...] = ()  # what fits import lazily; loading them is not the first fold's expense

    def fit(
        self, configs: Sequence[Config], folds: Sequence[Fold], aim: Aim, upto: Rung, resume: Sequence[Path | None]
    ) -> Iterator[Fitted]:
        """Fit the folds in order; those to come share the time that is left evenly."""
        from threadpoolctl import threadpool_limits

        for library in self.libraries:
            importlib.import_module(library)
        for at, (config, earlier) in enumerate(zip(configs, resume)):
            models, facts = [], []
            for i, fold in enumerate(folds):
                now = time.monotonic()
                fits_left = (len(configs) - at) * len(folds) - i
                rung = replace(upto, deadline=now + (upto.deadline - now) / fits_left)
                start = None if earlier is None else earlier / str(fold.index)
                if start is not None and not start.exists():  # an earlier rung may have been content with fewer folds
                    start = None
                with threadpool_limits(limits=upto.threads):
                    model, fact = self.fit_one(config, fold, aim, rung, start)
                models.append(model)
                facts.append(fact)
            yield Fitted(config, tuple(models), summary(facts))

    @abstractmethod
    def fit_one(
        self, config: Config, fold: Fold, aim: Aim, upto: Rung, resume: Path | None
    ) -> tuple[Model, dict[str, Any]]:
        """One model for one fold, and facts about its fit: "parameters", "iterations", "stopped_early" ..."""


class FoldwiseLearner(FoldByFold):
    """A learner whose config is one flat production of its own name."""

    production: Production

    def accepts(self, views: Mapping[str, View], output: Output) -> bool:
        """Any views, for classes and numbers."""
        return bool(views) and output.name in ("classification", "regression")

    def fit_one(
        self, config: Config, fold: Fold, aim: Aim, upto: Rung, resume: Path | None
    ) -> tuple[Model, dict[str, Any]]:
        """By the config's numbers."""
        return self.fit_fold(grammar.numbers(config, {self.name: self.production}), fold, aim, upto, resume)

    @abstractmethod
    def fit_fold(
        self, numbers: Mapping[str, Any], fold: Fold, aim: Aim, upto: Rung, resume: Path | None
    ) -> tuple[Model, dict[str, Any]]:
        """As `fit_one`, of the value of every number."""


def known_rows(fold: Fold, aim: Aim) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the training rows that have a target, and their target."""
    target = fold.train_target
    known = np.flatnonzero(target >= 0 if aim.output.name == "classification" else np.isfinite(target))
    return known, target[known]


def to_all_classes(probabilities: np.ndarray, present: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities of the classes seen in training -> of all classes, 0 for the others.

    >>> to_all_classes(np.array([[0.25, 0.75]]), np.array([0, 2]), 4)
    array([[0.25, 0.  , 0.75, 0.  ]])
    """
    found = np.zeros((len(probabilities), classes))
    found[:, present] = probabilities
    return found


def softmax(scores: np.ndarray) -> np.ndarray:
    """Rows of scores -> rows of probabilities, in float64."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
    return shifted / shifted.sum(axis=1, keepdims=True)


def summary(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Facts of the folds as one: truths if true anywhere, numbers averaged, the rest from the first fold."""
    found: dict[str, Any] = {}
    for name, first in facts[0].items():
        values = [f[name] for f in facts]
        if isinstance(first, bool):
            found[name] = any(values)
        elif isinstance(first, int | float):
            found[name] = float(np.mean(values))
        else:
            found[name] = first
    return found
