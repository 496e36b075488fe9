"""Grow the knowledge base: run what it knows least, on real data and on made ones, and write down whatever comes of it."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from .. import kinds, sources
from ..data import read
from ..errors import MetalearnerError
from ..events import Story
from ..home import home
from ..kinds import Executor, Family, Job, Moment, Proposer, Rung, Scope
from ..knowledge import SHIPPED, Base
from ..plugins import Registry
from ..propose import Portfolio, propose
from ..records import Config, Experience, Proposal, Recall, Trial, digest
from ..request import Request
from ..setting import INVENTED_LEVEL, Setting
from ..sources import catalogue
from ..steps.foresee import describe_setting
from ..steps.learn import experience
from ..steps.understand import formulate_and_prepare
from ..task import Wish
from ..worker import Begin

# What is learnt from at most, and about how many held-out rows tell configs apart: no more folds than that takes.
ROWS, TELLING = 3000, 300
# Beside the presets of every family: so many configs that search finds, and second seeds of the best so many; of data that
# were made fewer.
ADAPTIVE, TWICE = 16, 8
MADE_ADAPTIVE, MADE_TWICE = 4, 0
# Of each four that search finds: two where it sees most to gain, one by chance, one that nobody has named.
BY_CHANCE, UNNAMED, ROUND = 1, 3, 4
# Seconds that a trial may take: some for all, and some for each number among the rows it learns from. Networks along ordered
# axes do more with each number, and more often.
LEAST, EACH = 2.0, 3e-6
LEAST_ORDERED, EACH_ORDERED, MOST = 5.0, 6e-6, 20.0
# Where a pretrained model may read the rows, so many more for each of them: it reads them once, and is tuned on them.
EACH_READ, MOST_READ = 0.02, 60.0
ORDERED = ("time", "space", "tokens")
SEED, SECOND = 0, 1
# Seconds for a first fit that pays for imports, and the number of the first of them, far from any that counts.
WARM_UP, UNCOUNTED = 20.0, 90_000
# After these a worker may be a new one, whose first fits would pay for imports again.
ENDED = ("timeout", "crash")
# The file that says which data set the workers are about.
NOW = "now.txt"
# A config of search that was tried before is asked for again at most so often.
TRIES = 4


def grow(
    registry: Registry, hours: float, only: Sequence[str], shipped: bool, workers: int, say: Callable[[str], None]
) -> None:
    """Data set after data set, those of groups the base knows least first: presets, what search finds, second seeds.

    Each trial is written as soon as it is finished: stopping at any moment loses nothing, starting again goes on.
    """
    until = time.monotonic() + 3600 * hours
    base = Base.open()
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
        self.file, self.suffix = file, f" {digest([presets, ADAPTIVE, TWICE, MADE_ADAPTIVE, MADE_TWICE])[:12]}"
        self.names = set(file.read_text().splitlines()) if file.exists() else set()

    def __contains__(self, name: str) -> bool:
        return name + self.suffix in self.names

    def add(self, name: str) -> None:
        """Remember it."""
        self.names.add(name + self.suffix)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a") as out:
            out.write(name + self.suffix + "\n")


@dataclass
class Course:
    """What is still to be tried on one data set, and what came of the rest."""

    setting: Setting
    families: Mapping[str, Family]
    trials: list[Trial]
    open: dict[tuple[str, int], Proposal] = field(default_factory=dict)  # by config and seed

    def __post_init__(self) -> None:
        self.presets = [(c, f.name) for f in self.families.values() for c in f.presets]
        self.known = {(t.config.id, t.seed) for t in self.trials}
        made = self.setting.dataset.card.synthetic
        self.adaptive, self.twice = (MADE_ADAPTIVE, MADE_TWICE) if made else (ADAPTIVE, TWICE)
        self.searchers = {
            name: searcher.begin(cold(self.setting, self.families))
            for name, searcher in self.setting.registry.searchers.items()
            if name in ("evolution", "random")
        }

    def next(self) -> tuple[Proposal, int] | None:
        """A config and its seed; None when there is nothing, or nothing before what is under way has ended."""
        found = self._preset() or self._searched() or self._second()
        if found is not None:
            self.open[found[0].config.id, found[1]] = found[0]
        return found

    def learn(self, trial: Trial) -> None:
        """A trial has ended."""
        self.open.pop((trial.config.id, trial.seed), None)
        self.known.add((trial.config.id, trial.seed))
        self.trials.append(trial)

    def _new(self, config: Config, seed: int = SEED) -> bool:
        return (config.id, seed) not in self.known and (config.id, seed) not in self.open

    def _preset(self) -> tuple[Proposal, int] | None:
        return next(((Proposal(c, f, "grow"), SEED) for c, f in self.presets if self._new(c)), None)

    def _searched(self) -> tuple[Proposal, int] | None:
        """Presets that are not done yet are waited for: search begins with all of them."""
        named = {c.id for c, _ in self.presets}
        begun = {config for config, seed in [*self.known, *self.open] if seed == SEED and config not in named}
        if len(begun) >= self.adaptive or not self.searchers:
            return None
        if any(config in named for config, _ in self.open):
            return None
        turn = len(begun) % ROUND
        levels = frozenset({INVENTED_LEVEL}) if turn == UNNAMED else None
        searcher = self.searchers.get(
            "random" if turn == BY_CHANCE else "evolution", next(iter(self.searchers.values()))
        )
        return self._ask(searcher, Moment(levels=levels)) or self._ask(searcher, Moment())

    def _ask(self, searcher: Proposer, moment: Moment) -> tuple[Proposal, int] | None:
        for _ in range(TRIES):
            for proposal in searcher.ask(1, self.trials, moment):
                if self._new(proposal.config):
                    return replace(proposal, odds=None, expected_seconds=None), SEED
        return None

    def _second(self) -> tuple[Proposal, int] | None:
        """The best ones once more, as soon as it is known which they are."""
        if any(seed == SEED for _, seed in self.open):
            return None
        best = sorted(
            (t for t in self.trials if t.seed == SEED and t.skill is not None), key=lambda t: -(t.skill or 0.0)
        )
        again = (t for t in best[: self.twice] if self._new(t.config, SECOND))
        return next(((t.proposal, SECOND) for t in again), None)


@dataclass(frozen=True)
class Wandering(kinds.Begin):
    """A worker that goes from data set to data set: each job is about the one that `folder`/now names by then."""

    folder: Path
    began: float

    def __call__(self) -> Callable[[Job], Iterator[Trial]]:
        """Import once, then open the data of each job as they change."""
        at: dict[str, Callable[[Job], Iterator[Trial]]] = {}

        def fit(job: Job) -> Iterator[Trial]:
            name = (self.folder / NOW).read_text()
            if name not in at:
                at.clear()
                at[name] = Begin(self.folder / name, self.began)()
            return at[name](job)

        return fit

    def at(self, folder: Path) -> Wandering:
        """The same elsewhere."""
        return replace(self, folder=folder)


class Gang:
    """Workers that stay while data sets change, so that what they import is paid once."""

    def __init__(self, registry: Registry, folder: Path, workers: int) -> None:
        self.folder, self.workers = folder, workers
        self.executor: Executor = registry.get("executors", "local")
        self.executor.start(Wandering(folder, time.monotonic()), workers)
        self.warm: set[str] = set()  # roots whose imports are paid
        self.uncounted = UNCOUNTED  # the number of the next warm-up: none is used twice

    def turn_to(self, name: str, course: Course) -> None:
        """The next data set."""
        part = self.folder / f"{NOW}.part"
        part.write_text(name)
        part.replace(self.folder / NOW)
        self._warm_up(course)

    def run(self, course: Course, most: float, until: float) -> Iterator[Trial]:
        """Keep the workers busy until nothing is left or the time is up; what was begun is finished."""
        number, over, replaced = len(course.trials), False, False
        while course.open or not over:
            over = over or time.monotonic() >= until
            if replaced and not course.open and not over:
                self.warm.clear()
                self._warm_up(course)
                replaced = False
            while self.executor.idle() and not over and not replaced:
                found = course.next()
                if found is None:
                    over = not course.open  # else what is under way says what comes next
                    break
                proposal, seed = found
                self.executor.submit(Job((number,), (proposal,), Rung(1.0, time.monotonic() + most, 1, seed)))
                number += 1
            for trial in self.executor.collect(0.5):
                replaced = replaced or trial.outcome in ENDED
                course.learn(trial)
                yield trial

    def _warm_up(self, course: Course) -> None:
        """Each worker fits something of each learner that is new to it, which nobody counts."""
        first = {c.production: Proposal(c, f, "warm-up") for c, f in reversed(course.presets)}
        for root in sorted(first.keys() - self.warm):
            self._all_idle()
            for _ in range(self.workers):
                rung = Rung(1.0, time.monotonic() + WARM_UP, 1, SEED)
                self.executor.submit(Job((self.uncounted,), (first[root],), rung))
                self.uncounted += 1
            self._all_idle()
            self.warm.add(root)

    def _all_idle(self) -> None:
        while self.executor.idle() < self.workers:
            self.executor.collect(0.2)


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


def prepared(name: str, registry: Registry, folder: Path, folds: int | None = None) -> Setting:
    """A data set of the catalogue as the records of the base saw it: seed 0, a fifth sealed, not too many rows.

    It has the first so many folds; as many as hold out TELLING rows where that is not said.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = sources.find(name)
    reading = replace(read(source.source, registry.modalities), most=ROWS)
    request = Request(name, Wish(), seed=SEED)
    setting, _ = formulate_and_prepare(request, source, reading, registry, folder, Story(folder / "events.jsonl"))
    dataset = setting.dataset
    held = np.cumsum([len(valid) for _, valid in dataset.folds])
    enough = int(np.searchsorted(held, TELLING)) + 1 if folds is None else folds
    if enough < len(dataset.folds):
        setting = replace(setting, dataset=replace(dataset, folds=dataset.folds[:enough]))
        setting.dataset.save(folder / "data")
    return setting


def seconds(setting: Setting) -> float:
    """What a trial may take on these data."""
    ordered = any(kind in ORDERED for view in setting.views.values() for kind in view.kinds)
    least, each = (LEAST_ORDERED, EACH_ORDERED) if ordered else (LEAST, EACH)
    views, fits = setting.views.values(), setting.dataset.folds
    numbers = sum(int(np.prod(v.shape)) + len(v.cardinalities) for v in views)
    read = sum(bool(v.raw) for v in views) * setting.dataset.rows
    return min(MOST, least + each * numbers * sum(len(train) for train, _ in fits)) + min(MOST_READ, EACH_READ * read)


def cold(setting: Setting, families: Mapping[str, Family], seed: int = SEED) -> Scope:
    """What a searcher knows that nobody told anything."""
    registry = setting.registry
    prior = propose(setting.task, Recall(), families, setting.metric, setting.baseline)
    return Scope(families, registry.productions, registry.learners, setting.views, setting.metric, prior,
                 Portfolio(Recall(), prior, families), seed=seed)  # fmt: skip


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
