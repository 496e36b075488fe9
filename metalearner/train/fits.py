"""Fits of configs of one shape: side by side where the networks are small enough for it to pay, else one by one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import accelerator, grammar
from ..arrays import Fold, take
from ..errors import PluginError, unknown
from ..grammar.build import Net, build
from ..grammar.cost import multiply_adds
from ..kinds import Aim, Loss, Optimiser, Rung
from ..records import Config, canonical
from .bank import Bank
from .gates import gate
from .goal import ManyRows
from .loop import Course, Data, Training, batch_size
from .losses import chosen
from .model import Checkpoint, NetModel
from .optimisers import descent
from .samples import Input, Samples, as_target, inputs, split
from .single import Single
from .stack import Stack

# Where stacking stops paying, found by `benchmarks/throughput.py`: weights of one network, and multiply-adds of its
# forward pass over a batch. Beyond them one network alone keeps a core busy.
MOST_WEIGHTS, MOST_WORK = 120_000, 13_000_000
# Networks in one stack, and weights of all of them together: more gain nothing, and leave the cache.
MOST_NETWORKS, MOST_TOGETHER = 64, 1_000_000
# Training rows that parts of a network may see before it is trained.
SEEN = 2000
# Numbers in the rows of one fold, up to which several folds share a stack: it holds all of them in memory.
MOST_NUMBERS = 10_000_000
# Environment variable that overrides how many networks are trained side by side; 1 turns it off.
OVERRIDE = "METALEARNER_BATCH"


def most_networks(parameters: int) -> int:
    """The most networks of that size in one stack."""
    return max(1, min(int(os.environ.get(OVERRIDE, MOST_NETWORKS)), MOST_TOGETHER // max(1, parameters)))


def allowance() -> float | None:
    """Megabytes that this process may have, by its own limit; None when there is none."""
    try:
        import resource

        most = resource.getrlimit(resource.RLIMIT_DATA)[0]
        return None if most == resource.RLIM_INFINITY else most / 1e6
    except ImportError:  # not on this platform
        return None


def small(facts: Mapping[str, Any], rows: int = 64) -> bool:
    """Whether a network is of a size that gains by company, at so many rows in a batch."""
    return facts["parameters"] <= MOST_WEIGHTS and facts.get("multiply_adds", 0) * rows <= MOST_WORK


@dataclass
class Fits:
    """Configs of one shape to be fitted on some folds, and what they have in common."""

    configs: Sequence[Config]
    folds: Sequence[Fold]
    aim: Aim
    upto: Rung
    resume: Sequence[Path | None]

    def __post_init__(self) -> None:
        self.recipe = recipe(self.configs[0], self.aim)
        self.optimiser: Optimiser = self.aim.registry.get("optimisers", self.recipe["optimiser"])
        self.loss, self.reason = choose_loss(self.recipe["loss"], self.aim, self.folds[0].train_target)

    def run(self, deadline: float) -> Iterator[tuple[list[NetModel], dict[str, Any]]]:
        """Models of each config, one a fold, and what was learnt about its fit."""
        common = self._look()
        at = 0
        while at < len(self.configs):
            most = most_networks(common["parameters"]) if self.stackable else 1
            chunk = range(at, min(at + max(1, most // len(self.folds)), len(self.configs)))
            began = time.monotonic()
            courses = self._fitted(chunk, most, share(deadline, len(chunk), len(self.configs) - at))
            common |= {
                "stackable": self.stackable,
                "batch": len(chunk) if self.stackable else 1,
                "fit_seconds": round((time.monotonic() - began) / len(chunk), 4),
            }
            for i in chunk:
                own = [courses[i, f] for f in range(len(self.folds))]
                models = [c.model(fold.views, self.aim) for c, fold in zip(own, self.folds)]
                yield models, {**common, **summary([c.facts() for c in own])}
            at = chunk.stop

    def _look(self) -> dict[str, Any]:
        """Facts of the shape, from its first network; through the gate where one was not fitted before."""
        fold = self.folds[0]
        net = self._begin(0, fold).net
        rows = np.arange(batch_size(self.recipe, len(fold.train_target), self.upto.halved))
        batch = inputs(take(fold.train, rows), fold.views)
        if any(folder is None for folder in self.resume):
            facts = gate(net, batch, as_target(fold.train_target[rows]), self.loss, allowance())
        else:
            one: Any = [tuple(None if t is None else t[:1] for t in view) for view in batch]
            facts = {"multiply_adds": multiply_adds(net.eval(), one)}
            facts["parameters"] = sum(p.numel() for p in net.parameters())
        everywhere = list(net.named_parameters(remove_duplicate=False))
        self.stackable = (
            descent(self.optimiser) is not None
            and small(facts, len(rows))
            and all(p.requires_grad for _, p in everywhere)
            and len(everywhere) == len(list(net.parameters()))  # none is used in two places
            and all(getattr(m, "stackable", True) for m in net.modules())
        )
        self.device = "cpu" if small(facts, len(rows)) else device_for(net, batch)
        if self.device != "cpu":
            facts["device"] = self.device
        return {**facts, "loss": self.loss.name, "loss_reason": self.reason}

    def _fitted(self, chunk: range, most: int, deadline: float) -> dict[tuple[int, int], Course]:
        """Courses run to their end, by (config, fold); at most so many in one stack."""
        pairs = [(i, f) for i in chunk for f in range(len(self.folds))]
        groups: dict[Any, list[tuple[int, int]]] = {}
        for i, f in pairs:
            groups.setdefault(self._alike(f), []).append((i, f))
        parts = [group[k : k + most] for group in groups.values() for k in range(0, len(group), most)]
        found: dict[tuple[int, int], Course] = {}
        for part in parts:
            until = share(deadline, len(part), len(pairs) - len(found))
            courses = [self._begin(i, self.folds[f]) for i, f in part]
            self._train([c for c in courses if not c.done(self.upto.share)], until)
            found |= dict(zip(part, courses))
        return found

    def _alike(self, fold: int) -> tuple[Any, ...]:
        """Folds that can share a stack: the same views, and rows that fit into memory together."""
        tensors = self.folds[fold].train.values()
        large = sum(t.values.size for t in tensors) > MOST_NUMBERS
        return canonical(self.folds[fold].views), fold if large else None

    def _begin(self, i: int, fold: Fold) -> Course:
        """A fresh network, or one read back from where an earlier rung left it."""
        torch.default_generator.manual_seed(self.upto.seed * 1009 + fold.index)
        aim, config, folder = self.aim, self.configs[i], self.resume[i]
        net = build(config, fold.views, aim.output.width(aim.state), aim.registry.productions)
        course = Course(config, fold.index, recipe(config, aim), net)
        checkpoint = None if folder is None else Checkpoint.read(folder / str(fold.index))
        if checkpoint is not None:
            course.go_on(checkpoint)
        else:
            show(net, fold)
        return course

    def _train(self, courses: Sequence[Course], deadline: float) -> None:
        """Networks that may be trained as one."""
        if not courses:
            return
        folds = [f for f in self.folds if f.index in {c.fold for c in courses}]
        sides = zip(*(split(fold, self.aim.output, self.upto.seed) for fold in folds))
        learnt, watched = (Samples(side, folds[0].views) for side in sides)
        data = Data(learnt, watched, [f.index for f in folds], folds[0].views)
        loss = ManyRows(self.loss, self.aim.output.width(self.aim.state), learnt.target)
        stack = stacked(courses, self.optimiser, data, loss) if len(courses) > 1 else None
        self.stackable = self.stackable and (stack is not None or len(courses) == 1)
        parts = [courses] if stack is not None else [[c] for c in courses]
        for i, part in enumerate(parts):
            bank: Bank = stack or Single(part[0].net, part[0].recipe, self.optimiser, self.device)
            for row, course in enumerate(part):
                if course.checkpoint is not None:
                    bank.restore(row, course.checkpoint.latest, course.checkpoint.best)
            with flushed():
                Training(part, bank, data, loss, self.upto).run(share(deadline, 1, len(parts) - i))


def device_for(net: Net, batch: list[Input]) -> str:
    """Where a large network is trained: on the accelerator if there is one and the network was seen to work there."""
    device = accelerator.device()
    if device is None:
        return "cpu"
    try:
        there = deepcopy(net).to(device).train()
        few: Any = [tuple(None if t is None else t[:2].to(device) for t in view) for view in batch]
        there(few).cpu().sum().backward()
    except Exception:  # a stranger's module may hold tensors that do not move along, or know no kernel for it
        return "cpu"
    return device


def show(net: Net, fold: Fold) -> None:
    """Training rows to every part of a network that has to `see` some of its view before it can be trained."""
    for encoder, tensor in zip(net.encoders, fold.train.values()):
        for part in encoder.modules():
            see: Any = getattr(part, "see", None)
            if see is not None:
                see(np.asarray(tensor.values[:SEEN]))


@contextmanager
def flushed() -> Iterator[None]:
    """Denormal numbers count as 0 within it: a unit that died has moments of that size, and the CPU is slow with them."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def stacked(courses: Sequence[Course], optimiser: Optimiser, data: Data, loss: ManyRows) -> Stack | None:
    """The networks as a stack that was seen to work; None where it does not."""
    form = descent(optimiser)
    assert form is not None
    inputs, target = data.learnt.take(torch.zeros(len(courses), 2, dtype=torch.long))
    try:
        stack = Stack([c.net for c in courses], [c.recipe for c in courses], form)
        stack.tried(inputs, lambda raw: loss(raw, target))
    except Exception:  # a stranger's module may do anything, control flow by data above all
        return None
    return stack


