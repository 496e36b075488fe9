"""Regularised evolution over skeletons of networks (Real et al. 2019, arXiv 1802.01548).

An individual is a skeleton with the best config known of it. Parents are the best of a few picked by chance among the young;
a skeleton is as old as its last config, so one that is still worked on stays. Catalogue networks are individuals like any.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from metalearner import grammar
from metalearner.errors import PluginError
from metalearner.kinds import Scope
from metalearner.records import Config

from .bayes import STARTUP, Studies
from .gain import RECENT
from .history import INVENTED, Entry, History
from .steps import near

# Individuals that may become parents, and how many of them compete to.
SIZE, TOURNAMENT = 24, 6
# The first so many inventions are mutations of known networks, where there are any: they begin about as good.
SEEDS = 3
# Shares of what is done with a parent; the rest is a derivation from nothing.
MUTATED, CROSSED, NUMBERED = 0.5, 0.2, 0.2
# Mutations drawn until one changes the skeleton.
MUTATIONS = 4
# Derivations drawn until one is no network of the catalogue: most of them begin with one of its names.
DERIVED = 32
# How far what was seen moves the odds of a production: at most exp of it.
BELIEF, BELIEF_DOUBT = 1.5, 3
# Outcomes that say a network asks for too much.
TOO_MUCH = ("pruned", "timeout", "out-of-memory")


class Individual(NamedTuple):
    """A skeleton with its configs, oldest first."""

    identity: str
    entries: Sequence[Entry]
    best: Entry
    skill: float


@dataclass(frozen=True)
class Child:
    """A config made from others, and how."""

    config: Config
    family: str
    arm: str
    origin: str  # in words
    seconds: float | None  # expected, from what its parent took


class Population:
    """The networks of a run, and what can be made of them."""

    def __init__(self, scope: Scope, history: History, studies: Studies) -> None:
        self.scope, self.history, self.studies = scope, history, studies
        self.views, self.productions = scope.views, scope.productions
        nets = {n: f for n, f in scope.families.items() if f.presets[0].production == "net"}
        self._plain: dict[str, Config] = {}  # unfolded forms by id of the config
        self._efforts: dict[str, float] = {}
        self.catalogue = {grammar.identity(f.presets[0]): n for n, f in sorted(nets.items())}
        presets = [(n, preset) for n, f in sorted(nets.items()) for preset in f.presets]
        self.unfolded = {grammar.identity(self.plain(preset)): n for n, preset in presets}
        self._everyone: list[Individual] = []
        self._counted = 0  # version of the history that they were counted from
        self.possible = self._grows()

    def _grows(self) -> bool:
        """Whether the grammar has a network for these data at all, and more than one."""
        try:
            first, second = (self._derived(np.random.default_rng(seed), {}) for seed in (0, 1))
        except (PluginError, KeyError):
            return False
        return first != second

    def family(self, config: Config) -> str:
        """The family of the catalogue whose skeleton this is, by name or written out; else a name of its own."""
        identity = grammar.identity(config)
        if identity in self.catalogue:
            return self.catalogue[identity]
        return self.unfolded.get(grammar.identity(self.plain(config)), f"{INVENTED}-{identity[:4]}")

    def plain(self, config: Config) -> Config:
        """What a config stands for, every name unfolded; remembered."""
        if config.id not in self._plain:
            self._plain[config.id] = grammar.unfold(config, self.views, self.productions)
        return self._plain[config.id]

    def child(self, rng: np.random.Generator) -> Child | None:
        """One network outside of the catalogue; None where nothing that is allowed and new came out."""
        made = self._made(rng)
        return made if made is not None and made.family not in self.scope.families else None

    def anew(self, rng: np.random.Generator) -> Child | None:
        """A derivation from nothing, every production as likely as the grammar makes it."""
        return self._derivation(rng, {}, "derived by chance")

    def _made(self, rng: np.random.Generator) -> Child | None:
        everyone = self.individuals()
        young = everyone[-SIZE:]
        invented = [i for i in young if i.identity not in self.catalogue]
        if not young:
            return self._fresh(rng, everyone)
        parent = self._tournament(young, rng)
        drawn = rng.random() if len(invented) >= SEEDS else 0.0
        if drawn < MUTATED:
            return self._mutated(parent, everyone, rng)
        if drawn < MUTATED + CROSSED and len(young) > 1:
            return self._crossed(parent, self._tournament([i for i in young if i is not parent], rng), rng)
        if drawn < MUTATED + CROSSED + NUMBERED:
            return self._numbered(self._tournament(invented, rng), rng)
        return self._fresh(rng, everyone)

    def individuals(self) -> list[Individual]:
        """Every skeleton that gave a model, the youngest last."""
        if self._counted != self.history.version:
            self._counted, self._everyone = self.history.version, self._individuals()
        return self._everyone

    def _individuals(self) -> list[Individual]:
        groups: dict[str, list[Entry]] = {}
        for entry in self.history.entries.values():
            if entry.config.production == "net" and not entry.failed:
                groups[entry.identity] = [*groups.pop(entry.identity, []), entry]  # moves to the end
        found = []
        for identity, entries in groups.items():
            skills = [self.history.cautious(e) or 0.0 for e in entries]
            at = int(np.argmax(skills))
            found.append(Individual(identity, entries, entries[at], skills[at]))
        return found

    def _tournament(self, young: Sequence[Individual], rng: np.random.Generator) -> Individual:
        """The best of a few; among equals, as far as the noise tells, the cheapest."""
        picked = [young[i] for i in rng.permutation(len(young))[:TOURNAMENT]]
        top = max(i.skill for i in picked)
        return min((i for i in picked if i.skill >= top - self.history.noise), key=lambda i: i.best.seconds)

    def _mutated(self, parent: Individual, everyone: Sequence[Individual], rng: np.random.Generator) -> Child | None:
        """Another skeleton; changes of numbers alone are left to `_numbered`, which knows better."""
        before, odds = parent.best.config, self.odds(everyone)
        try:
            for _ in range(MUTATIONS):
                config = grammar.mutate(before, self.views, self.productions, rng, odds)
                if self.plain(config).skeleton != self.plain(before).skeleton:
                    return self._child(config, f"child of {_named(parent)}: {self._changed(before, config)}", parent)
        except PluginError:  # nothing to change
            return None
        return None

    def _crossed(self, parent: Individual, other: Individual, rng: np.random.Generator) -> Child | None:
        config = grammar.cross(parent.best.config, other.best.config, self.views, self.productions, rng)
        if config is None:
            return None
        changed = self._changed(parent.best.config, config)
        return self._child(config, f"{_named(parent)} crossed with {_named(other)}: {changed}", parent)

    def _numbered(self, parent: Individual, rng: np.random.Generator) -> Child | None:
        """Other numbers for a known skeleton: by its study, or near its best."""
        if len(parent.entries) >= STARTUP:
            study = self.studies.of(parent.identity, parent.best.config.skeleton, parent.entries)
            drawn = study.draw()
            if drawn is not None:
                config = grammar.with_numbers(parent.best.config, drawn)
                return self._child(config, f"numbers of {_named(parent)} by TPE on {len(study)}", parent, arm="tpe")
        config = near(parent.best.config, self.productions, rng)
        return self._child(config, f"numbers near {_named(parent)}: {difference(parent.best.config, config)}", parent)

    def _changed(self, before: Config, after: Config) -> str:
        """The change in words, names unfolded, so that it is not said that a name became what it stands for."""
        return difference(self.plain(before), self.plain(after))

    def _fresh(self, rng: np.random.Generator, everyone: Sequence[Individual]) -> Child | None:
        """A derivation from nothing, by the odds that what was seen has given the productions."""
        return self._derivation(rng, self.odds(everyone), f"derived anew by odds from {len(everyone)} networks")

    def _derivation(self, rng: np.random.Generator, odds: Mapping[str, float], origin: str) -> Child | None:
        """The first of several derivations that is new, allowed, and none that has a name."""
        for _ in range(DERIVED):
            try:
                config = grammar.spelled(self._derived(rng, odds), self.productions)  # what was learnt is no name
            except PluginError:
                return None
            made = None if self._named(config) else self._child(config, origin, None)
            if made is not None and made.family not in self.scope.families:
                return made
        return None

    def _named(self, config: Config) -> bool:
        """Whether its only encoder is a name and nothing more, of this run's families or not."""
        encoders = config.parts["encoder"]
        return len(encoders) == 1 and self.plain(config).parts["encoder"][0].production != encoders[0].production

    def _derived(self, rng: np.random.Generator, odds: Mapping[str, float]) -> Config:
        """Recipes are not derived: one that is known to train takes over where there is one."""
        nets = [f.presets[0] for f in self.scope.families.values() if f.presets[0].production == "net"]
        recipe = nets[int(rng.integers(len(nets)))].parts["recipe"][0] if nets else None
        return grammar.derive_net(self.views, self.productions, rng, odds, recipe)

    def _child(self, config: Config, origin: str, parent: Individual | None, arm: str = "evolution") -> Child | None:
        """None where it was tried, or asks for more than networks that were refused for their size."""
        config = grammar.complete(grammar.spelled(config, self.productions), self.productions)
        if not self.history.fresh(config) or grammar.fits(config, self.views, self.productions):
            return None
        if grammar.identity(config) in self._refused() or self._too_big(config):
            return None
        return Child(config, self.family(config), arm, origin, self._seconds(config, parent))

    def _refused(self) -> set[str]:
        """Skeletons that never gave a model."""
        entries = self.history.entries.values()
        return {e.identity for e in entries if e.failed} - {e.identity for e in entries if not e.failed}

    def _too_big(self, config: Config) -> bool:
        """Whether it is larger than all that worked and as large as something that asked for too much."""
        nets = [e for e in self.history.entries.values() if e.config.production == "net"]
        worked = max((self._size(e.config) for e in nets if not e.failed), default=0)
        refused = [e for e in nets if e.failed and e.trials[-1].outcome in TOO_MUCH]
        least = min((self._size(e.config) for e in refused), default=math.inf)
        return self._size(config) > worked and self._size(config) >= least

    def _seconds(self, config: Config, parent: Individual | None) -> float | None:
        """What a config costs, judged by its parent, or by the last networks, for the work that it is."""
        nets = [e for e in self.history.entries.values() if e.config.production == "net"]
        known = [(e.seconds, e.config) for e in ([parent.best] if parent else nets[-RECENT:])]
        of = self.effort if self.effort(config) is not None else self._size
        rates = [seconds / amount for seconds, other in known if (amount := of(other))]
        return float(np.median(rates)) * float(of(config) or 0) if rates else None

    def effort(self, config: Config) -> float | None:
        """What fitting a network takes, told without fitting it; None where that cannot be told, or not yet."""
        if config.id not in self._efforts:
            found = self.scope.look(config).get("effort")
            if found is None:
                return None
            self._efforts[config.id] = float(found)
        return self._efforts[config.id]

    def odds(self, everyone: Sequence[Individual]) -> dict[str, float]:
        """What past runs and probes say of each production, times how much the networks of this run that have it did better.

        Ranks between -1 and 1 are averaged over the networks that have it, with a few that would have said nothing.
        """
        refused = [e for e in self.history.entries.values() if e.failed and e.config.production == "net"]
        ranked = sorted(everyone, key=lambda i: i.skill)
        ranks = [(i.best.config, 2 * n / max(1, len(ranked) - 1) - 1) for n, i in enumerate(ranked)]
        ranks += [(e.config, -1.0) for e in refused]
        totals: dict[str, float] = {}
        counts: dict[str, int] = {}
        for config, rank in ranks if len(ranks) > 1 else []:
            for name in set(self._parts(config)):
                totals[name] = totals.get(name, 0.0) + rank
                counts[name] = counts.get(name, 0) + 1
        seen = {name: math.exp(BELIEF * totals[name] / (counts[name] + BELIEF_DOUBT)) for name in totals}
        before = self.scope.prior.productions
        return {name: before.get(name, 1.0) * seen.get(name, 1.0) for name in {*before, *seen}}

    def _size(self, config: Config) -> int:
        return len(self._parts(config))

    def _parts(self, config: Config) -> list[str]:
        """The productions of what a config stands for."""
        return [node.production for _, node in self.plain(config).walk()]


def difference(before: Config, after: Config) -> str:
    """The first change from one derivation to another, in words.

    >>> difference(Config("net", {"width": 8}), Config("net", {"width": 16}))
    'net width 8 -> 16'
    """
    if before.production != after.production:
        return f"{before.production} -> {after.production}"
    for slot in sorted({*before.parts, *after.parts}):
        old, new = before.parts.get(slot, ()), after.parts.get(slot, ())
        if len(old) != len(new):
            return f"{before.production} with {len(old)} -> {len(new)} {slot}"
        changed = next((words for a, b in zip(old, new) if (words := difference(a, b))), "")
        if changed:
            return changed
    for name in sorted({*before.numbers, *after.numbers}):
        if before.numbers.get(name) != after.numbers.get(name):
            return f"{before.production} {name} {_short(before.numbers.get(name))} -> {_short(after.numbers.get(name))}"
    return ""


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _named(individual: Individual) -> str:
    return f"#{individual.best.first} (skill {individual.skill:.2f})"
