"""Does composing networks pay where nothing is known of a whole modality? A protocol that was fixed before it was run.

    .venv/bin/python benchmarks/invention.py [--jobs 2]     # some hours; it may be cut off and started again
    .venv/bin/python benchmarks/invention.py --table        # print the table of what there is

All records of signals are taken from the base and from library learning. Eight tasks of signals, four sensors with a truth that was
planted (inventions/sensors.py) and four real ones, five seeds, each arm 60 s on one core, scores on sealed rows:

- catalogue + TPE: named families alone, Bayesian search, nothing known;
- catalogue + meta: named families alone, with what the base knows of other modalities;
- uniform grammar: networks derived by chance alone;
- all of it: families, the base, composed networks and the library, as a run does by itself;
- the swap: the best composed network of "all of it" against itself with each novel block replaced by its nearest of the
  catalogue, five fits of 30 s each on the same rows and folds. A block is novel when nothing in the catalogue looks like it two
  levels deep.

Claims: composing pays on a task where "all of it" beats both catalogues, with the interval of the paired difference clear of
zero; a novel block is worth its place where its network beats the swapped one in the same way. Whatever comes out is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from inventions import arms, sensors

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "invention.jsonl"
REAL = ("spoken-digits", "hand-signs", "pickup-gesture", "japanese-vowels")
SEEDS, SECONDS, DRAWS = 5, 60.0, 10_000


def main() -> None:
    """Run what is missing, show."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--table", action="store_true", help="only print and write the table of what there is")
    arguments.add_argument("--jobs", type=int, default=1, help="at once, each on a core of its own")
    arguments.add_argument("--only", default="", help="tasks, separated by commas")
    given = arguments.parse_args()
    names = given.only.split(",") if given.only else [*sensors.SENSORS, *REAL]
    if not given.table:
        there = {(line["task"], line["arm"], line["seed"]) for line in read()}
        wanted = [
            (name, arm, seed)
            for seed in range(SEEDS)
            for name in names
            for arm in arms.ARMS
            if (name, arm, seed) not in there
        ]
        print(f"{len(wanted)} runs to do, {len(there)} there", flush=True)
        measure(wanted, given.jobs)
    text = report(read())
    (HERE / "invention.md").write_text(text)
    print(text)


def measure(wanted: list[tuple[str, str, int]], jobs: int) -> None:
    """Each run as a process of its own; its line is written when it is there."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    RESULTS.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sensors-") as scratch:
        sources = {name: str(sensors.write(name, Path(scratch))) for name in sensors.SENSORS} | {n: n for n in REAL}
        pools = [ProcessPoolExecutor(1, get_context("spawn")) for _ in range(jobs)]
        waiting = {
            pools[n % jobs].submit(arms.search, sources[name], arm, seed, SECONDS, cores[n % jobs]): (name, arm, seed)
            for n, (name, arm, seed) in enumerate(wanted)
        }
        for n, future in enumerate(as_completed(waiting), 1):
            name, arm, seed = waiting[future]
            line = future.result() | {"task": name}
            with RESULTS.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(f"{n}/{len(wanted)} {name} {arm} seed {seed}: {line['score']:.4f}", flush=True)


def read() -> list[dict[str, Any]]:
    """The lines there are."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def report(lines: list[dict[str, Any]]) -> str:
    """Scores by task and arm, differences of all of it to the others, swaps."""
    head = "| task | " + " | ".join(arms.ARMS) + " | best composed, best named (skill) |"
    text = [
        "# Composing networks for a modality that nothing is known of", "",
        "Made by `.venv/bin/python benchmarks/invention.py`, whose head is the protocol. Mean and standard deviation over seeds.",
        "", head, "|---|" + "---|" * (len(arms.ARMS) + 1),
    ]  # fmt: skip
    tasks = list(dict.fromkeys(line["task"] for line in lines))
    for task in tasks:
        cells = []
        for arm in arms.ARMS:
            scores = [line["score"] for line in lines if (line["task"], line["arm"]) == (task, arm)]
            cells.append(f"{np.mean(scores):.3f} ± {np.std(scores):.3f}" if scores else "")
        own = [r for r in lines if (r["task"], r["arm"]) == (task, arms.ALL)]
        skills = [
            np.mean(known) if (known := [r[k] for r in own if r[k] is not None]) else np.nan
            for k in ("invented", "catalogue")
        ]
        text.append(f"| {task} | " + " | ".join(cells) + f" | {skills[0]:.3f}, {skills[1]:.3f} |")
    means = [
        np.mean([np.mean([r["score"] for r in lines if (r["task"], r["arm"]) == (t, a)]) for t in tasks])
        for a in arms.ARMS
    ]
    text.append("| mean over tasks | " + " | ".join(f"{m:.3f}" for m in means) + " | |")
    text += ["", f"{arms.ALL} less the others, paired by task and seed, 95 % bootstrap over tasks:", ""]
    for other in arms.ARMS[:-1]:
        gaps = [found for task in tasks if (found := paired(lines, task, other))]
        if gaps:
            mean, low, high = interval([float(np.mean(g)) for g in gaps])
            text.append(f"- {other}: {mean:+.3f} [{low:+.3f}, {high:+.3f}] over {len(gaps)} tasks")
    text += ["", f"{arms.ALL} less a catalogue, task by task, 95 % bootstrap over seeds:", ""]
    text += ["| task | " + " | ".join(arms.ARMS[:2]) + " | pays |", "|---|---|---|---|"]
    for task in tasks:
        found = [interval(gaps) for other in arms.ARMS[:2] if (gaps := paired(lines, task, other))]
        cells = [f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]" for mean, low, high in found]
        text.append(
            f"| {task} | " + " | ".join(cells) + f" | {'yes' if all(low > 0 for _, low, _ in found) else 'no'} |"
        )
    own = [r for r in lines if r["arm"] == arms.ALL]
    fitted = sum(r["invented"] is not None for r in own)
    text += ["", f"In {fitted} of {len(own)} runs of {arms.ALL} a composed network was fitted in full.", ""]
    text += [
        "| task | swaps | novel, skill | swapped, skill | difference, 95 % over fits | an example |",
        "|---|---|---|---|---|---|",
    ]
    for task in tasks:
        swaps = [r["swap"] for r in lines if r["task"] == task and r.get("swap")]
        pairs = [(a, b) for s in swaps for a, b in zip(s["novel"], s["swapped"]) if a is not None and b is not None]
        if pairs:
            novel, other = np.array(pairs).T
            mean, low, high = interval(list(novel - other))
            shown = swaps[0]["blocks"][0]
            text.append(
                f"| {task} | {len(swaps)} | {novel.mean():.3f} | {other.mean():.3f} | {mean:+.3f} [{low:+.3f}, {high:+.3f}] | {shown} |"
            )
    return "\n".join(text) + "\n"


def paired(lines: list[dict[str, Any]], task: str, other: str) -> list[float]:
    """Differences of all of it to another arm on the seeds that both have."""
    scores = {(r["arm"], r["seed"]): r["score"] for r in lines if r["task"] == task}
    return [
        scores[arms.ALL, s] - scores[other, s] for s in range(SEEDS) if (arms.ALL, s) in scores and (other, s) in scores
    ]


def interval(values: list[float]) -> tuple[float, float, float]:
    """Mean with its 95 % bootstrap interval."""
    found = np.array(values)
    means = found[np.random.default_rng(0).integers(len(found), size=(DRAWS, len(found)))].mean(axis=1)
    return float(found.mean()), *map(float, np.quantile(means, [0.025, 0.975]))


if __name__ == "__main__":
    main()
