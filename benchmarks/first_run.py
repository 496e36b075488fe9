"""One run on each kind of source: the score on sealed rows beside the naive baseline, and whether the seconds held.

    .venv/bin/python benchmarks/first_run.py [--budget 60s] [--seed 0]

Knowledge of the same or nearly the same data is forgotten (--blind), so that no score comes from having seen them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def sensor(file: Path) -> Path:
    """A raw array (n, 3, 40, 5) of a sensor without a name: the class is which of three shapes is hidden in which part."""
    rng = np.random.default_rng(0)
    n = 900
    label = rng.integers(0, 3, n)
    x = rng.normal(0, 1, (n, 3, 40, 5)).cumsum(axis=2) / 6 + rng.normal(0, 0.3, (n, 3, 40, 5))
    shapes = np.stack([np.sin(np.arange(9)), np.abs(np.arange(9) - 4) / 2 - 1, np.sign(np.arange(9) % 2 - 0.5)])
    for i in range(n):
        at, part = rng.integers(0, 31), rng.integers(0, 3)
        x[i, part, at : at + 9] += 1.2 * shapes[label[i]][:, None]
    np.savez_compressed(file, x=x.astype(np.float32), y=np.array(["sine", "notch", "zigzag"])[label])
    return file


def main() -> None:
    """Run, time, print, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--budget", default="60s")
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    head = f"| source | metric | score on sealed rows | naive baseline | winner | models | seconds of {given.budget} |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as scratch:
        sources = {
            "penguins (table, missing values)": "penguins",
            "abalone (table, regression)": "abalone",
            "digits (folder of 8x8 PNGs)": "digits",
            "GunPoint (UCR series)": "gunpoint",
            "spoken digits (WAV folder)": "spoken-digits",
            "sensor without a name (n, 3, 40, 5)": str(sensor(Path(scratch) / "sensor.npz")),
        }
        for i, (title, source) in enumerate(sources.items()):
            command = [sys.executable, "-m", "metalearner", "run", source, "--budget", given.budget, "--seed", str(given.seed),
                       "--blind", "--json", "--out", str(Path(scratch) / str(i))]  # fmt: skip
            start = time.monotonic()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            wall = time.monotonic() - start
            if done.returncode:
                lines.append(f"| {title} | failed: {done.stderr.strip().splitlines()[-1]} | | | | | |")
                continue
            found = json.loads(done.stdout)
            score = found["score"]
            lines.append(
                f"| {title} | {score['metric']} | {score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}] on {score['rows']} "
                f"| {score['baseline']:.3f} | {found['winner']['family']} | {len(found['leaderboard'])} "
                f"| {found['seconds']:.1f}, whole process {wall:.1f} |"
            )
            print(lines[-1], flush=True)
    (HERE / "first_run.md").write_text(
        f"# First run, budget {given.budget}, seed {given.seed}, two cores\n\n" + "\n".join(lines) + "\n"
    )


if __name__ == "__main__":
    main()
