"""Families of binary networks: they take part where a network has to be small or quick."""

from __future__ import annotations

from collections.abc import Mapping

from metalearner.kinds import Family
from metalearner.records import Config, View

from .productions import BinaryResNet

RESNET = BinaryResNet()
SIZES = ({"width": 32, "depth": 2}, {"width": 64, "depth": 2}, {"width": 96, "depth": 1, "stages": 2})
RECIPE = {
    "epochs": 60,
    "lr": 2e-3,
    "weight_decay": 1e-6,
    "batch_size": 64,
    "schedule": "cosine",
    "warmup": 0.02,
    "augment": 0.2,
}


def net(numbers: Mapping[str, object]) -> Config:
    """A whole network, decay all but off: what is shadowed by signs has no size of its own."""
    return Config("net", {}, {"encoder": (Config(RESNET.name, numbers),), "recipe": (Config("gradient", RECIPE),)})


def accepts(views: Mapping[str, View]) -> bool:
    """One view of an image or a series."""
    return len(views) == 1 and all(RESNET.accepts(view) for view in views.values())


def small(numbers: Mapping[str, float | None]) -> tuple[Config, ...]:
    """All of them where the task limits size or latency, else none: with room and time, plain numbers are more accurate."""
    limited = numbers.get("limit.bytes") is not None or numbers.get("limit.seconds") is not None
    return PRESETS if limited else ()


PRESETS = tuple(net(size) for size in SIZES)
FAMILIES = [
    Family("binary-resnet", "residual network of binary convolutions: a bit a weight, XNOR and popcount instead of products",
           PRESETS, accepts, level=0, tags=("binary",), evidence=small),
]  # fmt: skip
