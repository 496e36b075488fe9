"""Pretrained models, as productions like any other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Tensor
from .grammar import Production

if TYPE_CHECKING:
    from torch import nn


class Pretrained(ABC):
    """The weights of a backbone in memory. Its state, on the way through, is values (B, ...) and a mask (B, T) or None."""

    @abstractmethod
    def prepare(self, raw: Sequence[np.ndarray], numbers: Mapping[str, Any]) -> Tensor:
        """What the first layer takes, of rows as they were decoded; one array a view, the views belonging together.

        The same row gives the same values whatever comes with it; what it is filled up with is masked.
        """

    @abstractmethod
    def lower(self, tuned: int, numbers: Mapping[str, Any]) -> nn.Module:
        """Everything below the last `tuned` layers: (values, mask) -> (values, mask). With 0 all: values are (B, width).

        One with the attribute `untouched` hands rows on as they were prepared: pictures are in their colours still.
        """

    @abstractmethod
    def upper(self, tuned: int, numbers: Mapping[str, Any]) -> nn.Module:
        """A copy of the last `tuned` layers to be trained: (values, mask) of `lower` -> features (B, width).

        Its attribute `layers` names its parts from the first to the last, so that those further down may learn more slowly; `below`,
        where there is one, are the parameters under them, which learn the slowest where all of it is trained.
        """


class Backbone(Production):
    """A pretrained model: what it reads, how large it is, whose it is, and where its weights come from.

    It is a part of "frozen" and "fine-tune". Which of its numbers change what comes out of it, `space` says: a resolution, a
    length. Everything but `load` is known without reading the weights.
    """

    symbol = "backbone"
    raw: str  # what it reads lies beside a view under this name: "text", "pixels"
    width: int  # numbers of a feature
    layers: int  # that can be tuned
    parameters: int
    multiply_adds: float  # of a row at its default numbers, cautiously
    licence: str
    origin: str  # the package, the folder, the hub's name with its revision
    summary: str = ""

    @abstractmethod
    def missing(self) -> str:
        """Why its weights are not here; empty when they are."""

    @abstractmethod
    def identity(self) -> str:
        """A digest of all that makes its features, weights and tokeniser say: what was computed with others is of no use."""

    @abstractmethod
    def load(self) -> Pretrained:
        """Read the weights: safetensors, or what a package is known to hold. Nothing from the network."""
