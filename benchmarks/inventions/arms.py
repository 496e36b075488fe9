"""The arms of the protocol: what each may use, and the swap that shows what a novel block is worth."""

from __future__ import annotations

import gzip
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from metalearner import grammar, library, plugins
from metalearner.dataset import Dataset
from metalearner.kinds import Job, Proposer, Rung, Scope, Searcher
from metalearner.knowledge import SHIPPED, TRAINED, Base
from metalearner.plugins import Registry
from metalearner.records import Config, Proposal, Trial, View
from metalearner.request import Request
from metalearner.run import run
from metalearner.search import Budget
from metalearner.setting import INVENTED, Setting
from metalearner.task import Wish
from metalearner.worker import Begin

HELD_OUT = "signal"
CATALOGUE_TPE, CATALOGUE_META, UNIFORM, ALL = "catalogue + TPE", "catalogue + meta", "uniform grammar", "all of it"
ARMS = (CATALOGUE_TPE, CATALOGUE_META, UNIFORM, ALL)
# Seconds and seeds of a fit of the winner and of the same with its novel block swapped.
SWAP_SECONDS, SWAP_SEEDS = 30.0, (11, 12, 13, 14, 15)


class ByGrammar(Searcher):
    """Networks derived anew, every production as likely as the grammar makes it."""

    name = "derive"

    def begin(self, scope: Scope) -> Proposer:
        return Derivations(scope)


class Derivations(Proposer):
    """One derivation after the other, with the recipe of the first network of the catalogue."""

    name = "derive"

    def __init__(self, scope: Scope) -> None:
        self.scope, self.rng = scope, np.random.default_rng(scope.seed)
        nets = [f.presets[0] for f in scope.families.values() if f.presets[0].production == "net"]
        self.recipes = [net.parts["recipe"][0] for net in nets]

    def ask(self, n: int, seen: Any, moment: Any) -> list[Proposal]:
        found = []
        for _ in range(n):
            recipe = self.recipes[int(self.rng.integers(len(self.recipes)))]
            config = grammar.derive_net(self.scope.views, self.scope.productions, self.rng, None, recipe)
            config = grammar.complete(config, self.scope.productions)
            found.append(Proposal(config, f"{INVENTED}-{grammar.identity(config)[:4]}", "uniform", "derived by chance"))
        return found


def without_modality(folder: Path) -> Path:
    """The shipped records without those of the held-out modality, and nothing that was trained on them."""
    assert SHIPPED is not None
    (folder / "records").mkdir(parents=True)
    for file in (SHIPPED / "records").glob("*.jsonl*"):
        if not file.name.startswith(HELD_OUT):
            (folder / "records" / file.name).write_bytes(file.read_bytes())
            opened = gzip.open if file.suffix == ".gz" else open
            with opened(file, "rt") as lines:
                assert not any(f'"modality":"{HELD_OUT}"' in line for line in lines)
    return folder


def search(source: str, arm: str, seed: int, seconds: float, core: int) -> dict[str, Any]:
    """One run of one arm on one core; its score on sealed rows, and with all of it the worth of what it invented."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    registry = plugins.load()
    registry = replace(registry, searchers={**registry.searchers, ByGrammar.name: ByGrammar()})
    with tempfile.TemporaryDirectory(prefix="invention-") as scratch:
        folder = Path(scratch)
        base = Base.open(folder / "home", shipped=without_modality(folder / "base"), productions=registry.productions)
        if arm == ALL:  # the library learns from what is left alone
            entries = library.mine(base, registry, list(base.cards()))
            (folder / "base" / TRAINED).mkdir()
            library.save(entries, folder / "base" / TRAINED / library.LIBRARY)
        named = (
            tuple(name for name, family in registry.families.items() if not family.evidence)
            if arm in (CATALOGUE_TPE, CATALOGUE_META)
            else (INVENTED,)
            if arm == UNIFORM
            else ()
        )
        wanted = {CATALOGUE_TPE: "tpe", UNIFORM: ByGrammar.name}.get(arm, "evolution")
        request = Request(
            source, Wish("which class is it?"), Budget(seconds), folder / "run", seed=seed, workers=1, searcher=wanted,
            cold=arm in (CATALOGUE_TPE, UNIFORM), families=named,
        )  # fmt: skip
        found = run(request, registry, base=base)
        trials = [t for t in found.ranked if t.outcome == "ok" and t.rung >= 1]
        line = {
            "task": Path(source).stem, "arm": arm, "seed": seed, "seconds": seconds, "score": found.scorecard.value,
            "tried": len(found.trials), "winner": trials[0].proposal.family,
            "invented": max((t.skill for t in trials if t.proposal.family.startswith(INVENTED)), default=None),
            "catalogue": max((t.skill for t in trials if not t.proposal.family.startswith(INVENTED)), default=None),
        }  # fmt: skip
        if arm == ALL:
            line["swap"] = swap(trials, folder / "run", registry)
        return line


def swap(trials: list[Trial], run_folder: Path, registry: Registry) -> dict[str, Any] | None:
    """The best composed network against itself with each novel block replaced by its nearest of the catalogue.

    None where nothing composed finished, or nothing in it is novel.
    """
    best = next((t for t in trials if t.proposal.family.startswith(INVENTED)), None)
    setting = Setting(Dataset.open(run_folder / "data"), registry)
    changed = swapped(best.config, setting.views, registry) if best else None
    if best is None or changed is None:
        return None
    config, blocks = changed
    fit = Begin(run_folder, time.monotonic())()
    skills: dict[str, list[float | None]] = {"novel": [], "swapped": []}
    for n, seed in enumerate(SWAP_SEEDS):
        for side, made in (("novel", best.config), ("swapped", config)):
            rung = Rung(1.0, time.monotonic() + SWAP_SECONDS, 1, seed)
            number = 90_000 + 2 * n + (side == "swapped")
            trial = next(fit(Job((number,), (Proposal(made, side, "swap"),), rung)))
            skills[side].append(trial.skill)
    return {"blocks": blocks, "winner": grammar.sketch(best.config), **skills}


def swapped(config: Config, views: dict[str, View], registry: Registry) -> tuple[Config, list[str]] | None:
    """The config with its novel blocks replaced, and which were by what; None where none is novel or nothing else fits."""
    known = library.looks(registry)
    catalogue = [
        node
        for family in registry.families.values() if family.presets[0].production == "net" and family.accepts(views)
        for _, node in grammar.unfold(family.presets[0], views, registry.productions).walk()
    ]  # fmt: skip
    blocks: list[str] = []

    def replaced(node: Config) -> Config:
        symbol = registry.productions[node.production].symbol
        if symbol in ("block", "mixer") and library.look(node) not in known:
            others = [c for c in catalogue if registry.productions[c.production].symbol == symbol]
            if others:
                nearest = max(others, key=lambda c: (grammar.likeness(c, node), c.id))
                blocks.append(f"{grammar.sketch(node)} -> {grammar.sketch(nearest)}")
                return nearest
        return Config(node.production, node.numbers, {s: tuple(map(replaced, cs)) for s, cs in node.parts.items()})

    encoders = tuple(replaced(e) for e in grammar.unfold(config, views, registry.productions).parts["encoder"])
    found = Config(config.production, config.numbers, {**config.parts, "encoder": encoders})
    if not blocks or grammar.fits(found, views, registry.productions):
        return None
    return grammar.complete(found, registry.productions), blocks
