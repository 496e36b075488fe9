"""Level 2 for real: texts, pictures, recordings and several kinds of data at once, beside what goes without transfer.

    .venv/bin/python benchmarks/transfer.py            # three hours on two cores; it may be cut off and started again
    .venv/bin/python benchmarks/transfer.py --curve    # frozen, tuned and from scratch over the number of rows; about as long
    .venv/bin/python benchmarks/transfer.py --again    # the first transferred model of a second run on the same rows; minutes
    .venv/bin/python benchmarks/transfer.py --table    # print what there is

Data are read from ../shared/data and unpacked into a folder that is gone afterwards. Every run has a home of its own, so that nothing is
known from the run before, and uses both cores. What the base knows of the same data is forgotten (--blind): files are called as their
data set is called there.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lines import Panel, drawn

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "shared" / "data"
RESULTS = HERE / "results" / "transfer.jsonl"
COMMAND = ".venv/bin/python benchmarks/transfer.py"
SEEDS = (0, 1, 2)
EVERYTHING, SCRATCH, BASELINE = "metalearner", "metalearner without level 2", "bigram TF-IDF and logistic regression"
HOUSES = ("bedroom", "bathroom", "kitchen", "frontal")
FIELDS = ("bedrooms", "bathrooms", "area", "zipcode")
SPEAKERS = ("jackson", "nicolas", "theo")
# Of the rows of a data set, how many are learnt from; and the seconds for each.
CURVE = {50: 60, 200: 60, 1000: 60, 5000: 180}


@dataclass(frozen=True)
class Task:
    """Data as files, a sentence, and seconds."""

    train: Path
    sentence: str
    seconds: int
    test: str = "auto"
    target: str = ""
    metric: str = ""


def unpacked(name: str, root: Path) -> Path:
    """A zip of ../shared/data as a folder."""
    folder = root / name
    if not folder.exists():
        with zipfile.ZipFile(DATA / f"{name}.zip") as archive:
            archive.extractall(folder)
    return folder


def table(path: Path, names: tuple[str, ...], rows: Iterator[tuple[Any, ...]] | list[tuple[Any, ...]]) -> Path:
    """A CSV, written once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(names)
            writer.writerows(rows)
    return path


def linked(files: Iterable[Path], folder: Path) -> Path:
    """A folder with these files in it, too."""
    if not folder.exists():
        folder.mkdir(parents=True)
        for file in files:
            os.link(file, folder / file.name)
    return folder


def tabbed(file: Path) -> list[tuple[str, ...]]:
    """Lines of two cells, whatever quotes are in them."""
    return [tuple(line.split("\t")[:2]) for line in file.read_text(encoding="utf-8").splitlines() if "\t" in line]


def sst2(root: Path, seed: int, rows: int | None = None) -> Task:
    """Film reviews, 6,920 sentences; its own test of 1,821."""
    folder = unpacked("sst2_tsv", root)
    lines = tabbed(folder / "train.tsv")
    test = table(root / "sst2_test.csv", ("text", "label"), tabbed(folder / "test.tsv"))
    if rows:
        lines = [lines[i] for i in np.random.default_rng(seed).permutation(len(lines))[:rows]]
    train = table(root / f"{rows or 'all'}-{seed}" / "sst2.csv", ("text", "label"), lines)
    return Task(train, "predict label", CURVE.get(rows or 0, 300), str(test))


def sms(root: Path, seed: int) -> Task:
    """SMS spam; a fifth sealed by the seed."""
    lines = [(text, label) for label, text in tabbed(unpacked("sms_spam", root) / "sms.tsv")]
    return Task(table(root / "sms-spam.csv", ("text", "label"), lines), "predict label", 60, metric="accuracy")


def irony(root: Path, seed: int, alike: bool = False) -> Task:
    """1,000 tweets drawn by the seed; the test of tweeteval, or the tweets that were not drawn."""
    folder = unpacked("tweeteval_small", root) / "datasets" / "irony"

    def pairs(part: str) -> list[tuple[str, str]]:
        texts, labels = (
            (folder / f"{part}_{kind}.txt").read_text(encoding="utf-8").splitlines() for kind in ("text", "labels")
        )
        return list(zip(texts, labels))

    lines = pairs("train")
    order = np.random.default_rng(seed).permutation(len(lines))
    own, drawn, others = root / f"irony-{seed}", order[:1000], order[1000:]
    train = table(own / "tweets-irony.csv", ("text", "label"), [lines[i] for i in drawn])
    test = table(own / f"test-{alike}.csv", ("text", "label"), [lines[i] for i in others] if alike else pairs("test"))
    return Task(train, "predict label", 300, str(test), metric="accuracy")


def irony_alike(root: Path, seed: int) -> Task:
    """The same 1,000 tweets, judged on 1,862 that were drawn as they were."""
    return irony(root, seed, alike=True)


