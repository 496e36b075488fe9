"""Proposing with 100,000 records in the base: seconds after describing, seconds to open it, memory.

    .venv/bin/python benchmarks/large_base.py [--sets 1000] [--tried 100]

The records are made up: real descriptions with noise, presets of the catalogue, scores by chance. They serve this and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def made_up(sets: int, tried: int, file: Path) -> None:
    """A base of so many records, as text."""
    from metalearner import grammar, plugins
    from metalearner.knowledge import Base
    from metalearner.knowledge.text import Line, append
    from metalearner.records import DatasetCard, Description, Experience

    rng, registry = np.random.default_rng(0), plugins.load()
    shipped = Base.open(file.parent / "scratch")
    known = [d for i, d in shipped.archive.descriptions().items() if shipped.cards()[i].modality == "tabular"]
    families = {n: f for n, f in registry.families.items() if f.evidence is None}
    presets = [(grammar.complete(p, registry.productions), n) for n, f in families.items() for p in f.presets]
    lines = []
    for i in range(sets):
        card = DatasetCard(f"made-up-{i}", f"group-{i}", "tabular", int(rng.integers(100, 9000)), f"hash-{i}")
        like = known[int(rng.integers(len(known)))]
        numbers = {n: None if v is None else v + float(rng.normal(0, 0.3)) for n, v in like.numbers.items()}
        described = Description(like.version, numbers, like.sentence, 1.0, like.views, like.probes)
        lines += [Line.of(card), Line.of(described, card.id)]
        for t in range(tried):
            preset, family = presets[int(rng.integers(len(presets)))]
            config = grammar.sample(preset, registry.productions, rng) if t % 2 else preset
            skill = float(rng.uniform(0.2, 0.9))
            lines.append(Line.of(Experience(
                dataset=card.id, data_hash=card.data_hash, task={"output": "classification", "metric": "accuracy"},
                config=config, family=family, seed=t, rung=1.0, outcome="ok", metric="accuracy", score=skill, baseline=0.0,
                skill=skill, seconds=float(rng.exponential(2.0)) + 0.01, facts={"folds": 1},
            )))  # fmt: skip
    append(file, lines)


def measure() -> dict[str, float]:
    """In a process of its own: open, describe, propose."""
    from metalearner import plugins, sources
    from metalearner.data import read
    from metalearner.events import Story
    from metalearner.kinds import Moment
    from metalearner.knowledge import Base
    from metalearner.request import Request
    from metalearner.steps.foresee import foresee
    from metalearner.steps.understand import formulate_and_prepare
    from metalearner.task import Wish

    registry, source = plugins.load(), sources.find("penguins")
    told: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        reading = read(source.source, registry.modalities)
        story = Story(folder / "events.jsonl", lambda event: told.setdefault(event["stage"], time.monotonic()))
        setting, _ = formulate_and_prepare(Request("penguins", Wish()), source, reading, registry, folder, story)
        began = time.monotonic()
        base = Base.open(shipped=None, productions=registry.productions)
        opened = time.monotonic() - began
        foresight = foresee(setting, base, Request("penguins", Wish()), story)
        foresight.portfolio.ask(5, [], Moment())
        proposed = time.monotonic() - told["describe"]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"records": base.store.db.table("experiences").count, "open": opened, "propose": proposed, "memory": memory}


def main() -> None:
    """Make up, measure, print, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sets", type=int, default=1000)
    arguments.add_argument("--tried", type=int, default=100)
    arguments.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.measure:
        print(json.dumps(measure()))
        return
    with tempfile.TemporaryDirectory(prefix="large-") as scratch:
        home = Path(scratch)
        made_up(given.sets, given.tried, home / "knowledge" / "records.jsonl")
        rows = []
        for when in ("first time, the database is made", "afterwards"):
            done = subprocess.run([sys.executable, __file__, "--measure"], env=os.environ | {"METALEARNER_HOME": scratch},
                                  capture_output=True, text=True, check=True)  # fmt: skip
            found = json.loads(done.stdout.splitlines()[-1])
            rows.append(f"| {when} | {found['open']:.2f} | {found['propose']:.2f} | {found['memory']:.2f} |")
    text = "\n".join([
        f"# Proposing with {int(found['records']):,} records", "",
        f"Made by `.venv/bin/python benchmarks/large_base.py`: {given.sets:,} data sets of {given.tried} made-up records each, one"
        " process, penguins asked about.", "",
        "| | opening the base, s | proposing after describing, s | memory of the process, GB |", "|---|---|---|---|", *rows,
    ])  # fmt: skip
    (HERE / "large_base.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
