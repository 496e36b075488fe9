"""What the named architectures have in common: each stands for a derivation of the grammar."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from metalearner.kinds import Production
from metalearner.records import Config, View


class Named(Production):
    """An encoder people know by name, whose numbers say which point of the grammar is meant."""

    symbol = "encoder"

    @abstractmethod
    def expand(self, numbers: Mapping[str, Any], view: View) -> Config:
        """The derivation; every number of the space is given."""


def node(production: str, numbers: Mapping[str, Any] | None = None, **parts: Config | Sequence[Config]) -> Config:
    """A derivation written in short.

    >>> node("residual", {"drop_path": 0.1}, norm=node("batch-norm"), mixer=node("dense")).parts["mixer"][0].production
    'dense'
    """
    filled = {slot: (part,) if isinstance(part, Config) else tuple(part) for slot, part in parts.items()}
    return Config(production, dict(numbers or {}), {slot: part for slot, part in filled.items() if part})


def stage(repeat: int, *block: Config, down: Config | None = None) -> Config:
    """A stage of so many repeats; of none, only what changes the shape."""
    blocks = block if repeat > 0 else ()
    return node("stage", {"repeat": max(1, repeat)}, down=[] if down is None else [down], block=blocks)


def stack(tokeniser: Config, stages: Sequence[Config], pool: Config, norm: Config | None = None) -> Config:
    """A whole encoder."""
    return node("stack", tokeniser=tokeniser, stage=stages, norm=[] if norm is None else [norm], pool=pool)


def transformer(mixer: Config, dropout: float, gate: bool = True) -> tuple[Config, Config]:
    """The two halves of a pre-norm Transformer block: positions meet, then a perceptron over channels.

    The perceptron is gated (ReGLU, arXiv 2002.05202) and a third narrower for it, or plain with GELU.
    """
    hidden: dict[str, Any] = {"expansion": 1.333, "gate": True} if gate else {"expansion": 2.0, "activation": "gelu"}
    norm = node("layer-norm")
    return (
        node("residual", {"dropout": dropout}, norm=norm, mixer=mixer),
        node("channel-mlp", {**hidden, "dropout": dropout}, norm=norm),
    )


def for_heads(width: int, heads: int) -> int:
    """The multiple of the heads nearest to a width.

    >>> for_heads(30, 8)
    32
    """
    return heads * max(1, round(width / heads))
