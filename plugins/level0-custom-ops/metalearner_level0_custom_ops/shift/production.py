"""The shift layer in the grammar. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metalearner.kinds import Part, Production
from metalearner.records import View

if TYPE_CHECKING:
    from torch import nn


class ShiftDense(Production):
    """A linear layer over the channels of each place, its weights signed powers of two (DeepShift, arXiv 1905.13298)."""

    name = "shift-dense"
    symbol = "mixer"
    tags = ("dense", "powers of two")

    def gives(self, numbers: Mapping[str, Any], view: View, inner: View) -> View | None:
        """The same view."""
        return view

    def build(self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[Part]]) -> nn.Module:
        """The module."""
        from .layer import ShiftDense as Module

        return Module(view)
