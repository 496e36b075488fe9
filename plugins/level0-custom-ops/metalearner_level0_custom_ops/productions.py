"""Binary productions of the grammar: what takes a bit a weight, and a fraction of the time. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metalearner.kinds import Choice, Float, Int, Part, Production, Range
from metalearner.records import Axis, Config, View

if TYPE_CHECKING:
    from torch import nn

ORDERED = ("time", "space", "tokens")
# A binary layer takes a bit where another takes 32, and its products a fraction of the time.
TAGS = ("binary", "memory 1/32")
# What signs gain against ReLU, in the paired landmarker of this plugin; mostly they lose.
EVIDENCE = ("binary.gain",)
SCALING = Choice(("mean", "learned", "none"))
LEARNED = Choice((True, False))
SMALL = 4  # axes are not halved below this
WIDEST = 512
TAPS = 1024  # of a first filter, whose sums are to be exact


def ordered(view: View) -> bool:
    """One or two ordered axes and nothing else."""
    return 1 <= len(view.axes) <= 2 and all(kind in ORDERED for kind in view.kinds)


class Bits(Production):
    """What the binary blocks and mixers have in common: the shape stays."""

    tags = (*TAGS, "convolution")
    evidence: tuple[str, ...] = EVIDENCE

    def accepts(self, view: View) -> bool:
        """One or two ordered axes."""
        return ordered(view)

    def space(self) -> Mapping[str, Range]:
        """`scaling` of the products (XNOR-Net's means, learned, none); `thresholds`: those of signs are learned."""
        return {"kernel": Choice((3, 5)), "scaling": SCALING, "thresholds": LEARNED}

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View | None:
        """The same view."""
        return view


class BiReal(Bits):
    """Signs, binary convolution, norm, shortcut, bent line (Bi-Real Net, arXiv 1808.00278; ReActNet, arXiv 2003.03488)."""

    name = "bi-real"
    symbol = "block"

    def space(self) -> Mapping[str, Range]:
        """`shortcut` goes around it; `thresholds`: those of signs are learned, and the bent lines."""
        return {**super().space(), "shortcut": Choice((True, False))}

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from .modules import Block

        return Block(view, numbers["kernel"], numbers["scaling"], numbers["thresholds"], numbers["shortcut"])


class BiRealDown(Bits):
    """The same with every longer axis halved and other channels, its shortcut the mean of neighbours."""

    name = "bi-real-down"
    symbol = "down"

    def space(self) -> Mapping[str, Range]:
        """`widen` is channels out for each that comes in."""
        return {"widen": Float(0.5, 4.0, 2.0), "scaling": SCALING, "thresholds": LEARNED}

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View | None:
        """Half the size, other channels."""
        axes = tuple(Axis(a.kind, -(-a.size // 2) if a.size > SMALL else a.size, a.ragged) for a in view.axes)
        return View(axes, max(8, min(WIDEST, round(view.channels * numbers["widen"]))))

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from .modules import Halved

        return Halved(view, self.gives(numbers, view, view) or view, numbers["scaling"], numbers["thresholds"])


class BinaryConvolution(Bits):
    """A convolution of signs by signs over all channels (XNOR-Net, arXiv 1603.05279)."""

    name = "binary-conv"
    symbol = "mixer"

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from .modules import Between

        return Between(view, numbers["kernel"], numbers["scaling"], numbers["thresholds"])


class BinaryDense(Bits):
    """A linear layer of signs by signs over the channels of each position."""

    name = "binary-dense"
    symbol = "mixer"
    tags = (*TAGS, "dense")

    def accepts(self, view: View) -> bool:
        """Any features."""
        return True

    def space(self) -> Mapping[str, Range]:
        """As the convolution's, without a kernel."""
        return {"scaling": SCALING, "thresholds": LEARNED}

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from .modules import Between

        return Between(view, 0, numbers["scaling"], numbers["thresholds"])


class Grid(Production):
    """A first convolution of plain numbers on a grid: its sums are exact, so that the signs after it are everywhere the same."""

    name = "grid"
    symbol = "tokeniser"
    tags = ("convolution",)
    evidence = ("order.gain",)

    def space(self) -> Mapping[str, Range]:
        """`positions` is the most that are left, half as many again still pass."""
        return {"width": Int(8, 256, 64, log=True), "positions": Choice((256, 64, 784, 1024))}

    def accepts(self, view: View) -> bool:
        """One or two ordered axes, few channels."""
        taps = math.prod(min(3, a.size) for a in view.axes) * view.channels
        return ordered(view) and 1 <= taps <= TAPS and not view.cardinalities

    def steps(self, numbers: Mapping[str, Any], view: View) -> tuple[int, ...]:
        """The stride of each axis, powers of two, the longest axes first."""
        steps = [1] * len(view.axes)
        while math.prod(left := [-(-a.size // s) for a, s in zip(view.axes, steps)]) > 1.57 * numbers["positions"]:
            steps = [s * 2 if n * 2 > max(left) else s for s, n in zip(steps, left)]
        return tuple(steps)

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View | None:
        """The axes, shorter; None where a filter would have more taps than are exact."""
        from_step = zip(view.axes, self.steps(numbers, view))
        if math.prod(self.kernel(numbers, view)) * view.channels > TAPS:
            return None
        return View(tuple(Axis(a.kind, -(-a.size // s), a.ragged) for a, s in from_step), numbers["width"])

    def kernel(self, numbers: Mapping[str, Any], view: View) -> tuple[int, ...]:
        """Odd, and at least what a stride passes over."""
        return tuple(1 if a.size == 1 else max(3, s + 1) for a, s in zip(view.axes, self.steps(numbers, view)))

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """(values, codes, mask) -> (B, axes..., width), mask."""
        from .modules import GridStem

        steps, kernel = self.steps(numbers, view), self.kernel(numbers, view)
        ones = (1,) * (2 - len(steps))
        return GridStem(view, self.gives(numbers, view, view) or view, (*ones, *kernel), (*ones, *steps))


class BinaryResNet(Production):
    """A residual network whose convolutions but the first are binary, for images and series."""

    name = "binary-resnet"
    symbol = "encoder"
    tags = (*TAGS, "convolution")
    loose = ("dropout",)

    def space(self) -> Mapping[str, Range]:
        """`depth` is blocks a stage, stages double in width and halve in size."""
        return {
            "width": Int(16, 128, 64, log=True),
            "depth": Int(1, 3, 2),
            "stages": Int(2, 4, 3),
            "positions": Choice((256, 784, 64)),
            "scaling": SCALING,
            "thresholds": LEARNED,
            "dropout": Float(0.0, 0.5, 0.0),
        }

    def accepts(self, view: View) -> bool:
        """What the first layer takes, of at least 4 places."""
        return GRID.accepts(view) and max(axis.size for axis in view.axes) >= 4

    def expand(self, numbers: Mapping[str, Any], view: View) -> Config:
        """The derivation it stands for."""
        binary = {"scaling": numbers["scaling"], "thresholds": numbers["thresholds"]}
        block = Config("bi-real", binary)
        stages = []
        for i in range(numbers["stages"]):
            downs = (Config("bi-real-down", {"widen": 2.0, **binary}),) if i else ()
            repeat = numbers["depth"] - bool(i)
            own = {"down": downs, "block": (block,)} if repeat else {"down": downs}
            stages.append(Config("stage", {"repeat": max(1, repeat)}, {k: v for k, v in own.items() if v}))
        tokeniser = Config("grid", {"width": numbers["width"], "positions": numbers["positions"]})
        pool = Config("mean", {"dropout": numbers["dropout"]})
        return Config("stack", {}, {"tokeniser": (tokeniser,), "stage": tuple(stages), "pool": (pool,)})


GRID = Grid()
PRODUCTIONS: list[Production] = [GRID, BiReal(), BiRealDown(), BinaryConvolution(), BinaryDense(), BinaryResNet()]
