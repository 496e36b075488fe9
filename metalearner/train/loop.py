"""The one training loop: a bank of networks, epoch after epoch, each until its own end."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ..grammar.build import Net
from ..kinds import Aim, Rung
from ..records import Config, View
from .bank import Bank
from .goal import Goal, ManyRows
from .model import AT_ONCE, Checkpoint, NetModel, fill
from .samples import Samples, permuted, seeded, side_by_side
from .schedule import Pace, rate

# Reasons to stop that no higher rung changes.
FINAL = ("patience", "diverged")


@dataclass
class Course:
    """One network's way through its fit."""

    config: Config
    fold: int  # its index
    recipe: Mapping[str, Any]
    net: Net
    epoch: int = 0
    best: float = math.inf
    best_epoch: int = 0
    curve: list[float] = field(default_factory=list)
    stopped: str = ""
    start: float = 0.0  # share of the epochs that an earlier rung has done
    checkpoint: Checkpoint | None = None  # what that rung left
    latest: Mapping[str, torch.Tensor] = field(default_factory=dict)  # what this one leaves for the next

    def last(self, share: float) -> int:
        """The epoch that ends a rung."""
        return max(1, math.ceil(share * self.recipe["epochs"]))

    def done(self, share: float) -> bool:
        """Whether there is nothing left to do up to that share."""
        return bool(self.stopped) or self.epoch >= self.last(share)

    def go_on(self, checkpoint: Checkpoint) -> None:
        """Take up the way where an earlier rung left it."""
        progress = checkpoint.progress
        self.checkpoint, self.latest = checkpoint, checkpoint.latest
        fill(self.net, checkpoint.best)
        self.epoch, self.best_epoch = progress["epoch"], progress["best_epoch"]
        self.best = math.inf if progress["best"] is None else progress["best"]
        self.curve = [math.nan if v is None else v for v in progress["curve"]]
        self.stopped = progress["stopped"]
        self.start = self.epoch / self.recipe["epochs"]

    def judge(self, value: float) -> bool:
        """Take down the loss on the watched slice; whether it is the best so far."""
        better = value < self.best or not self.best_epoch
        self.curve.append(value)
        if better:
            self.best, self.best_epoch = value, self.epoch
        if not math.isfinite(value):
            self.stopped = "diverged"
        elif self.epoch - self.best_epoch >= self.recipe["patience"]:
            self.stopped = "patience"
        return better

    def model(self, views: Mapping[str, View], aim: Aim) -> NetModel:
        """The model with the best weights."""
        progress = {
            "epoch": self.epoch, "best": self.best, "best_epoch": self.best_epoch, "curve": self.curve,
            "stopped": self.stopped if self.stopped in FINAL else "",
        }  # fmt: skip
        return NetModel(self.net.eval(), self.config, views, aim, self.latest, progress)

    def facts(self) -> dict[str, Any]:
        """What is worth remembering of this fit."""
        return {
            "parameters": sum(p.numel() for p in self.net.parameters()),
            "epochs": self.epoch,
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
            "curve": [round(v, 5) for v in self.curve],
        }


@dataclass
class Data:
    """The rows of a fit: what is learnt from, what is watched, and which fold is whose."""

    learnt: Samples
    watched: Samples
    folds: list[int]  # their indices, in the order of the samples
    views: Mapping[str, View]


