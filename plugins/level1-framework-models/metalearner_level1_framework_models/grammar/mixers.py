"""Mixers: what makes positions (or channels) know of each other. A mixer keeps the shape. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metalearner.kinds import Choice, Int, Part, Production, Range, Slot
from metalearner.records import View

from ..views import ordered_axes, positions, sequence_axis
from .bounds import TOGETHER

if TYPE_CHECKING:
    from torch import nn


class Mixer(Production):
    """A production of symbol "mixer"; the view that goes in comes out."""

    symbol = "mixer"

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View | None:
        """The same view."""
        return view if inner == view else None


class Dense(Mixer):
    """One linear layer over the channels of each position."""

    name = "dense"
    tags = ("dense",)

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.mixing import Dense as Module

        return Module(view)


class Conv(Mixer):
    """A convolution along all ordered axes, over all channels."""

    name = "conv"
    tags = ("convolution",)
    evidence = ("order.gain",)

    def space(self) -> Mapping[str, Range]:
        """`kernel` is its length along each axis."""
        return {"kernel": Choice((3, 5, 7))}

    def accepts(self, view: View) -> bool:
        """At least one ordered axis."""
        return bool(ordered_axes(view))

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.convolution import Convolution

        return Convolution(view, view.channels, numbers["kernel"], bias=True)


class Depthwise(Conv):
    """A convolution along all ordered axes for each channel by itself."""

    name = "depthwise"
    tags = ("convolution", "depthwise")
    evidence = ("order.gain",)

    def space(self) -> Mapping[str, Range]:
        """`dilation` is the gap between what the kernel touches; 1 where the axis is shorter."""
        return {"kernel": Choice((3, 5, 7, 11)), "dilation": Choice((1, 2, 4))}

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.convolution import Convolution

        shape = {"dilation": numbers["dilation"], "groups": view.channels, "bias": True}
        return Convolution(view, view.channels, numbers["kernel"], **shape)


class Inception(Mixer):
    """Kernels of three lengths and a pooled branch side by side, then norm (InceptionTime, arXiv 1909.04939)."""

    name = "inception"
    tags = ("convolution", "long-kernel")
    evidence = ("order.gain",)

    def space(self) -> Mapping[str, Range]:
        """`kernel` is the longest along time, the others half and a quarter; at most 11 where there are two axes."""
        return {"kernel": Int(3, 63, 39, log=True)}

    def accepts(self, view: View) -> bool:
        """At least one ordered axis."""
        return bool(ordered_axes(view))

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.convolution import Inception as Module

        return Module(view, numbers["kernel"])


class Attention(Mixer):
    """Multi-head attention of every position to every other (Vaswani et al. 2017, arXiv 1706.03762)."""

    name = "attention"
    tags = ("attention",)

    def space(self) -> Mapping[str, Range]:
        """`heads` share the channels."""
        return {"heads": Choice((4, 2, 8))}

    def accepts(self, view: View) -> bool:
        """At least one axis, at most 402 positions."""
        return bool(view.axes) and positions(view) <= TOGETHER

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.attention import GlobalAttention

        return GlobalAttention(view, numbers["heads"])


class LocalAttention(Mixer):
    """Attention within windows along the ordered axes, each reaching half a window past its edges (HaloNet, arXiv 2103.12731)."""

    name = "local-attention"
    tags = ("attention", "local")
    evidence = ("order.gain",)

    def space(self) -> Mapping[str, Range]:
        """`window` is positions a window, all axes together."""
        return {"heads": Choice((4, 2, 8)), "window": Choice((16, 4, 64))}

    def accepts(self, view: View) -> bool:
        """At least one ordered axis, and more than one position on them."""
        return any(view.axes[i].size > 1 for i in ordered_axes(view))

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.attention import WindowedAttention

        return WindowedAttention(view, numbers["heads"], numbers["window"])


class Sequential(Mixer):
    """A mixer that walks along one ordered axis; other axes are taken one by one."""

    steps = 128

    def accepts(self, view: View) -> bool:
        """One ordered axis that is not too long, few positions beside it."""
        axis = sequence_axis(view)
        return axis is not None and view.axes[axis].size <= self.steps and positions(view) <= 16 * self.steps


class GRU(Sequential):
    """Gated recurrent units (Cho et al. 2014, arXiv 1406.1078)."""

    name = "gru"
    tags: tuple[str, ...] = ("recurrent",)

    def space(self) -> Mapping[str, Range]:
        """Both ways each direction has half of the channels."""
        return {"bidirectional": Choice((True, False))}

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.recurrence import Recurrent

        return Recurrent(view, self.name, numbers["bidirectional"])


class LSTM(GRU):
    """Long short-term memory (Hochreiter and Schmidhuber 1997)."""

    name = "lstm"


class LinearRecurrence(Sequential):
    """A gated diagonal linear recurrence: no step waits for a nonlinearity, so that all are computed together.

    After minGRU (Feng et al. 2024, arXiv 2410.01201) and the linear recurrent unit (Orvieto et al. 2023, arXiv 2303.06349).
    """

    name = "linear-recurrence"
    tags = ("recurrent", "linear-recurrence")
    steps = 1024

    def space(self) -> Mapping[str, Range]:
        """Both ways each direction has half of the channels."""
        return {"bidirectional": Choice((True, False))}

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.recurrence import LinearRecurrence as Module

        return Module(view, numbers["bidirectional"])


class TokenMLP(Mixer):
    """A perceptron over all positions, the same for each channel (MLP-Mixer, arXiv 2105.01601)."""

    name = "token-mlp"
    tags = ("token-mlp",)

    def space(self) -> Mapping[str, Range]:
        """`expansion` is hidden units a position."""
        return {"expansion": Choice((0.5, 1.0, 2.0))}

    def accepts(self, view: View) -> bool:
        """At least one axis and none of a set, for positions need a place; at most 402 of them."""
        return bool(view.axes) and positions(view) <= TOGETHER and "set" not in view.kinds

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.mixing import TokenMLP as Module

        return Module(view, numbers["expansion"])


class Spectral(Mixer):
    """A learned filter in the frequencies of each ordered axis in turn (in the manner of GFNet, arXiv 2107.00645)."""

    name = "spectral"
    tags = ("spectral",)

    def accepts(self, view: View) -> bool:
        """At least one ordered axis, none longer than 402."""
        sizes = [view.axes[i].size for i in ordered_axes(view)]
        return bool(sizes) and 1 < max(sizes) <= TOGETHER

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.mixing import Spectral as Module

        return Module(view)


class SetPooling(Mixer):
    """Mean and maximum over all positions, mixed back into each (equivariant layer of Deep Sets, arXiv 1703.06114)."""

    name = "set-pooling"
    tags = ("set",)
    evidence = ("symmetry.unordered_gain",)

    def accepts(self, view: View) -> bool:
        """At least one axis."""
        return bool(view.axes)

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.mixing import SetPooling as Module

        return Module(view)


class Parallel(Mixer):
    """Two mixers side by side, a gate between them."""

    name = "parallel"
    parts = {"mixer": Slot("mixer", 2, 2)}
    flow = "parallel"

    def space(self) -> Mapping[str, Range]:
        """The gate is a number a channel, or reads each position."""
        return {"gate": Choice(("channel", "position"))}

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.mixing import Parallel as Module

        return Module(view.channels, numbers["gate"], [p.make() for p in parts["mixer"]])


class InTurn(Mixer):
    """Mixers one after the other, an activation between them."""

    name = "in-turn"
    parts = {"mixer": Slot("mixer", 2, 3)}

    def space(self) -> Mapping[str, Range]:
        """What stands between two."""
        return {"activation": Choice(("relu", "silu", "none"))}

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.mixing import InTurn as Module

        return Module([p.make() for p in parts["mixer"]], numbers["activation"])


MIXERS: list[Production] = [
    Dense(), Conv(), Depthwise(), Inception(), Attention(), LocalAttention(), GRU(), LSTM(), LinearRecurrence(),
    TokenMLP(), Spectral(), SetPooling(), Parallel(), InTurn(),
]  # fmt: skip
