"""Binary layers and the blocks made of them. Features are (B, axes..., C), one or two ordered axes, with a mask or None.

In inference every number that a sign depends on is computed by whole numbers, or by one product and one sum, each rounded by
itself: whoever does the same, in NumPy or C, comes to the same signs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from metalearner.records import View

from .ops import StraightThrough, binary_convolution, plain_convolution, sign

Features = tuple[torch.Tensor, torch.Tensor | None]
# The grid of a first layer: inputs are multiples of 1 / FINE between -REACH and REACH, weights whole numbers up to LEVELS times a
# power of two. Up to FEW inputs a filter every sum is exact in float32, in whatever order it is done; up to four times as many
# on a grid a quarter as fine.
FINE, REACH, LEVELS, FEW = 128, 4.0, 127, 256
# The share of rows that running statistics take from a new batch.
MOMENTUM = 0.1


def exporting() -> bool:
    """Whether torch is making ONNX of a network, as traced or symbolically: then there are its own operations alone."""
    return torch.onnx.is_in_onnx_export() or torch.compiler.is_exporting()


def constant(x: torch.Tensor) -> torch.Tensor:
    """Where a network is traced, what a tensor is by now; else the tensor."""
    traced = torch.onnx.is_in_onnx_export() and not torch.compiler.is_exporting()
    return torch.from_numpy(x.detach().numpy().copy()) if traced else x


class BinaryConv2d(nn.Module):
    """Signs by signs over (B, H, W, C) -> (B, H', W', outputs), float shadow weights being trained. Outside all is -1.

    `scaling`: "mean" times the mean of each filter's magnitudes (XNOR-Net, arXiv 1603.05279), "learned" times a number of its
    own, "none".
    """

    stackable = False

    def __init__(  # noqa: PLR0913, PLR0917 - as torch's own
        self, channels: int, outputs: int, kernel: Sequence[int] = (3, 3), stride: Sequence[int] = (1, 1),
        padding: Sequence[int] | None = None, dilation: Sequence[int] = (1, 1), groups: int = 1, scaling: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__()
        within = [d * (k - 1) // 2 for k, d in zip(kernel, dilation)]
        self.shape = (list(stride), list(within if padding is None else padding), list(dilation), groups)
        self.weight = nn.Parameter(torch.empty(outputs, *kernel, channels // groups).normal_(0.0, 0.1))
        self.weight.bits = 1  # type: ignore[attr-defined]  # what it takes in a bundle
        self.scaling = scaling
        if scaling == "learned":
            self.scale = nn.Parameter(torch.full((outputs,), self.weight[0].numel() ** -0.5))

    def scales(self) -> torch.Tensor | None:
        """By output, or None."""
        if self.scaling == "mean":
            return self.weight.abs().mean((1, 2, 3))
        return self.scale if self.scaling == "learned" else None

    def product(self, signs: torch.Tensor) -> torch.Tensor:
        """Whole numbers, of +1 and -1."""
        if exporting():
            return plain_convolution(signs, constant(sign(self.weight)), *self.shape)
        return binary_convolution(signs, self.weight, *self.shape)

    def scaled(self, signs: torch.Tensor) -> torch.Tensor:
        """Products of +1 and -1 (B, H, W, C), scaled."""
        scales, product = self.scales(), self.product(signs)
        return product if scales is None else product * constant(scales)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, H, W, C), of which the signs are taken."""
        return self.scaled(signs_of(x, self.training))


class BinaryConv1d(BinaryConv2d):
    """The same over (B, T, C)."""

    def __init__(  # noqa: PLR0913, PLR0917 - as torch's own
        self, channels: int, outputs: int, kernel: int = 3, stride: int = 1, padding: int | None = None,
        dilation: int = 1, groups: int = 1, scaling: str = "mean",
    ) -> None:  # fmt: skip
        around = None if padding is None else (0, padding)
        super().__init__(channels, outputs, (1, kernel), (1, stride), around, (1, dilation), groups, scaling)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """-> (B, T', outputs)."""
        return super().forward(x.unsqueeze(1)).squeeze(1)


class BinaryLinear(BinaryConv2d):
    """The same over (..., C) -> (..., outputs)."""

    def __init__(self, channels: int, outputs: int, scaling: str = "mean") -> None:
        super().__init__(channels, outputs, (1, 1), scaling=scaling)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """-> (..., outputs)."""
        flat = x.reshape(-1, 1, 1, x.shape[-1])
        return super().forward(flat).reshape(*x.shape[:-1], len(self.weight))


def signs_of(x: torch.Tensor, training: bool) -> torch.Tensor:
    """+1 and -1; in training with a gradient."""
    return StraightThrough.apply(x) if training else sign(x)  # type: ignore[no-untyped-call]