class Training:
    """A bank of networks on its way to a rung. `courses` are those still under way, in the order of the bank's rows."""

    def __init__(self, courses: Sequence[Course], bank: Bank, data: Data, loss: ManyRows, upto: Rung) -> None:
        self.courses, self.bank, self.data, self.loss, self.upto = list(courses), bank, data, loss, upto
        self._aimed()

    def _aimed(self) -> None:
        """What depends on who is still under way. Folds differ by a row or two: all learn from as many as the smallest."""
        self.goal = Goal(self.loss, self.data.views, [c.recipe for c in self.courses])
        self.at = [self.data.folds.index(c.fold) for c in self.courses]
        self.rows = min(self.data.learnt.lengths[f] for f in self.at)
        self.batch = batch_size(self.courses[0].recipe, self.rows, self.upto.halved)
        self.steps = len([s for s in range(0, self.rows, self.batch) if self.rows - s > 1])
        # One network alone whose work depends on the longest row of a batch.
        self.trims = len(self.courses) == 1 and any(getattr(e, "trims", False) for e in self.courses[0].net.encoders)

    def run(self, deadline: float) -> None:
        """Until the rung, the deadline or patience ends each of them."""
        watched = min(self.data.watched.lengths[f] for f in self.at)
        # A look costs about a third of a step over as many rows: no way back, no optimiser.
        self.pace = Pace(deadline, self.upto.share >= 1.0, watched / (3 * self.batch))
        while self.courses:
            in_time = self._epoch()
            self._judge()
            for course in self.courses:
                if not in_time and not course.stopped:
                    course.stopped = "deadline"
            self._retire()

    def _epoch(self) -> bool:
        """One pass; False when the deadline came first."""
        share = self.upto.share
        orders = [permuted(self.rows_of(f), self.upto.seed, c.fold, c.epoch) for f, c in zip(self.at, self.courses)]
        starts = [self.data.learnt.starts[f] for f in self.at]
        order = torch.stack([o[: self.rows] + s for o, s in zip(orders, starts)])  # (K, rows)
        first = self.courses[0]
        if self.trims and self.data.learnt.steps is not None:
            order = side_by_side(order[0], self.data.learnt.steps, self.batch, self.upto.seed, first.fold, first.epoch)[
                None
            ]
        seed = seeded(self.upto.seed, first.fold, first.epoch, 1)
        self.bank.seed(seed)
        generator = torch.Generator().manual_seed(seed)
        left = max(c.last(share) - c.epoch for c in self.courses) * self.steps
        for course in self.courses:
            course.epoch += 1
        for i, rows in enumerate(order.split(self.batch, 1)[: self.steps]):
            batch = self.goal.batch(*self.data.learnt.take(rows), generator)
            raw = self.bank.forward(batch.inputs)
            self.bank.step(self.goal.losses(raw, batch), [self._rate(c, i) for c in self.courses])
            if not self.pace.stepped(left - i - 1):
                return False
        return True

    def rows_of(self, fold: int) -> int:
        """Rows that a fold learns from."""
        return self.data.learnt.lengths[fold]

    def _rate(self, course: Course, step: int) -> float:
        """The share of the full learning rate in a step of this epoch."""
        planned = (course.epoch - 1 + step / self.steps) / course.recipe["epochs"]
        return rate(course.recipe["schedule"], course.recipe["warmup"], self.pace.progress(planned, course.start))

    def _judge(self) -> None:
        """Loss on the watched slice; the best weights are kept."""
        began = time.monotonic()
        watched = self.data.watched
        count = min(watched.lengths[f] for f in self.at)
        starts = torch.tensor([[watched.starts[f]] for f in self.at])
        shown = self.bank.shown()
        with torch.no_grad():
            found = []
            for part in torch.arange(count).split(AT_ONCE):
                inputs, target = watched.take(starts + part)
                found.append(self.loss(self.bank.outputs(inputs, shown), target).mean(2))
            values = torch.cat(found, 1).mean(1).tolist()
        better = [i for i, (course, value) in enumerate(zip(self.courses, values)) if course.judge(value)]
        if better:
            self.bank.keep(shown, better)
        self.pace.judged(began)

    def _retire(self) -> None:
        """Those at their end get their best weights, and leave the bank."""
        share = self.upto.share
        done = [i for i, c in enumerate(self.courses) if c.done(share)]
        if not done:
            return
        assert self.bank.best is not None
        for i in done:
            course = self.courses[i]
            goes_on = course.stopped not in FINAL and course.epoch < course.recipe["epochs"]
            course.latest = self.bank.latest(i) if goes_on else {}
            fill(course.net.cpu(), self.bank.best.by_name(i, self.bank.layout))
        under_way = [i for i, c in enumerate(self.courses) if not c.done(share)]
        self.courses = [self.courses[i] for i in under_way]
        if self.courses:
            self.bank.select(under_way)
            self._aimed()


def batch_size(recipe: Mapping[str, Any], rows: int, halved: int = 0) -> int:
    """Rows a step: as the recipe says, but at least four steps an epoch; halved where memory ran out."""
    return max(2, min(recipe["batch_size"], rows // 4) >> halved)
