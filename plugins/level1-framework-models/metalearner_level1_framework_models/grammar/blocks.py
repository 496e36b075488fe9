"""Blocks keep the shape; downs change it: fewer positions, other channels. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metalearner.kinds import Choice, Float, Part, Production, Range, Slot
from metalearner.records import View

from ..views import ordered_axes
from .bounds import halved

if TYPE_CHECKING:
    from torch import nn

DROPOUT = Float(0.0, 0.6, 0.0)
DROP_PATH = Float(0.0, 0.3, 0.0)
KERNEL = Choice((3, 5, 7, 11))


class Block(Production):
    """A production of symbol "block"; the view that goes in comes out."""

    symbol = "block"

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View | None:
        """The same view."""
        return view if inner == view else None


class Plain(Block):
    """Norm, dropout, mixer, activation, without a shortcut."""

    name = "plain"
    parts = {"norm": Slot("norm"), "mixer": Slot("mixer")}
    loose = ("dropout",)

    def space(self) -> Mapping[str, Range]:
        """The activation follows the mixer."""
        return {"activation": Choice(("none", "relu", "silu")), "dropout": DROPOUT}

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.blocks import Plain as Module

        return Module(parts["norm"][0].make(), parts["mixer"][0].make(), numbers)


class Residual(Block):
    """x + mixer(norm(x)), the half of a Transformer block in which positions meet; then an activation."""

    name = "residual"
    parts = {"norm": Slot("norm"), "mixer": Slot("mixer")}
    loose = ("dropout", "drop_path")

    def space(self) -> Mapping[str, Range]:
        """The activation follows the sum; `drop_path` is the chance that a row skips the branch in training."""
        return {"activation": Choice(("none", "relu")), "dropout": DROPOUT, "drop_path": DROP_PATH}

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.blocks import Residual as Module

        return Module(parts["norm"][0].make(), parts["mixer"][0].make(), numbers)


class ChannelMLP(Block):
    """x + perceptron(norm(x)) over the channels of each position, the other half of a Transformer block."""

    name = "channel-mlp"
    tags = ("dense",)
    parts = {"norm": Slot("norm")}
    loose = ("dropout", "drop_path")

    def space(self) -> Mapping[str, Range]:
        """`expansion` is hidden units a channel; a gate multiplies them by a second set (arXiv 2002.05202)."""
        return {
            "expansion": Choice((2.0, 1.0, 1.333, 4.0)),
            "gate": Choice((False, True)),
            "activation": Choice(("relu", "silu", "gelu")),
            "dropout": DROPOUT,
            "drop_path": DROP_PATH,
        }

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.blocks import ChannelMLP as Module

        return Module(view.channels, parts["norm"][0].make(), numbers)


class Basic(Block):
    """Two convolutions beside a shortcut (ResNet, arXiv 1512.03385; norms before: arXiv 1603.05027)."""

    name = "basic"
    tags = ("convolution",)
    evidence = ("order.gain",)
    loose = ("drop_path",)

    def space(self) -> Mapping[str, Range]:
        """`kernel` is that of the first, the second has 3; `norm` is after the convolutions (version 1) or before (2)."""
        return {"kernel": KERNEL, "norm": Choice(("after", "before")), "drop_path": DROP_PATH}

    def accepts(self, view: View) -> bool:
        """At least one ordered axis."""
        return bool(ordered_axes(view))

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.convolution import Basic as Module

        return Module(view, view, numbers)


class Inverted(Block):
    """Widen, filter each channel, narrow, beside a shortcut (MobileNet, arXiv 1801.04381; EfficientNet, 1905.11946)."""

    name = "inverted"
    tags: tuple[str, ...] = ("convolution", "depthwise")
    evidence = ("order.gain",)
    loose: tuple[str, ...] = ("drop_path",)

    def space(self) -> Mapping[str, Range]:
        """`squeeze` scales the hidden channels by what the whole sample says (arXiv 1709.01507)."""
        return {
            "kernel": Choice((3, 5, 7)),
            "expansion": Choice((3, 1, 2, 4, 6)),
            "squeeze": Choice((False, True)),
            "activation": Choice(("hardswish", "silu", "relu")),
            "drop_path": DROP_PATH,
        }

    def accepts(self, view: View) -> bool:
        """At least one ordered axis."""
        return bool(ordered_axes(view))

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.convolution import Inverted as Module

        return Module(view, view, numbers)


class Down(Production):
    """A production of symbol "down": ordered axes of more than 4 halved, channels times `widen`, both within bounds."""

    symbol = "down"

    def space(self) -> Mapping[str, Range]:
        """`widen` is channels out for each that comes in."""
        return {"widen": Float(0.5, 4.0, 2.0)}

    def accepts(self, view: View) -> bool:
        """At least one ordered axis."""
        return bool(ordered_axes(view))

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View | None:
        """Half the size, other channels."""
        return halved(view, numbers["widen"], numbers.get("halve", True))


class Strided(Down):
    """A convolution of 3 with stride 2, then norm."""

    name = "strided"
    tags = ("convolution",)
    evidence = ("order.gain",)

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.convolution import Strided as Module

        return Module(view, halved(view, numbers["widen"]))


class Average(Down):
    """The mean of every two neighbours along each axis, then a linear layer over channels."""

    name = "average"

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.convolution import Average as Module

        return Module(view, halved(view, numbers["widen"]), bias=True)


class BasicDown(Down):
    """ResNet's downsampling block: the basic block, its first convolution strided, its shortcut averaged (arXiv 1812.01187)."""

    name = "basic-down"
    tags = ("convolution",)
    evidence = ("order.gain",)
    loose = ("drop_path",)

    def space(self) -> Mapping[str, Range]:
        """As the basic block's, and how much wider."""
        return {"widen": Float(0.5, 4.0, 2.0), "halve": Choice((True, False)), **Basic().space()}

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.convolution import Basic as Module

        return Module(view, halved(view, numbers["widen"], numbers["halve"]), numbers)


class InvertedDown(Down):
    """The inverted residual that strides and has no shortcut, first in a stage of MobileNet or EfficientNet."""

    name = "inverted-down"
    tags = ("convolution", "depthwise")
    evidence = ("order.gain",)

    def space(self) -> Mapping[str, Range]:
        """As the inverted block's, and how much wider."""
        inner = {n: r for n, r in Inverted().space().items() if n != "drop_path"}
        return {"widen": Float(0.5, 4.0, 2.0), "halve": Choice((True, False)), **inner}

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.convolution import Inverted as Module

        return Module(view, halved(view, numbers["widen"], numbers["halve"]), numbers)


class Widen(Down):
    """A linear layer over channels, norm, activation; positions stay."""

    name = "widen"
    tags = ("dense",)

    def space(self) -> Mapping[str, Range]:
        """`widen` is channels out for each that comes in."""
        return {"widen": Float(0.5, 4.0, 2.0), "activation": Choice(("relu", "silu", "hardswish"))}

    def accepts(self, view: View) -> bool:
        """Any features."""
        return True

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View | None:
        """The same axes, other channels."""
        return halved(view, numbers["widen"], halve=False)

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.blocks import Widen as Module

        return Module(view, halved(view, numbers["widen"], halve=False).channels, numbers["activation"])


BLOCKS: list[Production] = [Plain(), Residual(), ChannelMLP(), Basic(), Inverted()]
DOWNS: list[Production] = [Strided(), Average(), BasicDown(), InvertedDown(), Widen()]
