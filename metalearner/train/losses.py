"""Losses the core brings. Each gives a loss a row, so that the loop can weigh and average."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kinds import Loss

if TYPE_CHECKING:
    import torch


class CrossEntropy(Loss):
    """Negative log probability of the true class."""

    name = "cross-entropy"
    outputs = ("classification",)
    smooths = True

    def __call__(self, raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Logits (B, K), codes (B,) -> (B,)."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(raw, target, reduction="none")


class Focal(Loss):
    """Cross-entropy that looks away from easy rows (Lin et al. 2017), gamma 2."""

    name = "focal"
    outputs = ("classification",)
    smooths = True

    def __call__(self, raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Logits (B, K), codes (B,) -> (B,)."""
        from torch.nn.functional import cross_entropy

        loss = cross_entropy(raw, target, reduction="none")
        return (1 - (-loss).exp()) ** 2 * loss


class BalancedCrossEntropy(Loss):
    """Cross-entropy in which the classes of a batch weigh the same."""

    name = "balanced-cross-entropy"
    outputs = ("classification",)
    smooths = True

    def __call__(self, raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Logits (B, K), codes (B,) -> (B,)."""
        import torch
        from torch.nn.functional import cross_entropy

        counts = torch.bincount(target, minlength=raw.shape[1]).to(raw.dtype)
        weight = len(target) / ((counts > 0).sum() * counts.clamp(min=1))
        return cross_entropy(raw, target, reduction="none") * weight[target].clamp(max=10.0)


class Squared(Loss):
    """Squared error."""

    name = "squared"
    outputs = ("regression",)

    def __call__(self, raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Values (B, 1), targets (B,) -> (B,)."""
        return (raw[:, 0] - target) ** 2


class Huber(Loss):
    """Squared near zero, absolute beyond one standard deviation: outliers pull less."""

    name = "huber"
    outputs = ("regression",)

    def __call__(self, raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Values (B, 1), targets (B,) -> (B,)."""
        from torch.nn.functional import huber_loss

        return huber_loss(raw[:, 0], target, reduction="none")


LOSSES = [CrossEntropy(), Focal(), BalancedCrossEntropy(), Squared(), Huber()]
