"""Augmentation fitted to axis kinds: a whole batch at once, drawn anew for every row.

What a row means is kept: images are moved, turned and zoomed a little and a box is blanked; series are moved, scaled, made
noisy and a stretch is blanked; tokens and elements of sets are dropped. A table's columns are left alone: noise gained
nothing on the tables tried, and cells swapped between rows cost on one what they gained on another.

Beyond "basic" a policy goes by what channels are. "channels" jitters colours, and blanks bands of a spectrum and further
stretches of time (SpecAugment, Park et al. 2019; without its warping of time, which gained least there). "random-1" and "random-2"
add one or two operations drawn for each picture (`colours`), and blank as often in a spectrum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..kinds import POLICIES
from ..records import View
from .colours import Jitter, Operations
from .draws import Draw, beside

Input = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]  # values, codes, mask of one view

# What strength 1 does, at most: a share of the side or length; radians; a factor; a share of the elements.
SHIFT, TURN, ZOOM, BOX = 0.12, 0.26, 0.15, 0.4
NOISE, GAIN, STRETCH, DROP = 0.2, 0.3, 0.2, 0.3
# A mask of SpecAugment: a share of the bands, and of the time.
BANDS, TIME = 0.35, 0.2
# What policies beyond "basic" do: masks in a spectrum, and operations on a picture; without any, its colours are jittered.
MASKS = torch.tensor([0, 1, 1, 2])
DRAWN = torch.tensor([0, 0, 1, 2])
# The share of the rows that is changed: those to be predicted are not, and changing all cost small images accuracy.
SHARE = 0.5


@dataclass(frozen=True)
class Manner:
    """How rows are augmented, each (B,): strength 0..1; whether pictures may be mirrored; which of POLICIES, by position."""

    strength: torch.Tensor
    flip: torch.Tensor
    policy: torch.Tensor

    @classmethod
    def of(cls, recipes: Sequence[Mapping[str, Any]], rows: int) -> Manner:
        """That of recipes, each for so many rows one after the other; a recipe that leaves the last two out does neither."""
        columns: list[list[Any]] = [
            [float(r["augment"]) for r in recipes],
            [bool(r.get("flip", False)) for r in recipes],
            [POLICIES.index(r.get("policy", POLICIES[0])) for r in recipes],
        ]
        return cls(*(torch.tensor(column).repeat_interleave(rows) for column in columns))


def augment(inputs: list[Input], views: Mapping[str, View], manner: Manner, generator: torch.Generator) -> list[Input]:
    """The batch, changed as the kinds of its axes and channels allow; the same list back at strength 0.

    `flip` also mirrors half of the images that are changed left to right: wrong for letters, digits and left and right hands,
    so it must be asked for.
    """
    if not bool((manner.strength > 0).any()):
        return inputs
    draw = Draw(generator, manner.strength)
    return [_view(one, view, draw, manner) for one, view in zip(inputs, views.values())]


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
        share = beside(weight, values)
        mixed.append((torch.where(torch.isnan(other), values, share * values + (1 - share) * other), codes, mask))
    return mixed, partner, weight


def _view(one: Input, view: View, draw: Draw, manner: Manner) -> Input:
    """One view of the batch, axis kind after axis kind."""
    values, codes, mask = before = one
    kinds = view.kinds
    ragged = next((i for i, axis in enumerate(view.axes) if axis.ragged), None)
    if kinds.count("space") == 2:
        first = kinds.index("space")
        axes = 1 + first, 1 + kinds.index("space", first + 1)
        values = _image(values, axes, draw, manner, view.channel_kind == "colours")
    elif kinds.count("time") == 1:
        axis = kinds.index("time")
        among = mask if ragged == axis else None
        values = _series(values, 1 + axis, among, draw)
        if view.channel_kind == "bands":
            values = _masked(values, 1 + axis, among, draw, MASKS[manner.policy])
    else:
        for axis, kind in enumerate(kinds):
            if kind in ("tokens", "set"):
                if ragged == axis and mask is not None:
                    values, mask = _shortened(values, 1 + axis, mask, draw)
                else:
                    values = _blanked(values, 1 + axis, draw)
    changed = (draw.much > 0) & (draw.uniform() < SHARE)
    values = torch.where(beside(changed, values), values, before[0])
    if mask is not None and before[2] is not None:
        mask = torch.where(changed[:, None], mask, before[2])
    return values, codes, mask


def _image(values: torch.Tensor, axes: tuple[int, int], draw: Draw, manner: Manner, colours: bool) -> torch.Tensor:
    """Move, turn, zoom by bilinear sampling with the edge repeated outside, change colours, then blank a box."""
    moved = values.movedim(axes, (1, 2))  # (B, H, W, rest...)
    rows, height, width = moved.shape[:3]
    # A missing pixel counts as the training mean, as it will for networks: NaN would spread to its neighbours.
    flat = moved.nan_to_num().reshape(rows, height, width, -1).permute(0, 3, 1, 2)  # (B, F, H, W)
    angle, zoom = draw.within(TURN), 1 + draw.within(ZOOM)
    flips = manner.flip & (draw.much > 0)
    mirror = torch.where((draw.uniform() < 0.5) & flips, -1.0, 1.0) if bool(flips.any()) else torch.ones(rows)
    down, right = 2 * draw.within(SHIFT), 2 * draw.within(SHIFT)
    sheared = torch.zeros(2, rows)
    some = ((DRAWN[manner.policy] > 0) & (draw.much > 0)).nonzero()[:, 0]
    operations = None
    if len(some):
        operations = Operations.drawn(draw.among(some), DRAWN[manner.policy][some])
        moves = operations.moves()
        angle = angle.index_add(0, some, moves["turn"])
        right, down = (t.index_add(0, some, 2 * moves[f"shift {at}"]) for t, at in ((right, "across"), (down, "down")))
        sheared = torch.stack(
            [sheared[i].index_copy(0, some, moves[f"shear {at}"]) for i, at in enumerate(("across", "down"))]
        )
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    ratio = height / width  # the grid runs from -1 to 1 on both axes, whatever their lengths
    theta = torch.stack(
        [mirror * cos, (sheared[0] - sin) * ratio, right, mirror * (sin + sheared[1]) / ratio, cos, down], 1
    )
    grid = torch.nn.functional.affine_grid(theta.unflatten(1, (2, 3)), list(flat.shape), align_corners=False)
    flat = torch.nn.functional.grid_sample(flat, grid, padding_mode="border", align_corners=False)
    if colours:
        flat = _coloured(flat, moved.shape[-1], draw, manner, operations, some)
    inside = [
        (at >= begin[:, None]) & (at < end[:, None])
        for at, (begin, end) in ((torch.arange(size), draw.span(BOX, size)) for size in (height, width))
    ]
    box = inside[0][:, None, :, None] & inside[1][:, None, None, :]  # (B, 1, H, W)
    flat = flat.masked_fill(box, 0.0)
    return flat.permute(0, 2, 3, 1).reshape(moved.shape).movedim((1, 2), axes)


def _coloured(
    flat: torch.Tensor, channels: int, draw: Draw, manner: Manner, operations: Operations | None, some: torch.Tensor
) -> torch.Tensor:
    """Pictures (B, T * channels, H, W) with the colours of some changed by these operations, of others jittered."""
    pictures = flat.unflatten(1, (-1, channels))
    if operations is not None:
        pictures = pictures.index_copy(0, some, operations(pictures[some]))
    jittered = ((manner.policy == POLICIES.index("channels")) & (draw.much > 0)).nonzero()[:, 0]
    if len(jittered):
        changed = Jitter.drawn(draw.among(jittered))(pictures[jittered])
        pictures = pictures.index_copy(0, jittered, changed)
    return pictures.flatten(1, 2)


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
    noise = torch.randn(moved.shape, generator=draw.generator) * beside(NOISE * draw.much, moved)
    moved = moved * beside(draw.within(GAIN).exp(), moved) + noise
    begin, end = draw.span(STRETCH, length)
    gone = (at >= begin[:, None]) & (at < end[:, None])
    return moved.masked_fill(gone.reshape(rows, steps, *[1] * (moved.dim() - 2)), 0.0).movedim(1, axis)


def _masked(
    values: torch.Tensor, axis: int, mask: torch.Tensor | None, draw: Draw, number: torch.Tensor
) -> torch.Tensor:
    """Blank so many (B,) groups of neighbouring bands, the last axis, and as many stretches of time: to the training mean, 0."""
    most = int(number.max())
    if not most:
        return values
    moved = values.movedim(axis, 1)  # (B, T, rest..., bands)
    rows, steps, bands = *moved.shape[:2], moved.shape[-1]
    length = torch.full((rows,), steps) if mask is None else mask.sum(1)
    at, band = torch.arange(steps), torch.arange(bands)
    gone = torch.zeros(rows, steps, bands, dtype=torch.bool)
    for i in range(most):
        counts = (number > i)[:, None]
        for places, (begin, end), dim in ((band, draw.span(BANDS, bands), 1), (at, draw.span(TIME, length), 2)):
            gone |= (counts & (places >= begin[:, None]) & (places < end[:, None])).unsqueeze(dim)
    between = [1] * (moved.dim() - 3)
    return moved.masked_fill(gone.reshape(rows, steps, *between, bands), 0.0).movedim(1, axis)


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
