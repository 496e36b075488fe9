"""Networks over several views: an encoder for each by its axes, and ways to fuse what they say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metalearner.arrays import Fold
from metalearner.kinds import (
    Aim,
    Choice,
    Family,
    Fitted,
    Float,
    Int,
    Learner,
    Model,
    Output,
    Part,
    Production,
    Range,
    Rung,
    Slot,
)
from metalearner.records import Config, View

if TYPE_CHECKING:
    from torch import nn

NET = "net"
# Encoders by the kinds of a view's axes, the first that is there and takes it; the last takes all.
ENCODERS: Mapping[tuple[str, ...], str] = {("space", "space"): "resnet", ("time",): "inception-time"}
ANY = "mlp"


class Gate(Production):
    """Each view's features brought to one width, and weighed row by row: what says nothing about a row is not listened to."""

    name = "gate"
    symbol = "fusion"

    def space(self) -> Mapping[str, Range]:
        """How wide."""
        return {"width": Int(16, 256, 64, log=True)}

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """See `modules.Gated`."""
        from .modules import Gated

        return Gated(int(numbers["width"]))


class Attend(Production):
    """Each view's features as a token: all attend to all, and to one that stands for the row."""

    name = "attend"
    symbol = "fusion"

    def space(self) -> Mapping[str, Range]:
        """How wide, and with how many heads."""
        return {"width": Choice((64, 32, 128)), "heads": Choice((4, 2))}

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """See `modules.Attentive`."""
        from .modules import Attentive

        return Attentive(int(numbers["width"]), int(numbers["heads"]))


class Fused(Production):
    """A network over all views there are, whatever they are: which encoder reads each is told by its axes."""

    name = "fused"
    symbol = "learner"
    parts = {"fusion": Slot("fusion", 0, 1), "recipe": Slot("recipe")}
    tags = ("network", "multimodal")

    def space(self) -> Mapping[str, Range]:
        """Of the dense encoders; the others are as their names have them."""
        return {
            "width": Int(16, 256, 64, log=True),
            "depth": Int(1, 3, 1),
            "dropout": Float(0.0, 0.5, 0.1),
        }


class FusedLearner(Learner):
    """Writes the network out for the views at hand; the one training loop does the rest."""

    name = "fused"

    def accepts(self, views: Mapping[str, View], output: Output) -> bool:
        """Several views."""
        return len(views) > 1 and bool(output.losses)

    def fit(
        self, configs: Sequence[Config], folds: Sequence[Fold], aim: Aim, upto: Rung, resume: Sequence[Path | None]
    ) -> Iterator[Fitted]:
        """As networks are fitted."""
        written = [network(config, folds[0].views, aim) for config in configs]
        for config, fitted in zip(configs, _net(aim).fit(written, folds, aim, upto, resume)):
            yield replace(fitted, config=config)

    def load(self, folder: Path, aim: Aim) -> Model:
        """What is saved is a network."""
        return _net(aim).load(folder, aim)

    def partial(self, config: Config) -> bool:
        """Some of the epochs tell about all of them."""
        return True

    def look(self, config: Config, views: Mapping[str, View], aim: Aim) -> Mapping[str, Any]:
        """As of the network."""
        return _net(aim).look(network(config, views, aim), views, aim)


def network(config: Config, views: Mapping[str, View], aim: Aim) -> Config:
    """The derivation of the network that a fused one stands for."""
    from metalearner import grammar

    productions = aim.registry.productions
    numbers = grammar.numbers(Config(config.production, config.numbers), productions)

    def encoder(view: View) -> Config:
        name = ENCODERS.get(view.kinds, ANY)
        if name != ANY and name in productions and productions[name].accepts(view):
            return Config(name)
        return Config(ANY, {k: numbers[k] for k in ("width", "depth", "dropout")})

    return Config(NET, {}, {"encoder": tuple(map(encoder, views.values())), **config.parts})


def _net(aim: Aim) -> Learner:
    learner: Learner = aim.registry.get("learners", NET)
    return learner


def _several(views: Mapping[str, View]) -> bool:
    return len(views) > 1


def _family(name: str, summary: str, fusion: str) -> Family:
    parts = {"fusion": (Config(fusion),)} if fusion else {}
    presets = tuple(
        Config("fused", numbers, {**parts, "recipe": (Config("gradient", recipe),)})
        for numbers, recipe in (
            ({}, {"epochs": 40}),
            ({"width": 128, "dropout": 0.3}, {"epochs": 40, "weight_decay": 0.05}),
        )
    )
    return Family(name, summary, presets, _several, level=1, tags=("network", "multimodal"))


PRODUCTIONS: tuple[Production, ...] = (Gate(), Attend(), Fused())
FAMILIES: tuple[Family, ...] = (
    _family("fused-concat", "An encoder for each kind of data, their features side by side", ""),
    _family("fused-gate", "An encoder for each kind of data, weighed row by row", "gate"),
    _family("fused-attend", "An encoder for each kind of data, attending to each other", "attend"),
)
