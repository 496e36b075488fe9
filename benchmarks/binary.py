"""Binary networks: how near the kernels come to what the machine can do, and what whole networks gain and lose.

    .venv/bin/python benchmarks/binary.py --kernels               # a minute, on idle cores
    .venv/bin/python benchmarks/binary.py --networks --jobs 2     # hours; it may be cut off and started again
    .venv/bin/python benchmarks/binary.py --table                 # write binary.md from what there is

Kernels: products of signs against torch's float32 in the same process, on one thread and all, for each instruction set, and
against the innermost kernel alone on data in the first cache. Networks: a binary ResNet and its float twin, which has the
same blocks with plain convolutions, trained for equally many epochs on the same rows; both deployed, one row at a time on one
thread: the binary one as a program, the twin in ONNX Runtime.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "binary.jsonl"
SEEDS = (0, 1, 2)
EPOCHS = 40
WIDTH, DEPTH, STAGES = 64, 2, 3
WIDTHS = "64-128-256"
# What is trained: a recipe that suits the net; the blocks are the same.
RECIPE = {
    "epochs": EPOCHS,
    "lr": 2e-3,
    "batch_size": 64,
    "schedule": "cosine",
    "warmup": 0.02,
    "patience": 60,
    "augment": 0.2,
}
NETS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "binary": ("binary-resnet", {"width": WIDTH, "depth": DEPTH, "stages": STAGES}, {"weight_decay": 1e-6}),
    "float": ("resnet", {"width": WIDTH, "depth": DEPTH // 2, "stages": STAGES}, {"weight_decay": 1e-2}),
}
SERIES_TWIN = "resnet-1d"
SETS = ("fashion", "cifar10", "spoken-digits")
# (rows, outputs, signs) of products; convolutions as (height, width, channels, outputs) of 3 x 3.
PRODUCTS = ((1024, 1024, 4096), (1024, 1024, 1024), (64, 1024, 1024), (1, 1024, 4096))
CONVOLUTIONS = ((56, 56, 64, 64), (28, 28, 128, 128), (14, 14, 256, 256), (7, 7, 512, 512), (14, 14, 64, 64))


def main() -> None:
    """Measure what was asked for, write the tables."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kernels", action="store_true")
    arguments.add_argument("--networks", action="store_true")
    arguments.add_argument("--table", action="store_true", help="only write the tables of the results there are")
    arguments.add_argument("--jobs", type=int, default=1, help="at once, each on a core of its own")
    arguments.add_argument("--only", default=",".join(SETS))
    given = arguments.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    if given.kernels:
        keep([{"what": "kernel", **row} for row in kernels()], lambda old: old["what"] == "kernel")
    if given.networks:
        networks(given.only.split(","), given.jobs)
    (HERE / "binary.md").write_text(text := table(read()))
    print(text)


def read() -> list[dict[str, Any]]:
    """The results there are."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def keep(rows: list[dict[str, Any]], instead: Callable[[Mapping[str, Any]], bool] = lambda old: False) -> None:
    """Add rows, in place of those that `instead` names."""
    kept = [old for old in read() if not instead(old)]
    RESULTS.write_text("".join(json.dumps(row) + "\n" for row in [*kept, *rows]))


# -- kernels ---------------------------------------------------------------------------------------


def kernels() -> list[dict[str, Any]]:
    """Billions of sign products a second, for each shape, set and number of threads, beside torch's float32."""
    import torch
    from metalearner_level0_custom_ops import library, signs

    found = library.kernels()
    if found is None:
        raise SystemExit("No kernels were compiled here: metalearner doctor says why.")
    rng, rows = np.random.default_rng(0), []
    best = found.signs_set()
    many = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for chosen in range(best, -1, -1):
        found.signs_choose(chosen)
        name = library.SETS[chosen]
        limit = burned(found, rng)
        for m, n, k in PRODUCTS:
            a, b = (rng.normal(size=(size, k)).astype(np.float32) for size in (m, n))
            packed, laid = signs.pack(a)[:, 0], signs.panels(signs.pack(b)[:, 0])
            for threads in (1, many):
                ours = quickest(lambda: signs.multiply(packed, laid, n, k, signs.Then(), threads))  # noqa: B023
                torch.set_num_threads(threads)
                x, y = torch.from_numpy(a), torch.from_numpy(b).T.contiguous()
                theirs = quickest(lambda: x @ y)  # noqa: B023
                rows.append({"shape": f"{m} x {n} x {k}", "set": name, "threads": threads, "work": m * n * k,
                             "ours": ours, "torch": theirs, "limit": limit})  # fmt: skip
        for height, width, c, o in CONVOLUTIONS:
            x = rng.normal(size=(1, height, width, c)).astype(np.float32)
            w = rng.normal(size=(o, 3, 3, c)).astype(np.float32)
            how = signs.Convolution(c, o, (3, 3), pad=(1, 1))
            packed, laid = signs.pack(x), [signs.panels(signs.pack(w).reshape(o, -1))]
            ours = quickest(lambda: signs.convolve(packed, laid, how, signs.Then()))  # noqa: B023
            torch.set_num_threads(1)
            image = torch.from_numpy(x).permute(0, 3, 1, 2)
            filters = torch.from_numpy(w).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
            with torch.inference_mode():
                theirs = quickest(lambda: torch.nn.functional.conv2d(image, filters, padding=1))  # noqa: B023
            rows.append({"shape": f"{height} x {width} x {c}, 3 x 3 to {o}", "set": name, "threads": 1,
                         "work": height * width * 9 * c * o, "ours": ours, "torch": theirs, "limit": limit})  # fmt: skip
    found.signs_choose(best)
    return rows


