"""What training makes of a few rows, by the very functions that training calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .dataset import Dataset
from .kinds import POLICIES
from .pictures import Picture, Series
from .plugins import Registry
from .records import Record, View
from .report.examples import fitted, png
from .train.augment import SHARE, Manner, augment, mixup
from .train.productions import Gradient
from .train.samples import Input, inputs

# Rows that scales are read off, those that are shown, and draws of each, of which the one that changed it most is shown.
ROWS, SHOWN, DRAWS = 200, 5, 24
# Values of a series that are drawn.
STEPS = 240
# What each policy adds, by what channels are; where it is not named it adds nothing to "basic".
ADDS = {
    "colours": {"channels": "and colours jittered", "random-1": "and one operation drawn for each (RandAugment)",
                "random-2": "and two operations drawn for each (RandAugment)"},
    "bands": {"channels": "and a group of bands and a stretch of time blanked (SpecAugment)",
              "random-2": "and up to two groups of bands and stretches blanked (SpecAugment)"},
}  # fmt: skip
PICTURE, SERIES = "moved, turned, zoomed, a box blanked", "moved, scaled, made noisy, a stretch blanked"


@dataclass(frozen=True)
class Way(Record):
    """One way of changing rows, with the same few rows changed that way."""

    view: str
    name: str  # as a recipe has it; empty: the rows as they are
    says: str
    images: tuple[str, ...] = ()  # data URIs
    series: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()  # one a row

    @classmethod
    def _revive(cls, name: str, value: Any) -> Any:
        return tuple(Picture.from_json(v) for v in value) if name == "series" else super()._revive(name, value)


def strongest() -> tuple[float, float]:
    """The greatest strengths of augmentation and of mixup that search chooses from."""
    space: Any = Gradient().space()
    return max(space["augment"].options), space["mixup"].high


def augmentations(folder: Path, registry: Registry) -> list[Way]:
    """For each view of prepared data, `folder`/data, the ways to change it that search may choose; none for columns alone.

    Strengths are the greatest that a recipe may have, and of a few draws the one that changed a row most is taken.
    """
    dataset = Dataset.open(folder / "data")
    transform = registry.get("transforms", registry.get("modalities", dataset.task.modality).transform)
    tensors, views, target = dataset.sample(ROWS, transform)
    words = registry.get("outputs", dataset.task.output).words(dataset.state, target)
    given, found = inputs(tensors, views), []
    for at, (name, view) in enumerate(views.items()):
        drawn = _Drawn(name, view, given[at])
        if drawn.ways:
            found += [drawn.as_they_are(), *drawn.augmented(), drawn.mixed(words)]
    return found


class _Drawn:
    """The rows of one view that are shown, and what is drawn of them."""

    def __init__(self, name: str, view: View, given: Input) -> None:
        self.name, self.view, self.given = name, view, given
        rows = len(given[0])
        self.rows = torch.arange(0, rows, max(1, rows // SHOWN))[:SHOWN]
        self.ways = _ways(view)
        spatial = view.kinds.count("space") == 2
        self.flat = spatial or view.channel_kind == "bands"  # shown as pictures
        self.axes = [i for i, kind in enumerate(view.kinds) if kind == ("space" if spatial else "time")]
        values = given[0].flatten(0, -2)
        known = torch.where(values.isnan(), torch.tensor(0.0), values)
        self.low, self.high = known.amin(0), known.amax(0)  # (channels,), over all rows

    def as_they_are(self) -> Way:
        """The rows that all others are made of."""
        return self._way("", "as they are", _taken(self.given, self.rows))

    def augmented(self) -> list[Way]:
        """One for each policy that does something of its own, and mirrored."""
        found, (strength, _) = [], strongest()
        for name, says in self.ways.items():
            policy, _, flip = name.partition(" ")
            recipe = {"augment": strength, "policy": policy, "flip": bool(flip)}
            many = _taken(self.given, self.rows.repeat_interleave(DRAWS))
            manner = Manner.of([recipe], len(many[0]))
            changed = augment([many], {self.name: self.view}, manner, torch.Generator().manual_seed(0))[0]
            found.append(self._way(name, says, _taken(changed, self._most(_apart(many, changed)))))
        return found

    def mixed(self, words: Sequence[str]) -> Way:
        """Rows mixed with others; the label is mixed likewise."""
        many = self.rows.repeat_interleave(DRAWS)
        others = torch.arange(len(self.given[0]))
        everyone = torch.cat([many, others])  # what is mixed in may be any row
        changed, partner, weight = mixup([_taken(self.given, everyone)], torch.zeros(len(everyone)), strongest()[1],
                                         torch.Generator().manual_seed(0))  # fmt: skip
        chosen = self._most(_apart(_taken(self.given, many), _taken(changed[0], torch.arange(len(many)))))
        notes = [
            f"{words[int(everyone[i])]}: {weight[i]:.0%}, {words[int(everyone[partner[i]])]}: {1 - weight[i]:.0%}"
            for i in chosen
        ]
        return self._way(
            "mixup", "mixed with another row, and so is the answer", _taken(changed[0], chosen), tuple(notes)
        )

    def _most(self, apart: torch.Tensor) -> torch.Tensor:
        """For each row shown that of its draws which is furthest from it; places among all draws."""
        return apart.reshape(len(self.rows), DRAWS).argmax(1) + torch.arange(len(self.rows)) * DRAWS

    def _way(self, name: str, says: str, rows: Input, notes: tuple[str, ...] = ()) -> Way:
        values, _, mask = rows
        moved = values.movedim([1 + a for a in self.axes], list(range(1, 1 + len(self.axes))))
        if self.axes and mask is not None and self.view.axes[self.axes[0]].ragged:
            moved = torch.where(
                mask.reshape(*mask.shape, *[1] * (moved.dim() - 2)), moved, 0.0
            )  # what is drawn in the padding nobody sees
        if self.flat:
            return Way(self.name, name, says, tuple(png(fitted(self._pixels(row))) for row in moved.numpy()), (), notes)
        if self.axes:
            lengths = mask.sum(1).tolist() if mask is not None else [moved.shape[1]] * len(moved)
            return Way(
                self.name, name, says, (), tuple(_line(row[:n]) for row, n in zip(moved.numpy(), lengths)), notes
            )
        left = [
            f"{int(n)} elements" for n in (mask.sum(1) if mask is not None else (moved.flatten(2) != 0).any(2).sum(1))
        ]
        return Way(self.name, name, says, (), (), notes or tuple(left))

    def _pixels(self, row: np.ndarray) -> np.ndarray:
        """(height, width, 1 or 3) bytes of one row; of axes that are neither, the first place."""
        if self.view.channel_kind == "bands":
            row = row.reshape(len(row), -1, row.shape[-1])[:, 0]  # (time, bands)
            low, high = float(self.low.min()), float(self.high.max())
            return _bytes(row.T[::-1, :, None], np.array(low), np.array(high))  # deep sounds below
        row = row.reshape(*row.shape[:2], -1, row.shape[-1])[:, :, 0]
        some = 3 if row.shape[-1] == 3 else 1
        return _bytes(row[..., :some], self.low.numpy()[:some], self.high.numpy()[:some])


def _ways(view: View) -> dict[str, str]:
    """Policies, and that pictures may be mirrored, with what they do to a view; empty where they do nothing."""
    if view.kinds.count("space") == 2:
        found = {POLICIES[0]: PICTURE, f"{POLICIES[0]} flip": f"{PICTURE}, and half of them mirrored"}
    elif view.kinds.count("time") == 1:
        found = {POLICIES[0]: SERIES}
    elif {"tokens", "set"} & set(view.kinds):
        found = {POLICIES[0]: "some elements left out"}
    else:
        return {}
    return found | {policy: f"the same, {adds}" for policy, adds in ADDS.get(view.channel_kind, {}).items()}


def _taken(one: Input, rows: torch.Tensor) -> Input:
    return tuple(None if part is None else part[rows] for part in one)  # type: ignore[return-value]


def _apart(before: Input, after: Input) -> torch.Tensor:
    """How far each row was changed, (B,): its values on average, or the elements that are gone."""
    found = (after[0].nan_to_num() - before[0].nan_to_num()).abs().flatten(1).mean(1)
    if before[2] is not None and after[2] is not None:
        found = found + (before[2] != after[2]).float().mean(1)
    return found


def _bytes(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    shares = (np.nan_to_num(values) - low) / np.maximum(high - low, 1e-6)
    return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)


def _line(row: np.ndarray) -> Picture:
    """The first channel along time."""
    values = row.reshape(len(row), -1)[:, 0]
    step = max(1, len(values) // STEPS)
    shown = tuple(float(f"{v:.4g}") if np.isfinite(v) else None for v in values[::step])
    return Picture("", "", "step", "", (Series("", tuple(range(0, len(values), step)), shown),))


def said(found: Sequence[Way]) -> list[str]:
    """The ways in words, a line each."""
    if not found:
        return ["Rows of columns alone are not augmented; networks may mix them (mixup)."]
    strength = f"At strength {strongest()[0]:g}, the greatest; in training {SHARE:.0%} of the rows are changed, drawn anew each time."
    return [*(f"{w.view}  {w.name or '-':<12} {w.says}" for w in found), strength]
