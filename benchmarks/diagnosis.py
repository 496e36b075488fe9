"""Is the cause of a missed goal named? Faults are planted in real tables, one at a time, and the first cause that is given is counted.

    .venv/bin/python benchmarks/diagnosis.py [--jobs 2] [--budget 20s]     # a quarter of an hour, resumes by itself
    .venv/bin/python benchmarks/diagnosis.py --table

The goal is the low end of the interval that a run on the sound table reached; there, without a goal, nothing may be said. Runs
that met it all the same are not counted. Each run has a core of its own. "few rows to measure on", which says that hit and miss cannot
be told apart, stands before any cause and is not counted as one.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "diagnosis.jsonl"
TABLES = ("segment", "spambase", "satimage", "kr-vs-kp", "cpu-small", "kin8nm")
MOST_ROWS, TEST, WRONG, FEW, SEEN = 4000, 0.3, 0.2, 40, 3
SOUND, MET = "sound", "met, nothing said"

Pair = tuple[pd.DataFrame, pd.DataFrame]


def wrong_labels(train: pd.DataFrame, test: pd.DataFrame, rng: np.random.Generator) -> Pair:
    """A fifth of the targets learnt from belong to other rows; the test is sound."""
    train = train.copy()
    at = rng.permutation(len(train))[: int(WRONG * len(train))]
    given = train["target"].to_numpy(copy=True)
    given[at] = rng.choice(train["target"].to_numpy(), len(at))
    return train.assign(target=given), test


def few_rows(train: pd.DataFrame, test: pd.DataFrame, rng: np.random.Generator) -> Pair:
    """So few rows that hardly anything can be learnt."""
    return train.iloc[rng.permutation(len(train))[:FEW]], test


def shift(train: pd.DataFrame, test: pd.DataFrame, rng: np.random.Generator) -> Pair:
    """In the test half of the numeric columns are measured otherwise; where there are none, categories are read one for another."""
    test = test.copy()
    columns = [c for c in test.columns if c != "target"]
    for name in rng.permutation(columns)[: (len(columns) + 1) // 2]:
        column = test[name]
        if pd.api.types.is_numeric_dtype(column) and column.nunique() > 2:
            test[name] = 1.5 * column + train[name].std()
        else:
            levels = train[name].dropna().unique()
            test[name] = column.map(dict(zip(levels, np.roll(levels, 1))))
    return train, test


def nothing(train: pd.DataFrame, test: pd.DataFrame, rng: np.random.Generator) -> Pair:
    """Targets dealt out anew: the columns know nothing of them."""
    return tuple(t.assign(target=rng.permutation(t["target"].to_numpy())) for t in (train, test))  # type: ignore[return-value]


def equal_inputs(train: pd.DataFrame, test: pd.DataFrame, rng: np.random.Generator) -> Pair:
    """Only a few columns are left, and only whether they are high or low."""
    kept = rng.permutation([c for c in train.columns if c != "target"])[:SEEN]
    parts = []
    for part in (train, test):
        coarse = {
            c: np.where(part[c] > train[c].median(), "high", "low")
            if pd.api.types.is_numeric_dtype(train[c])
            else part[c]
            for c in kept
        }
        parts.append(pd.DataFrame(coarse).assign(target=part["target"].to_numpy()))
    return parts[0], parts[1]


def unchanged(train: pd.DataFrame, test: pd.DataFrame, rng: np.random.Generator) -> Pair:
    """Nothing is wrong."""
    return train, test


Fault = Callable[[pd.DataFrame, pd.DataFrame, np.random.Generator], Pair]
# What is planted, the causes that name it, and how.
FAULTS: dict[str, tuple[tuple[str, ...], Fault]] = {
    SOUND: ((MET,), unchanged),
    "wrong labels": (("wrong labels",), wrong_labels),
    "few rows": (("few rows",), few_rows),
    "shift": (("shift",), shift),
    "nothing to tell it from": (("nothing to tell it from",), nothing),
    "equal inputs": (("equal inputs",), equal_inputs),
    "search cut short": (("search cut short", "search not settled"), unchanged),
}


def table(name: str, rng: np.random.Generator) -> pd.DataFrame:
    """A data set of `datasets/` as one table whose last column is `target`."""
    from metalearner import plugins, sources
    from metalearner.data import read
    from metalearner.task import Wish, find_target

    registry, found = plugins.load(), sources.find(name)
    reading = read(found.source, registry.modalities)
    target, _ = find_target(reading.schema, found.wish(Wish()))
    columns = {str(k): np.asarray(v) for k, v in reading.fields.items() if k != target and np.asarray(v).ndim == 1}
    frame = pd.DataFrame({f"x{i}": v for i, v in enumerate(columns.values())})
    frame["target"] = np.asarray(reading.naming(target).column(target))
    if frame["target"].nunique() <= FEW // 2:  # classes, however few of them are left
        frame["target"] = "class " + frame["target"].astype(str)
    return frame.iloc[rng.permutation(len(frame))[:MOST_ROWS]].reset_index(drop=True)


def diagnosed(name: str, fault: str, goal: str | None, seconds: float, core: int) -> dict[str, Any]:
    """One run with one fault: its score, and the first cause that was given."""
    from metalearner import plugins
    from metalearner.request import Request
    from metalearner.run import run
    from metalearner.search import Budget
    from metalearner.task import Wish

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    rng = np.random.default_rng(0)
    frame = table(name, rng)
    cut = int(TEST * len(frame))
    train, test = FAULTS[fault][1](frame.iloc[cut:], frame.iloc[:cut], rng)
    with tempfile.TemporaryDirectory(prefix="diagnosis-") as scratch:
        os.environ["METALEARNER_HOME"] = scratch
        folder = Path(scratch)
        train.to_csv(folder / "train.csv", index=False)
        test.to_csv(folder / "test.csv", index=False)
        budget = Budget(None, 1) if fault == "search cut short" else Budget(seconds)
        request = Request(folder / "train.csv", Wish("predict target", target="target", goal=goal), budget, folder / "run",
                          test=str(folder / "test.csv"), blind=True, workers=1, learn=False)  # fmt: skip
        card = run(request, plugins.load()).scorecard
    causes = [c for c in card.diagnosis if c.name != "few rows to measure on"]
    first = causes[0].name if causes else (MET if card.goal_met is not False else "missed, nothing said")
    if causes and card.goal_met is not False:
        first = f"met, {first}"
    return {
        "table": name, "fault": fault, "metric": card.metric, "goal": goal, "score": card.value, "low": card.low,
        "first": first, "causes": [c.to_json() for c in card.diagnosis],
    }  # fmt: skip


def measure(jobs: int, seconds: float) -> None:
    """Sound tables first, for they set the goals."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    pools = [ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) for _ in range(jobs)]
    for sound in (True, False):
        there = {(line["table"], line["fault"]): line for line in read()}
        goals = {t: f"{line['metric']} {line['low']:.4f}" for (t, f), line in there.items() if f == SOUND}
        wanted = [(t, f) for t in TABLES for f in FAULTS if (t, f) not in there and (f == SOUND) == sound]
        waiting = {
            pools[n % jobs].submit(diagnosed, t, f, goals.get(t), seconds, cores[n % jobs]): (t, f)
            for n, (t, f) in enumerate(wanted)
        }
        for future in as_completed(waiting):
            line = future.result()
            with RESULTS.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(
                f"{line['table']}, {line['fault']}: {line['metric']} {line['score']:.3f}, {line['first']}", flush=True
            )


