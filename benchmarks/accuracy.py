"""How well metalearner does against what a user would run instead: the same data, seconds and cores for each.

    .venv/bin/python benchmarks/accuracy.py --prepare           # once: the rivals' own virtual environments
    .venv/bin/python benchmarks/accuracy.py --jobs 2            # measure what is missing; it may be cut off and started again
    .venv/bin/python benchmarks/accuracy.py --table             # print the tables of what there is

Every method is a process of its own, pinned to its cores: rivals/README.md says what it is given. Each result is a line of
results/accuracy.jsonl as soon as it is there. Nothing here was chosen by looking at results.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rivals import scores, sets, tables

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "accuracy.jsonl"
ENVIRONMENTS = Path("~/.cache/metalearner/rivals").expanduser()
GRACE = 240  # seconds beside three times the budget after which a method is ended
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Method:
    """A script, where it runs, and on which kinds of data."""

    script: str
    kinds: tuple[str, ...]
    environment: str = ""  # a virtual environment of its own; "": this one
    variant: str = ""


METHODS = {
    "metalearner": Method("ours", ("table", "series", "picture", "sound")),
    "lightgbm-optuna": Method("tuned_lightgbm", ("table",)),
    "hist-gradient-boosting": Method("hist_boosting", ("table",)),
    "autogluon": Method("autogluon_tabular", ("table",), "autogluon", "medium_quality"),
    "autogluon-best": Method("autogluon_tabular", ("table",), "autogluon", "best_quality"),
    "flaml": Method("flaml_automl", ("table",), "flaml"),
    "minirocket": Method("mini_rocket", ("series", "sound"), "mini_rocket"),
    "plain-cnn": Method("plain_cnn", ("series", "picture", "sound")),
}


@dataclass(frozen=True)
class Conditions:
    """What is the same for all."""

    seconds: float
    cores: int
    environments: Path
    home: Path  # metalearner's, with the shipped knowledge built; each job gets a copy
    code: str


@dataclass(frozen=True)
class Task:
    """One line of the results to be."""

    chosen: sets.Set
    method: str
    seed: int


def prepare(environments: Path) -> None:
    """A virtual environment for each rival that needs one, with exact versions."""
    for name in sorted({m.environment for m in METHODS.values()} - {""}):
        place = environments / name
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        wanted = HERE / "rivals" / f"{name}.txt"
        print(f"{name}: installing into {place}", flush=True)
        subprocess.run([str(place / "bin" / "pip"), "install", "-q", "-r", str(wanted)], check=True)


def python(method: Method, environments: Path) -> str:
    """The interpreter a method runs in. SystemExit when it is not there."""
    place = environments / method.environment / "bin" / "python" if method.environment else Path(sys.executable)
    if not place.exists():
        raise SystemExit(
            f"'{method.environment}' has no environment in {environments}. Run with --prepare, or leave it out with --methods."
        )
    return str(place)


def measure(task: Task, same: Conditions, cpus: list[int]) -> dict[str, Any]:
    """Cut the data, let the method work in a folder of its own, score what it said."""
    chosen, method = task.chosen, METHODS[task.method]
    seconds = same.seconds * chosen.times
    line: dict[str, Any] = {
        "set": chosen.name, "kind": chosen.kind, "task": chosen.task, "metric": chosen.metric, "method": task.method, "seed": task.seed,
        "seconds": seconds, "base_seconds": same.seconds, "cores": same.cores, "code": same.code, "score": None, "error": "",
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="accuracy-") as scratch:
        folder = Path(scratch)
        parts = sets.cut(chosen, task.seed, folder)
        job = {
            "kind": chosen.kind, "task": chosen.task, "metric": chosen.metric, "target": parts.target, "sentence": parts.sentence,
            "seconds": seconds, "cores": same.cores, "seed": task.seed, "variant": method.variant,
            "train": parts.train, "test": parts.test, "row": parts.row,
        }  # fmt: skip
        (folder / "job.json").write_text(json.dumps(job))
        line |= {"train_rows": len(parts.known), "test_rows": len(parts.truth)}
        line["baseline"] = scores.baseline(parts.known, parts.truth)
        start = time.monotonic()
        line["error"] = _process(method, same, folder, cpus, 3 * seconds + GRACE)
        line["wall_seconds"] = round(time.monotonic() - start, 1)
        if not line["error"]:
            try:
                line |= scores.score(pd.read_csv(folder / "predictions.csv", dtype={"prediction": str}), parts.truth)
                line |= json.loads((folder / "report.json").read_text())
            except (OSError, ValueError, KeyError) as problem:
                line["error"] = f"{type(problem).__name__}: {problem}"
    return line | {"skill": scores.skill(line["score"], line["baseline"])}


def _process(method: Method, same: Conditions, folder: Path, cpus: list[int], limit: float) -> str:
    """Run a method's script on its cores; the end of its complaint when it fails, else ""."""
    shutil.copytree(same.home, folder / "home")
    environment = os.environ | {"METALEARNER_HOME": str(folder / "home")} | dict.fromkeys(ONE_THREAD, str(same.cores))
    if not method.environment:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(HERE.parent)]))
    else:
        environment.pop("PYTHONPATH", None)
    pinned = ["taskset", "-c", ",".join(map(str, cpus))] if shutil.which("taskset") else []
    command = [*pinned, python(method, same.environments), str(HERE / "rivals" / f"{method.script}.py"), str(folder)]
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            return f"no end after {limit:g} s"
        finally:
            _end(process)
    said = (folder / "log.txt").read_text(errors="replace").replace(str(folder), "FOLDER")
    return "" if code == 0 else f"exit {code}: {_complaint(said)}"


