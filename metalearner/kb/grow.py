"""Grow the knowledge base: run what it knows least, on real data and on made ones, and write down whatever comes of it."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..errors import MetalearnerError
from ..home import home
from ..knowledge import SHIPPED, Base
from ..plugins import Registry
from ..records import Experience, Proposal, Trial, digest
from ..sources import catalogue
from ..steps.foresee import describe_setting
from ..steps.learn import experience
from .course import Course, extent
from .gang import Gang
from .prepared import prepared, seconds
from .teach import due, opened, teach

# To learn from the base takes some twenty minutes: less than this many hours are for growing alone.
LEARNING = 1.0


def grow(
    registry: Registry, hours: float, only: Sequence[str], shipped: bool, workers: int, say: Callable[[str], None]
) -> None:
    """Data set after data set, those of groups the base knows least first: presets, what search finds, second seeds.

    Each trial is written as soon as it is finished: stopping at any moment loses nothing, starting again goes on. Where the base has
    grown much since anything was learnt from it, that comes first, if there is the time.
    """
    until = time.monotonic() + 3600 * hours
    base = Base.open(productions=registry.productions)
    if hours >= LEARNING:
        with opened(shipped, registry) as (whole, place):
            if new := due(whole):
                say(f"{new} data sets came since something was learnt from all: learning anew")
                teach(whole, registry, place, say)
    folder = home() / "grow"
    folder.mkdir(parents=True, exist_ok=True)
    finished = Finished(folder / "finished.txt", registry)
    wanted = [n for n in order(base, only or list(catalogue.everything())) if only or n not in finished]
    if not wanted:
        say("Nothing is left to try with what is installed.")
        return
    gang = Gang(registry, folder, workers)
    try:
        for name in wanted:
            if time.monotonic() > until:
                return
            try:
                if _grow_one(name, registry, base, until, shipped, gang, say):
                    finished.add(name)
            except MetalearnerError as problem:  # one data set that cannot be had does not stop the others
                say(f"{name}: left out. {problem}")
            except Exception as problem:  # nor one that breaks something
                say(f"{name}: left out. {type(problem).__name__}: {problem}")
    finally:
        gang.executor.stop()


def order(base: Base, names: Sequence[str]) -> list[str]:
    """Data sets by how little is known of their group, then of themselves; real ones before made ones.

    A group is counted on while the list grows, so that its second member comes after every other group's first.
    """
    cards, known = catalogue.everything(), Counter[str]()
    for card in base.cards().values():
        known[card.name] = max(known[card.name], len(base.tried(card.data_hash)))
    waiting = sorted(names, key=lambda n: (cards[n].synthetic if n in cards else False, known[n], n))
    turn: Counter[str] = Counter()
    place = {}
    for name in waiting:
        group = cards[name].group if name in cards else name
        place[name] = turn[group]
        turn[group] += 1
    return sorted(waiting, key=lambda n: place[n])


class Finished:
    """Names of data sets on which there is nothing left to try with the families that are installed."""

    def __init__(self, file: Path, registry: Registry) -> None:
        presets = sorted(c.id for f in registry.families.values() for c in f.presets)
        self.file, self.suffix = file, f" {digest([presets, *extent()])[:12]}"
        self.names = set(file.read_text().splitlines()) if file.exists() else set()

    def __contains__(self, name: str) -> bool:
        return name + self.suffix in self.names

    def add(self, name: str) -> None:
        """Remember it."""
        self.names.add(name + self.suffix)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a") as out:
            out.write(name + self.suffix + "\n")


def _grow_one(
    name: str, registry: Registry, base: Base, until: float, shipped: bool, gang: Gang, say: Callable[[str], None]
) -> bool:
    """Whether there was nothing left to try when it ended."""
    folder = gang.folder / name
    try:
        setting = prepared(name, registry, folder)
        card, description = setting.dataset.card, describe_setting(setting)
        into = SHIPPED / "records" / f"{setting.task.modality}.jsonl" if shipped and SHIPPED else None
        base.add(card, description, [], into=into)
        families = setting.families | setting.called_for(description)
        course = Course(setting, families, list(_as_trials(base.experiences(card.id))))
        before = len(course.trials)
        (folder / "trials").mkdir()
        gang.turn_to(name, course)
        for trial in gang.run(course, seconds(setting), until):
            refused = base.add(card, description, [experience(trial, setting)], into=into)
            say(_line(name, trial, refused))
        done = not course.open and course.next() is None
        if done and len(course.trials) == before:
            say(f"{name}: all {before} known")
        return done
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_trials(experiences: Sequence[Experience]) -> Iterator[Trial]:
    """Records of full fits as the trials they were."""
    for number, e in enumerate(e for e in experiences if e.rung >= 1):
        yield Trial(number, Proposal(e.config, e.family, "grow"), e.outcome, e.seed, e.rung, e.score, e.skill, e.seconds,
                    0.0, dict(e.facts))  # fmt: skip


def _line(name: str, trial: Trial, refused: list[str]) -> str:
    result = f"{trial.skill:.3f}" if trial.skill is not None else f"{trial.outcome} {trial.error[:60]}"
    return f"{name:<22} {trial.proposal.family:<20} {result:>8} {trial.seconds:6.1f} s" + (
        f"  refused: {refused[0]}" if refused else ""
    )
