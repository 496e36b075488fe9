"""Encoders for series: one ordered axis, anything else folded into channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metalearner.kinds import Choice, Float, Int, Range
from metalearner.records import View

from ..views import sequence_axis
from .encoder import Encoder

if TYPE_CHECKING:
    import torch


class SequenceEncoder(Encoder):
    """A network over one ordered axis of at least 4 steps."""

    def accepts(self, view: View) -> bool:
        """Views with one time axis, or one other ordered axis; no codes beside it."""
        axis = sequence_axis(view)
        return axis is not None and not view.cardinalities and view.axes[axis].size >= 4


class ResNet1dEncoder(SequenceEncoder):
    """Residual network along time."""

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
            "dropout": Float(0.0, 0.5, 0.1),
        }

    def module(self, numbers: Mapping[str, Any], view: View) -> torch.nn.Module:
        """The module; every number of the space is given."""
        from ..networks.resnet_1d import ResNet1d

        return ResNet1d(view, numbers)


class InceptionTimeEncoder(SequenceEncoder):
    """Convolutions of three lengths side by side, residual every three blocks."""

    name = "inception-time"
    tags = ("convolution", "long-kernel")

    def space(self) -> Mapping[str, Range]:
        """`width` is filters a branch (four branches); `kernel` the longest, the others half and a quarter."""
        return {
            "width": Int(8, 32, 16, log=True),
            "depth": Int(2, 9, 3),
            "kernel": Int(7, 63, 39),
            "length": Choice((128, 64, 256, 512)),
            "dropout": Float(0.0, 0.5, 0.1),
        }

    def module(self, numbers: Mapping[str, Any], view: View) -> torch.nn.Module:
        """The module; every number of the space is given."""
        from ..networks.inception_time import InceptionTime

        return InceptionTime(view, numbers)


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
            "dropout": Float(0.0, 0.5, 0.1),
        }

    def module(self, numbers: Mapping[str, Any], view: View) -> torch.nn.Module:
        """The module; every number of the space is given."""
        from ..networks.recurrent import Recurrent

        return Recurrent(view, numbers)


class SequenceTransformerEncoder(SequenceEncoder):
    """Attention over patches of a series."""

    name = "sequence-transformer"
    tags = ("attention",)

    def space(self) -> Mapping[str, Range]:
        """`tokens` is the most patches; `width` that of a token, rounded to a multiple of the heads."""
        return {
            "width": Int(16, 192, 64, log=True),
            "heads": Choice((4, 2, 8)),
            "blocks": Int(1, 4, 2),
            "tokens": Choice((64, 32, 16)),
            "dropout": Float(0.0, 0.5, 0.1),
        }

    def module(self, numbers: Mapping[str, Any], view: View) -> torch.nn.Module:
        """The module; every number of the space is given."""
        from ..networks.sequence_transformer import SequenceTransformer

        return SequenceTransformer(view, numbers)
