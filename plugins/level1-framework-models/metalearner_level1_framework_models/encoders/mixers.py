"""The encoder that mixes positions and channels in turn, over images and series alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metalearner.kinds import Choice, Float, Int, Range
from metalearner.records import Config, View

from ..grammar.tokenisers import Patches, Steps
from ..views import image_axes, sequence_axis
from .named import Named, node, stack, stage, transformer


class MLPMixerEncoder(Named):
    """Perceptrons over patches and over channels in turn (Tolstikhin et al. 2021, arXiv 2105.01601)."""

    name = "mlp-mixer"
    tags = ("token-mlp",)
    loose = ("dropout",)

    def space(self) -> Mapping[str, Range]:
        """`patches` is the most there are, all axes together."""
        return {
            "width": Int(16, 192, 64, log=True),
            "blocks": Int(1, 4, 3),
            "patches": Choice((64, 16, 256)),
            "dropout": Float(0.0, 0.5, 0.1),
        }

    def accepts(self, view: View) -> bool:
        """Images and series of at least 4 pixels or steps a side, no codes beside them."""
        axes = image_axes(view) or (sequence_axis(view),)
        if view.cardinalities or None in axes or min(view.axes[i].size for i in axes if i is not None) < 4:
            return False
        return (Patches() if image_axes(view) else Steps()).accepts(view)

    def expand(self, numbers: Mapping[str, Any], view: View) -> Config:
        """Patches, blocks of token and channel perceptrons, norm, the mean."""
        shape = {"width": numbers["width"], "positions": numbers["patches"], "activation": "none"}
        blocks = transformer(node("token-mlp", {"expansion": 1.0}), numbers["dropout"], gate=False)
        tokeniser = node("patches" if image_axes(view) else "steps", shape)
        return stack(tokeniser, [stage(numbers["blocks"], *blocks)], node("mean"), node("layer-norm"))
