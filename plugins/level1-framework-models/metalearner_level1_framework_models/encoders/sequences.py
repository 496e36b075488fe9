"""Encoders for series: one ordered axis, anything else folded into channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metalearner.kinds import Choice, Float, Int, Range
from metalearner.records import Config, View

from ..grammar.tokenisers import Steps
from ..views import sequence_axis
from .named import Named, for_heads, node, stack, stage, transformer

DROPOUT = Float(0.0, 0.5, 0.1)


class SequenceEncoder(Named):
    """A network over one ordered axis of at least 4 steps."""

    loose = ("dropout",)

    def accepts(self, view: View) -> bool:
        """Views with one time axis, or one other ordered axis; no codes beside it."""
        axis = sequence_axis(view)
        return axis is not None and not view.cardinalities and view.axes[axis].size >= 4 and Steps().accepts(view)


class ResNet1dEncoder(SequenceEncoder):
    """Residual network along time (Wang et al. 2017, arXiv 1611.06455), with strides in place of full length throughout."""

    name = "resnet-1d"
    tags = ("convolution",)

    def space(self) -> Mapping[str, Range]:
        """`length` is the most steps the blocks see; a strided stem shortens to it."""
        return {
            "width": Int(8, 96, 24, log=True),
            "depth": Int(1, 3, 1),
            "stages": Int(2, 4, 3),
            "kernel": Choice((7, 3, 5, 11)),
            "length": Choice((256, 128, 512, 1024)),
            "dropout": DROPOUT,
        }

    def expand(self, numbers: Mapping[str, Any], view: View) -> Config:
        """Stages that halve in length and double in width, up to four times the first."""
        shape = {"kernel": numbers["kernel"]}
        stages = []
        for i in range(numbers["stages"]):
            down = node("basic-down", {"widen": 2.0 if i < 3 else 1.0, **shape}) if i > 0 else None
            stages.append(stage(numbers["depth"] - (i > 0), node("basic", shape), down=down))
        begin = node("steps", {"width": numbers["width"], "positions": numbers["length"]})
        # A maximum beside the mean overfitted noisy series.
        return stack(begin, stages, node("mean", {"dropout": numbers["dropout"]}))


class InceptionTimeEncoder(SequenceEncoder):
    """Convolutions of three lengths side by side, residual every three (Ismail Fawaz et al. 2019, arXiv 1909.04939)."""

    name = "inception-time"
    tags = ("convolution", "long-kernel")

    def space(self) -> Mapping[str, Range]:
        """`width` is filters a branch (four branches); `kernel` the longest, the others half and a quarter."""
        return {
            "width": Int(8, 32, 16, log=True),
            "depth": Int(2, 9, 3),
            "kernel": Int(7, 63, 39),
            "length": Choice((128, 64, 256, 512)),
            "dropout": DROPOUT,
        }

    def expand(self, numbers: Mapping[str, Any], view: View) -> Config:
        """A shortcut around every three; what is left over stands first, without one. A short series keeps its length."""
        mixer = node("inception", {"kernel": numbers["kernel"]})
        norm = node("no-norm")
        threes, rest = divmod(numbers["depth"], 3)
        stages = []
        if rest:
            stages.append(stage(rest, node("plain", {"activation": "relu"}, norm=norm, mixer=mixer)))
        if threes:
            three = node("in-turn", {"activation": "relu"}, mixer=[mixer] * 3)
            stages.append(stage(threes, node("residual", {"activation": "relu"}, norm=norm, mixer=three)))
        axis = sequence_axis(view)
        short = axis is not None and view.axes[axis].size <= numbers["length"]
        alone = {"kernel": 1, "activation": "none"} if short else {}
        begin = node("steps", {"width": 4 * numbers["width"], "positions": numbers["length"], **alone})
        return stack(begin, stages, node("mean", {"dropout": numbers["dropout"]}))


class RecurrentEncoder(SequenceEncoder):
    """GRU or LSTM behind a convolutional stem."""

    name = "recurrent"
    tags = ("recurrent",)

    def space(self) -> Mapping[str, Range]:
        """`steps` is the most the cell walks through; a strided stem shortens to it."""
        return {
            "cell": Choice(("gru", "lstm")),
            "bidirectional": Choice((True, False)),
            "width": Int(16, 192, 64, log=True),
            "layers": Int(1, 3, 1),
            "steps": Choice((64, 32, 128)),
            "dropout": DROPOUT,
        }

    def expand(self, numbers: Mapping[str, Any], view: View) -> Config:
        """`width` is that of each direction; the mean of the states beside those at both ends."""
        cell = node(numbers["cell"], {"bidirectional": numbers["bidirectional"]})
        width = numbers["width"] * (2 if numbers["bidirectional"] else 1)
        begin = node("steps", {"width": width, "positions": numbers["steps"]})
        first = stage(1, node("plain", norm=node("no-norm"), mixer=cell))
        more = stage(
            numbers["layers"] - 1, node("plain", {"dropout": numbers["dropout"]}, norm=node("no-norm"), mixer=cell)
        )
        stages = [first, more] if numbers["layers"] > 1 else [first]
        return stack(begin, stages, node("ends", {"dropout": numbers["dropout"]}))


class SequenceTransformerEncoder(SequenceEncoder):
    """Attention over patches of a series (in the manner of PatchTST, arXiv 2211.14730, with a convolutional stem)."""

    name = "sequence-transformer"
    tags = ("attention",)

    def space(self) -> Mapping[str, Range]:
        """`tokens` is the most patches; `width` that of a token, rounded to a multiple of the heads."""
        return {
            "width": Int(16, 192, 64, log=True),
            "heads": Choice((4, 2, 8)),
            "blocks": Int(1, 4, 2),
            "tokens": Choice((64, 32, 16)),
            "dropout": DROPOUT,
        }

    def expand(self, numbers: Mapping[str, Any], view: View) -> Config:
        """Learned positions, pre-norm blocks, the mean of the tokens."""
        width = for_heads(numbers["width"], numbers["heads"])
        begin = node("steps", {"width": width, "positions": numbers["tokens"], "position": "learned"})
        blocks = transformer(node("attention", {"heads": numbers["heads"]}), numbers["dropout"])
        return stack(begin, [stage(numbers["blocks"], *blocks)], node("mean"), node("layer-norm"))