def _complaint(said: str) -> str:
    """The exception a log ends with, without the way there."""
    lines = said.strip().splitlines()
    starts = [i for i, line in enumerate(lines) if re.match(r"[\w.]+(Error|Exception|Exit)\b", line)]
    return " ".join(lines[starts[-1] if starts else -1 :])[:400]


def _end(process: subprocess.Popen) -> None:
    """End what a method leaves behind: its workers are in its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(tasks: list[Task], same: Conditions, jobs: int, results: Path) -> None:
    """All tasks, `jobs` at once, each with cores of its own; a line is written as soon as it is known."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    if jobs * same.cores > len(cpus):
        raise SystemExit(f"{jobs} jobs of {same.cores} cores need more than the {len(cpus)} there are.")
    free: queue.Queue[list[int]] = queue.Queue()
    for i in range(jobs):
        free.put(cpus[i * same.cores : (i + 1) * same.cores])
    results.parent.mkdir(parents=True, exist_ok=True)
    if results.exists() and not results.read_bytes().endswith(b"\n"):
        with results.open("a") as file:  # the last line was cut off
            file.write("\n")
    writing, done = threading.Lock(), 0

    def one(task: Task) -> None:
        nonlocal done
        mine = free.get()
        try:
            line = measure(task, same, mine)
        finally:
            free.put(mine)
        with writing, results.open("a") as file:
            file.write(json.dumps(line) + "\n")
            done += 1
            said = (
                line["error"]
                or f"{line['metric']} {line['score']:.4f} in {line['fit_seconds']:.1f} of {line['seconds']:g} s"
            )
            print(f"{done}/{len(tasks)} {task.chosen.name} {task.method} seed {task.seed}: {said}", flush=True)

    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(one, task) for task in tasks]
        try:
            for future in waiting:
                future.result()
        except BaseException:  # what has begun ends first, the rest is for the next time
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def knowledge(scratch: Path) -> Path:
    """A home with the knowledge that ships, its index built: what the first run of an installation leaves."""
    home = scratch / "home"
    home.mkdir()
    command = [sys.executable, "-m", "metalearner", "kb", "build"]
    subprocess.run(
        command, env=os.environ | {"METALEARNER_HOME": str(home)}, cwd=scratch, stdout=subprocess.DEVNULL, check=True
    )
    return home


def wanted(given: argparse.Namespace, there: set[tuple[Any, ...]]) -> list[Task]:
    """What is asked for and not yet there: seed by seed and set by set, so that methods share the machine's moods."""
    names, methods = given.only.split(",") if given.only else list(sets.SETS), given.methods.split(",")
    for kind, said, known in (("data set", names, sets.SETS), ("method", methods, METHODS)):
        odd = [n for n in said if n not in known]
        if odd:
            raise SystemExit(f"Unknown {kind} '{odd[0]}'. Known: {', '.join(known)}.")
    return [
        Task(sets.SETS[name], method, seed)
        for seed in map(int, given.seeds.split(","))
        for name in names
        for method in methods
        if sets.SETS[name].kind in METHODS[method].kinds
        and (name, method, seed, given.seconds, given.cores) not in there
    ]


def code() -> str:
    """Which state of the project is measured."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def options() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--prepare", action="store_true", help="make the rivals' environments and end")
    found.add_argument("--table", action="store_true", help="only print and write the tables of the results there are")
    found.add_argument("--retry", action="store_true", help="measure anew what failed")
    found.add_argument("--only", default="", help="data sets, separated by commas")
    found.add_argument("--methods", default=",".join(METHODS), help="separated by commas")
    found.add_argument("--seeds", default="0,1,2")
    found.add_argument(
        "--seconds",
        type=float,
        default=60,
        help=f"of a table or series; pictures and sound get {sets.LONG} times as many",
    )
    found.add_argument("--cores", type=int, default=1, help="of each job")
    found.add_argument("--jobs", type=int, default=1, help="at once, each with cores of its own")
    found.add_argument(
        "--results",
        type=Path,
        default=RESULTS,
        help="where lines are appended; the tables of another file lie beside it",
    )
    found.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="where the rivals' environments lie")
    return found


def main() -> None:
    """Prepare, measure, show."""
    given = options().parse_args()
    if given.prepare:
        prepare(given.environments)
        return
    if not given.table:
        there = {(r["set"], r["method"], r["seed"], r["base_seconds"], r["cores"]) for r in tables.read(given.results)
                 if not (given.retry and r["error"])}  # fmt: skip
        tasks = wanted(given, there)
        for method in {t.method for t in tasks}:
            python(METHODS[method], given.environments)
        print(f"{len(tasks)} to measure, {len(there)} there", flush=True)
        with tempfile.TemporaryDirectory(prefix="accuracy-") as scratch:
            home = knowledge(Path(scratch)) if tasks else Path(scratch)
            run(
                tasks,
                Conditions(given.seconds, given.cores, given.environments, home, code()),
                given.jobs,
                given.results,
            )
    asked = {(given.seconds, given.cores, int(seed)) for seed in given.seeds.split(",")}
    lines = [r for r in tables.read(given.results) if (r["base_seconds"], r["cores"], r["seed"]) in asked]
    place = HERE if given.results == RESULTS else given.results.parent
    for name, text in tables.reports(lines, list(METHODS), given.seconds, given.cores).items():
        (place / f"accuracy_{name}.md").write_text(text)
        print(text)


if __name__ == "__main__":
    main()
