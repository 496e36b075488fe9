"""The encoder of tables that are pictures, in their order or shuffled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metalearner.kinds import Choice, Float, Int, Range
from metalearner.records import Config, View

from ..grammar.tokenisers import Reshape
from .images import DROPOUT, RESOLUTION
from .named import Named, node, stack, stage


class FoldedResNetEncoder(Named):
    """Residual convolutions over the columns of a table, laid out as a picture."""

    name = "folded-resnet"
    tags = ("convolution",)
    loose = ("dropout", "drop_path")

    def space(self) -> Mapping[str, Range]:
        """`row` is how many columns make a row; `recovered` lays them out by how they resemble each other instead."""
        return {
            "row": Int(3, 64, 8, log=True),
            "recovered": Choice((False, True)),
            "width": Int(8, 64, 24, log=True),
            "depth": Int(1, 3, 1),
            "stages": Int(2, 3, 2),
            "resolution": RESOLUTION,
            "dropout": DROPOUT,
            "drop_path": Float(0.0, 0.3, 0.0),
        }

    def accepts(self, view: View) -> bool:
        """Tables of enough numbers."""
        return Reshape().accepts(view)

    def expand(self, numbers: Mapping[str, Any], view: View) -> Config:
        """Stages that double in width and halve in size, as of a ResNet."""
        stem = {"width": numbers["width"], "positions": numbers["resolution"] ** 2, "activation": "relu"}
        tokeniser = node("seriate", stem) if numbers["recovered"] else node("reshape", {"row": numbers["row"], **stem})
        stages = []
        for i in range(numbers["stages"]):
            shape = {"norm": "after", "drop_path": numbers["drop_path"] * i / (numbers["stages"] - 1)}
            down = node("basic-down", {"widen": 2.0, **shape}) if i > 0 else None
            stages.append(stage(numbers["depth"] - (i > 0), node("basic", shape), down=down))
        return stack(tokeniser, stages, node("mean", {"dropout": numbers["dropout"]}))
