"""Random numbers for augmentation: one generator, every row at its own strength."""

from __future__ import annotations

import torch


class Draw:
    """Random numbers a row, from one generator; `much` (B,) is each row's strength."""

    def __init__(self, generator: torch.Generator, much: torch.Tensor) -> None:
        self.generator, self.much = generator, much

    def uniform(self, *shape: int) -> torch.Tensor:
        """0..1, (B, shape...)."""
        return torch.rand(len(self.much), *shape, generator=self.generator)

    def within(self, most: float) -> torch.Tensor:
        """Between -most and most times the row's strength, (B,)."""
        return (2 * self.uniform() - 1) * most * self.much

    def span(self, most: float, size: torch.Tensor | int) -> tuple[torch.Tensor, torch.Tensor]:
        """Where a stretch begins and ends (B,), somewhere in `size` steps and at most that share of them long."""
        length = self.uniform() * most * self.much * size
        begin = self.uniform() * (size - length)
        return begin, begin + length

    def among(self, rows: torch.Tensor) -> Draw:
        """The same for some of the rows."""
        return Draw(self.generator, self.much[rows])


def beside(numbers: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """(B,) shaped to be multiplied with values (B, ...)."""
    return numbers.reshape(-1, *[1] * (values.dim() - 1))