def burned(found: Any, rng: np.random.Generator) -> float:
    """Sign products a second of the innermost kernel alone: 8 rows by 8 outputs of 4,096 signs, all in the first cache."""
    words, times = 64, 2000
    a = rng.integers(0, 1 << 62, (8, words)).astype(np.uint64)
    panel = rng.integers(0, 1 << 62, (words, 8)).astype(np.uint64)
    counts = np.zeros(64, np.int32)
    each = quickest(lambda: found.signs_burn(a.ctypes.data, panel.ctypes.data, words, times, counts.ctypes.data))
    return times * 64 * 64 * words / each


def quickest(call: Callable[[], Any], seconds: float = 0.4) -> float:
    """The least seconds of a call, as often as fits into the time."""
    call()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - began)
    return best


# -- networks --------------------------------------------------------------------------------------


def networks(names: list[str], jobs: int) -> None:
    """Every net on every set with every seed, each on a core of its own."""
    done = {(r["set"], r["net"], r["seed"]) for r in read() if r["what"] == "network"}
    wanted = [(s, n, seed) for s in names for seed in SEEDS for n in NETS if (s, n, seed) not in done]
    context = get_context("spawn")
    free = context.Queue()
    for core in sorted(os.sched_getaffinity(0))[:jobs] if hasattr(os, "sched_getaffinity") else range(jobs):
        free.put(core)
    with ProcessPoolExecutor(jobs, context, initializer=_pin, initargs=(free,)) as pool:
        for future in as_completed([pool.submit(network, *one) for one in wanted]):
            keep([future.result()])
            print(future.result(), flush=True)