def read() -> list[dict[str, Any]]:
    """The lines there are."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def report(lines: list[dict[str, Any]], budget: str) -> str:
    """What was planted against what was said first."""
    said = sorted({line["first"] for line in lines})
    text = [
        "# Is the cause named?", "",
        f"Made by `.venv/bin/python benchmarks/diagnosis.py --budget {budget}`: faults planted in {len(TABLES)} real tables,",
        "one at a time, and the first cause that a run gave.", "",
        "| planted | named | " + " | ".join(said) + " |", "|---|---|" + "---|" * len(said),
    ]  # fmt: skip
    right = total = 0
    for fault, (names, _) in FAULTS.items():
        own = [line for line in lines if line["fault"] == fault]
        own = [line for line in own if fault == SOUND or line["first"] != MET]
        hits = sum(line["first"].removeprefix("met, ") in names or line["first"] in names for line in own)
        right, total = right + hits, total + len(own)
        counts = [sum((line["fault"], line["first"]) == (fault, s) for line in lines) or "" for s in said]
        text.append(f"| {fault} | {hits} of {len(own)} | " + " | ".join(map(str, counts)) + " |")
    return "\n".join([*text, "", f"Named in {right} of {total}, those that met the goal all the same left out."]) + "\n"


def main() -> None:
    """Run what is missing, show."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--table", action="store_true", help="only print and write the table of what there is")
    arguments.add_argument("--jobs", type=int, default=1, help="at once, each on a core of its own")
    arguments.add_argument("--budget", default="20s")
    given = arguments.parse_args()
    if not given.table:
        from metalearner.request import parse_budget

        measure(given.jobs, parse_budget(given.budget).seconds or 20.0)
    text = report(read(), given.budget)
    (HERE / "diagnosis.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
