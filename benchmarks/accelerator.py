"""From which size on a graphics card pays: networks trained and pretrained backbones read, on one core and on the card.

    .venv/bin/python benchmarks/accelerator.py

Needs a card that torch can use. Each figure is the better of two fits, after one that is not counted.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from throughput import CLASSES, network, sized

from metalearner import accelerator, plugins
from metalearner.arrays import Fold, Tensor
from metalearner.kinds import Aim, Backbone, Rung
from metalearner.plugins import Registry
from metalearner.records import Axis, Config, View
from metalearner.train import fits
from metalearner.train.net import NetLearner

OUT = Path(__file__).with_suffix(".md")
ROWS, EPOCHS, BATCH, READ = 2560, 3, 64, 1024
PICTURES, TABLE = View((Axis("space", 32), Axis("space", 32)), 3), View((Axis("columns", 100),), 1)
KINDS: dict[str, tuple[str, View, tuple[int, ...]]] = {
    "ResNet, pictures of 32x32": ("resnet", PICTURES, (3_000, 10_000, 30_000, 100_000, 1_000_000)),
    "perceptron, table of 100 columns": ("mlp", TABLE, (30_000, 100_000, 300_000, 1_000_000)),
}


def main() -> None:
    """Both tables, printed and written beside this file."""
    if accelerator.device() is None:
        raise SystemExit("There is no card that torch can use here.")
    import torch

    # Everything is to be trained alone, and on the card whatever its size.
    fits.MOST_WEIGHTS = fits.MOST_WORK = 0
    registry = plugins.load()
    lines = [
        "# Where an accelerator pays", "",
        f"`.venv/bin/python benchmarks/accelerator.py`: {torch.cuda.get_device_name()}, beside one core of a machine "
        f"({platform.machine()}, {os.cpu_count()} cores). {EPOCHS} epochs of {ROWS * 17 // 20:,} rows, {BATCH} a batch.", "",
        "| network | weights | multiply-adds a row | seconds on a core | on the card | times as fast |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for title, (encoder, view, sizes) in KINDS.items():
        fold = made(view)
        for size in sizes:
            node = sized(encoder, size, fold, registry)
            (slow, facts), (fast, _) = (trained(node, fold, registry, device) for device in (None, "cuda"))
            work = f"{facts['parameters']:,} | {facts['multiply_adds']:,}"
            lines.append(f"| {title} | {work} | {slow:.2f} | {fast:.2f} | {slow / fast:.1f} |")
            print(lines[-1], flush=True)
    lines += ["", f"Reading {READ:,} rows with a pretrained backbone:", ""]
    lines += ["| backbone | seconds on a core | on the card | times as fast |", "|---|---|---|---|"]
    for backbone in (p for p in registry.productions.values() if isinstance(p, Backbone) and p.raw == "pixels"):
        slow, fast = (read(backbone, device) for device in (None, "cuda"))
        lines.append(f"| {backbone.name} | {slow:.2f} | {fast:.2f} | {slow / fast:.1f} |")
        print(lines[-1], flush=True)
    OUT.write_text("\n".join(lines) + "\n")


def made(view: View) -> Fold:
    """Rows of three classes, told apart by their projections."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, *view.shape)).astype(np.float32)
    target = (x.reshape(ROWS, -1) @ rng.normal(size=(int(np.prod(view.shape)), CLASSES))).argmax(1).astype(np.int64)
    return Fold(0, {"x": view}, {"x": Tensor(x)}, target, {"x": Tensor(x[:BATCH])}, target[:BATCH])


def trained(node: Config, fold: Fold, registry: Registry, device: str | None) -> tuple[float, dict[str, Any]]:
    """Seconds of a fit, and its facts."""
    found = accelerator.device
    accelerator.device = lambda: device  # type: ignore[assignment]
    try:
        state = {"classes": [str(i) for i in range(CLASSES)], "counts": [ROWS // CLASSES] * CLASSES}
        aim = Aim(registry.outputs["classification"], state, registry.metrics["accuracy"], registry)
        config = network(node, {"epochs": EPOCHS, "patience": 60, "batch_size": BATCH})
        took = []
        for _ in range(3):
            (one,) = NetLearner().fit([config], [fold], aim, Rung(seed=0), [None])
            took.append((float(one.facts["fit_seconds"]), dict(one.facts)))
        assert took[-1][1].get("device") == device
        return min(took[1:], key=lambda t: t[0])
    finally:
        accelerator.device = found


def read(backbone: Backbone, device: str | None) -> float:
    """Seconds of reading pictures that nobody has read, the weights in memory."""
    from metalearner_level2_transfer import reading

    found = accelerator.device
    accelerator.device = lambda: device  # type: ignore[assignment]
    try:
        took = []
        for seed in range(3):
            raw = np.random.default_rng(seed).integers(0, 256, (READ, 32, 32, 3)).astype(np.uint8)
            with tempfile.TemporaryDirectory() as home:
                os.environ["METALEARNER_HOME"] = home
                began = time.monotonic()
                numbers = {name: space.default for name, space in backbone.space().items()}
                assert reading.Reader(backbone, numbers).read([raw]).all()
                took.append(time.monotonic() - began)
                reading._stores.clear()
        return min(took[1:])
    finally:
        accelerator.device = found


if __name__ == "__main__":
    main()
