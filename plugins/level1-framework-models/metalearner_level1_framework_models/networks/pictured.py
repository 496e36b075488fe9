"""Tables laid out as pictures, which any tokeniser of pictures then takes."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from metalearner.grammar.layout import layout, resemblance
from metalearner.records import View

from .convolution import Features


class Reshaped(nn.Module):
    """Columns in their order, row by row; what is missing, and cells after the last column, are 0."""

    def __init__(self, picture: View, then: nn.Module) -> None:
        super().__init__()
        self.down, self.across = (axis.size for axis in picture.axes)
        self.then = then

    def forward(self, values: torch.Tensor, codes: torch.Tensor | None, mask: torch.Tensor | None) -> Features:
        """(B, columns, c), codes, None -> (B, axes..., C), None."""
        x = torch.where(torch.isnan(values), 0.0, values)
        x = functional.pad(x, (0, 0, 0, self.down * self.across - x.shape[1]))
        return self.then(x.unflatten(1, (self.down, self.across)), codes, None)


class Seriated(nn.Module):
    """Columns in the cells that `see` found for them; in their order as long as nothing was seen."""

    cells: torch.Tensor

    def __init__(self, view: View, picture: View, then: nn.Module) -> None:
        super().__init__()
        self.down, self.across = (axis.size for axis in picture.axes)
        self.then = then
        # A matrix instead of indices: networks of several folds, each with a layout of its own, are trained as one.
        self.register_buffer("cells", self._placed(np.arange(view.axes[0].size)))

    def see(self, values: np.ndarray) -> None:
        """Lay the columns out by training rows (n, columns, c)."""
        self.cells.copy_(self._placed(layout(resemblance(values[:, :, 0]))))

    def _placed(self, cells: np.ndarray) -> torch.Tensor:
        """1 where a column (row) lies in a cell (column)."""
        found = torch.zeros(len(cells), self.down * self.across)
        found[torch.arange(len(cells)), torch.from_numpy(np.asarray(cells))] = 1.0
        return found

    def forward(self, values: torch.Tensor, codes: torch.Tensor | None, mask: torch.Tensor | None) -> Features:
        """(B, columns, c), codes, None -> (B, axes..., C), None."""
        x = torch.where(torch.isnan(values), 0.0, values)
        x = torch.einsum("bpc,pq->bqc", x, self.cells)
        return self.then(x.unflatten(1, (self.down, self.across)), codes, None)
