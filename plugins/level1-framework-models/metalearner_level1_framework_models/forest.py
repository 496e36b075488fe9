"""Random forests by LightGBM (Breiman 2001): many deep trees, each on rows and columns of its own, averaged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.arrays import Fold
from metalearner.kinds import Aim, Choice, Float, Int, Production, Range, Rung

from .boosters import Booster, BoosterLearner, Case, Clock, affordable, datasets, facts_of, parameters, text_of

# Leaves of a whole forest, one for each class: reading, writing and asking it take time that no round is counted for.
LEAVES, FEWEST = 150_000, 10


class Forest(Production):
    """A forest: how many trees, how deep they go, and how differently they see the data."""

    name = "forest"
    symbol = "learner"
    tags = ("trees", "tabular")

    def space(self) -> Mapping[str, Range]:
        """`feature_share` is of the columns that a split may choose from; `row_share` of the rows of a tree."""
        return {
            "trees": Int(30, 300, 100, log=True),
            "leaves": Int(16, 512, 256, log=True),
            "min_leaf": Int(1, 30, 2, log=True),
            "feature_share": Float(0.1, 1.0, 0.35),
            "row_share": Float(0.3, 0.95, 0.63),
            "l2": Float(1e-3, 10.0, 0.01, log=True),
            "extra": Choice((False, True)),
        }


class ForestLearner(BoosterLearner):
    """All rows are learnt from: averaging needs no slice that says when to stop."""

    name = "forest"
    production = Forest()

    def fit_fold(
        self, numbers: Mapping[str, Any], fold: Fold, aim: Aim, upto: Rung, resume: Path | None
    ) -> tuple[Booster, dict[str, Any]]:
        """One forest, never a part of one: LightGBM's do not grow on."""
        import lightgbm

        case = Case.of(fold, aim, upto)
        if case.trivial:
            return case.model("", "rounds"), facts_of("", "rounds", 1)
        kept = affordable(np.arange(len(case.rows)), case)
        told = parameters(case, len(kept)) | _words(numbers, len(kept))
        (train,) = datasets(case, (kept,), told)
        clock = Clock(case)
        leaves = told["num_leaves"] * (len(case.present) if len(case.present) > 2 else 1)
        trees = min(numbers["trees"], max(FEWEST, LEAVES // leaves))
        booster = lightgbm.train(told | {"seed": case.seed(0)}, train, trees, callbacks=[clock])
        text = text_of(booster)
        return case.model(text, clock.stopped), facts_of(text, clock.stopped, len(case.present))


def _words(numbers: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """The config in LightGBM's words; leaves held in proportion to the rows."""
    return {
        "boosting": "rf",
        "num_leaves": max(4, min(numbers["leaves"], rows // 2)),
        "min_data_in_leaf": max(1, min(numbers["min_leaf"], rows // 10)),
        "min_sum_hessian_in_leaf": 0.0,
        "feature_fraction_bynode": numbers["feature_share"],
        "bagging_fraction": numbers["row_share"],
        "bagging_freq": 1,
        "lambda_l2": numbers["l2"],
        "extra_trees": numbers["extra"],
    }
