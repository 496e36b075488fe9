"""Where a mask stands in features, and how to hide what is only padding.

The rule: whoever spreads along the ragged axis hides its input first. What stands in the padding between two modules
is of no account.
"""

from __future__ import annotations

import torch

from metalearner.records import View

from ..views import ragged_axis


class Padding:
    """The place of the mask (B, ragged axis) of features of this view."""

    def __init__(self, view: View) -> None:
        """`view` is of features: its ragged axis is the mask's."""
        ragged, rank = ragged_axis(view), len(view.axes)
        self.axis = -1 if ragged is None else ragged
        self.shape = [view.axes[i].size if i == self.axis else 1 for i in range(rank)] + [1]

    def there(self, mask: torch.Tensor | None) -> torch.Tensor | None:
        """Mask (B, n) -> (B, 1..., n, 1..., 1), or None."""
        return None if mask is None else mask.unflatten(1, self.shape)

    def hide(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """x (B, axes..., C) with 0 where there is only padding."""
        return x if mask is None else x * mask.unflatten(1, self.shape)

    def everywhere(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor | None:
        """The mask at every position: (B, all positions), or None."""
        return None if mask is None else mask.unflatten(1, self.shape[:-1]).expand_as(x[..., 0]).flatten(1)


class Along:
    """Chosen axes at the end, all others folded into the batch: (B, axes..., C) -> (B', chosen..., C) and back."""

    def __init__(self, view: View, chosen: tuple[int, ...]) -> None:
        """`chosen` are positions of axes, in order."""
        rank = len(view.axes)
        self.others = [i for i in range(rank) if i not in chosen]
        self.order = (0, *(1 + i for i in self.others), *(1 + i for i in chosen), 1 + rank)
        self.inverse = tuple(self.order.index(i) for i in range(rank + 2))
        self.sizes = tuple(view.axes[i].size for i in self.others)
        self.masks = ragged_axis(view) in chosen

    def fold(self, x: torch.Tensor) -> torch.Tensor:
        """-> (B', chosen..., C)."""
        return x.permute(self.order).flatten(0, len(self.others)) if self.others else x

    def back(self, x: torch.Tensor) -> torch.Tensor:
        """(B', chosen..., C) -> (B, axes..., C); sizes of the chosen may have changed."""
        return x.unflatten(0, (-1, *self.sizes)).permute(self.inverse) if self.others else x

    def mask(self, mask: torch.Tensor | None) -> torch.Tensor | None:
        """The mask of the folded rows (B', n), None when it speaks of another axis."""
        if mask is None or not self.masks:
            return None
        for size in self.sizes:
            mask = mask.unsqueeze(1).expand(-1, size, -1).flatten(0, 1)
        return mask
