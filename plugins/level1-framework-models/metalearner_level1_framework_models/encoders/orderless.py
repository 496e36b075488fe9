"""Encoders to which the order of things means nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metalearner.kinds import Choice, Float, Int, Range
from metalearner.records import View

from ..views import set_axis, size
from .encoder import Encoder

if TYPE_CHECKING:
    import torch


class MLPEncoder(Encoder):
    """Multi-layer perceptron over the flattened view."""

    name = "mlp"
    tags = ("dense",)

    def space(self) -> Mapping[str, Range]:
        """Hidden layers, their width, and what stands between them."""
        return {
            "depth": Int(1, 5, 2),
            "width": Int(16, 512, 128, log=True),
            "dropout": Float(0.0, 0.6, 0.1),
            "norm": Choice(("batch", "layer", "none")),
            "activation": Choice(("relu", "silu", "selu", "mish")),
        }

    def module(self, numbers: Mapping[str, Any], view: View) -> torch.nn.Module:
        """The module; every number of the space is given."""
        from ..networks.mlp import MLP

        return MLP(view, numbers)


class DeepSetsEncoder(Encoder):
    """The same perceptron for each element of a set, pooled by mean and maximum."""

    name = "deep-sets"
    tags = ("set",)

    def space(self) -> Mapping[str, Range]:
        """Layers and width of the perceptron."""
        return {
            "depth": Int(1, 4, 2),
            "width": Int(16, 256, 64, log=True),
            "dropout": Float(0.0, 0.5, 0.1),
        }

    def accepts(self, view: View) -> bool:
        """Views with one set axis and elements that are not huge."""
        axis = set_axis(view)
        if axis is None or view.cardinalities:
            return False
        return view.axes[axis].size > 0 and size(view) // view.axes[axis].size <= 4096

    def module(self, numbers: Mapping[str, Any], view: View) -> torch.nn.Module:
        """The module; every number of the space is given."""
        from ..networks.deep_sets import DeepSets

        return DeepSets(view, numbers)