def share(deadline: float, part: int, whole: int) -> float:
    """The moment at which a part of what is left to do must be done."""
    now = time.monotonic()
    return now + (deadline - now) * part / whole


def recipe(config: Config, aim: Aim) -> Mapping[str, Any]:
    """All numbers of a config's recipe."""
    node = config.parts["recipe"][0]
    return grammar.numbers(Config(node.production, node.numbers), aim.registry.productions)


def choose_loss(name: str, aim: Aim, target: np.ndarray) -> tuple[Loss, str]:
    """The named loss, or for "auto" what the output chooses by metric and target; and why. It must fit the output."""
    loss, reason = chosen(aim, target) if name == "auto" else (aim.registry.get("losses", name), "named by the recipe")
    if aim.output.name not in loss.outputs:
        fitting = [k for k, v in aim.registry.losses.items() if aim.output.name in v.outputs]
        raise PluginError(*unknown(f"loss for {aim.output.name}", name, fitting))
    return loss, reason


def summary(facts: list[dict[str, Any]]) -> dict[str, Any]:
    """Facts of the folds as one: what is equal once, the rest averaged, the first fold's curve."""
    return {
        "parameters": facts[0]["parameters"],
        "epochs": float(np.mean([f["epochs"] for f in facts])),
        "best_epoch": float(np.mean([f["best_epoch"] for f in facts])),
        "stopped": "deadline" if any(f["stopped"] == "deadline" for f in facts) else facts[0]["stopped"],
        "curve": facts[0]["curve"][:: max(1, len(facts[0]["curve"]) // 20)],
    }
