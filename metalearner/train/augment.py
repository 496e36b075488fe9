"""Augmentation fitted to axis kinds: a whole batch at once, drawn anew for every row.

What a row means is kept: images are moved, turned and zoomed a little and a box is blanked; series are moved, scaled, made
noisy and a stretch is blanked; tokens and elements of sets are dropped. A table's columns are left alone: noise gained
nothing on the tables tried, and cells swapped between rows cost on one what they gained on another.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ..records import View

Input = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]  # values, codes, mask of one view

# What strength 1 does, at most: a share of the side or length; radians; a factor; a share of the elements.
SHIFT, TURN, ZOOM, BOX = 0.12, 0.26, 0.15, 0.4
NOISE, GAIN, STRETCH, DROP = 0.2, 0.3, 0.2, 0.3
# The share of the rows that is changed: those to be predicted are not, and changing all cost small images accuracy.
SHARE = 0.5


def augment(
    inputs: list[Input],
    views: Mapping[str, View],
    strength: float | torch.Tensor,
    generator: torch.Generator,
    flip: bool = False,
) -> list[Input]:
    """The batch, changed as the kinds of its axes allow; the same list back at strength 0.

    `strength` is 0..1, one for all or one a row (B,). `flip` also mirrors half of the images it changes left to right: wrong for
    letters, digits and left and right hands, so it must be asked for.
    """
    rows = len(inputs[0][0])
    much = torch.as_tensor(strength, dtype=torch.float32).expand(rows)
    if not bool((much > 0).any()):
        return inputs
    return [_view(one, view, Draw(generator, much), flip) for one, view in zip(inputs, views.values())]


def mixup(
    inputs: list[Input], target: torch.Tensor, strength: float | torch.Tensor, generator: torch.Generator
) -> tuple[list[Input], torch.Tensor, torch.Tensor]:
    """Every row mixed with another of the batch (mixup, Zhang et al. 2018): inputs, partner (B,), weight (B,).

    A row's loss is weight * loss(raw, target) + (1 - weight) * loss(raw, target[partner]). The weight is at least 0.5, so
    that codes and masks, which have no average, stay the row's own. It is drawn from a logit-scaled uniform that stands for
    Beta(strength, strength): 1 at strength 0, uniform at 1. What is missing in the partner is not mixed in.
    """
    draw = Draw(generator, torch.as_tensor(strength, dtype=torch.float32).expand(len(target)))
    partner = torch.randperm(len(target), generator=generator)
    odds = torch.logit(draw.uniform().clamp(1e-6, 1 - 1e-6)) / draw.much.clamp(min=1e-3)
    weight = torch.sigmoid(odds.abs())
    weight = torch.where(draw.much > 0, weight, 1.0)
    mixed: list[Input] = []
    for values, codes, mask in inputs:
        other = values[partner]
        share = _beside(weight, values)
        mixed.append((torch.where(torch.isnan(other), values, share * values + (1 - share) * other), codes, mask))
    return mixed, partner, weight


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


def _view(one: Input, view: View, draw: Draw, flip: bool) -> Input:
    """One view of the batch, axis kind after axis kind."""
    values, codes, mask = before = one
    kinds = view.kinds
    ragged = next((i for i, axis in enumerate(view.axes) if axis.ragged), None)
    if kinds.count("space") == 2:
        first = kinds.index("space")
        values = _image(values, (1 + first, 1 + kinds.index("space", first + 1)), draw, flip)
    elif kinds.count("time") == 1:
        axis = kinds.index("time")
        values = _series(values, 1 + axis, mask if ragged == axis else None, draw)
    else:
        for axis, kind in enumerate(kinds):
            if kind in ("tokens", "set"):
                if ragged == axis and mask is not None:
                    values, mask = _shortened(values, 1 + axis, mask, draw)
                else:
                    values = _blanked(values, 1 + axis, draw)
    changed = (draw.much > 0) & (draw.uniform() < SHARE)
    values = torch.where(_beside(changed, values), values, before[0])
    if mask is not None and before[2] is not None:
        mask = torch.where(changed[:, None], mask, before[2])
    return values, codes, mask


def _image(values: torch.Tensor, axes: tuple[int, int], draw: Draw, flip: bool) -> torch.Tensor:
    """Move, turn, zoom by bilinear sampling with the edge repeated outside, then blank a box."""
    moved = values.movedim(axes, (1, 2))  # (B, H, W, rest...)
    rows, height, width = moved.shape[:3]
    # A missing pixel counts as the training mean, as it will for networks: NaN would spread to its neighbours.
    flat = moved.nan_to_num().reshape(rows, height, width, -1).permute(0, 3, 1, 2)  # (B, F, H, W)
    angle, zoom = draw.within(TURN), 1 + draw.within(ZOOM)
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    mirror = torch.where((draw.uniform() < 0.5) & (draw.much > 0), -1.0, 1.0) if flip else torch.ones(rows)
    ratio = height / width  # the grid runs from -1 to 1 on both axes, whatever their lengths
    down, right = 2 * draw.within(SHIFT), 2 * draw.within(SHIFT)
    theta = torch.stack([mirror * cos, -sin * ratio, right, mirror * sin / ratio, cos, down], 1).unflatten(1, (2, 3))
    grid = torch.nn.functional.affine_grid(theta, list(flat.shape), align_corners=False)
    flat = torch.nn.functional.grid_sample(flat, grid, padding_mode="border", align_corners=False)
    inside = [
        (at >= begin[:, None]) & (at < end[:, None])
        for at, (begin, end) in ((torch.arange(size), draw.span(BOX, size)) for size in (height, width))
    ]
    box = inside[0][:, None, :, None] & inside[1][:, None, None, :]  # (B, 1, H, W)
    flat = flat.masked_fill(box, 0.0)
    return flat.permute(0, 2, 3, 1).reshape(moved.shape).movedim((1, 2), axes)


def _series(values: torch.Tensor, axis: int, mask: torch.Tensor | None, draw: Draw) -> torch.Tensor:
    """Shift within the length with the ends held, scale, add noise, blank a stretch."""
    moved = values.movedim(axis, 1)  # (B, T, rest...)
    rows, steps = moved.shape[:2]
    at = torch.arange(steps).expand(rows, steps)
    length = torch.full((rows,), steps) if mask is None else mask.sum(1)
    shift = (draw.within(SHIFT) * length).round().long()
    source = (at + shift[:, None]).clamp(min=0).minimum((length - 1).clamp(min=0)[:, None])
    source = torch.where(at < length[:, None], source, at)  # padding stays where it is
    moved = moved[torch.arange(rows)[:, None], source]
    noise = torch.randn(moved.shape, generator=draw.generator) * _beside(NOISE * draw.much, moved)
    moved = moved * _beside(draw.within(GAIN).exp(), moved) + noise
    begin, end = draw.span(STRETCH, length)
    gone = (at >= begin[:, None]) & (at < end[:, None])
    return moved.masked_fill(gone.reshape(rows, steps, *[1] * (moved.dim() - 2)), 0.0).movedim(1, axis)


def _shortened(values: torch.Tensor, axis: int, mask: torch.Tensor, draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    """Drop elements and close the gaps, so that data still comes before padding; at least one stays."""
    moved = values.movedim(axis, 1)  # (B, N, rest...)
    luck = draw.uniform(mask.shape[1]).masked_fill(~mask, -1.0)
    luckiest = torch.arange(mask.shape[1]) == luck.argmax(1, keepdim=True)
    kept = mask & (luckiest | (luck >= DROP * draw.much[:, None]))
    order = torch.argsort(kept.logical_not().long(), dim=1, stable=True)
    rows = torch.arange(len(mask))[:, None]
    return moved[rows, order].movedim(1, axis), kept[rows, order]


def _blanked(values: torch.Tensor, axis: int, draw: Draw) -> torch.Tensor:
    """Set elements to the training mean, 0."""
    moved = values.movedim(axis, 1)
    gone = draw.uniform(moved.shape[1]) < DROP * draw.much[:, None]
    return moved.masked_fill(gone.reshape(*gone.shape, *[1] * (moved.dim() - 2)), 0.0).movedim(1, axis)


def _beside(numbers: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """(B,) shaped to be multiplied with values (B, ...)."""
    return numbers.reshape(-1, *[1] * (values.dim() - 1))
