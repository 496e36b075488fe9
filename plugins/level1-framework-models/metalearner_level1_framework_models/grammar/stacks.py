"""What holds blocks together: the stack, its stages, norms and pools. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metalearner.kinds import Choice, Int, Part, Production, Range, Slot
from metalearner.records import View

from ..views import positions, sequence_axis, size
from .blocks import DROPOUT

if TYPE_CHECKING:
    from torch import nn


class Stack(Production):
    """Tokeniser, stages, a last norm, pool: a whole encoder."""

    name = "stack"
    symbol = "encoder"
    parts = {
        "tokeniser": Slot("tokeniser"),
        "stage": Slot("stage", 0, 4),
        "norm": Slot("norm", 0, 1),
        "pool": Slot("pool"),
    }

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """(values, codes, mask) -> (B, width)."""
        from ..networks.blocks import Stack as Module

        (tokeniser,), (pool,) = parts["tokeniser"], parts["pool"]
        body = [part.make() for slot in ("stage", "norm") for part in parts[slot]]
        return Module(tokeniser.make(), body, pool.make(), pool.gives.channels)


class Stage(Production):
    """An optional change of shape, then the same blocks again and again, each time with their own weights."""

    name = "stage"
    symbol = "stage"
    parts = {"down": Slot("down", 0, 1), "block": Slot("block", 0, 2)}

    def space(self) -> Mapping[str, Range]:
        """`repeat` is how often the blocks come."""
        return {"repeat": Int(1, 4, 1)}

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.blocks import Series

        downs = [part.make() for part in parts["down"]]
        return Series([*downs, *(part.make() for _ in range(numbers["repeat"]) for part in parts["block"])])


class Norm(Production):
    """A production of symbol "norm": features brought to a common scale, then an activation."""

    symbol = "norm"

    def space(self) -> Mapping[str, Range]:
        """What follows the norm."""
        return {"activation": Choice(("none", "relu", "silu", "gelu", "selu", "mish"))}

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.blocks import Norm as Module

        return Module(view, self.name.removesuffix("-norm"), numbers["activation"])


class BatchNorm(Norm):
    """Each channel over the batch and all positions that are there (Ioffe and Szegedy 2015, arXiv 1502.03167)."""

    name = "batch-norm"


class LayerNorm(Norm):
    """The channels of each position among themselves (Ba et al. 2016, arXiv 1607.06450)."""

    name = "layer-norm"


class NoNorm(Norm):
    """Only the activation."""

    name = "no-norm"


class Pool(Production):
    """A production of symbol "pool": one vector a row, with dropout."""

    symbol = "pool"
    loose: tuple[str, ...] = ("dropout",)

    def space(self) -> Mapping[str, Range]:
        """Dropout on the vector."""
        return {"dropout": DROPOUT}

    def accepts(self, view: View) -> bool:
        """At least one axis."""
        return bool(view.axes)

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View | None:
        """No axes."""
        return View((), view.channels)


class MeanPool(Pool):
    """The mean over all positions that are there; a vector stays what it is."""

    name = "mean"
    evidence = ("symmetry.everywhere_gain",)

    def accepts(self, view: View) -> bool:
        """Any features."""
        return True

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.pools import Mean

        return Mean(view, numbers["dropout"])


class MeanMaxPool(Pool):
    """Mean beside maximum, or a dense layer over both."""

    name = "mean-max"
    evidence = ("symmetry.everywhere_gain",)

    def space(self) -> Mapping[str, Range]:
        """`dense` brings both back to the channels of one, with norm and ReLU."""
        return {"dense": Choice((False, True)), "dropout": DROPOUT}

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View | None:
        """Twice the channels, or as many as came in."""
        return View((), view.channels * (1 if numbers["dense"] else 2))

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.pools import MeanMax

        return MeanMax(view, numbers["dense"], numbers["dropout"])


class AttentionPool(Pool):
    """A learned query looks at all positions, then a perceptron (class attention of CaiT, arXiv 2103.17239)."""

    name = "attention-pool"
    tags = ("attention",)

    def space(self) -> Mapping[str, Range]:
        """`heads` share the channels."""
        return {"heads": Choice((4, 2, 8)), "dropout": DROPOUT}

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.pools import ClassAttention

        return ClassAttention(view, numbers["heads"], numbers["dropout"])


class EndsPool(Pool):
    """The mean beside the last and the first step that is there: what recurrent layers carried to either end."""

    name = "ends"

    def accepts(self, view: View) -> bool:
        """One ordered axis, nothing beside it."""
        return len(view.axes) == 1 and sequence_axis(view) == 0

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View | None:
        """Three times the channels."""
        return View((), 3 * view.channels)

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.pools import Ends

        return Ends(view, numbers["dropout"])


class FlattenPool(Pool):
    """All positions side by side, padding as 0."""

    name = "side-by-side"

    def accepts(self, view: View) -> bool:
        """At least one axis, at most 4,096 numbers, no set."""
        return bool(view.axes) and size(view) <= 4096 and "set" not in view.kinds

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View | None:
        """As many channels as there are numbers."""
        return View((), positions(view) * view.channels)

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from ..networks.pools import SideBySide

        return SideBySide(view, numbers["dropout"])


STACKS: list[Production] = [Stack(), Stage()]
NORMS: list[Production] = [BatchNorm(), LayerNorm(), NoNorm()]
POOLS: list[Production] = [MeanPool(), MeanMaxPool(), AttentionPool(), EndsPool(), FlattenPool()]
