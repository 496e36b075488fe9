"""What the trials of a run say: one entry a config, skills that can be compared across rungs, seconds, noise.

Everything is read from the trials shown, so that a resumed run knows what the run before it knew.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from metalearner import grammar
from metalearner.kinds import Scope
from metalearner.records import FULL, Config, Proposal, Trial

# Skills that differ by less are equal as far as anybody knows, until the folds have said how much they scatter.
NOISE = 0.01
NOISE_LEAST, NOISE_MOST = 5e-4, 0.1
# A lift from the cheap rung is believed as if so many trials had said that there is none.
DOUBT = 1.0
# Proposals that were made but have no trial yet; older ones than this were dropped by whoever asked.
OPEN = 64
# What the name of a family begins with that is no family of the catalogue.
INVENTED = "invented"


@dataclass
class Entry:
    """A config that was tried, with all its trials: the cheap one, and those that went on from it."""

    key: str  # id of the config with every number written out
    config: Config
    identity: str  # of its skeleton
    family: str
    arm: str
    trials: list[Trial] = field(default_factory=list)
    best: Trial | None = None  # the trial that went furthest; None where none has a skill

    def add(self, trial: Trial) -> None:
        """One more trial of it."""
        self.trials.append(trial)
        good = trial.outcome == "ok" and trial.merit is not None and math.isfinite(trial.merit)
        if good and (self.best is None or trial.rung >= self.best.rung):
            self.best = trial
        if trial.outcome == "pruned":  # whatever its cheap fit promised, nobody may have it
            self.best = None

    @property
    def first(self) -> int:
        """The number of its first trial: its age."""
        return self.trials[0].number

    @property
    def failed(self) -> bool:
        """Whether it never gave a model."""
        return self.best is None

    @property
    def refused(self) -> bool:
        """Whether it asks for more than is allowed."""
        return self.trials[-1].outcome == "pruned"

    @property
    def seconds(self) -> float:
        """What it has cost so far, all rungs together."""
        return sum(t.seconds for t in self.trials)


class History:
    """The entries of a run in the order in which they were begun, and what is still open."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.entries: dict[str, Entry] = {}
        self.open: dict[str, Proposal] = {}  # by key, oldest first
        self.asked: set[str] = set()
        self.version = 0
        self._known: set[int] = set()
        self._lifts: dict[tuple[str, int, float], float] = {}
        self._noise, self._folds = NOISE, 1
        self._keys: dict[str, str] = {}
        for proposal in scope.begun:
            self.expect(proposal)

    def learn(self, seen: Sequence[Trial]) -> list[Trial]:
        """Take in the trials that are new; they are returned."""
        new = [t for t in seen if t.number not in self._known]
        for trial in sorted(new, key=lambda t: t.number):
            self._known.add(trial.number)
            key = self.key(trial.config)
            self.open.pop(key, None)
            self.asked.add(key)
            if key not in self.entries:
                said = trial.proposal
                self.entries[key] = Entry(key, trial.config, grammar.identity(trial.config), said.family, said.arm)
            self.entries[key].add(trial)
        if new:
            self.version += 1
            self._lifts = {}
            self._noise = self._measured_noise()
        return new

    def expect(self, proposal: Proposal) -> None:
        """Count a proposal as made, so that it is not made twice."""
        key = self.key(proposal.config)
        self.asked.add(key)
        self.open[key] = proposal
        while len(self.open) > OPEN:
            self.open.pop(next(iter(self.open)))

    def fresh(self, config: Config) -> bool:
        """Whether a config is valid and was neither tried nor proposed."""
        return not grammar.check(config, self.scope.productions) and self.key(config) not in self.asked

    def key(self, config: Config) -> str:
        """What equal fits have in common: the id of the config with every number written out."""
        if config.id not in self._keys:
            self._keys[config.id] = grammar.complete(config, self.scope.productions).id
        return self._keys[config.id]

    def generator(self) -> np.random.Generator:
        """Chance for the next proposal: by seed and place, so that a resumed run goes on and does not begin again."""
        return np.random.default_rng([self.scope.seed, len(self._known), len(self.asked)])

    def of(self, families: Iterable[str]) -> list[Entry]:
        """The entries of these arms, oldest first."""
        wanted = set(families)
        return [e for e in self.entries.values() if arm_of(e.family) in wanted]

    def count(self, arm: str) -> int:
        """Configs that this arm of a searcher has proposed, those under way included."""
        return sum(e.arm == arm for e in self.entries.values()) + sum(p.arm == arm for p in self.open.values())

    def seconds(self, arm: str = "") -> float:
        """What the configs of an arm of a searcher, or of all, have cost so far."""
        return sum(e.seconds for e in self.entries.values() if arm in ("", e.arm))

    @property
    def noise(self) -> float:
        """Skill by which two configs differ by chance alone."""
        return self._noise

    def skill(self, entry: Entry) -> float | None:
        """The skill a full fit has or would have: that of the furthest trial, lifted by what going on usually changes."""
        trial = entry.best
        if trial is None:
            return None
        assert trial.merit is not None
        return trial.merit if trial.rung >= FULL else trial.merit + self._lift(entry.family, trial)

    def cautious(self, entry: Entry) -> float | None:
        """The skill less what it may owe to luck: a standard error for every fold it was not fitted on yet.

        Among many configs on one fold the best one looks better than it is.
        """
        skill, trial = self.skill(entry), entry.best
        if skill is None or trial is None or trial.rung >= FULL:
            return skill
        folds, share = _reach(trial)
        missing = max(self._folds / max(1, folds), 1 / max(share, 0.1))
        return skill - self.noise * (math.sqrt(missing) - 1)

    def _lift(self, family: str, trial: Trial) -> float:
        """Mean change from a rung like this trial's to the full fit; by family where it is epochs that were missing."""
        folds, share = _reach(trial)
        place = (family if share < FULL else "", folds, share)
        if place not in self._lifts:
            changes = list(self._changes(place))
            self._lifts[place] = sum(changes) / (len(changes) + DOUBT)
        return self._lifts[place]

    def _changes(self, place: tuple[str, int, float]) -> Iterable[float]:
        family, folds, share = place
        for entry in self.entries.values():
            full = entry.best
            if full is None or full.rung < FULL or full.merit is None:
                continue
            scores = fold_merits(full)
            if share >= FULL and len(scores) > folds > 0:
                yield full.merit - float(np.mean(scores[:folds]))
            elif share < FULL and entry.family == family:
                yield from (
                    full.merit - t.merit for t in entry.trials if t.merit is not None and _reach(t) == (folds, share)
                )

    def _measured_noise(self) -> float:
        """Standard error of the difference of two configs' skills over the same folds.

        Two-way: what is left of the fold scores once each fold's difficulty and each config's mean are taken out, among
        the better half of the full fits.
        """
        full = [e.best for e in self.entries.values() if e.best is not None and e.best.rung >= FULL]
        rows = [s for t in full if len(s := fold_merits(t)) > 1]
        if not rows:
            return NOISE
        width = self._folds = max(len(r) for r in rows)
        table = np.array([r for r in rows if len(r) == width])  # (configs, folds)
        table = table[table.mean(axis=1) >= np.median(table.mean(axis=1))]
        left = table - table.mean(axis=1, keepdims=True)
        if len(table) > 1:
            left = left - left.mean(axis=0, keepdims=True)
        freedom = max(1, len(table) - 1) * (width - 1)
        error = math.sqrt(2 * float((left**2).sum()) / freedom / width)
        return float(np.clip(error, NOISE_LEAST, NOISE_MOST))


def fold_merits(trial: Trial) -> list[float]:
    """The merit on each fold a trial was fitted on; empty where its facts do not say."""
    return [float(m) for m in trial.facts.get("merits") or ()]


def arm_of(family: str) -> str:
    """The arm a family belongs to: its own, or the one of all that was invented.

    >>> arm_of("mlp"), arm_of("invented-3f2a")
    ('mlp', 'invented')
    """
    return INVENTED if family.startswith(f"{INVENTED}-") else family


def _reach(trial: Trial) -> tuple[int, float]:
    """Folds (0: the facts do not say) and share of each fit that a trial covers."""
    facts = trial.facts
    if "folds" in facts and "share" in facts:
        return int(facts["folds"]), float(facts["share"])
    return 0, float(trial.rung)