class Sign(nn.Module):
    """Signs of what is above a learned threshold of each channel (RSign of ReActNet, arXiv 2003.03488), or above 0."""

    stackable = False

    def __init__(self, channels: int, learned: bool) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.zeros(channels)) if learned else None

    def forward(self, x: torch.Tensor, there: torch.Tensor | None = None) -> torch.Tensor:
        """(..., C) -> +1 and -1; -1 where there is nothing."""
        if there is not None:
            x = torch.where(there, x, -1e4)
        if self.training:
            return signs_of(x if self.threshold is None else x - self.threshold, True)
        return torch.where(x >= (0.0 if self.threshold is None else constant(self.threshold)), 1.0, -1.0)


class Shifted(nn.Module):
    """A bent line with its corner anywhere: slope below, both sides shifted, each channel its own (RPReLU, arXiv 2003.03488)."""

    stackable = False

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.corner, self.lift = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))
        self.slope = nn.Parameter(torch.full((channels,), 0.25))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., C) -> (..., C)."""
        x = x - constant(self.corner)
        return torch.where(x > 0, x, x * constant(self.slope)) + constant(self.lift)


class Normed(nn.Module):
    """Batch norm of product * scale; in inference one product and one sum."""

    stackable = False
    mean: torch.Tensor
    variance: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x: torch.Tensor, scale: torch.Tensor | None, there: torch.Tensor | None) -> torch.Tensor:
        """(B, H, W, C), by channel or None, (B, H, W, 1) or None -> (B, H, W, C)."""
        if self.training:
            return self._learning(x if scale is None else x * scale, there)
        by = self.weight * (self.variance + 1e-5).rsqrt()
        plus = self.bias - self.mean * by
        return x * constant(by if scale is None else by * scale) + constant(plus)

    def _learning(self, x: torch.Tensor, there: torch.Tensor | None) -> torch.Tensor:
        weight = torch.ones_like(x[..., :1]) if there is None else there.to(x.dtype).expand_as(x[..., :1])
        count = weight.sum()
        if count < 2:  # no spread to learn from
            return (x - self.mean) * (self.weight * (self.variance + 1e-5).rsqrt()) + self.bias
        mean = (x * weight).sum((0, 1, 2)) / count
        spread = ((x - mean).square() * weight).sum((0, 1, 2))
        with torch.no_grad():
            self.mean.lerp_(mean, MOMENTUM)
            self.variance.lerp_(spread / (count - 1), MOMENTUM)
        return (x - mean) * (self.weight * (spread / count + 1e-5).rsqrt()) + self.bias


class Places:
    """Features of one or two ordered axes as (B, H, W, C) and back; where the mask stands among them."""

    def __init__(self, view: View) -> None:
        """`view` is of the features, or of data, that come in."""
        self.flat = len(view.axes) == 1
        ragged = next((i for i, axis in enumerate(view.axes) if axis.ragged), None)
        self.down = not self.flat and ragged == 0

    def image(self, x: torch.Tensor) -> torch.Tensor:
        """-> (B, H, W, C)."""
        return x.unsqueeze(1) if self.flat else x

    def back(self, x: torch.Tensor) -> torch.Tensor:
        """-> (B, axes..., C)."""
        return x[:, 0] if self.flat else x

    def there(self, mask: torch.Tensor | None) -> torch.Tensor | None:
        """Mask (B, n) -> (B, H or 1, W or 1, 1), or None."""
        if mask is None:
            return None
        return mask[:, :, None, None] if self.down else mask[:, None, :, None]


class Block(nn.Module):
    """Signs, a binary convolution, norm, a shortcut around it all, a bent line (Bi-Real Net, arXiv 1808.00278; ReActNet)."""

    stackable = False

    def __init__(self, view: View, kernel: int, scaling: str, learned: bool, shortcut: bool) -> None:
        """`learned`: thresholds and bent lines are."""
        super().__init__()
        self.places, self.shortcut = Places(view), shortcut
        self.sign = Sign(view.channels, learned)
        self.conv = BinaryConv2d(view.channels, view.channels, _kernel(view, kernel), scaling=scaling)
        self.norm = Normed(view.channels)
        self.line = Shifted(view.channels) if learned else None

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C) -> the same shape."""
        image, there = self.places.image(x), self.places.there(mask)
        found = self.norm(self.conv.product(self.sign(image, there)), self.conv.scales(), there)
        if self.shortcut:
            found = found + image
        return self.places.back(found if self.line is None else self.line(found)), mask


