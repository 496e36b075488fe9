"""Encoders for images: two space axes, anything else folded into channels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from metalearner.kinds import Choice, Float, Int, Range
from metalearner.records import Config, View

from ..grammar.bounds import eight
from ..grammar.tokenisers import Patches
from ..views import image_axes
from .named import Named, node, stack, stage

# The stem brings sides to about this many pixels; 16 costs a quarter of 32.
RESOLUTION = Choice((16, 8, 32))
DROPOUT = Float(0.0, 0.5, 0.1)


class ImageEncoder(Named):
    """A network over two space axes of at least 4 pixels."""

    tags: tuple[str, ...] = ("convolution",)
    loose: tuple[str, ...] = ("dropout", "drop_path")

    def accepts(self, view: View) -> bool:
        """Views with exactly two space axes, no codes beside them."""
        axes = image_axes(view)
        if axes is None or view.cardinalities or min(view.axes[i].size for i in axes) < 4:
            return False
        return Patches().accepts(view)


def stem(width: int, resolution: int, activation: str) -> Config:
    """A convolution that brings the sides to about the resolution."""
    return node("patches", {"width": width, "positions": resolution**2, "activation": activation})


class ResNetEncoder(ImageEncoder):
    """Residual network of basic blocks, for small images (arXiv 1512.03385, 1603.05027)."""

    name = "resnet"

    def space(self) -> Mapping[str, Range]:
        """`depth` is blocks a stage; `norm` before the convolutions is version 2, after them version 1."""
        return {
            "width": Int(8, 64, 24, log=True),
            "depth": Int(1, 4, 1),
            "stages": Int(2, 4, 3),
            "resolution": RESOLUTION,
            "norm": Choice(("after", "before")),
            "dropout": DROPOUT,
            "drop_path": Float(0.0, 0.3, 0.0),
        }

    def expand(self, numbers: Mapping[str, Any], view: View) -> Config:
        """Stages that double in width and halve in size; deeper ones are skipped likelier."""
        stages = []
        for i in range(numbers["stages"]):
            rate = numbers["drop_path"] * i / (numbers["stages"] - 1)
            shape = {"norm": numbers["norm"], "drop_path": rate}
            down = node("basic-down", {"widen": 2.0, **shape}) if i > 0 else None
            stages.append(stage(numbers["depth"] - (i > 0), node("basic", shape), down=down))
        norm = node("batch-norm", {"activation": "relu"}) if numbers["norm"] == "before" else None
        begin = stem(numbers["width"], numbers["resolution"], "relu")
        return stack(begin, stages, node("mean", {"dropout": numbers["dropout"]}), norm)


class MobileNetEncoder(ImageEncoder):
    """Inverted residuals with depthwise convolutions: few parameters, little work (arXiv 1801.04381, 1905.02244)."""

    name = "mobilenet"
    tags = ("convolution", "depthwise")
    loose = ("dropout",)

    # (channels, blocks, kernel) of each stage at width factor 1
    stages = ((24, 1, 3), (40, 2, 3), (80, 2, 5))

    def space(self) -> Mapping[str, Range]:
        """`width_factor` scales all channels; `extra_blocks` adds to every stage."""
        return {
            "width_factor": Float(0.3, 2.0, 1.0, log=True),
            "expansion": Choice((3, 2, 4, 6)),
            "extra_blocks": Int(0, 2, 0),
            "resolution": RESOLUTION,
            "dropout": DROPOUT,
        }

    def expand(self, numbers: Mapping[str, Any], view: View) -> Config:
        """Three stages of inverted residuals, a wide linear layer, the mean."""
        factor = numbers["width_factor"]
        width = begin = eight(16 * factor)
        stages = []
        for i, (channels, repeats, kernel) in enumerate(self.stages):
            shape = {"kernel": kernel, "expansion": numbers["expansion"], "activation": "hardswish"}
            down = node("inverted-down", {"widen": eight(channels * factor) / width, "halve": i > 0, **shape})
            stages.append(stage(repeats - 1 + numbers["extra_blocks"], node("inverted", shape), down=down))
            width = eight(channels * factor)
        stages.append(stage(0, down=node("widen", {"widen": 2.0, "activation": "hardswish"})))
        tokeniser = stem(begin, numbers["resolution"], "hardswish")
        return stack(tokeniser, stages, node("mean", {"dropout": numbers["dropout"]}))


class EfficientNetEncoder(ImageEncoder):
    """Inverted residuals with squeeze and excite, width and depth scaled together (arXiv 1905.11946)."""

    name = "efficientnet"
    tags = ("convolution", "depthwise", "squeeze-excite")

    # (expansion, channels, blocks, kernel) of each stage at compound 0
    stages = ((1, 16, 1, 3), (4, 24, 2, 3), (4, 40, 2, 5))

    def space(self) -> Mapping[str, Range]:
        """`compound` scales width by 1.1 and depth by 1.2 a step."""
        return {
            "compound": Float(0.0, 5.0, 0.0),
            "resolution": RESOLUTION,
            "dropout": DROPOUT,
            "drop_path": Float(0.0, 0.3, 0.05),
        }

    def expand(self, numbers: Mapping[str, Any], view: View) -> Config:
        """At compound c widths grow by 1.1^c and blocks by 1.2^c, the paper's ratios; the resolution is the data's own."""
        wider, deeper = 1.1 ** numbers["compound"], 1.2 ** numbers["compound"]
        width = begin = eight(16 * wider)
        stages = []
        for i, (expansion, channels, repeats, kernel) in enumerate(self.stages):
            shape = {"kernel": kernel, "expansion": expansion, "squeeze": True, "activation": "silu"}
            widen = eight(channels * wider) / width
            down = node("inverted-down", {"widen": widen, **shape}) if i > 0 else None
            block = node("inverted", {**shape, "drop_path": numbers["drop_path"] * i / (len(self.stages) - 1)})
            stages.append(stage(math.ceil(repeats * deeper) - (i > 0), block, down=down))
            width = eight(channels * wider)
        stages.append(stage(0, down=node("widen", {"widen": 4.0, "activation": "silu"})))
        tokeniser = stem(begin, numbers["resolution"], "silu")
        return stack(tokeniser, stages, node("mean", {"dropout": numbers["dropout"]}))
