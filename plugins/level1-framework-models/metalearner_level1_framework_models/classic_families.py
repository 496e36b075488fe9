"""Families of the learners without gradients: what is tried first, and on which views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metalearner.kinds import Family
from metalearner.records import Config, View

from . import flat
from .random_conv import arrangement

# Columns beyond which growing trees takes longer than it is worth.
TREE_COLUMNS = 3000


def _any(views: Mapping[str, View]) -> bool:
    return bool(views)


def _narrow(views: Mapping[str, View]) -> bool:
    return 0 < flat.width(views) + len(flat.cardinalities(views)) <= TREE_COLUMNS


def _convolved(views: Mapping[str, View]) -> bool:
    return [arrangement(view) is not None for view in views.values()] == [True]


def _presets(production: str, *numbers: dict[str, Any]) -> tuple[Config, ...]:
    return tuple(Config(production, given) for given in numbers)


CLASSIC_FAMILIES: list[Family] = [
    Family(
        name="linear",
        summary="Ridge or logistic regression, plain or with splines or products of columns",
        presets=_presets(
            "linear",
            {"penalty": 0.1},
            {"penalty": 0.1, "expansion": "splines"},
            {"penalty": 0.3, "expansion": "squares", "interactions": True},
        ),
        accepts=_any,
        tags=("quick", "linear"),
    ),
    Family(
        name="trees",
        summary="Gradient-boosted trees (LightGBM), the baseline to beat on tables",
        presets=_presets(
            "trees",
            # small and held back: best on a few hundred rows, and quick everywhere
            {
                "rounds": 300,
                "leaves": 8,
                "learning_rate": 0.1,
                "min_leaf": 3,
                "feature_share": 0.5,
                "row_share": 0.8,
                "l2": 3.0,
            },
            {},
            {"extra": True, "rounds": 800, "learning_rate": 0.08, "min_leaf": 3, "feature_share": 0.7},
            {"rounds": 1500, "learning_rate": 0.02, "feature_share": 0.6, "row_share": 0.8},
        ),
        accepts=_narrow,
        tags=("trees",),
    ),
    Family(
        name="random-conv",
        summary="Random convolutions and ridge: MiniRocket for series, whitened patches for images",
        presets=_presets(
            "random-conv",
            {"features": 2000},
            {"features": 5000, "pooling": "proportion"},
            {"features": 5000, "normalise": True},
        ),
        accepts=_convolved,
        tags=("convolution",),
    ),
]
