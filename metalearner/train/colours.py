"""What is done to the values of pictures: colours jittered, or a few operations drawn for every row (RandAugment).

Pictures arrive standardised, each channel to mean 0 and deviation 1 over the training rows, so that nothing is known of 0 and
255: strengths are in deviations, and where an operation needs a darkest and a brightest value those of the row stand for them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from .draws import Draw, beside

# What strength 1 does, at most: deviations; a factor's logarithm; radians around the grey axis.
BRIGHTER, CONTRAST, SATURATION, HUE = 0.6, 0.5, 0.7, 0.5
# The same of single operations: radians; a share of the side; what is added of the difference to a blurred picture.
TURN, SHEAR, SHIFT, SHARP = 0.5, 0.35, 0.3, 1.5
# Grey levels that posterising leaves at strength 1 and next to 0; the share of the range that solarising turns over at most.
FEWEST, LEVELS, SOLAR = 4, 32, 0.5
# What RandAugment draws from (Cubuk et al. 2020, table 1); equalising is left out: sorting each picture costs more than all others.
OPERATIONS = (
    "identity", "autocontrast", "brightness", "contrast", "saturation", "sharpness", "posterise", "solarise",
    "turn", "shear across", "shear down", "shift across", "shift down",
)  # fmt: skip


@dataclass(frozen=True)
class Jitter:
    """Changes of colour, a number a row (B,): deviations added, factors of contrast and saturation, radians of hue."""

    bright: torch.Tensor
    contrast: torch.Tensor
    saturation: torch.Tensor
    hue: torch.Tensor

    @classmethod
    def drawn(cls, draw: Draw) -> Jitter:
        """All four at once."""
        return cls(draw.within(BRIGHTER), draw.within(CONTRAST).exp(), draw.within(SATURATION).exp(), draw.within(HUE))

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (B, T, C, H, W) -> the same: one matrix over colours and one shift a row."""
        channels = pictures.shape[2]
        if channels == 3:
            mixed = torch.einsum("bij,btjhw->btihw", self._matrix(), pictures)
        else:  # grey has neither saturation nor hue
            mixed = pictures
        middle = pictures.mean((1, 2, 3, 4))  # of all channels: a grey picture stays grey
        shift = self.bright + (1 - self.contrast) * middle
        return torch.addcmul(beside(shift, mixed), beside(self.contrast, mixed), mixed)

    def _matrix(self) -> torch.Tensor:
        """(B, 3, 3): turned about the grey axis (Rodrigues), then nearer to grey or further from it."""
        cos, sin = beside3(self.hue.cos()), beside3(self.hue.sin())
        grey = torch.full((3, 3), 1 / 3)
        across = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
        turned = cos * torch.eye(3) + (1 - cos) * grey + sin * across
        much = beside3(self.saturation)
        return much * turned + (1 - much) * grey


@dataclass(frozen=True)
class Operations:
    """A few operations a row out of `OPERATIONS`, drawn without replacement: `chosen` (B, operations) says which."""

    chosen: torch.Tensor
    draw: Draw

    @classmethod
    def drawn(cls, draw: Draw, number: torch.Tensor) -> Operations:
        """`number` (B,) of them for each row."""
        rank = draw.uniform(len(OPERATIONS)).argsort(1).argsort(1)
        return cls(rank < number[:, None], draw)

    def moves(self) -> dict[str, torch.Tensor]:
        """How far each row is turned (radians), sheared and shifted (shares of a side), (B,) each."""
        sizes = {"turn": TURN, "shear across": SHEAR, "shear down": SHEAR, "shift across": SHIFT, "shift down": SHIFT}
        return {name: self._where(name, self.draw.within(size), 0.0) for name, size in sizes.items()}

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (B, T, C, H, W) -> the same, their values changed by those operations that change values."""
        draw, off = self.draw, torch.zeros(len(pictures))
        jitter = Jitter(
            self._where("brightness", draw.within(BRIGHTER), 0.0),
            self._where("contrast", draw.within(CONTRAST).exp(), 1.0),
            self._where("saturation", draw.within(SATURATION).exp(), 1.0),
            off,
        )
        found = jitter(pictures)
        found = self._some("sharpness", found, _sharpened, draw.within(SHARP))
        low, high = found.amin((1, 3, 4), keepdim=True), found.amax((1, 3, 4), keepdim=True)  # (B, 1, C, 1, 1)
        span = (high - low).clamp(min=1e-6)
        shares = (found - low) / span  # of the way from the darkest to the brightest, 0..1
        levels = LEVELS * torch.exp2(-draw.uniform() * draw.much * math.log2(LEVELS / FEWEST))
        shares = self._some("posterise", shares, _posterised, levels.round())
        shares = self._some("solarise", shares, _solarised, 1 - SOLAR * draw.uniform() * draw.much)
        stretch = beside(self._where("autocontrast", torch.ones(len(pictures)), 0.0), low)
        least, most = low.amin(2, keepdim=True), high.amax(2, keepdim=True)
        low = torch.lerp(low, least, stretch)  # every channel over the range of all
        return low + shares * torch.lerp(span, (most - least).clamp(min=1e-6), stretch)

    def _has(self, name: str) -> torch.Tensor:
        return self.chosen[:, OPERATIONS.index(name)]

    def _where(self, name: str, much: torch.Tensor, off: float) -> torch.Tensor:
        """What is drawn where a row has the operation, else what does nothing, (B,)."""
        return torch.where(self._has(name), much, off)

    def _some(self, name: str, pictures: torch.Tensor, change, much: torch.Tensor) -> torch.Tensor:  # type: ignore[no-untyped-def]
        """The rows that have the operation changed by so much (B,), the others as they are."""
        rows = self._has(name).nonzero()[:, 0]
        if not len(rows):
            return pictures
        some = pictures[rows]
        return pictures.index_copy(0, rows, change(some, beside(much[rows], some)))


def _sharpened(pictures: torch.Tensor, much: torch.Tensor) -> torch.Tensor:
    """Further from the picture blurred over 3 x 3 pixels, or nearer to it."""
    flat = pictures.flatten(1, 2)
    blurred = torch.nn.functional.avg_pool2d(flat, 3, 1, 1, count_include_pad=False).reshape(pictures.shape)
    return pictures + much.clamp(min=-1.0) * (pictures - blurred)


def _posterised(shares: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    return (shares * (levels - 1)).round() / (levels - 1)


def _solarised(shares: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    return torch.where(shares > threshold, 1 - shares, shares)


def beside3(numbers: torch.Tensor) -> torch.Tensor:
    """(B,) -> (B, 1, 1)."""
    return numbers[:, None, None]
