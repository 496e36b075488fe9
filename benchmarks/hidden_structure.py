"""A table that is a picture: digits as 64 anonymous columns, with the probe that finds it and with that probe silent.

    .venv/bin/python benchmarks/hidden_structure.py [--budget 30s] [--seeds 10] [--jobs 2]

Both runs of a seed have the same rows, seconds and core. Past runs on the same data are forgotten (--blind).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "hidden_structure.jsonl"
DRAWS = 10_000


def digits(folder: Path, shuffled: bool) -> Path:
    """scikit-learn's digits as a CSV whose columns have no names that tell; in their order, or in any."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(64) if shuffled else np.arange(64)
    frame = pd.DataFrame(x[:, order], columns=[f"x{i}" for i in range(64)])
    frame.assign(target=[f"class-{v}" for v in y]).to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


class Silent:
    """A probe that keeps to itself what it says of hidden pictures."""

    def __init__(self, probe: Any, hidden: tuple[str, ...]) -> None:
        self.probe, self.hidden = probe, hidden

    def __getattr__(self, name: str) -> Any:
        return getattr(self.probe, name)

    def measure(self, *args: Any) -> dict[str, float | None]:
        return {k: None if k.startswith(self.hidden) else v for k, v in self.probe.measure(*args).items()}


def search(seed: int, core: int, seconds: float, shuffled: bool) -> list[dict[str, Any]]:
    """Both runs of one seed, one after the other on one core."""
    from metalearner import plugins
    from metalearner.request import Request
    from metalearner.run import run
    from metalearner.search import Budget
    from metalearner.task import Wish

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    plain = plugins.load()
    silenced = {name: Silent(plain.probes[name], ("folded", "recovered")) for name in ("order", "topology")}
    silent = replace(plain, probes={**plain.probes, **silenced})
    lines = []
    with tempfile.TemporaryDirectory(prefix="hidden-") as scratch:
        source = digits(Path(scratch), shuffled)
        for name, registry in (("on", plain), ("off", silent)):
            request = Request(str(source), Wish("which class is it?", "target"), Budget(seconds), Path(scratch) / name,
                              seed=seed, blind=True, workers=1)  # fmt: skip
            found = run(request, registry)
            weights = found.leaderboard().query("weight > 0").groupby("family")["weight"].sum()
            lines.append({"seed": seed, "probe": name, "shuffled": shuffled, "seconds": seconds,
                          "score": found.scorecard.value, "ensemble": weights.round(3).to_dict()})  # fmt: skip
    return lines


def table(lines: list[dict[str, Any]], seconds: float) -> str:
    """Mean scores and the paired difference."""
    text = [
        "# A table that is a picture", "",
        f"Made by `.venv/bin/python benchmarks/hidden_structure.py`: accuracy on sealed rows, {seconds:g} s on one core each.", "",
        "| columns | seeds | probe on | probe off | paired difference, 95 % bootstrap over seeds |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for shuffled, words in ((False, "in their order"), (True, "shuffled")):
        scores = {
            (r["seed"], r["probe"]): r["score"] for r in lines if (r["shuffled"], r["seconds"]) == (shuffled, seconds)
        }
        seeds = sorted({s for s, _ in scores if (s, "on") in scores and (s, "off") in scores})
        if not seeds:
            continue
        on, off = (np.array([scores[s, p] for s in seeds]) for p in ("on", "off"))
        rng = np.random.default_rng(0)
        low, high = np.quantile(
            (on - off)[rng.integers(len(seeds), size=(DRAWS, len(seeds)))].mean(axis=1), [0.025, 0.975]
        )
        text.append(
            f"| {words} | {len(seeds)} | {on.mean():.4f} | {off.mean():.4f} | {(on - off).mean():+.4f} [{low:+.4f}, {high:+.4f}] |"
        )
    return "\n".join(text) + "\n"


def main() -> None:
    """Search, show."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--budget", default="30s")
    arguments.add_argument("--seeds", type=int, default=10)
    arguments.add_argument("--jobs", type=int, default=1, help="at once, each on a core of its own")
    given = arguments.parse_args()
    from metalearner.request import parse_budget

    seconds = parse_budget(given.budget).seconds or 30.0
    lines = [json.loads(r) for r in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    there = {(r["seed"], r["shuffled"]) for r in lines if r["seconds"] == seconds}
    wanted = [(s, shuffled) for shuffled in (False, True) for s in range(given.seeds) if (s, shuffled) not in there]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    context = get_context("spawn")
    pools = [ProcessPoolExecutor(1, context) for _ in range(given.jobs)]
    waiting = [
        pools[n % given.jobs].submit(search, seed, cores[n % given.jobs], seconds, shuffled)
        for n, (seed, shuffled) in enumerate(wanted)
    ]
    RESULTS.parent.mkdir(exist_ok=True)
    for future in waiting:
        found = future.result()
        lines += found
        with RESULTS.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in found)
        print(" ".join(f"{r['probe']} {r['score']:.4f}" for r in found), f"seed {found[0]['seed']}", flush=True)
    text = table(lines, seconds)
    (HERE / "hidden_structure.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
