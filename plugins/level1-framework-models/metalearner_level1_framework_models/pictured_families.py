"""The families of tables that turn out to be pictures: they take part where a description confirms one."""

from __future__ import annotations

import math
from collections.abc import Mapping

from metalearner.kinds import Family
from metalearner.records import Config

from .families import network, single
from .laid_out import LaidOut, pictured
from .random_conv import RandomConv

# Standard errors over rows by which features that know the layout have to beat those that do not, as descriptions tell it.
CONFIRMED = math.log1p(2.0)
RECIPES = (
    {"lr": 3e-3, "weight_decay": 0.03, "epochs": 40, "label_smoothing": 0.05, "patience": 12, "ema": 0.99},
    {"lr": 2e-3, "weight_decay": 0.02, "epochs": 30, "patience": 8},
)


SIZES: tuple[dict[str, int], ...] = ({}, {"width": 32, "depth": 2})
CONVOLVED = ({"features": 2000}, {"features": 5000})


def layouts(numbers: Mapping[str, float | None]) -> list[dict[str, int | bool]]:
    """How columns are laid out where that was confirmed: in their order, so many to a row, or anew.

    >>> layouts({"locality.width": math.log10(16), "order.folded_gain_z": 1.5})
    [{'row': 16}]
    """
    width, folded, recovered = (
        numbers.get(name) for name in ("locality.width", "order.folded_gain_z", "topology.recovered_gain_z")
    )
    if width is not None and folded is not None and folded > CONFIRMED:
        return [{"row": round(10**width)}]
    return [{"recovered": True}] if recovered is not None and recovered > CONFIRMED else []


def networks(numbers: Mapping[str, float | None]) -> tuple[Config, ...]:
    """Networks over the picture."""
    return tuple(
        network("folded-resnet", layout | size, recipe)
        for layout in layouts(numbers)
        for size, recipe in zip(SIZES, RECIPES)
    )


def convolved(numbers: Mapping[str, float | None]) -> tuple[Config, ...]:
    """Random convolutions of the picture.

    >>> convolved({"topology.recovered_gain_z": 1.5})[0].numbers
    {'recovered': True}
    """
    return tuple(_convolved(layout, own) for layout in layouts(numbers) for own in CONVOLVED)


def _convolved(layout: Mapping[str, int | bool], own: Mapping[str, int]) -> Config:
    return Config(LaidOut.name, layout, {"learner": (Config(RandomConv.name, own),)})


PICTURED_FAMILIES: list[Family] = [
    Family(
        "folded-resnet",
        "Residual convolutions over a table that is a picture, shuffled or not.",
        (network("folded-resnet", {}, RECIPES[0]),),
        single("folded-resnet"),
        tags=("convolution",),
        evidence=networks,
    ),
    Family(
        "folded-random-conv",
        "Random convolutions and ridge over a table that is a picture, shuffled or not.",
        (_convolved({}, CONVOLVED[0]),),
        pictured,
        tags=("convolution",),
        evidence=convolved,
    ),
]
