"""Productions of the grammar and what they name: families, losses, optimisers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..ranges import Range
from ..records import Config, View

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Slot:
    """A place in a production: the symbol that expands it, and how many may stand there, one after the other."""

    symbol: str
    least: int = 1
    most: int = 1


@dataclass(frozen=True)
class Part:
    """A part of a production, ready to be built: each `make()` is a module of its own, with its own weights."""

    make: Callable[[], torch.nn.Module]
    view: View  # what goes in
    gives: View  # what comes out


class Production(ABC):
    """One way to expand a symbol of the grammar: its numbers, its parts, its type and its `build`.

    `symbol` is what it expands: "learner" for roots, "encoder", "recipe", those of the networks
    ("tokeniser", "stage", "down", "block", "norm", "mixer", "pool"), or one a plugin names. `parts` says what its own slots take, in
    the order in which data flow through them.

    Types are views. An encoder's module takes one view of the data, (values, codes, mask), and returns features
    (B, width), or (B, members, width) for an ensemble in one network; it has attributes `width: int` and
    `members: int` (1 when plain). Everything inside an encoder takes and returns features x (B, axes..., channels)
    and mask (B, size of the ragged axis) or None: a tokeniser makes them of (values, codes, mask), a pool ends with
    (B, width). A feature view has no codes. A tokeniser's module may have `see(values)`: before it is trained it is shown
    training rows (n, axes..., channels) of its view as NumPy, and keeps what it learns in buffers that are saved. Whatever tensors
    a module holds are parameters or buffers, so that they go along to an accelerator. An encoder
    with `trims = True` does no work for what only the padding of a batch holds, and is given rows of about one length. A
    parameter with an attribute `share` learns at that share of the recipe's rate; one with `given = True` is not trained and not
    saved, for building gives it.
    """

    name: str
    symbol: str
    parts: Mapping[str, Slot] = {}
    flow: str = "series"  # each part takes what the one before gives; "parallel": all take what comes in
    tags: tuple[str, ...] = ()
    # Numbers of a description that speak for it, each the gain in skill of a paired landmarker; beside it `<number>_z` is how
    # sure that gain is, in log1p of standard errors.
    evidence: tuple[str, ...] = ()
    within: bool = False  # it takes views only within a fit, where its learner tells it more than its numbers do
    loose: tuple[
        str, ...
    ] = ()  # numbers that change no shape: configs differing in these alone can be trained as one batch

    def space(self) -> Mapping[str, Range]:
        """The numbers to search, beside `build` that uses them. One that comes in later has what was done before as its default:
        so records are read that do not know it.
        """
        return {}

    def narrowed(self, numbers: Mapping[str, float | None]) -> Mapping[str, Range]:
        """What is left of some of its numbers where those of a description tell more."""
        return {}

    def accepts(self, view: View) -> bool:
        """Whether it fits a view of this shape and these axis kinds. Types carry shapes."""
        return True

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View | None:
        """The view that comes out of `view`, given the one that comes out of its parts; None where they do not fit."""
        return inner

    def expand(self, numbers: Mapping[str, Any], view: View) -> Config | None:
        """The derivation that this one is a name for; None when it is no abbreviation. Then `build` is never called."""
        return None

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> torch.nn.Module:
        """Make the torch module. Only productions that end up inside a Net have one."""
        raise TypeError(f"production '{self.name}' of symbol '{self.symbol}' builds no network")


@dataclass(frozen=True)
class Family:
    """A named set of derivations: a skeleton, the presets tried first, and what it is good for.

    `presets[0]` is the default; all presets share one skeleton. `accepts` says for which views. A family with `evidence` takes
    part only where the numbers of the description call for it, with the presets that they call for; beside these stand
    "limit.bytes" and "limit.seconds" (for one row), None where the task limits nothing.
    """

    name: str
    summary: str
    presets: tuple[Config, ...]
    accepts: Callable[[Mapping[str, View]], bool]
    level: int = 1  # of the five levels of automation
    tags: tuple[str, ...] = ()
    evidence: Callable[[Mapping[str, float | None]], tuple[Config, ...]] | None = None


# What augmentation may do beyond what the axes say, as recipes name it; the first is nothing.
POLICIES = ("basic", "channels", "random-1", "random-2")


class Loss(ABC):
    """A differentiable loss, per row."""

    name: str
    outputs: tuple[str, ...]  # names of the Output kinds it fits
    smooths: bool = False  # whether label smoothing makes sense for it

    @abstractmethod
    def __call__(self, raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """raw (B, width), target (B,) long or float -> loss (B,)."""


class Optimiser(ABC):
    """A way to step parameters."""

    name: str

    @abstractmethod
    def build(self, parameters: Iterable[torch.nn.Parameter], lr: float, weight_decay: float) -> torch.optim.Optimizer:
        """The torch optimiser over these parameters, or groups of them with rates of their own, as torch takes both."""
