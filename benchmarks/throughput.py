"""How many configurations a core trains in a minute, side by side and one by one; and whether runs keep their promises.

    .venv/bin/python benchmarks/throughput.py                 # the curve over sizes, and where stacking stops paying
    .venv/bin/python benchmarks/throughput.py --end-to-end    # a 60 s run on a small table, batching on and off
    .venv/bin/python benchmarks/throughput.py --promises      # time to the first model, and overrun, at 10, 30 and 60 s
    .venv/bin/python benchmarks/throughput.py --hour          # the same for an hour of thousands of trials

The curve counts CPU seconds of a process with one thread: on an idle core they are wall seconds, and on a busy machine they
still compare. Batching is turned off by METALEARNER_BATCH=1 in the environment: every network is then trained alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from metalearner import plugins
from metalearner.arrays import Fold, Tensor
from metalearner.kinds import Aim, Rung
from metalearner.plugins import Registry
from metalearner.records import Axis, Config, View
from metalearner.train import fits
from metalearner.train.net import NetLearner

OUT = Path(__file__).with_suffix(".md")
BATCHES = (1, 4, 8, 16, 32)
ROWS, CLASSES = 600, 3
# What is trained: an encoder, the view it takes, the weights it is brought to by its width, and epochs of a fit.
KINDS: dict[str, tuple[str, View, tuple[int, ...], int]] = {
    "perceptron, table of 30 columns": (
        "mlp", View((Axis("columns", 30),), 1), (1_000, 3_000, 10_000, 30_000, 100_000, 300_000), 12,
    ),
    "ResNet, images of 8x8 pixels": (
        "resnet", View((Axis("space", 8), Axis("space", 8)), 1), (5_000, 10_000, 30_000, 100_000), 4,
    ),
}  # fmt: skip
# The end-to-end comparison and the promises: small tables that ship.
TABLES, BUDGETS, NETWORKS = ("wine", "penguins"), (10, 30, 60), "mlp,tabm"


def main() -> None:
    """Measure what was asked for; each part of the report is written anew and the others stay."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--end-to-end", action="store_true")
    arguments.add_argument("--promises", action="store_true")
    arguments.add_argument("--hour", action="store_true")
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    if given.end_to_end:
        write("Batching, end to end", end_to_end(given.seed))
    if given.promises:
        write("Promises", promises(TABLES, BUDGETS, given.seed))
    if given.hour:
        write("An hour", promises(TABLES[-1:], (3600,), given.seed))
    if not (given.end_to_end or given.promises or given.hour):
        write("Configurations per minute of one core", curve(given.seed))


# -- the curve -------------------------------------------------------------------------------------


def curve(seed: int) -> list[str]:
    """A table for each kind of network: configurations per minute by size and by how many are trained side by side."""
    # The limits are what is to be found here.
    fits.MOST_WEIGHTS = fits.MOST_WORK = fits.MOST_TOGETHER = 10**12
    registry, lines = plugins.load(), []
    for title, (encoder, view, sizes, epochs) in KINDS.items():
        fold = made(view, seed)
        lines += [
            f"### {title}",
            "",
            f"A configuration is {epochs} epochs of {len(fold.train_target)} rows, 64 a batch.",
            "",
        ]
        lines += [f"| weights | multiply-adds a row | {' | '.join(f'{k} together' for k in BATCHES)} | best gain |"]
        lines += ["|---" * (len(BATCHES) + 3) + "|"]
        pays = 0
        for size in sizes:
            node = sized(encoder, size, fold, registry)
            speeds, facts = measure(node, fold, epochs, registry, seed)
            gain = max(speeds) / speeds[0]
            pays = facts["parameters"] if gain >= 1.2 else pays
            cells = " | ".join(f"{s:,.0f}" for s in speeds)
            lines.append(f"| {facts['parameters']:,} | {facts['multiply_adds']:,} | {cells} | {gain:.1f}x |")
            print(lines[-1], flush=True)
        lines += ["", f"Stacking gains at least a fifth up to {pays:,} weights.", ""]
    return lines


