"""Gradient-boosted trees by LightGBM."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.arrays import Fold
from metalearner.kinds import Aim, Choice, Float, Int, Production, Range, Rung
from metalearner.records import Config

from .boosters import Booster, BoosterLearner, Case, Clock, affordable, datasets, facts_of, parameters, text_of

WATCHED = 0.15  # share of the training rows that early stopping watches
WHOLE = 0.6  # share of the rows that must have been learnt from before all of them are
MOST_WHOLE = 20_000  # rows; with more, those that were watched are hardly missed
MATTERS = 0.002  # an improvement by this share of the loss restarts patience


class Trees(Production):
    """Boosted trees: how many, how large, how fast they learn and what they see."""

    name = "trees"
    symbol = "learner"
    tags = ("trees", "tabular")

    def space(self) -> Mapping[str, Range]:
        """Rounds is a ceiling: a slice of the training rows says when to stop."""
        return {
            "rounds": Int(20, 2000, 500, log=True),
            "leaves": Int(4, 128, 31, log=True),
            "learning_rate": Float(0.01, 0.3, 0.06, log=True),
            "min_leaf": Int(1, 100, 10, log=True),
            "feature_share": Float(0.2, 1.0, 0.8),
            "row_share": Float(0.4, 1.0, 0.9),
            "l2": Float(1e-3, 100.0, 1.0, log=True),
            "extra": Choice((False, True)),
        }


class TreesLearner(BoosterLearner):
    """LightGBM: a slice of the training rows says when to stop, then all of them are learnt from; with a deadline."""

    name = "trees"
    production = Trees()

    def fit_fold(
        self, numbers: Mapping[str, Any], fold: Fold, aim: Aim, upto: Rung, resume: Path | None
    ) -> tuple[Booster, dict[str, Any]]:
        """One booster; with `resume` it grows on from the earlier one, unless patience had ended that."""
        case = Case.of(fold, aim, upto)
        if case.trivial:
            return case.model("", "patience"), facts_of("", "patience", 1) | {"watched": False}
        earlier = Booster.open(resume) if resume is not None else None
        if earlier is not None and (earlier.whole or earlier.stopped == "patience"):
            return earlier, facts_of(earlier.text, earlier.stopped, len(case.present)) | {"watched": not earlier.whole}
        grown = _grow(numbers, case, aim.output.strata(case.target), earlier)
        whole = _whole(numbers, case, grown)
        text = grown.text if whole is None else whole
        model = case.model(text, grown.stopped, whole is not None)
        return model, facts_of(text, grown.stopped, len(case.present)) | {"watched": whole is None}

    def partial(self, config: Config) -> bool:
        """The first rounds say much about all of them, and grow on."""
        return True


@dataclass(frozen=True)
class Grown:
    """Trees that a slice was watched for: their text, rounds, what ended them, how long a round took, all rows or not."""

    text: str
    rounds: int
    stopped: str
    round_seconds: float
    learnt: int  # rows


def _grow(numbers: Mapping[str, Any], case: Case, strata: np.ndarray, earlier: Booster | None) -> Grown:
    """Rounds up to the rung, on all rows but a slice that is watched; with `earlier` they come after its own."""
    import lightgbm

    upto = case.upto
    kept, watched = _watch_split(strata, np.random.default_rng([upto.seed, case.fold.index]))
    kept = affordable(kept, case)
    watched = watched[: max(4, len(kept))]
    told = parameters(case, len(kept)) | _words(numbers, len(kept))
    begun = None if earlier is None else earlier.booster
    done = 0 if begun is None else begun.current_iteration()
    guard = Guard(case, patience=int(np.clip(5 / numbers["learning_rate"], 30, 200)))
    train, watch = datasets(case, (kept, watched), told)
    began = time.monotonic()
    booster = lightgbm.train(
        told | {"seed": case.seed(done)},
        train,
        num_boost_round=max(1, round(numbers["rounds"] * upto.share) - done),
        valid_sets=[watch],
        init_model=begun,
        callbacks=[guard],
    )
    took = (time.monotonic() - began) / max(1, booster.current_iteration() - done)
    rounds = guard.best_round + 1
    return Grown(text_of(booster, rounds), rounds, guard.stopped, took, len(kept))


def _whole(numbers: Mapping[str, Any], case: Case, grown: Grown) -> str | None:
    """The same again on all rows, a little longer as there are more; None where it is too early or too late for that."""
    import lightgbm

    upto, rows = case.upto, len(case.rows)
    ended = grown.stopped == "patience" or (grown.stopped == "rounds" and upto.share >= 1)
    if not ended or not WHOLE * rows <= grown.learnt < rows <= MOST_WHOLE:
        return None
    rounds = round(grown.rounds * rows / grown.learnt)
    if time.monotonic() + 1.5 * rounds * grown.round_seconds * rows / grown.learnt > upto.deadline:
        return None
    told = parameters(case, rows) | _words(numbers, rows) | {"seed": case.seed(0)}
    (train,) = datasets(case, (np.arange(rows),), told)
    clock = Clock(case)
    booster = lightgbm.train(told, train, num_boost_round=rounds, callbacks=[clock])
    return None if clock.stopped == "deadline" else text_of(booster)


class Guard(Clock):
    """Remembers the best round too, and stops when little improves."""

    def __init__(self, case: Case, patience: int) -> None:
        super().__init__(case)
        self.patience = patience
        self.best, self.best_round = np.inf, 0
        self.mark, self.mark_round = np.inf, 0  # the last loss that was clearly better than the ones before

    def __call__(self, environment: Any) -> None:
        """Losses shrink as models get better."""
        from lightgbm.callback import EarlyStopException

        watched = environment.evaluation_result_list
        done, loss = environment.iteration, float(watched[0][2])
        if loss < self.best:
            self.best, self.best_round = loss, done
        if loss < self.mark * (1 - MATTERS):
            self.mark, self.mark_round = loss, done
        super().__call__(environment)
        if done - self.mark_round >= self.patience:
            self.stopped = "patience"
            raise EarlyStopException(self.best_round, watched)


def _words(numbers: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """The config in LightGBM's words; leaves held in proportion to the rows."""
    return {
        "num_leaves": numbers["leaves"],
        "learning_rate": numbers["learning_rate"],
        "min_data_in_leaf": max(1, min(numbers["min_leaf"], rows // 10)),
        "feature_fraction": numbers["feature_share"],
        "bagging_fraction": numbers["row_share"],
        "bagging_freq": int(numbers["row_share"] < 1),
        "lambda_l2": numbers["l2"],
        "extra_trees": numbers["extra"],
    }


def _watch_split(strata: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Positions to learn from and to watch, stratum by stratum; every stratum keeps a row to learn from."""
    watched: list[np.ndarray] = []
    for stratum in np.unique(strata):
        members = rng.permutation(np.flatnonzero(strata == stratum))
        watched.append(members[: min(round(WATCHED * len(members)), len(members) - 1)])
    slice_ = np.sort(np.concatenate(watched))
    if not len(slice_):  # every class once: watch what is learnt, the ceiling of rounds stops it
        return np.arange(len(strata)), np.arange(len(strata))
    return np.setdiff1d(np.arange(len(strata)), slice_), slice_
