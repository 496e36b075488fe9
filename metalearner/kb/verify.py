"""Check what the knowledge base holds by running some of it again."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from typing import Any

import numpy as np

from ..errors import DataError
from ..home import home
from ..kinds import Job, Rung
from ..knowledge import Base
from ..plugins import Registry
from ..records import Experience, Proposal, Trial
from ..sources import catalogue
from ..worker import Begin
from .prepared import prepared

# A rerun agrees when its score lies within this much skill of the recorded one.
TOLERANCE = 0.05


def verify(registry: Registry, sample: int, seed: int) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Run random records again on the same rows with the same seed; each with whether the scores agree.

    Beside them, how many records were passed over and why: a fit that was cut by its deadline depends on the machine,
    and one whose data are not here, or not the same any more, cannot be run at all.
    """
    base = Base.open(productions=registry.productions)
    found: list[dict[str, Any]] = []
    passed: Counter[str] = Counter()
    known = catalogue.everything()
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
        setting = prepared(name, registry, folder, int(old.facts.get("folds", 1)))
        if setting.dataset.card.data_hash != old.data_hash:
            return None
        (folder / "trials").mkdir(parents=True, exist_ok=True)
        fit = Begin(folder, time.monotonic())()
        rung = Rung(old.rung, time.monotonic() + 60, 1, old.seed)
        return next(fit(Job((0,), (Proposal(old.config, old.family, "verify"),), rung)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
