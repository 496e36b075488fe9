"""The one training loop, and the model it leaves."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from .. import grammar
from ..arrays import Fold, Tensors, rows_of, take
from ..errors import PluginError, unknown
from ..grammar.build import Net, build
from ..kinds import Aim, Loss, Model, Output, Rung
from ..records import Config, View, plain

# The slice of a fold's training rows that early stopping looks at.
WATCHED = 0.15


@dataclass
class NetModel(Model):
    """A trained network. Its checkpoint carries the optimiser too, so that a higher rung can go on."""

    net: Net
    config: Config
    views: Mapping[str, View]
    aim: Aim
    optimiser: Mapping[str, torch.Tensor] = field(default_factory=dict)
    progress: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, tensors: Tensors) -> np.ndarray:
        """Members' predictions averaged, in batches of 512."""
        rows = rows_of(tensors)
        found = []
        self.net.eval()
        with torch.inference_mode():
            for start in range(0, max(rows, 1), 512):
                batch = take(tensors, np.arange(start, min(start + 512, rows)))
                raw = self.net(inputs(batch, self.views)).double().numpy()  # (B, members, width)
                found.append(
                    self.aim.output.merge(
                        [self.aim.output.activate(self.aim.state, raw[:, m]) for m in range(raw.shape[1])],
                        [1 / raw.shape[1]] * raw.shape[1],
                    )
                )
        return np.concatenate(found)

    def save(self, folder: Path) -> None:
        """Weights and optimiser state as safetensors, the rest as JSON."""
        save_file(
            {k: v.detach().contiguous() for k, v in self.net.state_dict().items()}, folder / "weights.safetensors"
        )
        if self.optimiser:
            save_file(dict(self.optimiser), folder / "optimiser.safetensors")
        about = {"config": self.config, "views": self.views, "progress": self.progress}
        (folder / "net.json").write_text(json.dumps(plain(about)))

    def export(self, views: Mapping[str, View]) -> bytes | None:
        """ONNX of the network and the output's activation."""
        from .portable import to_onnx

        return to_onnx(self.net, self.views, self.aim)


@dataclass
class Training:
    """One network on one fold, from wherever it stands to the rung."""

    net: Net
    config: Config
    views: Mapping[str, View]
    recipe: Mapping[str, Any]
    optimiser: torch.optim.Optimizer
    generator: torch.Generator
    epoch: int = 0
    best: float = math.inf
    best_epoch: int = 0
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    curve: list[float] = field(default_factory=list)
    stopped: str = ""

    @classmethod
    def begin(cls, config: Config, fold: Fold, aim: Aim, upto: Rung, resume: Path | None) -> Training:
        """A fresh network, or one read back from where an earlier rung left it."""
        torch.manual_seed(upto.seed * 1009 + fold.index)
        registry = aim.registry
        net = build(config, fold.views, aim.output.width(aim.state), registry.productions)
        node = config.parts["recipe"][0]
        recipe = grammar.numbers(Config(node.production, node.numbers), registry.productions)
        chosen = registry.get("optimisers", recipe["optimiser"])
        decayed = [p for p in net.parameters() if p.requires_grad]
        optimiser = chosen.build(decayed, recipe["lr"], recipe["weight_decay"])
        self = cls(
            net, config, fold.views, recipe, optimiser, torch.Generator().manual_seed(upto.seed * 31 + fold.index)
        )
        if resume is not None and (resume / "optimiser.safetensors").exists():
            self._restore(resume)
        return self

    def run(self, fold: Fold, aim: Aim, upto: Rung, deadline: float) -> None:
        """Epoch after epoch until the rung, the deadline, or patience ends."""
        train, watched = watch_split(fold, aim.output, upto.seed)
        data = Batches(take(fold.train, train), fold.train_target[train], self.views)
        kept = Batches(take(fold.train, watched), fold.train_target[watched], self.views)
        loss = choose_loss(self.recipe["loss"], aim)
        last = max(1, math.ceil(upto.share * self.recipe["epochs"]))
        while self.epoch < last and not self.stopped:
            self.epoch += 1
            if not self._epoch(data, loss, deadline):
                self.stopped = "deadline"
            self._judge(kept, loss)
            if not math.isfinite(self.curve[-1]):
                self.stopped = "diverged"
            elif self.epoch - self.best_epoch >= self.recipe["patience"]:
                self.stopped = "patience"

    def _epoch(self, data: Batches, loss: Loss, deadline: float) -> bool:
        """One pass; False when the deadline came first."""
        self.net.train()
        size = min(self.recipe["batch_size"], max(2, len(data) // 4))
        order = torch.randperm(len(data), generator=self.generator)
        batches = [b for b in order.split(size) if len(b) > 1]  # batch norm cannot see a spread in one row
        for i, rows in enumerate(batches):
            self._set_rate((self.epoch - 1 + i / len(batches)) / self.recipe["epochs"])
            raw = self.net(data.inputs(rows))  # (B, members, width)
            total = torch.stack([loss(raw[:, m], data.target[rows]).mean() for m in range(raw.shape[1])]).sum()
            if self.recipe["label_smoothing"] and loss.smooths:
                smooth = -raw.log_softmax(-1).mean(dim=(0, 2)).sum()
                total = (1 - self.recipe["label_smoothing"]) * total + self.recipe["label_smoothing"] * smooth
            self.optimiser.zero_grad(set_to_none=True)
            total.backward()
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0 * raw.shape[1])
            self.optimiser.step()
            if time.monotonic() > deadline:
                return False
        return True

    def _judge(self, kept: Batches, loss: Loss) -> None:
        """Loss on the watched slice; the best weights are kept."""
        self.net.eval()
        with torch.inference_mode():
            parts = []
            for rows in torch.arange(len(kept)).split(512):
                raw = self.net(kept.inputs(rows))
                parts += [loss(raw[:, m], kept.target[rows]) for m in range(raw.shape[1])]
            value = float(torch.cat(parts).mean())
        self.curve.append(value)
        if value < self.best or not self.best_weights:
            self.best, self.best_epoch = value, self.epoch
            self.best_weights = {k: v.detach().clone() for k, v in self.net.state_dict().items()}

    def _set_rate(self, progress: float) -> None:
        """Learning rate for a progress of 0..1 over the full length."""
        factor = rate(self.recipe["schedule"], self.recipe["warmup"], progress)
        for group in self.optimiser.param_groups:
            group.setdefault("full_rate", group["lr"])
            group["lr"] = group["full_rate"] * factor

    def model(self, aim: Aim) -> NetModel:
        """The best weights so far; the latest ones and the optimiser go into the checkpoint."""
        latest = {f"net/{k}": v.detach().clone().contiguous() for k, v in self.net.state_dict().items()}
        for i, state in self.optimiser.state_dict()["state"].items():
            kept = {k: torch.as_tensor(v) for k, v in state.items() if v is not None}
            latest |= {f"optimiser/{i}/{k}": v.clone().contiguous() for k, v in kept.items()}
        progress = {"epoch": self.epoch, "best": self.best, "best_epoch": self.best_epoch, "curve": self.curve}
        self.net.load_state_dict(self.best_weights)
        return NetModel(self.net.eval(), self.config, self.views, aim, latest, progress)

    def _restore(self, folder: Path) -> None:
        stored = load_file(folder / "optimiser.safetensors")
        self.best_weights = load_file(folder / "weights.safetensors")
        self.net.load_state_dict({k.removeprefix("net/"): v for k, v in stored.items() if k.startswith("net/")})
        state = self.optimiser.state_dict()
        states: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in stored.items():
            if key.startswith("optimiser/"):
                _, index, name = key.split("/")
                states.setdefault(int(index), {})[name] = value
        state["state"] = states
        self.optimiser.load_state_dict(state)
        progress = json.loads((folder / "net.json").read_text())["progress"]
        self.epoch, self.best_epoch = progress["epoch"], progress["best_epoch"]
        self.best = math.inf if progress["best"] is None else progress["best"]
        self.curve = list(progress["curve"])

    def facts(self) -> dict[str, Any]:
        """What is worth remembering of this fit."""
        return {
            "parameters": sum(p.numel() for p in self.net.parameters()),
            "epochs": self.epoch,
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
            "curve": [round(v, 5) for v in self.curve],
        }


class Batches:
    """Tensors and target as torch, indexable by row."""

    def __init__(self, tensors: Tensors, target: np.ndarray, views: Mapping[str, View]) -> None:
        self.views = inputs(tensors, views)
        self.target = torch.from_numpy(np.asarray(target).astype(np.int64 if target.dtype.kind == "i" else np.float32))

    def __len__(self) -> int:
        return len(self.target)

    def inputs(self, rows: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]]:
        """(values, codes, mask) of each view for these rows."""
        return [tuple(None if t is None else t[rows] for t in view) for view in self.views]  # type: ignore[misc]


