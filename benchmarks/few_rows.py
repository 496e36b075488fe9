"""What should an ensemble be chosen by where rows are few? The same trials, put together in several ways, are judged on new rows.

    .venv/bin/python benchmarks/few_rows.py [--jobs 2]     # an hour on two cores, resumes by itself
    .venv/bin/python benchmarks/few_rows.py --table

`as it is` is what a run does. `by merit` leaves out members without which the ensemble scores about as well on the held-out rows, not those
without which it says the same; `all` leaves out none. `expecting nothing` does not weigh in what past runs expect of each family, the last
two weigh it as if it were worth other numbers of held-out rows. Each run has a core of its own and forgets what the base knows of
its data; at most 400 other rows of the data set judge.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "few_rows.jsonl"
TABLES = (
    "abalone", "spambase", "segment", "satimage", "phoneme", "cpu-small", "california-housing", "car", "page-blocks",
    "magic-telescope", "kr-vs-kp", "nursery", "kin8nm", "credit-g",
)  # fmt: skip
TEXTS = ("sst2", "sms-spam", "tweets-irony", "tweets-emotion", "tweets-hate")
PICTURES = ("fashion", "cifar10")
KINDS = {"tables": TABLES, "texts": TEXTS, "pictures": PICTURES}
ROWS, SEEDS, TEST, SECONDS = (50, 150), (0, 1), 400, 60
# A class that is rarer cannot be learnt from; targets of fewer values are classes.
RAREST, CLASSES = 3, 12
# Seconds for predicting the test by all trials, best first; runs with fewer trials have nothing to choose from.
PREDICTING, FEWEST = 14.0, 4
WAYS = {
    "as it is": {}, "by merit": {"TELLING": 0}, "all": {"ALIKE": 0.0}, "expecting nothing": {"PRIOR_ROWS": 0.0},
    "worth 30 rows": {"PRIOR_ROWS": 30.0}, "worth 300 rows": {"PRIOR_ROWS": 300.0},
}  # fmt: skip
AS_IT_IS = "as it is"


def parts(name: str, rows: int, seed: int, folder: Path) -> tuple[Path, Path, str]:
    """So many rows to learn from and others to judge by, as files called as the data set is, and the target."""
    from metalearner import sources
    from metalearner.task import Wish

    found = sources.find(name)
    place = Path(str(found.source))
    learnt, other = folder / "learnt", folder / "other"
    learnt.mkdir()
    other.mkdir()
    rng = np.random.default_rng(100 + seed)
    if name in PICTURES:
        with np.load(place, allow_pickle=False) as held:
            images, labels = held["images"], held["labels"]
        order = rng.permutation(len(labels))
        for file, at in ((learnt / f"{name}.npz", order[:rows]), (other / f"{name}.npz", order[-TEST:])):
            np.savez_compressed(file, images=images[at], labels=labels[at])
        return learnt / f"{name}.npz", other / f"{name}.npz", ""
    frame = pd.read_csv(place)
    target = found.wish(Wish()).target or frame.columns[-1]
    order = rng.permutation(len(frame))
    train, test = frame.iloc[order[:rows]], frame.iloc[order[-TEST:]]
    if train[target].dtype == object or train[target].nunique() < CLASSES:
        counts = train[target].value_counts()
        common = counts[counts >= RAREST].index
        train, test = train[train[target].isin(common)], test[test[target].isin(common)]
    train.to_csv(learnt / f"{name}.csv", index=False)
    test.to_csv(other / f"{name}.csv", index=False)
    return learnt / f"{name}.csv", other / f"{name}.csv", target


def measured(name: str, rows: int, seed: int, core: int) -> dict[str, Any]:
    """One run, and what each way makes of its trials."""
    with tempfile.TemporaryDirectory(prefix="few-rows-") as scratch:
        folder = Path(scratch)
        train, test, target = parts(name, rows, seed, folder)
        sentence = f"predict {target}" if target else "what is it?"
        command = [sys.executable, "-m", "metalearner", "run", str(train), sentence, "--budget", f"{SECONDS}s", "--test", str(test),
                   "--seed", str(seed), "--out", str(folder / "run"), "--quiet", "--blind"]  # fmt: skip
        command += ["--target", target] if target else []
        environment = os.environ | {"METALEARNER_HOME": str(folder / "home")}
        pinned = ["taskset", "-c", str(core)] if sys.platform == "linux" else []
        done = subprocess.run([*pinned, *command], capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            return {"data": name, "rows": rows, "seed": seed, "error": done.stderr.strip()[-300:]}
        return {"data": name, "rows": rows, "seed": seed, **judged(folder / "run")}


def judged(run: Path) -> dict[str, Any]:
    """Skill on the test, in the metric and in the finer one, of the ensemble that each way makes; and its members."""
    from metalearner import events, plugins
    from metalearner.data.sealed import Sealed
    from metalearner.dataset import Dataset
    from metalearner.kinds import Aim
    from metalearner.search import ledger

    registry, dataset = plugins.load(), Dataset.open(run / "data")
    aim = Aim(registry.get("outputs", dataset.task.output), dataset.state,
              registry.get("metrics", dataset.task.metric), registry)  # fmt: skip
    sealed = Sealed.find(run / "data" / "sealed")
    assert sealed is not None
    fields, truth = sealed.open(again=True)
    transform = registry.get("transforms", registry.get("modalities", dataset.task.modality).transform)
    tensors = [transform.apply(dataset.transform_state(i, transform), fields) for i in range(len(dataset.folds))]
    full = [t for t in ledger.read(run / "trials") if t.outcome == "ok" and t.rung >= 1 and t.score is not None]
    full.sort(key=lambda t: -np.mean(t.facts.get("merits") or [t.merit or 0.0]))
    began, trials, said = time.monotonic(), [], {}
    for t in full:
        if time.monotonic() - began < PREDICTING:
            learner = registry.get("learners", t.config.production)
            each = [learner.load(run / "trials" / t.name / str(i), aim).predict(x) for i, x in enumerate(tensors)]
            trials.append(t)
            said[t.name] = aim.output.merge(each, [1 / len(each)] * len(each))
    prior = next(event for event in events.read(run / "events.jsonl") if event["stage"] == "propose")
    return compared(trials, run / "trials", dataset, aim, (said, truth), SimpleNamespace(**prior))


def compared(
    trials: list[Any], folder: Path, dataset: Any, aim: Any, test: tuple[dict[str, np.ndarray], np.ndarray], prior: Any
) -> Any:
    """By way: skill in the metric, in the finer metric, members. `test` has its predictions by trial, and the truth."""
    from metalearner.train import ensemble
    from metalearner.train.merit import WORST, Merit

    said, truth = test
    judge = Merit(aim, truth, aim.output.baseline(aim.state, dataset.target, len(truth)))
    found: dict[str, Any] = {"trials": len(trials)}
    if len(trials) < FEWEST:
        return found
    for way, constants in WAYS.items():
        with ExitStack() as held:
            for name, value in constants.items():
                held.enter_context(patch.object(ensemble, name, value))
            known = ensemble.expected(prior)
            weights = ensemble.select(trials, folder, dataset, aim, known=known).weights
        together = aim.output.merge([said[n] for n in weights], list(weights.values()))
        scores = [aim.score(together, truth), judge.metrics[-1].score(truth, together, aim.state)]
        metrics = (judge.metrics[0], judge.metrics[-1])
        skills = [m.skill(s, f) for m, s, f in zip(metrics, scores, (judge.floors[0], judge.floors[-1]))]
        found[way] = [round(float(max(s, WORST)), 4) for s in skills] + [len(weights)]
    return found


def measure(jobs: int) -> None:
    """What is not there yet, a core each."""
    there = {(line["data"], line["rows"], line["seed"]) for line in read()}
    wanted = [(n, r, s) for r in ROWS for s in SEEDS for n in (*TABLES, *TEXTS, *PICTURES) if (n, r, s) not in there]
    cores: SimpleQueue[int] = SimpleQueue()
    for core in sorted(os.sched_getaffinity(0))[:jobs] if hasattr(os, "sched_getaffinity") else range(jobs):
        cores.put(core)

    def one(what: tuple[str, int, int]) -> dict[str, Any]:
        core = cores.get()
        try:
            return measured(*what, core)
        finally:
            cores.put(core)

    with ThreadPoolExecutor(jobs) as pool:
        for line in pool.map(one, wanted):
            print(line, flush=True)
            with RESULTS.open("a") as out:
                out.write(json.dumps(line) + "\n")


def read() -> list[dict[str, Any]]:
    """The lines there are."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def report(lines: list[dict[str, Any]]) -> str:
    """Means over runs, and what the other ways lose or gain in a run, with the error of that mean."""
    text = "# What an ensemble is chosen by where rows are few\n\nMade by `.venv/bin/python benchmarks/few_rows.py`. "
    text += "Skill: 0 the naive baseline, 1 perfect.\n\n"
    text += "| rows | of | runs | chosen | members | skill | less `as it is` | finer skill | less `as it is` |\n"
    text += "|---" * 9 + "|\n"
    for rows, (kind, names) in product(ROWS, KINDS.items()):
        own = [line for line in lines if line["rows"] == rows and line["data"] in names and AS_IT_IS in line]
        for way in WAYS if own else ():
            members = np.mean([line[way][2] for line in own])
            text += f"| {rows} | {kind} | {len(own)} | {way} | {members:.1f} | {' | '.join(_columns(own, way))} |\n"
    return text


def _columns(own: list[dict[str, Any]], way: str) -> Iterator[str]:
    for j in range(2):
        value = np.array([line[way][j] for line in own])
        less = value - np.array([line[AS_IT_IS][j] for line in own])
        yield f"{value.mean():.3f}"
        yield "" if way == AS_IT_IS else f"{less.mean():+.3f} ± {less.std() / np.sqrt(len(less)):.3f}"


def main() -> None:
    """Measure what is not there yet, then show."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--table", action="store_true")
    arguments.add_argument("--jobs", type=int, default=2)
    given = arguments.parse_args()
    if not given.table:
        measure(given.jobs)
    text = report(read())
    (HERE / "few_rows.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
