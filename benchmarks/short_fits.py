"""What becomes of a config that gets fewer seconds than it took: presets on record, fitted again with a second each.

    .venv/bin/python benchmarks/short_fits.py     # ten minutes, on one core

Twelve tables and eight others of the base, drawn by chance from the groups that meta.py does not judge; pretrained models, which
read the rows first, are left out. Regret: 0 is the best config on record, 1 the median one, 2 a failure.
What `metalearner/propose/regret.py` says of what is out of reach is read from here.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from metamodel import live

from metalearner import machine, plugins
from metalearner.kb.prepared import prepared
from metalearner.knowledge import Base
from metalearner.plugins import Registry
from metalearner.propose import Here
from metalearner.propose.regret import CEILING, FLAT, WHOLE, pasts, seconds_for
from metalearner.records import DatasetCard, Neighbour, Proposal, Recall
from metalearner.steps.foresee import describe_setting

HERE = Path(__file__).parent
TABLES, OTHERS, SEED = 12, 8, 0
PRETRAINED = 2  # level
EDGES = (0.0, 1.0, 2.5, 5.0, 8.0, 16.0, float("inf"))


@dataclass(frozen=True)
class Again:
    """A config on one data set, on record and with a second."""

    table: bool
    whole: float  # seconds that it would take here, counted on to its end
    regret: float
    cut: float


def main() -> None:
    """Draw, fit, print, write."""
    live.pinned(0)
    registry = plugins.load()
    base = Base.open(productions=registry.productions)
    found = []
    for dataset, card in drawn(base):
        found += again(dataset, card, base, registry)
        print(f"{card.name}: {len(found)} fits so far", flush=True)
    text = "# Fits with a second each\n\nMade by `.venv/bin/python benchmarks/short_fits.py`.\n\n" + report(found)
    (HERE / "short_fits.md").write_text(text)
    print(text)


def drawn(base: Base) -> list[tuple[str, DatasetCard]]:
    """The data sets, by DatasetCard.id: real ones, none of a group that is judged, one of a group."""
    judged = set((HERE / "metamodel" / "groups.txt").read_text().splitlines())
    cards, groups = base.cards(), base.archive.groups(names=True)
    lost = {groups[i] for i, card in cards.items() if card.name in judged}
    real = sorted((card.name, i) for i, card in cards.items() if not card.synthetic and groups[i] not in lost)
    random.Random(SEED).shuffle(real)
    one = list({groups[i]: i for _, i in real}.values())
    tables = [i for i in one if cards[i].modality == "tabular"][:TABLES]
    return [(i, cards[i]) for i in tables + [i for i in one if cards[i].modality != "tabular"][:OTHERS]]


def again(dataset: str, card: DatasetCard, base: Base, registry: Registry) -> Iterator[Again]:
    """Every preset that is on record, with a second."""
    folder = Path(tempfile.mkdtemp(prefix="short-"))
    try:
        setting = prepared(card.name, registry, folder)
        (folder / "trials").mkdir()
        called = setting.called_for(describe_setting(setting))
        families = [f for f in (setting.families | called).values() if f.level != PRETRAINED]
        here = Here(setting.dataset.rows * len(setting.dataset.folds), None, machine.speed())
        tried = base.experiences(dataset)
        stopped = {e.config.id for e in tried if e.facts.get("stopped") == "deadline"}
        itself = Neighbour(dataset, card.name, card.group, 1.0, 1.0, "", None)
        (past,) = pasts(Recall((itself,), 0.0, {dataset: tried}), here)
        best, median = np.quantile(list(past.skill.values()), [1.0, 0.5])
        bench = live.Bench(folder, SEED)
        bench.warm_up([Proposal(c, f.name, "warm-up") for f in families for c in f.presets[:1]])
        for config, name in [(c, f.name) for f in families for c in f.presets if c.id in past.skill]:
            whole = seconds_for(here, past, config.id) * (WHOLE if config.id in stopped else 1.0)
            trial = bench.fit(Proposal(config, name, "again"), live.SECONDS)
            lost = CEILING if trial.skill is None else (best - trial.skill) / max(best - median, FLAT)
            yield Again(card.modality == "tabular", whole, past.regret[config.id], min(CEILING, lost))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def report(found: Sequence[Again]) -> str:
    """Tables and others apart, by how many seconds a fit would take."""
    lines = ["| data | seconds that it takes | fits | regret on record | with a second | of those that were not, now at the ceiling |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for name, table in (("tables", True), ("others", False)):
        for low, high in pairwise(EDGES):
            some = [a for a in found if a.table == table and low <= a.whole < high]
            if not some:
                continue
            able = [a.cut >= CEILING for a in some if a.regret < CEILING]
            span = f"under {high:g}" if not low else f"{low:g} to {high:g}" if np.isfinite(high) else f"over {low:g}"
            gone = f"{np.mean(able):.0%} of {len(able)}" if able else "none were not"
            before, now = (np.mean([getattr(a, what) for a in some]) for what in ("regret", "cut"))
            lines.append(f"| {name} | {span} | {len(some)} | {before:.2f} | {now:.2f} | {gone} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
