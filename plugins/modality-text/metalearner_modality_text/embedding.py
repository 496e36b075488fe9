"""Words to vectors, in torch."""

from __future__ import annotations

import torch
from torch import nn


class Words(nn.Module):
    """An embedding whose words are hidden by chance in training: what is not in the vocabulary has to be coped with."""

    def __init__(self, many: int, width: int, hidden: float, unknown: int) -> None:
        super().__init__()
        self.table = nn.Embedding(many, width, padding_idx=0)
        nn.init.normal_(self.table.weight, std=0.1)
        self.hidden, self.unknown = hidden, unknown

    def forward(
        self, values: torch.Tensor, codes: None, mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(B, T, 1) -> (B, T, width), and the mask."""
        numbers = values[..., 0].nan_to_num().long()
        if self.training and self.hidden > 0:
            gone = (torch.rand(numbers.shape) < self.hidden) & (numbers > self.unknown)
            numbers = torch.where(gone, self.unknown, numbers)
        return self.table(numbers), mask
