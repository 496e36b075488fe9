"""Encoders for images: two space axes, anything else folded into channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metalearner.kinds import Choice, Float, Int, Range
from metalearner.records import View

from ..views import image_axes
from .encoder import Encoder

if TYPE_CHECKING:
    import torch

# The stem brings sides to about this many pixels; 16 costs a quarter of 32.
RESOLUTION = Choice((16, 8, 32))


class ImageEncoder(Encoder):
    """A network over two space axes of at least 4 pixels."""

    tags: tuple[str, ...] = ("convolution",)

    def accepts(self, view: View) -> bool:
        """Views with exactly two space axes, no codes beside them."""
        axes = image_axes(view)
        return axes is not None and not view.cardinalities and min(view.axes[i].size for i in axes) >= 4


class ResNetEncoder(ImageEncoder):
    """Residual network of basic blocks, for small images."""

    name = "resnet"

    def space(self) -> Mapping[str, Range]:
        """`depth` is blocks a stage; `norm` before the convolutions is version 2, after them version 1."""
        return {
            "width": Int(8, 64, 24, log=True),
            "depth": Int(1, 4, 1),
            "stages": Int(2, 4, 3),
            "resolution": RESOLUTION,
            "norm": Choice(("after", "before")),
            "dropout": Float(0.0, 0.5, 0.1),
            "drop_path": Float(0.0, 0.3, 0.0),
        }

    def module(self, numbers: Mapping[str, Any], view: View) -> torch.nn.Module:
        """The module; every number of the space is given."""
        from ..networks.resnet import ResNet

        return ResNet(view, numbers)


class MobileNetEncoder(ImageEncoder):
    """Inverted residuals with depthwise convolutions: few parameters, little work."""

    name = "mobilenet"
    tags = ("convolution", "depthwise")

    def space(self) -> Mapping[str, Range]:
        """`width_factor` scales all channels; `extra_blocks` adds to every stage."""
        return {
            "width_factor": Float(0.3, 2.0, 1.0, log=True),
            "expansion": Choice((3, 2, 4, 6)),
            "extra_blocks": Int(0, 2, 0),
            "resolution": RESOLUTION,
            "dropout": Float(0.0, 0.5, 0.1),
        }

    def module(self, numbers: Mapping[str, Any], view: View) -> torch.nn.Module:
        """The module; every number of the space is given."""
        from ..networks.mobilenet import MobileNet

        return MobileNet(view, numbers)


class EfficientNetEncoder(ImageEncoder):
    """MBConv with squeeze and excite, width and depth scaled together."""

    name = "efficientnet"
    tags = ("convolution", "depthwise", "squeeze-excite")

    def space(self) -> Mapping[str, Range]:
        """`compound` scales width by 1.1 and depth by 1.2 a step."""
        return {
            "compound": Float(0.0, 5.0, 0.0),
            "resolution": RESOLUTION,
            "dropout": Float(0.0, 0.5, 0.1),
            "drop_path": Float(0.0, 0.3, 0.05),
        }

    def module(self, numbers: Mapping[str, Any], view: View) -> torch.nn.Module:
        """The module; every number of the space is given."""
        from ..networks.efficientnet import EfficientNet

        return EfficientNet(view, numbers)
