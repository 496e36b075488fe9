"""Level 3's own example: a medical image set with no model on the shelf.

Blood cells cut out of micrographs (BCCD), three classes, split by photograph. The search over the grammar beside ResNet,
MobileNet and boosted trees on pixels, each tuned for the same seconds on the same cores and the same sealed cells.

    .venv/bin/python benchmarks/blood_cells.py --budget 180s --seeds 3
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
COMPOSED = "search over the grammar alone"
# What is compared, and which families each may use; empty: all, as in a plain run.
ARMS = {
    "metalearner, everything": "",
    COMPOSED: "invented",
    "ResNet of the catalogue, tuned": "resnet",
    "MobileNet of the catalogue, tuned": "mobilenet",
    "LightGBM on pixels, tuned": "trees",
}
SHOWN = ("accuracy", "balanced-accuracy", "log-loss")


def run(arm: str, seed: int, budget: str, home: str) -> dict[str, Any]:
    """One run as a user types it; its JSON with the winner's outline and the curve of the search."""
    out = Path(home) / f"{abs(hash((arm, seed)))}"
    options = ["--families", ARMS[arm]] if ARMS[arm] else []
    command = [sys.executable, "-m", "metalearner", "run", "blood-cells", "--metric", "accuracy", "--budget", budget]
    found = subprocess.run([*command, "--seed", str(seed), "--blind", "--out", str(out), "--json", *options],
                           capture_output=True, text=True, check=False, env=os.environ | {"METALEARNER_HOME": home})  # fmt: skip
    if found.returncode:
        raise SystemExit(f"{arm}: {found.stderr[-2000:]}")
    told = json.loads(found.stdout)
    return {"arm": arm, "seed": seed, "budget": budget, "score": told["score"], "seconds": told["seconds"],
            "tried": len(told["leaderboard"]), "best": told["leaderboard"][0], "bytes": size(out / "bundle"),
            "curve": curve(out / "events.jsonl")}  # fmt: skip


def curve(events: Path) -> list[tuple[float, float, str]]:
    """The way of a search: whenever a full fit was better than all before, seconds since the start, its score, its family."""
    told = [event for event in map(json.loads, events.read_text().splitlines()) if "trial" in event]
    full = [(e["at"], e["trial"]) for e in told if e["trial"]["outcome"] == "ok" and e["trial"]["rung"] >= 1]
    found: list[tuple[float, float, str]] = []
    for at, trial in full:
        score = round(trial["score"], 4)
        if not found or score > found[-1][1]:
            found.append((round(at, 1), score, trial["proposal"]["family"]))
    return found


def measured(budget: str, seeds: int, file: Path) -> list[dict[str, Any]]:
    """Every run there is to be, seed after seed; what an earlier call has measured is not measured again."""
    known = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    known = [r for r in known if r["budget"] == budget and r["seed"] < seeds]
    done = {(r["arm"], r["seed"]) for r in known}
    file.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home, file.open("a") as out:
        for seed in range(seeds):
            for arm in ARMS:
                if (arm, seed) not in done:
                    known.append(run(arm, seed, budget, home))
                    out.write(json.dumps(known[-1]) + "\n")
                    out.flush()
    return known


def size(folder: Path) -> int:
    """Bytes of a bundle."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def row(arm: str, runs: list[dict[str, Any]]) -> str:
    """One line of the table: means over the seeds, the spread of the accuracy, models tried."""
    values = {m: [r["score"]["value"] if m == "accuracy" else r["score"]["others"][m] for r in runs] for m in SHOWN}
    accuracy = values["accuracy"]
    means = " | ".join(f"{np.mean(values[m]):.4f}" for m in SHOWN[1:])
    tried = np.mean([r["tried"] for r in runs])
    seconds = np.mean([r["seconds"] for r in runs])
    return (f"| {arm} | {np.mean(accuracy):.4f} ({min(accuracy):.4f} to {max(accuracy):.4f}) | {means} | {tried:.0f} "
            f"| {seconds:.0f} | {np.mean([r['bytes'] for r in runs]) / 1e6:.2f} |")  # fmt: skip


def drawing(runs: list[dict[str, Any]]) -> str:
    """The best network that the search over the grammar found, drawn."""
    from metalearner import plugins
    from metalearner.grammar import outline
    from metalearner.records import Config

    best = max((r["best"] for r in runs), key=lambda b: b["score"])
    config = Config.from_json(best["config"])
    return (
        f"{best['family']}, accuracy out of fold {best['score']:.4f}\n\n{outline(config, plugins.load().productions)}"
    )


def ways(runs: list[dict[str, Any]]) -> list[str]:
    """The search over the grammar, seed by seed: what was best when."""
    steps = {
        r["seed"]: [f"{score:.3f} after {at:.0f} s ({family})" for at, score, family in r.get("curve", [])]
        for r in runs
    }
    return [f"- seed {seed}: {', '.join(found)}" for seed, found in sorted(steps.items())]


def main() -> None:
    """Run all arms and write the table beside this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="180s")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "blood_cells.md")
    given = parser.parse_args()
    everything = measured(given.budget, given.seeds, HERE / "results" / "blood_cells.jsonl")
    found = {arm: [r for r in everything if r["arm"] == arm] for arm in ARMS}
    rows = found["metalearner, everything"][0]["score"]["rows"]
    lines = [
        "# Blood cells: level 3's own example", "",
        f"`.venv/bin/python benchmarks/blood_cells.py --budget {given.budget} --seeds {given.seeds}` on "
        f"{os.cpu_count()} cores. About {rows} sealed cells a seed, of photographs nobody has learnt from; ranges are over seeds.", "",
        "| what | accuracy | balanced accuracy | log-loss | models tried | seconds | MB |", "|---|---|---|---|---|---|---|",
        *(row(arm, runs) for arm, runs in found.items()), "",
        "The search over the grammar, accuracy out of fold of the best network so far:", "", *ways(found[COMPOSED]), "",
        "The best of them:", "", "```", drawing(found[COMPOSED]), "```", "",
    ]  # fmt: skip
    given.out.write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