def made(view: View, seed: int) -> Fold:
    """Rows of three classes, told apart by their projections."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, *view.shape)).astype(np.float32)
    target = (x.reshape(ROWS, -1) @ rng.normal(size=(int(np.prod(view.shape)), CLASSES))).argmax(1).astype(np.int64)
    cut = ROWS * 4 // 5
    return Fold(0, {"x": view}, {"x": Tensor(x[:cut])}, target[:cut], {"x": Tensor(x[cut:])}, target[cut:])


def network(encoder: Config, recipe: Mapping[str, Any]) -> Config:
    """The derivation of a network with one encoder."""
    return Config("net", {}, {"encoder": (encoder,), "recipe": (Config("gradient", dict(recipe)),)})


def sized(encoder: str, size: int, fold: Fold, registry: Registry) -> Config:
    """The encoder with the width that brings the network nearest to so many weights."""
    from metalearner.grammar.build import build

    def weights(numbers: Mapping[str, Any]) -> int:
        net = build(network(Config(encoder, numbers), {}), fold.views, CLASSES, registry.productions)
        return sum(p.numel() for p in net.parameters())

    width = registry.productions[encoder].space()["width"]
    base = {"depth": 1, "stages": 2} if encoder == "resnet" else {}
    if encoder == "resnet":  # its narrowest is what counts as small
        widths = sorted({width.low, *np.geomspace(width.low, width.high, 24).round().astype(int).tolist()})
    else:
        widths = list(range(width.low, width.high + 1, 4))
    best = min(widths, key=lambda w: abs(np.log(weights({**base, "width": w}) / size)))
    return Config(encoder, {**base, "width": best})


def measure(
    encoder: Config, fold: Fold, epochs: int, registry: Registry, seed: int
) -> tuple[list[float], dict[str, Any]]:
    """Configurations per minute for each number trained side by side, the better of two fits; and facts of a fit."""
    output = registry.outputs["classification"]
    state = {"classes": [str(i) for i in range(CLASSES)], "counts": [ROWS // CLASSES] * CLASSES}
    aim = Aim(output, state, registry.metrics["accuracy"], registry)
    speeds, facts = [], {}
    for together in BATCHES:
        os.environ[fits.OVERRIDE] = str(together)
        rates = np.geomspace(3e-4, 1e-2, together).tolist()
        configs = [network(encoder, {"epochs": epochs, "patience": 60, "lr": lr}) for lr in rates]
        took = []
        for attempt in range(2):
            began = time.process_time()
            for fitted in NetLearner().fit(configs, [fold], aim, Rung(seed=seed + attempt), [None] * together):
                facts = dict(fitted.facts)
            took.append(time.process_time() - began)
        assert facts["batch"] == together, f"{facts['batch']} were trained together, not {together}"
        speeds.append(60 * together / min(took))
    return speeds, facts


# -- whole runs ------------------------------------------------------------------------------------


def end_to_end(seed: int) -> list[str]:
    """How many configurations a 60 s run on a small table tries, with batching and without: as it comes, and networks alone."""
    head = (
        "| table | may be tried | with batching, networks among them | without | times as many | score with, without |"
    )
    lines = [head, "|---|---|---|---|---|---|"]
    for table in TABLES:
        for words, families in (("everything", ""), (f"{NETWORKS} alone", NETWORKS)):
            counts, scores, shown = [], [], []
            for setting in ({}, {fits.OVERRIDE: "1"}):
                found = run(table, 60, seed, setting, families)
                configs = [Config.from_json(row["config"]) for row in found["leaderboard"] if row["outcome"] == "ok"]
                counts.append(len({c.id for c in configs}))
                shown.append(f"{counts[-1]}, {len({c.id for c in configs if c.production == 'net'})}")
                scores.append(f"{found['score']['value']:.3f}")
            lines.append(
                f"| {table} | {words} | {shown[0]} | {shown[1]} | {counts[0] / counts[1]:.1f} | {', '.join(scores)} |"
            )
            print(lines[-1], flush=True)
    return [
        *lines,
        "",
        "`metalearner run TABLE --budget 60s --blind`, networks alone by `--families`; accuracy on sealed rows.",
    ]


def promises(tables: Sequence[str], budgets: Sequence[int], seed: int) -> list[str]:
    """Seconds to the first model, and to the end, for several budgets; memory of all processes together at its peak.

    Each run has a home of its own, where nothing was built or cached: as for somebody who starts the program for the first time.
    """
    lines = [
        "| source | budget | first model | run took | overrun | whole process | trials | most memory |",
        "|---" * 8 + "|",
    ]
    for source in tables:
        for budget in budgets:
            with tempfile.TemporaryDirectory() as home:
                found = run(source, budget, seed, {"METALEARNER_HOME": home})
            lines.append(
                f"| {source} | {budget} s | {found['first']:.1f} s | {found['seconds']:.1f} s "
                f"| {max(0.0, found['seconds'] / budget - 1):.1%} | {found['wall']:.1f} s "
                f"| {len(found['leaderboard']):,} | {found['memory'] / 1e6:,.0f} MB |"
            )
            print(lines[-1], flush=True)
    return lines


def run(source: str, budget: int, seed: int, setting: Mapping[str, str], families: str = "") -> dict[str, Any]:
    """One run of the command line in a process of its own: what it prints, its wall seconds, when its first model stood."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        command = [sys.executable, "-m", "metalearner", "run", source, "--budget", f"{budget}s", "--seed", str(seed),
                   "--blind", "--json", "--out", str(folder), *(["--families", families] if families else [])]  # fmt: skip
        began, memory = time.monotonic(), 0
        said, told = Path(scratch) / "said", Path(scratch) / "told"
        with said.open("w") as out, told.open("w") as err:
            process = subprocess.Popen(command, stdout=out, stderr=err, env={**os.environ, **setting})
            while process.poll() is None:
                memory = max(memory, resident(process.pid))
                time.sleep(0.2)
        wall = time.monotonic() - began
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{told.read_text()[-2000:]}")
        trials = [json.loads(file.read_text()) for file in folder.glob("trials/*/trial.json")]
        first = min(t["finished"] for t in trials if t["outcome"] == "ok")
        return {**json.loads(said.read_text()), "wall": wall, "first": first, "memory": memory}


def resident(pid: int) -> int:
    """Bytes that a process and its children hold."""
    found = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                found += one.memory_info().rss
    return found


# -- the report ------------------------------------------------------------------------------------


def write(title: str, lines: list[str]) -> None:
    """Put one part into the report."""
    text = OUT.read_text() if OUT.exists() else ""
    parts = {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in text.split("\n## ")[1:]}
    cores = f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f} at the end"
    parts[title] = "\n".join(["", f"Measured on {cores}.", "", *lines]).strip()
    body = "\n\n".join(f"## {name}\n\n{part}" for name, part in parts.items())
    OUT.write_text(
        f"# Throughput\n\n`.venv/bin/python benchmarks/throughput.py`; `--end-to-end`; `--promises`; `--hour`\n\n{body}\n"
    )
    print(f"written to {OUT}")


if __name__ == "__main__":
    main()
