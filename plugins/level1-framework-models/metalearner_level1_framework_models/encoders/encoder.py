"""What the encoders of this catalogue have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metalearner.kinds import Production
from metalearner.records import View

if TYPE_CHECKING:
    import torch


class Encoder(Production):
    """A whole network from one view to features, without parts of its own."""

    symbol = "encoder"

    @abstractmethod
    def module(self, numbers: Mapping[str, Any], view: View) -> torch.nn.Module:
        """The module; every number of the space is given."""

    def build(
        self, numbers: Mapping[str, Any], view: View, parts: Mapping[str, Sequence[torch.nn.Module]]
    ) -> torch.nn.Module:
        """The module, defaults filled in."""
        return self.module({name: r.default for name, r in self.space().items()} | dict(numbers), view)
