"""Encoders for tables: an axis of columns, categorical codes beside it."""

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


class FTTransformerEncoder(Encoder):
    """Every column a token, a Transformer over them."""

    name = "ft-transformer"
    tags = ("attention",)

    def space(self) -> Mapping[str, Range]:
        """`width` is that of a token, rounded to a multiple of the heads."""
        return {
            "width": Int(16, 192, 32, log=True),
            "heads": Choice((4, 2, 8)),
            "blocks": Int(1, 4, 2),
            "dropout": Float(0.0, 0.5, 0.1),
        }

    def accepts(self, view: View) -> bool:
        """Tables of at most 150 columns: attention costs their square."""
        columns = size(view) + len(view.cardinalities)
        return is_table(view) and 0 < columns <= 150

    def module(self, numbers: Mapping[str, Any], view: View) -> torch.nn.Module:
        """The module; every number of the space is given."""
        from ..networks.ft_transformer import FTTransformer

        return FTTransformer(view, numbers)
