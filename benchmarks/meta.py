"""What the meta-model is worth: 20 groups of data sets that nothing was trained on are searched for real.

    .venv/bin/python benchmarks/meta.py [--jobs 2]     # some hours; it may be cut off and started again
    .venv/bin/python benchmarks/meta.py --table        # print the tables of what there is
    .venv/bin/python benchmarks/meta.py --replay       # every group of the base on its records: rivals, ablations, growth

The groups are named in metamodel/groups.txt.
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from metamodel import live, replay, tables

from metalearner import plugins
from metalearner.home import home
from metalearner.knowledge import Base

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "meta.jsonl"
COMMAND = ".venv/bin/python benchmarks/meta.py"


def main() -> None:
    """Hold out, search, show."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--table", action="store_true", help="only print and write the tables of the results there are"
    )
    arguments.add_argument("--replay", action="store_true", help="replay records instead")
    arguments.add_argument("--seeds", default="0,1,2")
    arguments.add_argument("--only", default="", help="data sets, separated by commas; all of groups.txt otherwise")
    arguments.add_argument("--jobs", type=int, default=1, help="at once, each on a core of its own; parts of --replay")
    arguments.add_argument("--results", type=Path, default=RESULTS)
    given = arguments.parse_args()
    if given.replay:
        text = f"# The base, replayed\n\nMade by `{COMMAND} --replay`.\n\n"
        text += replay.report(replay.rows(given.jobs, print))
        (HERE / "meta_replay.md").write_text(text)
        print(text)
        return
    named = [n for n in (HERE / "metamodel" / "groups.txt").read_text().splitlines() if n and not n.startswith("#")]
    names = given.only.split(",") if given.only else named
    if not given.table:
        there = {(line["set"], line["seed"]) for line in read(given.results)}
        wanted = list(live.tasks(names, list(map(int, given.seeds.split(","))), there))
        print(f"{len(wanted)} searches to do, {len(there)} there", flush=True)
        if wanted:
            measure(wanted, named, given.jobs, given.results)
    lines = [line for line in read(given.results) if line["set"] in names]
    text = f"# What the meta-model is worth\n\nMade by `{COMMAND}`.\n\n" + tables.report(lines)
    if given.results == RESULTS and not given.only:
        (HERE / "meta.md").write_text(text)
    print(text)


def measure(wanted: list[tuple[str, int]], named: list[str], jobs: int, results: Path) -> None:
    """Each search as a process of its own on a core of its own; its lines are written when all its arms are done."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    results.parent.mkdir(parents=True, exist_ok=True)
    held = live.hold_out(Base.open(productions=plugins.load().productions), named, home() / "benchmarks")
    context = get_context("spawn")
    free = context.Queue()
    for core in cores[:jobs]:
        free.put(core)
    # A process for each search: what hundreds of fits leave behind in one would be gigabytes at the end.
    with ProcessPoolExecutor(jobs, context, initializer=_share, initargs=(free,), max_tasks_per_child=1) as pool:
        waiting = {pool.submit(_search, name, seed, held): (name, seed) for name, seed in wanted}
        for n, future in enumerate(as_completed(waiting), 1):
            lines = future.result()
            with results.open("a") as file:
                file.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
            print(f"{n}/{len(wanted)} {' seed '.join(map(str, waiting[future]))}", flush=True)


CORES: list[Any] = []  # the queue of those that are free, in a process of the pool


def _share(free: Any) -> None:
    CORES.append(free)


def _search(name: str, seed: int, held: live.Held) -> list[dict[str, Any]]:
    core = CORES[0].get()
    live.pinned(core)
    try:
        return live.search(name, seed, held)
    finally:
        CORES[0].put(core)


def read(file: Path) -> list[dict]:
    """The lines there are."""
    return [json.loads(line) for line in file.read_text().splitlines() if line] if file.exists() else []


if __name__ == "__main__":
    main()
