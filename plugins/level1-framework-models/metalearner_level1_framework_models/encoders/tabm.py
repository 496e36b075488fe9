"""The encoder of the strongest tabular network: which views it takes, its numbers and how it is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metalearner.kinds import Choice, Float, Int, Range
from metalearner.records import View

from ..views import is_table, size
from .encoder import Encoder

if TYPE_CHECKING:
    import torch


class TabMEncoder(Encoder):
    """Many perceptrons in one over embedded columns (TabM, RealMLP)."""

    name = "tabm"
    tags = ("dense", "ensemble")
    loose = ("dropout", "frequency")  # the latter says only where training begins

    def space(self) -> Mapping[str, Range]:
        """`frequency` is the spread of the periodic embedding's frequencies at the start."""
        return {
            "members": Int(1, 32, 8, log=True),
            "depth": Int(1, 4, 2),
            "width": Int(32, 384, 128, log=True),
            "dropout": Float(0.0, 0.5, 0.1),
            "activation": Choice(("relu", "mish", "selu", "silu")),
            "parametric": Choice((False, True)),
            "embedding": Choice(("periodic", "piecewise", "plain")),
            "embedding_width": Int(2, 16, 4),
            "frequency": Float(0.02, 2.0, 0.15, log=True),
        }

    def accepts(self, view: View) -> bool:
        """Tables with at least one column and at most 2,000 numbers."""
        return is_table(view) and size(view) <= 2000 and size(view) + len(view.cardinalities) > 0

    def module(self, numbers: Mapping[str, Any], view: View) -> torch.nn.Module:
        """The module; every number of the space is given."""
        from ..networks.tabm import TabM

        return TabM(view, numbers)
