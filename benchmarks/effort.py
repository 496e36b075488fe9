"""How well the work of a network, counted before it is fitted, tells the seconds that its fit takes: on the records of the base.

    .venv/bin/python benchmarks/effort.py

Seconds a row and epoch are explained by multiply-adds, numbers held for the way back, and steps; never by less than nothing.
Each error counts by its share of the seconds. What `metalearner/train/net.py` says of effort is rounded from here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from metalearner import plugins
from metalearner.knowledge import Base
from metalearner.records import FULL

# Bytes for each weight in training, for each number held; of one fold, the rows that are learnt from.
A_WEIGHT, A_NUMBER, OF_ONE_FOLD = 16, 4, 0.64
MODALITIES = ("image", "signal")  # of tables networks are so small that steps are all there is


def main() -> None:
    """Fit, print, write."""
    base = Base.open(productions=plugins.load().productions)
    lines = ["# Seconds of a fit, told by its work", "", "Made by `.venv/bin/python benchmarks/effort.py`.", "",
             "| modality | fits | a product, s | a number, s | a step, s | spread of seconds a row (log) | what is left |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for modality in MODALITIES:
        work, seconds = measured(base, modality)
        prices, _ = nnls(work / seconds[:, None], np.ones(len(seconds)))
        left = np.log(work @ prices / seconds)
        told = " | ".join(f"{p:.1e}" for p in prices)
        lines.append(f"| {modality} | {len(seconds)} | {told} | {np.log(seconds).std():.2f} | {left.std():.2f} |")
    text = "\n".join(lines) + "\n"
    (Path(__file__).parent / "effort.md").write_text(text)
    print(text)


def measured(base: Base, modality: str) -> tuple[np.ndarray, np.ndarray]:
    """(fits, 3) products, numbers and steps of a row, and the seconds (fits,) that learning from it once took."""
    work, seconds = [], []
    for i, card in base.cards().items():
        for e in base.experiences(i) if card.modality == modality else ():
            facts = e.facts or {}
            if e.config.production != "net" or e.outcome != "ok" or e.rung < FULL or not facts.get("epochs"):
                continue
            batch = float(e.config.parts["recipe"][0].numbers.get("batch_size", 64))
            held = max(0.0, 1e6 * facts["megabytes"] - A_WEIGHT * facts["parameters"]) / A_NUMBER / batch
            rows = card.rows * ((facts["folds"] - 1) * 0.8 if facts["folds"] > 1 else OF_ONE_FOLD)
            work.append((facts["multiply_adds"], held, 1 / batch))
            seconds.append(e.seconds / (facts["epochs"] * rows))
    return np.array(work, dtype=float), np.array(seconds)


if __name__ == "__main__":
    main()
