"""Families of the learners without gradients: what is tried first, and on which views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metalearner.kinds import Family
from metalearner.records import Config, View

from . import flat
from .random_conv import arrangement
from .views import ordered_axes

# Columns beyond which growing trees takes longer than it is worth.
TREE_COLUMNS = 4000


def _any(views: Mapping[str, View]) -> bool:
    return bool(views)


def _narrow(views: Mapping[str, View]) -> bool:
    return 0 < flat.width(views) + len(flat.cardinalities(views)) <= TREE_COLUMNS


def _unordered(views: Mapping[str, View]) -> bool:
    """Narrow, and no axis has an order: of pixels and steps one kind of trees is enough."""
    return _narrow(views) and not any(ordered_axes(view) for view in views.values())


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
            {"penalty": 0.03},
            # with products a small penalty: they are what bends, and weak ones do no harm beside strong ones
            {"penalty": 0.02, "expansion": "squares", "interactions": True},
            {"penalty": 0.3, "expansion": "splines", "interactions": True},
            {"penalty": 0.1, "expansion": "splines"},
        ),
        accepts=_any,
        tags=("quick", "linear"),
    ),
    Family(
        name="trees",
        summary="Gradient-boosted trees (LightGBM), the baseline to beat on tables",
        presets=_presets(
            "trees",
            # random thresholds over many columns, hardly held back: the best single choice, from 100 rows to 2,000
            {
                "extra": True,
                "rounds": 500,
                "learning_rate": 0.1,
                "min_leaf": 3,
                "feature_share": 0.8,
                "row_share": 1.0,
                "l2": 0.1,
            },
            # small and held back: for few or noisy rows
            {
                "rounds": 300,
                "leaves": 8,
                "learning_rate": 0.1,
                "min_leaf": 3,
                "feature_share": 0.5,
                "row_share": 0.8,
                "l2": 3.0,
            },
            {"learning_rate": 0.08, "min_leaf": 15, "row_share": 0.6, "l2": 0.1},
            {
                "rounds": 1500,
                "leaves": 48,
                "learning_rate": 0.03,
                "min_leaf": 5,
                "feature_share": 0.7,
                "row_share": 0.8,
                "l2": 0.3,
            },
        ),
        accepts=_narrow,
        tags=("trees",),
    ),
    Family(
        name="forest",
        summary="Random forest: deep trees on rows and columns of their own, averaged",
        presets=_presets(
            "forest",
            {},
            {"extra": True, "min_leaf": 1, "feature_share": 1.0, "row_share": 0.9},
        ),
        accepts=_unordered,
        tags=("trees",),
    ),
    Family(
        name="kernel-ridge",
        summary="Kernel ridge on landmarks: smooth in all columns at once, strong where rows are few",
        presets=_presets(
            "kernel-ridge",
            {},
            {"kernel": "gauss"},
            {"length": 0.8, "relevance": 0.0},
            {"length": 1.0, "landmarks": 2500},
        ),
        accepts=_narrow,
        tags=("kernel",),
    ),
    Family(
        name="random-conv",
        summary="Random convolutions and ridge: MiniRocket for series, whitened patches for images",
        presets=_presets(
            "random-conv",
            {"features": 2000},  # the ridge costs their cube: with 6,000 rows this is seconds, twice as many are not
            {"features": 5000, "pooling": "proportion"},
            {"features": 10000},
            {"features": 30000},  # pays on thousands of pictures; the deadline cuts it elsewhere
            {"features": 5000, "normalise": True},
        ),
        accepts=_convolved,
        tags=("convolution",),
    ),
]
