"""Does the knowledge base pay? The best score after so many trials with the base and without it.

    .venv/bin/python benchmarks/warm_start.py [--trials 6] [--seeds 3]

The data themselves, and whatever is nearly the same, are forgotten (--blind). Skill is 0 at the naive baseline and 1 at perfect, out of
fold; the difference comes with a bootstrap interval over data sets.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SOURCES = ("penguins", "vehicle", "abalone", "bodyfat", "vowel", "digits", "gunpoint", "japanese-vowels")


def curve(source: str, seed: int, trials: int, mode: str, out: Path) -> list[float]:
    """Best skill so far after 1, 2, ... trials."""
    command = [sys.executable, "-m", "metalearner", "run", source, "--budget", f"{trials}trials", "--seed", str(seed), mode, "--json",
               "--out", str(out)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    board = sorted(json.loads(done.stdout)["leaderboard"], key=lambda t: t["trial"])
    return list(np.maximum.accumulate([t["skill"] if t["skill"] is not None else 0.0 for t in board]))


def main() -> None:
    """Run both arms on every source and seed, print, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--trials", type=int, default=6)
    arguments.add_argument("--seeds", type=int, default=3)
    given = arguments.parse_args()
    lines = ["| source | trials | skill with the base | skill without | difference |", "|---|---|---|---|---|"]
    gaps: dict[int, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for source in SOURCES:
            arms = {
                mode: np.mean(
                    [
                        curve(source, s, given.trials, mode, Path(scratch) / f"{source}{mode}{s}")
                        for s in range(given.seeds)
                    ],
                    axis=0,
                )
                for mode in ("--blind", "--cold")
            }
            for k in (2, given.trials):
                warm, cold = arms["--blind"][k - 1], arms["--cold"][k - 1]
                gaps.setdefault(k, []).append(warm - cold)
                lines.append(f"| {source} | {k} | {warm:.3f} | {cold:.3f} | {warm - cold:+.3f} |")
                print(lines[-1], flush=True)
    rng = np.random.default_rng(0)
    for k, values in gaps.items():
        means = [np.mean(rng.choice(values, len(values))) for _ in range(2000)]
        low, high = np.quantile(means, [0.025, 0.975])
        lines.append(f"| mean of {len(values)} | {k} | | | {np.mean(values):+.3f} [{low:+.3f}, {high:+.3f}] |")
        print(lines[-1])
    title = f"# With the knowledge base against without it, {given.seeds} seeds\n\n"
    (HERE / "warm_start.md").write_text(title + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