class Halved(nn.Module):
    """The same with every longer axis halved and other channels: the shortcut is the mean of neighbours, side by side."""

    stackable = False

    def __init__(self, view: View, gives: View, scaling: str, learned: bool) -> None:
        super().__init__()
        self.places, self.outputs = Places(view), gives.channels
        steps = [2 if after.size < before.size else 1 for before, after in zip(view.axes, gives.axes)]
        self.steps = [1] * (2 - len(steps)) + steps
        self.sign = Sign(view.channels, learned)
        self.conv = BinaryConv2d(view.channels, gives.channels, _kernel(view, 3), self.steps, scaling=scaling)
        self.norm = Normed(gives.channels)
        self.line = Shifted(gives.channels) if learned else None

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C) -> (B, shorter axes..., C')."""
        image, there = self.places.image(x), self.places.there(mask)
        product = self.conv.product(self.sign(image, there))
        left = mask if mask is None or self.steps[1 if not self.places.down else 0] == 1 else mask[:, ::2]
        found = self.norm(product, self.conv.scales(), self.places.there(left)) + self._beside(image, there)
        return self.places.back(found if self.line is None else self.line(found)), left

    def _beside(self, image: torch.Tensor, there: torch.Tensor | None) -> torch.Tensor:
        """(B, H, W, C) and where it is data -> (B, H', W', C')."""
        ragged = 1 if self.places.down else 2
        for axis in (1, 2):
            if self.steps[axis - 1] == 2:
                image = _paired(image, axis, there if axis == ragged else None)
        many = -(-self.outputs // image.shape[-1])
        return torch.cat([image] * many, -1)[..., : self.outputs] if many > 1 else image[..., : self.outputs]


def _paired(x: torch.Tensor, axis: int, there: torch.Tensor | None) -> torch.Tensor:
    """The mean of every two neighbours; one beside which there is no data stands for itself."""
    even = (slice(None),) * axis + (slice(0, None, 2),)
    odd = (slice(None),) * axis + (slice(1, None, 2),)
    if x.shape[axis] % 2:
        x = torch.cat([x, x.narrow(axis, x.shape[axis] - 1, 1)], axis)
        there = None if there is None else torch.cat([there, torch.zeros_like(there.narrow(axis, 0, 1))], axis)
    first, second = x[even], x[odd]
    return (first + (second if there is None else torch.where(there[odd], second, first))) * 0.5


def _kernel(view: View, kernel: int) -> tuple[int, int]:
    """Its length along the axes that there are, none longer than an axis allows."""
    lengths = [kernel if axis.size > 1 else 1 for axis in view.axes]
    return (1, lengths[0]) if len(lengths) == 1 else (lengths[0], lengths[1])


class GridStem(nn.Module):
    """A first convolution, of plain numbers on a grid so that its sums are exact; norm by one product and one sum."""

    stackable = False

    def __init__(self, view: View, gives: View, kernel: Sequence[int], steps: Sequence[int]) -> None:
        super().__init__()
        self.places, self.steps, self.down = Places(view), list(steps), Places(view).down
        self.around = [(k - 1) // 2 for k in kernel]
        self.fine = FINE if view.channels * kernel[0] * kernel[1] <= FEW else FINE // 4
        self.weight = nn.Parameter(torch.empty(gives.channels, view.channels, *kernel))
        nn.init.kaiming_normal_(self.weight)
        self.norm = Normed(gives.channels)

    def forward(self, values: torch.Tensor, codes: torch.Tensor | None, mask: torch.Tensor | None) -> Features:
        """(values (B, axes..., C), codes, mask) -> (B, axes..., C'), mask."""
        image, there = self.places.image(values), self.places.there(mask)
        image = torch.where(image.isnan(), 0.0, image)
        image = (torch.round(image * self.fine) * (1 / self.fine)).clamp(-REACH, REACH)
        if there is not None:
            image = torch.where(there, image, 0.0)
        power = torch.exp2(torch.ceil(torch.log2(self.weight.detach().abs().amax((1, 2, 3)).clamp(min=1e-6))))
        # What is rounded has a gradient as if it were not.
        scaled = self.weight / power[:, None, None, None]
        rounded = scaled + (torch.round(scaled * LEVELS) / (LEVELS + 1) - scaled).detach()
        product = nn.functional.conv2d(image.permute(0, 3, 1, 2), constant(rounded), None, self.steps, self.around)
        left = mask
        if mask is not None:
            left = mask[:, :: self.steps[0 if self.down else 1]]
        found = self.norm(product.permute(0, 2, 3, 1), power, self.places.there(left))
        return self.places.back(found), left


class Between(nn.Module):
    """A binary layer between others: signs of what comes, products scaled. Of a convolution, or of each place by itself."""

    stackable = False

    def __init__(self, view: View, kernel: int, scaling: str, learned: bool) -> None:
        """`kernel` 0: each place by itself, whatever axes there are."""
        super().__init__()
        self.places, self.sign = Places(view) if kernel else None, Sign(view.channels, learned)
        taps = _kernel(view, kernel) if kernel else (1, 1)
        self.layer = BinaryConv2d(view.channels, view.channels, taps, scaling=scaling)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> Features:
        """(B, axes..., C) -> the same shape."""
        if self.places is None:
            flat = x.reshape(-1, 1, 1, x.shape[-1])
            return self.layer.scaled(self.sign(flat)).reshape(x.shape), mask
        return self.places.back(self.layer.scaled(self.sign(self.places.image(x), self.places.there(mask)))), mask