def _pin(free: Any) -> None:
    core = free.get()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def network(name: str, net: str, seed: int) -> dict[str, Any]:
    """Train one on four fifths of the training rows, deploy it, score it on the sealed test."""
    import sys

    sys.path.insert(0, str(HERE / "rivals"))
    import sets
    import torch

    from metalearner import plugins
    from metalearner.arrays import Fields
    from metalearner.data import read as read_data
    from metalearner.deploy.portable import Export
    from metalearner.deploy.weigh import weigh
    from metalearner.events import Story
    from metalearner.kinds import Rung
    from metalearner.request import Request
    from metalearner.sources import find
    from metalearner.steps.understand import formulate_and_prepare
    from metalearner.task import Wish

    torch.set_num_threads(1)
    registry = plugins.load()
    with tempfile.TemporaryDirectory() as scratch:
        cut = sets.cut(sets.SETS[name], seed, Path(scratch))
        source = find(str(Path(scratch) / cut.train))
        reading = read_data(source.source, registry.modalities)
        request = Request(source.source, Wish(cut.sentence, cut.target), test="none", seed=seed)
        setting, _ = formulate_and_prepare(
            request, source, reading, registry, Path(scratch), Story(Path(scratch) / "e")
        )
        dataset, transform, aim = setting.dataset, setting.transform, setting.aim
        fold = dataset.fold(0, transform)
        config = derivation(net, fold.views, registry)
        learner = registry.get("learners", "net")
        began = time.process_time()
        fitted = next(iter(learner.fit([config], [fold], aim, Rung(threads=1, seed=seed), [None])))
        trained = time.process_time() - began
        model = fitted.models[0]
        fields = Fields.concat(
            list(setting.modality.decode(str(Path(scratch) / cut.test), dataset.schema.without(cut.target)))
        )
        rows = transform.apply(dataset.transform_state(0, transform), fields)
        said = model.predict(rows)
        classes = np.array([str(c) for c in dataset.state["classes"]])
        accuracy = float(np.mean(classes[said.argmax(1)] == cut.truth.astype(str)))
        few = {n: t.take(np.arange(64)) for n, t in rows.items()}
        weight = weigh(model, learner, aim, Export("", model, fold.views, few, registry.forms))
        own = [(p.numel(), getattr(p, "bits", 32)) for p in model.net.parameters()]
    return {"what": "network", "set": name, "net": net, "seed": seed, "accuracy": accuracy, "rows": len(said),
            "trained_on": len(fold.train_target), "cpu_seconds": round(trained, 1), **weight,
            "weights": sum(n for n, _ in own), "binary_weights": sum(n for n, bits in own if bits == 1)}  # fmt: skip


def derivation(net: str, views: Mapping[str, Any], registry: Any) -> Any:
    """The whole network with every number."""
    from metalearner import grammar
    from metalearner.records import Config

    encoder, numbers, recipe = NETS[net]
    (view,) = views.values()
    if net == "float" and len(view.axes) == 1:
        encoder, numbers = (
            SERIES_TWIN,
            {k: v for k, v in numbers.items() if k in registry.productions[SERIES_TWIN].space()},
        )
    parts = {"encoder": (Config(encoder, numbers),), "recipe": (Config("gradient", {**RECIPE, **recipe}),)}
    return grammar.complete(Config("net", {}, parts), registry.productions)


# -- tables ----------------------------------------------------------------------------------------


def table(rows: list[dict[str, Any]]) -> str:
    """All of it as Markdown."""
    lines = [
        "# Binary networks",
        "",
        "Made by `.venv/bin/python benchmarks/binary.py`; the quickest of many repetitions.",
        "",
    ]
    measured = [r for r in rows if r["what"] == "kernel"]
    if measured:
        lines += [
            "## Products of signs",
            "",
            "Billions of products with their additions a second. The limit is the innermost kernel alone, one thread.",
            "",
        ]
        lines += [
            "| shape | set | threads | torch float32 | signs | times torch | of the limit |",
            "|---|---|---|---|---|---|---|",
        ]
    for r in measured:
        ours, theirs = (r["work"] / r[k] / 1e9 for k in ("ours", "torch"))
        share = f"{ours * 1e9 / r['limit']:.0%}" if r["threads"] == 1 else ""
        lines.append(
            f"| {r['shape']} | {r['set']} | {r['threads']} | {theirs:,.0f} | {ours:,.0f} | {ours / theirs:.1f} | {share} |"
        )
    trained = [r for r in rows if r["what"] == "network"]
    if trained:
        lines += [
            "",
            "## Whole networks",
            "",
            f"Widths {WIDTHS}, {EPOCHS} epochs at most, mean over seeds (least to most); a row alone on one thread.",
            "",
        ]
        lines += [
            "| set | net | seeds | accuracy | bytes | a row | CPU seconds of training |",
            "|---|---|---|---|---|---|---|",
        ]
    for name in dict.fromkeys(r["set"] for r in trained):
        for net in NETS:
            some = [r for r in trained if r["set"] == name and r["net"] == net]
            if some:
                a = [r["accuracy"] for r in some]
                size, alone, cpu = (np.mean([r[k] for r in some]) for k in ("bytes", "alone", "cpu_seconds"))
                spread = f"{np.mean(a):.4f} ({min(a):.4f} to {max(a):.4f})"
                form = some[0]["form"] or "torch"
                row = f"| {name} | {net} ({form}) | {len(some)} | {spread} | {size / 1e3:,.0f} kB | {alone * 1e3:.3f} ms | {cpu:,.0f} |"
                lines.append(row)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