def cifar10(root: Path, seed: int, rows: int | None = None) -> Task:
    """5,000 pictures of CIFAR-10, 2,000 for the test."""
    with np.load(DATA / "cifar10_jpg_5k_2k.npz", allow_pickle=False) as found:
        x, y, xt, yt = (found[k] for k in ("x_train", "y_train", "x_test", "y_test"))
    chosen = np.random.default_rng(seed).permutation(len(x))[:rows] if rows else np.arange(len(x))
    train, test = root / f"{rows or 'all'}-{seed}" / "cifar10.npz", root / "cifar10_test.npz"
    train.parent.mkdir(exist_ok=True)
    np.savez(train, x=x[chosen], y=y[chosen])
    np.savez(test, x=xt, y=yt)
    return Task(train, "what is in the picture?", CURVE.get(rows or 0, 600), str(test))


def fsdd(root: Path, seed: int) -> Task:
    """Spoken digits, a fifth sealed by the seed: all speakers are in both."""
    recordings = (unpacked("fsdd_wav", root) / "recordings").glob("*.wav")
    return Task(linked(recordings, root / "fsdd" / "spoken-digits"), "which digit?", 60)


def speakers(root: Path, seed: int) -> Task:
    """Spoken digits of a speaker who was never heard."""
    recordings = list((unpacked("fsdd_wav", root) / "recordings").glob("*.wav"))
    folder = root / f"fsdd_{seed}"
    test = linked((f for f in recordings if SPEAKERS[seed] in f.name), folder / "test")
    train = linked((f for f in recordings if SPEAKERS[seed] not in f.name), folder / "spoken-digits")
    return Task(train, "which digit?", 60, str(test))