def inputs(
    tensors: Tensors, views: Mapping[str, View]
) -> list[tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]]:
    """NumPy tensors to torch, in the order of the views."""
    found = []
    for name in views:
        t = tensors[name]
        found.append(
            (
                torch.from_numpy(np.ascontiguousarray(t.values, np.float32)),
                None if t.codes is None else torch.from_numpy(np.ascontiguousarray(t.codes)),
                None if t.mask is None else torch.from_numpy(np.ascontiguousarray(t.mask)),
            )
        )
    return found


def rate(schedule: str, warmup: float, progress: float) -> float:
    """Share of the full learning rate at a progress of 0..1.

    >>> [round(rate("cosine", 0.1, p), 2) for p in (0.0, 0.1, 0.55, 1.0)]
    [0.05, 1.0, 0.51, 0.01]
    """
    if schedule == "one-cycle":
        warmup = 0.3
    if progress < warmup:
        return 0.05 + 0.95 * progress / warmup
    if schedule == "constant":
        return 1.0
    through = min(1.0, (progress - warmup) / max(1e-9, 1 - warmup))
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * through))


def choose_loss(name: str, aim: Aim) -> Loss:
    """The named loss, or the output's own for "auto"; it must fit the output."""
    loss = aim.registry.get("losses", aim.output.losses[0] if name == "auto" else name)
    if aim.output.name not in loss.outputs:
        fitting = [k for k, v in aim.registry.losses.items() if aim.output.name in v.outputs]
        raise PluginError(*unknown(f"loss for {aim.output.name}", name, fitting))
    return loss


def watch_split(fold: Fold, output: Output, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut the slice early stopping watches out of a fold's training rows, stratum by stratum."""
    rng = np.random.default_rng([seed, fold.index])
    strata = output.strata(fold.train_target)
    watched: list[np.ndarray] = []
    for s in np.unique(strata):
        rows = rng.permutation(np.flatnonzero(strata == s))
        watched.append(rows[: round(WATCHED * len(rows))])
    slice_ = np.sort(np.concatenate(watched))
    if len(slice_) < 4:
        slice_ = np.sort(rng.permutation(len(strata))[: max(1, len(strata) // 6)])
    return np.setdiff1d(np.arange(len(strata)), slice_), slice_
