"""Losses the core brings. Each gives a loss a row, so that the loop can weigh and average.

None lets control flow depend on the data, so that `torch.func.vmap` can take many networks through at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kinds import Aim, Loss

if TYPE_CHECKING:
    import numpy as np
    import torch

# The most a row of a rare class may weigh beside one of an even batch.
HEAVIEST = 10.0


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
        from torch.nn.functional import cross_entropy

        truth = _one_hot(raw, target)
        counts = truth.sum(0)
        weight = truth.shape[0] / ((counts > 0).sum() * counts.clamp(min=1))  # (K,)
        return cross_entropy(raw, target, reduction="none") * (truth @ weight.clamp(max=HEAVIEST))


class Ordinal(Loss):
    """Cross-entropy plus the squared earth mover's distance (Hou et al. 2016): a class further off costs more.

    Only for classes that stand in order; the logits stay those of a softmax.
    """

    name = "ordinal"
    outputs = ("classification",)
    smooths = True

    def __call__(self, raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Logits (B, K), codes (B,) in the order of the classes -> (B,)."""
        from torch.nn.functional import cross_entropy

        moved = (raw.softmax(-1) - _one_hot(raw, target)).cumsum(-1)
        return cross_entropy(raw, target, reduction="none") + (moved**2).sum(-1)


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


class Pinball(Loss):
    """The quantile loss (Koenker and Bassett 1978) at the median: half the absolute error."""

    name = "pinball"
    outputs = ("regression",)
    quantile = 0.5

    def __call__(self, raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Values (B, 1), targets (B,) -> (B,)."""
        above = target - raw[:, 0]
        return self.quantile * above.clamp(min=0) + (1 - self.quantile) * (-above).clamp(min=0)


LOSSES = [CrossEntropy(), Focal(), BalancedCrossEntropy(), Ordinal(), Squared(), Huber(), Pinball()]


def chosen(aim: Aim, target: np.ndarray) -> tuple[Loss, str]:
    """The loss that "auto" stands for, and why: by the metric and the encoded training target (n,)."""
    name, reason = aim.output.choose_loss(aim.state, aim.metric.name, target)
    return aim.registry.get("losses", name), reason


def _one_hot(raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Codes (B,) -> (B, K) in the logits' type; `one_hot` itself checks values, which vmap cannot."""
    import torch

    return (target.unsqueeze(-1) == torch.arange(raw.shape[-1], device=raw.device)).to(raw.dtype)
