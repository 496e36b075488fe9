"""Families of a backbone: its features with a learner on them, one a learner, and its last layers tuned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

from metalearner.kinds import Backbone, Family
from metalearner.records import Config, View

# The heads, each a family of its own: what it is called, in words, and its presets: the root's numbers, the backbones', the learner.
Preset = tuple[dict[str, Any], dict[str, Any], Config]
Head = tuple[str, str, tuple[Preset, ...]]
HEADS: tuple[Head, ...] = (
    (
        "linear",
        "a linear model",
        (
            ({}, {}, Config("linear", {"penalty": 0.3})),
            ({}, {}, Config("linear", {"penalty": 1.0})),
            ({"beside": True}, {}, Config("linear", {"penalty": 0.3})),
        ),
    ),
    (
        "kernel",
        "kernel ridge",
        (({}, {}, Config("kernel-ridge")), ({}, {}, Config("kernel-ridge", {"length": 0.8}))),
    ),
    ("neighbours", "nearest neighbours", (({}, {}, Config("neighbours")),)),
)
# For a backbone that may look at its rows more closely: the second preset of a head does, and nothing goes along.
CLOSER = {"pixels": {"size": 224}}
# Further sizes of a network that is there already come with the first head alone.
FURTHER = ("efficientnet-lite1", "efficientnet-lite2")


def families(backbones: Sequence[Backbone]) -> list[Family]:
    """Those of every backbone."""
    found = []
    for backbone in backbones:
        heads = HEADS[:1] if backbone.name in FURTHER else HEADS
        found += [*(_frozen((backbone,), *head) for head in heads), _tuned(backbone)]
    firsts = {backbone.raw: backbone for backbone in reversed(backbones)}
    for together in combinations(sorted(firsts.values(), key=lambda b: b.name), 2):
        found += [_frozen(together, *head) for head in HEADS[:2]]
    return found


def _frozen(backbones: Sequence[Backbone], name: str, words: str, presets: tuple[Preset, ...]) -> Family:
    closer = CLOSER.get(backbones[0].raw, {}) if len(backbones) == 1 else {}
    fits = closer and all(backbones[0].space().get(k) and backbones[0].space()[k].holds(v) for k, v in closer.items())
    if fits:
        presets = (presets[0], *((root, closer, head) for root, _, head in presets[:1]), *presets[1:2])
    return Family(
        name=f"{'+'.join(b.name for b in backbones)}-{name}",
        summary=f"Features of {' and '.join(b.summary or b.name for b in backbones)} with {words} on them",
        presets=tuple(
            Config("frozen", root, {"backbone": tuple(Config(b.name, own) for b in backbones), "learner": (head,)})
            for root, own, head in presets
        ),
        accepts=_reads(*backbones),
        level=2,
        tags=("transfer",),
    )


# What is tuned first, by what a backbone reads: the root's numbers, and the recipe's.
TUNED: Mapping[str, tuple[tuple[dict[str, Any], dict[str, Any]], ...]] = {
    "text": (
        ({"share": 0.5, "decay": 1.0}, {"epochs": 2, "batch_size": 16}),
        ({"share": 0.5, "rate": 0.05}, {"epochs": 6}),
        ({"share": 1.0}, {"epochs": 2}),
        ({"share": 0.25}, {"epochs": 5}),
        ({"method": "lora", "share": 0.5, "rate": 1.0}, {"epochs": 4}),
    ),
    "pixels": (
        ({"share": 0.5}, {"epochs": 4}),
        ({"share": 0.25, "rate": 0.3}, {"epochs": 5}),
        ({"share": 0.5, "rate": 0.3, "decay": 1.0}, {"epochs": 6, "label_smoothing": 0.1}),
    ),
}


def _tuned(backbone: Backbone) -> Family:
    ways = TUNED.get(backbone.raw, TUNED["text"][:1])
    presets = tuple(
        Config("fine-tune", way, {"backbone": (Config(backbone.name),), "recipe": (Config("brief", recipe),)})
        for way, recipe in ways
    )
    return Family(
        name=f"{backbone.name}-tuned",
        summary=f"{backbone.summary or backbone.name}, its last layers trained on",
        presets=presets,
        accepts=_all_read(backbone),
        level=2,
        tags=("transfer", "network"),
    )


def _reads(*backbones: Backbone) -> Callable[[Mapping[str, View]], bool]:
    def reads(views: Mapping[str, View]) -> bool:
        there = {view.raw for view in views.values()}
        return all(backbone.raw in there for backbone in backbones)

    return reads


def _all_read(backbone: Backbone) -> Callable[[Mapping[str, View]], bool]:
    def all_read(views: Mapping[str, View]) -> bool:
        return bool(views) and all(view.raw == backbone.raw for view in views.values())

    return all_read
