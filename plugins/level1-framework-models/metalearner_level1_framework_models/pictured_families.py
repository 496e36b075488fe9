"""The family of tables that turn out to be pictures: it takes part where a description confirms one."""

from __future__ import annotations

import math
from collections.abc import Mapping

from metalearner.kinds import Family
from metalearner.records import Config

from .families import network, single

# Standard errors over rows by which features that know the layout have to beat those that do not, as descriptions tell it.
CONFIRMED = math.log1p(2.0)
RECIPES = (
    {"lr": 3e-3, "weight_decay": 0.03, "epochs": 40, "label_smoothing": 0.05, "patience": 12, "ema": 0.99},
    {"lr": 2e-3, "weight_decay": 0.02, "epochs": 30, "patience": 8},
)


def pictures(numbers: Mapping[str, float | None]) -> tuple[Config, ...]:
    """Networks over the picture that columns make in their order, or laid out anew, each where it was confirmed.

    >>> [c.parts["encoder"][0].numbers for c in pictures({"locality.width": math.log10(16), "order.folded_gain_z": 1.5})]
    [{'row': 16}, {'row': 16, 'width': 32, 'depth': 2}]
    """
    width, folded, recovered = (
        numbers.get(name) for name in ("locality.width", "order.folded_gain_z", "topology.recovered_gain_z")
    )
    layouts: list[dict[str, int | bool]] = []
    if width is not None and folded is not None and folded > CONFIRMED:
        layouts.append({"row": round(10**width)})
    elif recovered is not None and recovered > CONFIRMED:
        layouts.append({"recovered": True})
    sizes = ({}, {"width": 32, "depth": 2})
    return tuple(network("folded-resnet", layout | size, r) for layout in layouts for size, r in zip(sizes, RECIPES))


PICTURED_FAMILIES: list[Family] = [
    Family(
        "folded-resnet",
        "Residual convolutions over a table that is a picture, shuffled or not.",
        (network("folded-resnet", {}, RECIPES[0]),),
        single("folded-resnet"),
        tags=("convolution",),
        evidence=pictures,
    )
]