def houses(root: Path, seed: int, fields: tuple[str, ...] = (*HOUSES, *FIELDS)) -> Task:
    """Four photographs and four numbers of 535 houses; the logarithm of their price. The seed's test is one for all fields."""
    folder = unpacked("houses_multimodal_112px", root) / "Houses Dataset"
    rows = []
    for i, line in enumerate((folder / "HousesInfo.txt").read_text().split("\n"), 1):
        if line.split():
            *numbers, price = line.split()
            known = dict(zip((*FIELDS, *HOUSES), (*numbers, *(f"{i}_{room}.jpg" for room in HOUSES))))
            rows.append((*(known[name] for name in fields), round(float(np.log(float(price))), 5)))
    # Where the photographs lie is told from where the table lies.
    place = linked(folder.glob("*.jpg"), root / f"houses-{len(fields)}-{fields[0]}-{seed}")
    order = np.random.default_rng(seed).permutation(len(rows))
    asked, learnt = order[: len(rows) // 5], order[len(rows) // 5 :]
    test, train = (
        table(place / name, (*fields, "log_price"), [rows[i] for i in some])
        for name, some in (("test.csv", asked), ("houses.csv", learnt))
    )
    return Task(train, "predict log_price", 120, str(test), "log_price", "r2")


def photographs(root: Path, seed: int) -> Task:
    """The photographs alone."""
    return houses(root, seed, HOUSES)


def numbers(root: Path, seed: int) -> Task:
    """The numbers alone."""
    return houses(root, seed, FIELDS)


# What is compared on each task.
TASKS: dict[str, tuple[Callable[[Path, int], Task], tuple[str, ...]]] = {
    "SST-2": (sst2, (EVERYTHING, SCRATCH, BASELINE)),
    "SMS spam": (sms, (EVERYTHING, BASELINE)),
    "tweeteval irony, 1,000 rows": (irony, (EVERYTHING, "minilm-l6-linear", BASELINE)),
    "the same tweets, tested on others drawn alike": (irony_alike, (EVERYTHING, "minilm-l6-linear", BASELINE)),
    "CIFAR-10, 5,000 pictures": (cifar10, (EVERYTHING, SCRATCH)),
    "spoken digits": (fsdd, (EVERYTHING,)),
    "spoken digits of a new speaker": (speakers, (EVERYTHING,)),
    "Houses": (houses, (EVERYTHING,)),
    "Houses, photographs alone": (photographs, (EVERYTHING,)),
    "Houses, numbers alone": (numbers, (EVERYTHING,)),
}
WAYS = {
    "all": EVERYTHING,
    "frozen": "minilm-l6-linear,minilm-l6-kernel,efficientnet-lite0-linear,efficientnet-lite0-kernel",
    "tuned": "minilm-l6-tuned,efficientnet-lite0-tuned",
    "from scratch": SCRATCH,
}


def main() -> None:
    """Measure what is not there yet, then show."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--table", action="store_true")
    arguments.add_argument("--curve", action="store_true")
    arguments.add_argument("--again", action="store_true")
    arguments.add_argument("--only", default="", help="tasks whose name begins so")
    arguments.add_argument("--arm", default="", help="this alone")
    arguments.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    given = arguments.parse_args()
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    done = {(line["task"], line["arm"], line["seed"]) for line in lines}
    seeds = [int(s) for s in given.seeds.split(",")]
    wanted = [w for w in (curve(seeds) if given.curve else tasks(seeds)) if w[:3] not in done]
    wanted = [w for w in wanted if w[0].startswith(given.only) and given.arm in ("", w[1])]
    if not (given.table or given.again):
        with tempfile.TemporaryDirectory() as root:
            for name, arm, seed, make in wanted:
                line = {
                    "task": name,
                    "arm": arm,
                    "seed": seed,
                    **measure(make(Path(root), seed), arm, seed, Path(root)),
                }
                print(line, flush=True)
                lines.append(line)
                with RESULTS.open("a") as out:
                    out.write(json.dumps(line) + "\n")
    if given.again:
        with tempfile.TemporaryDirectory() as root:
            found = again(Path(root))
            lines += found
            with RESULTS.open("a") as out:
                out.writelines(json.dumps(line) + "\n" for line in found)
    text = report(lines)
    (HERE / "transfer.md").write_text(text)
    if picture := figure(lines):
        (HERE / "transfer_curve.svg").write_text(picture)
    print(text)


def tasks(seeds: list[int]) -> Iterator[tuple[str, str, int, Callable[[Path, int], Task]]]:
    """Seed after seed."""
    for seed in seeds:
        for name, (make, arms) in TASKS.items():
            for arm in arms:
                yield name, arm, seed, make


def curve(seeds: list[int]) -> Iterator[tuple[str, str, int, Callable[[Path, int], Task]]]:
    """Each way of transfer over the number of rows."""
    for seed in seeds:
        for name, make in (("SST-2", sst2), ("CIFAR-10", cifar10)):
            for rows in CURVE:
                for way in WAYS:
                    yield (
                        f"{name} rows {rows}",
                        way,
                        seed,
                        lambda root, seed, make=make, rows=rows: make(root, seed, rows),
                    )


def measure(task: Task, arm: str, seed: int, root: Path) -> dict[str, Any]:
    """One run as a user types it, or the baseline."""
    arm = WAYS.get(arm, arm)
    if arm == BASELINE:
        return baseline(task, seed)
    out, home = root / f"run-{time.monotonic_ns()}", root / f"home-{time.monotonic_ns()}"
    command = [sys.executable, "-m", "metalearner", "run", str(task.train), task.sentence, "--budget", f"{task.seconds}s",
               "--blind", "--test", task.test, "--seed", str(seed), "--out", str(out), "--json"]  # fmt: skip
    command += ["--target", task.target] if task.target else []
    command += ["--metric", task.metric] if task.metric else []
    if arm != EVERYTHING:
        command += ["--families", ",".join(without()) if arm == SCRATCH else arm]
    began = time.monotonic()
    environment = os.environ | {"METALEARNER_HOME": str(home)}
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if found.returncode:
        raise SystemExit(f"{arm} on {task.train}: {found.stderr[-2000:]}")
    told = json.loads(found.stdout)
    score = told["score"]
    best, board = told["leaderboard"][0], told["leaderboard"]
    trained = next(e for e in map(json.loads, (out / "events.jsonl").read_text().splitlines()) if e["stage"] == "train")
    return {"metric": score["metric"], "value": score["value"], "low": score["low"], "high": score["high"], "budget": task.seconds,
            "seconds": round(time.monotonic() - began, 1), "best": best.get("family", ""),
            "chosen": told["winner"]["family"], "tried": len(board), "families": Counter(row["family"] for row in board),
            "models": [trained["models_kept"], trained["models"]],
            "failed": Counter(f"{row['family']} {row['outcome']}" for row in board if row["outcome"] != "ok")}  # fmt: skip


def again(root: Path) -> list[dict[str, Any]]:
    """Seconds of the first transferred model, of two runs after each other that share a home; the second forgets records."""
    lines = []
    for name, make, family in (("SST-2", sst2, "minilm-l6-linear"), ("CIFAR-10", cifar10, "efficientnet-lite0-linear")):
        task = make(root, 0)
        for turn in ("first", "second"):
            out = root / f"{name}-{turn}"
            command = [sys.executable, "-m", "metalearner", "run", str(task.train), task.sentence, "--budget", "1trials", "--cold",
                       "--test", task.test, "--out", str(out), "--families", family, "--quiet"]  # fmt: skip
            environment = os.environ | {"METALEARNER_HOME": str(root / f"home-{name}")}
            subprocess.run(command, capture_output=True, check=True, env=environment)
            trial = json.loads(next((out / "trials").glob("0*/trial.json")).read_text())
            lines.append(
                {"task": f"{name} again", "arm": turn, "seed": 0, "metric": "seconds", "value": trial["seconds"]}
            )
    return lines


def without() -> list[str]:
    """All families but those of level 2, and what search composes."""
    from metalearner import plugins

    return [name for name, family in plugins.load().families.items() if family.level != 2] + ["invented"]


def baseline(task: Task, seed: int) -> dict[str, Any]:
    """What a text book does: words and pairs of words, TF-IDF, logistic regression at its defaults."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score
    from sklearn.model_selection import train_test_split

    def read(file: Path) -> list[tuple[str, str]]:
        with file.open(newline="") as opened:
            return [(row["text"], row["label"]) for row in csv.DictReader(opened)]

    began, learnt = time.monotonic(), read(task.train)
    if task.test == "auto":
        learnt, asked = train_test_split(
            learnt, test_size=0.2, random_state=seed, stratify=[label for _, label in learnt]
        )
    else:
        asked = read(Path(task.test))
    counted = TfidfVectorizer(ngram_range=(1, 2))
    model = LogisticRegression(max_iter=1000).fit(counted.fit_transform([t for t, _ in learnt]), [y for _, y in learnt])
    said = model.predict(counted.transform([t for t, _ in asked]))
    value = accuracy_score([y for _, y in asked], said)
    return {
        "metric": "accuracy",
        "value": float(value),
        "seconds": round(time.monotonic() - began, 1),
        "best": "linear",
    }


def report(lines: list[dict[str, Any]]) -> str:
    """Means over seeds, with what they lie between."""
    text = (
        f"# Transfer\n\nMade by `{COMMAND}`: two cores, sealed tests, means over seeds and what they lie between.\n\n"
    )
    text += "| task | by | seeds | score | seconds | best family out of fold |\n|---|---|---|---|---|---|\n"
    for name, (_, arms) in TASKS.items():
        for arm in arms:
            text += _row(name, arm, [line for line in lines if (line["task"], line["arm"]) == (name, arm)])
    found = curves(lines)
    if found:
        text += "\n## Over the number of rows\n\n![Score over rows to learn from](transfer_curve.svg)\n\n"
        text += "| | " + " | ".join(f"{n:,} rows" for n in CURVE) + " |\n|---|" + "---|" * len(CURVE) + "\n"
        for name, ways in found.items():
            for way, cells in ways.items():
                said = (f"{np.mean([c['value'] for c in own]):.3f} ({len(own)})" if own else "" for own in cells)
                text += f"| {name}, {way} | " + " | ".join(said) + " |\n"
            if all("chosen" in c for own in ways["all"] for c in own):  # lines of before do not tell
                chosen = (", ".join(sorted({c["chosen"] for c in own})) for own in ways["all"])
                text += f"| {name}: what counts most in all of it | " + " | ".join(chosen) + " |\n"
        budgets = ", ".join(f"{s} s for {n:,} rows" for n, s in CURVE.items())
        text += f"\nIn brackets the number of seeds. Budgets: {budgets}.\n"
    for name in ("SST-2", "CIFAR-10"):
        took = {line["arm"]: line["value"] for line in lines if line["task"] == f"{name} again"}
        if took:
            text += f"\n{name}: first transferred model {took['first']:.1f} s in a first run, {took['second']:.1f} s in a second.\n"
    return text


def curves(lines: list[dict[str, Any]]) -> dict[str, dict[str, list[list[dict[str, Any]]]]]:
    """By task and way, for each number of rows what the seeds gave; without tasks that were not measured."""
    by_key: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in lines:
        by_key.setdefault((line["task"], line["arm"]), []).append(line)
    found = {
        name: {way: [by_key.get((f"{name} rows {n}", way), []) for n in CURVE] for way in WAYS}
        for name in ("SST-2", "CIFAR-10")
    }
    return {name: ways for name, ways in found.items() if any(own for cells in ways.values() for own in cells)}


def figure(lines: list[dict[str, Any]]) -> str:
    """The learning curves, drawn; empty without any."""
    panels = [
        Panel(f"{name}, accuracy", [f"{n:,}" for n in CURVE],
              {way: [np.mean([c["value"] for c in own]) if own else None for own in cells] for way, cells in ways.items()})
        for name, ways in curves(lines).items()
    ]  # fmt: skip
    return drawn(panels, "rows to learn from") if panels else ""


def _row(name: str, arm: str, own: list[dict[str, Any]]) -> str:
    if not own:
        return ""
    values = [line["value"] for line in own]
    score = f"{own[0]['metric']} {np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"
    best = ", ".join(sorted({line["best"] for line in own}))
    return f"| {name} | {arm} | {len(own)} | {score} | {max(line['seconds'] for line in own):.0f} | {best} |\n"


if __name__ == "__main__":
    main()
