"""Tokenisers: from a view of the data (values, codes, mask) to features (B, axes..., channels) and a mask. No torch.

All take codes: where they do not become tokens of their own, their vectors are added at every position.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metalearner.grammar.layout import width
from metalearner.kinds import Choice, Int, Part, Production, Range
from metalearner.records import Axis, View

from ..views import folded, image_axes, is_table, ordered_axes, positions, sequence_axis, set_axis, size
from .bounds import PLACES, TOGETHER, channels, positions_after, shortened, strides

if TYPE_CHECKING:
    from torch import nn

ACTIVATION = Choice(("relu", "silu", "hardswish", "none"))
POSITION = Choice(("none", "learned", "sinusoidal"))
# Columns of a table that may be laid out as a picture.
PICTURED = (16, 1024)
# Folded channels that a first layer still takes.
FOLDED = 1 << 15
# Samples from which on a series is looked at as raw sound is.
RAW = 1024


class Flatten(Production):
    """Everything in one vector: long arrays averaged down, missing numbers flagged in tables, codes as vectors."""

    name = "flatten"
    symbol = "tokeniser"
    tags = ("dense",)

    def space(self) -> Mapping[str, Range]:
        """`width` is the length of the vector, after a first linear layer."""
        return {"width": Int(8, 512, 128, log=True)}

    def accepts(self, view: View) -> bool:
        """Anything with at least one number or code."""
        return size(view) + len(view.cardinalities) > 0

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View:
        """No axes, `width` channels."""
        return View((), numbers["width"])

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """(values, codes, mask) -> (B, width), None."""
        from ..networks.flattened import Flat

        return Flat(view, numbers["width"])


class Columns(Production):
    """A token for every column, number or code, each with vectors of its own (FT-Transformer, arXiv 2106.11959)."""

    name = "columns"
    symbol = "tokeniser"
    tags = ("columns",)

    def space(self) -> Mapping[str, Range]:
        """`width` is that of a token."""
        return {"width": Int(8, 192, 32, log=True)}

    def accepts(self, view: View) -> bool:
        """Tables of at most 402 numbers and codes together."""
        return is_table(view) and 0 < size(view) + len(view.cardinalities) <= TOGETHER

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View:
        """One axis of columns."""
        tokens = size(view) + len(view.cardinalities)
        return View((Axis("columns", tokens),), channels(numbers["width"], tokens))

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """(values, codes, mask) -> (B, columns, width), None."""
        from ..networks.tokenisers import Columns as Module

        return Module(view, self.gives(numbers, view, view))


class Leading(Production):
    """A tokeniser that keeps some axes and folds all others into channels."""

    symbol = "tokeniser"

    @abstractmethod
    def leads(self, view: View) -> tuple[int, ...]:
        """Positions of the axes kept, in their order; empty when there are none of the kind."""

    def kept(self, view: View) -> View:
        """The view once all other axes are folded."""
        lead = self.leads(view)
        return View(tuple(view.axes[i] for i in lead), folded(view, lead))

    def accepts(self, view: View) -> bool:
        """Views with such axes and something on each of them."""
        return bool(self.leads(view)) and size(view) > 0 and self.kept(view).channels <= FOLDED


class Patches(Leading):
    """A convolution over all ordered axes whose stride leaves about so many positions; then norm and activation.

    An image whose sides are small enough keeps them: the usual stem of stride and pooling is for 224 pixels.
    """

    name = "patches"
    tags = ("convolution",)
    evidence = ("order.gain",)

    def space(self) -> Mapping[str, Range]:
        """`positions` is the most that are left, all axes together; half as many again still pass."""
        return {
            "width": Int(8, 192, 32, log=True),
            "positions": Choice((256, 64, 16, 1024)),
            "activation": ACTIVATION,
            "position": POSITION,
        }

    def leads(self, view: View) -> tuple[int, ...]:
        """The two space axes of an image or film; else all ordered axes, where there are two or three."""
        ordered = ordered_axes(view)
        return image_axes(view) or (ordered if len(ordered) > 1 else ())

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View:
        """The ordered axes, shorter."""
        kept = self.kept(view)
        steps = strides(kept, numbers["positions"])
        axes = tuple(Axis(a.kind, -(-a.size // s), a.ragged) for a, s in zip(kept.axes, steps))
        return View(axes, channels(numbers["width"], positions_after(kept, steps)))

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """(values, codes, mask) -> (B, axes..., width), mask."""
        from ..networks.tokenisers import Patches as Module

        steps = [strides(self.kept(view), numbers["positions"])]
        return Module(view, self.leads(view), self.gives(numbers, view, view), steps, numbers)


class Steps(Leading):
    """Convolutions along the one ordered axis whose strides leave at most so many steps; then norm and activation."""

    name = "steps"
    tags = ("convolution",)
    evidence = ("order.gain",)

    def space(self) -> Mapping[str, Range]:
        """`positions` is the most steps that are left; `kernel` is that of a short series, which keeps its length."""
        return {
            "width": Int(8, 384, 48, log=True),
            "positions": Choice((128, 16, 32, 64, 256, 512, 1024)),
            "kernel": Choice((5, 1)),
            "activation": ACTIVATION,
            "position": POSITION,
        }

    def leads(self, view: View) -> tuple[int, ...]:
        """The time axis, or the only other ordered one."""
        axis = sequence_axis(view)
        return () if axis is None else (axis,)

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View:
        """One axis, shorter."""
        (axis,) = self.kept(view).axes
        left = shortened(axis.size, numbers["positions"])
        return View((Axis(axis.kind, left, axis.ragged),), channels(numbers["width"], left))

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """(values, codes, mask) -> (B, steps, width), mask."""
        from ..networks.tokenisers import Patches as Module
        from .bounds import shortening

        steps = [(s,) for s in shortening(self.kept(view).axes[0].size, numbers["positions"])]
        return Module(view, self.leads(view), self.gives(numbers, view, view), steps, numbers)


class Sinc(Leading):
    """Learned band-pass filters over the samples of one long series, their power on a logarithmic scale (after SincNet)."""

    name = "sinc"
    tags = ("convolution", "waveform")
    evidence = ("order.gain",)

    def space(self) -> Mapping[str, Range]:
        """As those of steps; `taps` is the length of a filter."""
        return {
            "width": Int(16, 192, 64, log=True),
            "positions": Choice((128, 64, 256, 512)),
            "taps": Choice((129, 65, 251)),
            "activation": ACTIVATION,
            "position": POSITION,
        }

    def leads(self, view: View) -> tuple[int, ...]:
        """The time axis."""
        return STEPS.leads(view) if view.kinds == ("time",) else ()

    def accepts(self, view: View) -> bool:
        """One channel of at least 1,024 samples, no codes beside it."""
        one = view.kinds == ("time",) and view.channels == 1 and not view.cardinalities
        return one and view.axes[0].size >= RAW

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View:
        """One axis, shorter."""
        return STEPS.gives(numbers, view, inner)

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """(values, codes, mask) -> (B, steps, width), mask."""
        from ..networks.sinc import Sinc as Module
        from .bounds import shortening

        steps = shortening(view.axes[0].size, numbers["positions"])
        return Module(view, self.leads(view), self.gives(numbers, view, view), steps, numbers)


class Elements(Leading):
    """The elements of the one set axis, everything else about them in their channels; then a linear layer."""

    name = "elements"
    tags = ("set",)
    evidence = ("symmetry.unordered_gain",)

    def space(self) -> Mapping[str, Range]:
        """`width` is that of an element."""
        return {"width": Int(8, 256, 64, log=True)}

    def leads(self, view: View) -> tuple[int, ...]:
        """The set axis."""
        axis = set_axis(view)
        return () if axis is None else (axis,)

    def accepts(self, view: View) -> bool:
        """Views with one set axis, of elements that are not huge."""
        return super().accepts(view) and self.kept(view).channels <= 4096 and positions(self.kept(view)) <= PLACES

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View:
        """The set axis."""
        kept = self.kept(view)
        return View(kept.axes, channels(numbers["width"], positions(kept)))

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """(values, codes, mask) -> (B, elements, width), mask."""
        from ..networks.tokenisers import Projected

        return Projected(view, self.leads(view), self.gives(numbers, view, view), "none")


class Axes(Leading):
    """All axes as they are, only the channels projected."""

    name = "axes"

    def space(self) -> Mapping[str, Range]:
        """`position` adds a vector along each axis that is no set."""
        return {"width": Int(8, 192, 32, log=True), "position": POSITION}

    def leads(self, view: View) -> tuple[int, ...]:
        """All."""
        return tuple(range(len(view.axes)))

    def accepts(self, view: View) -> bool:
        """Views of few enough positions."""
        return super().accepts(view) and positions(view) <= PLACES

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View:
        """The same axes."""
        return View(view.axes, channels(numbers["width"], positions(view)))

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """(values, codes, mask) -> (B, axes..., width), mask."""
        from ..networks.tokenisers import Projected

        return Projected(view, self.leads(view), self.gives(numbers, view, view), numbers["position"])


class Pictured(Production):
    """The columns of a table as a picture, and patches of that."""

    symbol = "tokeniser"
    tags = ("convolution",)

    def space(self) -> Mapping[str, Range]:
        """As those of patches."""
        return PATCHES.space()

    @abstractmethod
    def row(self, numbers: Mapping[str, Any], view: View) -> int:
        """Columns in a row of the picture."""

    def accepts(self, view: View) -> bool:
        """Tables of 16 to 1,024 numbers."""
        return is_table(view) and PICTURED[0] <= view.axes[0].size <= PICTURED[1]

    def picture(self, numbers: Mapping[str, Any], view: View) -> View:
        """The view of the picture; codes stay beside it."""
        across = self.row(numbers, view)
        down = -(-view.axes[0].size // across)
        return View((Axis("space", down), Axis("space", across)), view.channels, view.cardinalities)

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View:
        """What patches make of the picture."""
        picture = self.picture(numbers, view)
        return PATCHES.gives(numbers, picture, picture)


class Reshape(Pictured):
    """Columns in their order, so many to a row: a table that was a picture, read line by line."""

    name = "reshape"
    evidence = ("order.folded_gain",)

    def space(self) -> Mapping[str, Range]:
        """`row` is how many columns make a row."""
        return {"row": Int(3, 64, 8, log=True), **super().space()}

    def narrowed(self, numbers: Mapping[str, float | None]) -> Mapping[str, Range]:
        """`row` is the width of the hidden picture where one was found: columns folded elsewhere lie under strangers."""
        found = numbers.get("locality.width")
        width = 0 if found is None else round(10**found)
        return {"row": Int(width, width, width, log=True)} if self.space()["row"].holds(width) else {}

    def row(self, numbers: Mapping[str, Any], view: View) -> int:
        """As the numbers say, and at most half of the table."""
        return min(int(numbers["row"]), view.axes[0].size // 2)

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """(values, codes, mask) -> (B, axes..., width), None."""
        from ..networks.pictured import Reshaped

        picture = self.picture(numbers, view)
        return Reshaped(picture, PATCHES.build(numbers, picture, parts))


class Seriate(Pictured):
    """Columns laid out so that those which resemble each other are neighbours: a picture whose columns were shuffled."""

    name = "seriate"
    evidence = ("topology.recovered_gain",)

    def row(self, numbers: Mapping[str, Any], view: View) -> int:
        """A picture about as wide as it is high."""
        return width(view.axes[0].size)

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """(values, codes, mask) -> (B, axes..., width), None."""
        from ..networks.pictured import Seriated

        picture = self.picture(numbers, view)
        return Seriated(view, picture, PATCHES.build(numbers, picture, parts))


PATCHES, STEPS = Patches(), Steps()
TOKENISERS: list[Production] = [
    Flatten(), Columns(), PATCHES, STEPS, Sinc(), Elements(), Axes(), Reshape(), Seriate(),
]  # fmt: skip
