"""Encoders to which the order of things means nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metalearner.kinds import Choice, Float, Int, Range
from metalearner.records import Config, View

from ..grammar.tokenisers import Elements, Flatten
from ..views import is_table, size
from .named import Named, for_heads, node, stack, stage, transformer


class MLPEncoder(Named):
    """Multi-layer perceptron over the flattened view."""

    name = "mlp"
    tags = ("dense",)
    loose = ("dropout",)

    def space(self) -> Mapping[str, Range]:
        """Hidden layers, their width, and what stands between them."""
        return {
            "depth": Int(1, 5, 2),
            "width": Int(16, 512, 128, log=True),
            "dropout": Float(0.0, 0.6, 0.1),
            "norm": Choice(("batch", "layer", "none")),
            "activation": Choice(("relu", "silu", "selu", "mish")),
        }

    def accepts(self, view: View) -> bool:
        """Anything with at least one number or code."""
        return Flatten().accepts(view)

    def expand(self, numbers: Mapping[str, Any], view: View) -> Config:
        """Linear, norm, activation, dropout, `depth` times; the first linear layer is the tokeniser's."""
        kind = {"batch": "batch-norm", "layer": "layer-norm", "none": "no-norm"}[numbers["norm"]]
        norm = node(kind, {"activation": numbers["activation"]})
        dropout = {"dropout": numbers["dropout"]}
        hidden = stage(numbers["depth"] - 1, node("plain", dropout, norm=norm, mixer=node("dense")))
        stages = [hidden] if numbers["depth"] > 1 else []
        return stack(node("flatten", {"width": numbers["width"]}), stages, node("mean", dropout), norm)


class DeepSetsEncoder(Named):
    """The same perceptron for each element of a set, pooled by mean and maximum (Zaheer et al. 2017, arXiv 1703.06114)."""

    name = "deep-sets"
    tags = ("set",)
    loose = ("dropout",)

    def space(self) -> Mapping[str, Range]:
        """Layers and width of the perceptron."""
        return {
            "depth": Int(1, 4, 2),
            "width": Int(16, 256, 64, log=True),
            "dropout": Float(0.0, 0.5, 0.1),
        }

    def accepts(self, view: View) -> bool:
        """Views with one set axis and elements that are not huge."""
        return not view.cardinalities and Elements().accepts(view)

    def expand(self, numbers: Mapping[str, Any], view: View) -> Config:
        """Linear layers over elements, then mean and maximum through one more."""
        norm = node("layer-norm", {"activation": "relu"})
        hidden = stage(numbers["depth"] - 1, node("plain", norm=norm, mixer=node("dense")))
        stages = [hidden] if numbers["depth"] > 1 else []
        pool = node("mean-max", {"dense": True, "dropout": numbers["dropout"]})
        return stack(node("elements", {"width": numbers["width"]}), stages, pool, norm)


class FTTransformerEncoder(Named):
    """Every column a token, a Transformer over them (Gorishniy et al. 2021, arXiv 2106.11959)."""

    name = "ft-transformer"
    tags = ("attention",)
    loose = ("dropout",)

    def space(self) -> Mapping[str, Range]:
        """`width` is that of a token, rounded to a multiple of the heads."""
        return {
            "width": Int(16, 192, 32, log=True),
            "heads": Choice((4, 2, 8)),
            "blocks": Int(1, 4, 2),
            "dropout": Float(0.0, 0.5, 0.1),
        }

    def accepts(self, view: View) -> bool:
        """Tables of 2 to 150 columns: attention compares them in pairs, and costs their square."""
        columns = size(view) + len(view.cardinalities)
        return is_table(view) and 1 < columns <= 150

    def expand(self, numbers: Mapping[str, Any], view: View) -> Config:
        """The class token comes in at the last block only and is all that is computed there: half the work for two."""
        width = for_heads(numbers["width"], numbers["heads"])
        blocks = transformer(node("attention", {"heads": numbers["heads"]}), numbers["dropout"])
        stages = [stage(numbers["blocks"] - 1, *blocks)] if numbers["blocks"] > 1 else []
        pool = node("attention-pool", {"heads": numbers["heads"], "dropout": numbers["dropout"]})
        return stack(node("columns", {"width": width}), stages, pool)
