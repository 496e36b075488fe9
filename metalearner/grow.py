"""Grow the knowledge base by running what it knows least, and check what it holds by running it again."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import catalogue, sources
from .data import read
from .errors import DataError, MetalearnerError
from .events import Story
from .home import home
from .kinds import Job, Rung
from .knowledge import SHIPPED, Base
from .plugins import Registry
from .records import Experience, Proposal, Trial
from .request import Request
from .run import describe_setting, experience, formulate_and_prepare
from .setting import Setting
from .task import Wish
from .worker import Begin

# A trial of the base may take this long, in seconds; learners stop in time and the record says so.
TRIAL_SECONDS = 10.0
# A rerun agrees when its score lies within this much skill of the recorded one.
TOLERANCE = 0.05
SEED = 0


def grow(
    registry: Registry, hours: float, only: Sequence[str], shipped: bool, workers: int, say: Callable[[str], None]
) -> None:
    """Try every preset of every fitting family on the data sets that have seen least of them.

    Each trial is written as soon as it is finished: stopping at any moment loses nothing, starting again goes on.
    """
    until = time.monotonic() + 3600 * hours
    base = Base.open()
    known = catalogue.cards()
    names = list(only) or sorted(known, key=lambda n: (len(_tried_by_name(base, n)), n))
    for name in names:
        if time.monotonic() > until:
            return
        try:
            _grow_one(name, registry, base, until, shipped, workers, say)
        except MetalearnerError as problem:  # one data set that cannot be had does not stop the others
            say(f"{name}: left out. {problem}")


def _grow_one(
    name: str, registry: Registry, base: Base, until: float, shipped: bool, workers: int, say: Callable[[str], None]
) -> None:
    folder = home() / "grow" / name
    setting = _setting(name, registry, folder)
    card = setting.dataset.card
    tried = base.tried(card.data_hash)
    proposals = [
        Proposal(config, family.name, "grow")
        for family in setting.families.values()
        for config in family.presets
        if (config.id, SEED) not in tried
    ]
    description = describe_setting(setting)
    into = SHIPPED / "records" / f"{setting.task.modality}.jsonl" if shipped and SHIPPED else None
    base.add(card, description, [], into=into)
    if not proposals:
        say(f"{name}: all {len(tried)} known")
        return
    shutil.rmtree(folder / "trials", ignore_errors=True)
    (folder / "trials").mkdir(parents=True)
    executor = registry.get("executors", "local")
    executor.start(Begin(folder, time.monotonic()), min(workers, len(proposals)))
    try:
        waiting, number = list(proposals), 0
        while waiting or number:
            while waiting and executor.idle() and time.monotonic() < until:
                rung = Rung(1.0, time.monotonic() + TRIAL_SECONDS, 1, SEED)
                executor.submit(Job((len(proposals) - len(waiting),), (waiting.pop(0),), rung))
                number += 1
            if time.monotonic() >= until:
                waiting = []
            for trial in executor.collect(0.5):
                number -= 1
                refused = base.add(card, description, [experience(trial, setting)], into=into)
                say(_line(name, trial, refused))
    finally:
        executor.stop()
        shutil.rmtree(folder, ignore_errors=True)


def verify(registry: Registry, sample: int, seed: int) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Run random records again on the same rows with the same seed; each with whether the scores agree.

    Beside them, how many records were passed over and why: a fit that was cut by its deadline depends on the machine,
    and one whose data are not here, or not the same any more, cannot be run at all.
    """
    base = Base.open()
    found: list[dict[str, Any]] = []
    passed: Counter[str] = Counter()
    known = catalogue.cards()
    for old, card in base.verify_sample(20 * sample, np.random.default_rng(seed)):
        if len(found) == sample:
            break
        if card.name not in known:
            passed["not in the catalogue"] += 1
            continue
        if old.facts.get("stopped") == "deadline":
            passed["cut by its deadline"] += 1
            continue
        try:
            again = _again(old, card.name, registry)
        except DataError:
            passed["data not on this machine"] += 1
            continue
        if again is None:
            passed["data changed since"] += 1
            continue
        gap = abs((again.skill if again.skill is not None else -9.0) - (old.skill or 0.0))
        found.append(
            {"dataset": card.name, "family": old.family, "recorded": old.score, "again": again.score,
             "seconds": [old.seconds, again.seconds], "agrees": gap <= TOLERANCE, "id": old.id}
        )  # fmt: skip
    return found, passed


def _again(old: Experience, name: str, registry: Registry) -> Trial | None:
    """The same fit once more; None when the data at hand are not those of the record."""
    folder = home() / "verify" / name
    try:
        setting = _setting(name, registry, folder)
        if setting.dataset.card.data_hash != old.data_hash:
            return None
        (folder / "trials").mkdir(parents=True, exist_ok=True)
        fit = Begin(folder, time.monotonic())()
        rung = Rung(old.rung, time.monotonic() + 60, 1, old.seed)
        return next(fit(Job((0,), (Proposal(old.config, old.family, "verify"),), rung)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _setting(name: str, registry: Registry, folder: Path) -> Setting:
    """The data set of the catalogue, prepared as every record of the base was: seed 0, a fifth sealed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = sources.find(name)
    request = Request(name, Wish(), seed=SEED)
    reading = read(source.source, registry.modalities)
    return formulate_and_prepare(request, source, reading, registry, folder, Story(folder / "events.jsonl"))[0]


def _tried_by_name(base: Base, name: str) -> set[tuple[str, int]]:
    hashes = {c.data_hash for c in base.cards().values() if c.name == name}
    return set().union(*(base.tried(h) for h in hashes)) if hashes else set()


def _line(name: str, trial: Trial, refused: list[str]) -> str:
    result = f"{trial.skill:.3f}" if trial.skill is not None else f"{trial.outcome} {trial.error[:60]}"
    return f"{name:<22} {trial.proposal.family:<20} {result:>8} {trial.seconds:6.1f} s" + (
        f"  refused: {refused[0]}" if refused else ""
    )
