"""A made-up task: families with different tops, costs and noise, and skeletons whose quality depends on their blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from metalearner import grammar
from metalearner.kinds import Family, Metric, Moment, Prior, Production, Proposer, Scope, Slot
from metalearner.ranges import Choice, Float, Int
from metalearner.records import Axis, Config, Forecast, Proposal, Trial, View

VIEWS = {"series": View((Axis("time", 32),), 2)}
FOLDS = 3
OVERHEAD = 0.05  # seconds of a trial beside its fit


class Made(Production):
    """A production out of a few words."""

    def __init__(self, name: str, symbol: str, space: dict[str, Any], parts=None, loose=(), flow="series") -> None:
        self.name, self.symbol, self._space = name, symbol, space
        self.parts, self.loose, self.flow = parts or {}, loose, flow

    def space(self):
        return self._space


class Convolutions(Made):
    """A name for two convolutions."""

    def expand(self, numbers, view):
        conv = Config("conv", {"reach": numbers["reach"]})
        return Config("tower", {"width": numbers["width"]}, {"block": (conv, conv)})


WIDTH = Int(8, 256, 32, log=True)
RECIPE = {"lr": Float(1e-4, 0.1, 1e-3, log=True), "decay": Float(1e-5, 0.1, 1e-2, log=True), "smooth": Float(0, 0.2, 0)}
BLOCKS = {"conv": 0.02, "dense": 0.0, "attention": 0.01, "spectral": 0.04, "recurrent": -0.02, "pooling": -0.03}
PAIRS = {("conv", "spectral"): 0.03, ("spectral", "attention"): 0.01}
PRODUCTIONS: dict[str, Production] = {
    p.name: p
    for p in [
        Made("linear", "learner", {"penalty": Float(1e-3, 1e3, 1, log=True), "square": Choice((False, True))}),
        Made("trees", "learner", {"rate": Float(0.01, 0.5, 0.3, log=True), "leaves": Int(4, 128, 64, log=True)}),
        Made("net", "learner", {}, {"encoder": Slot("encoder", 1, 8), "recipe": Slot("recipe")}, flow="parallel"),
        Made("gradient", "recipe", RECIPE, loose=("lr", "decay", "smooth")),
        Made("dense-net", "encoder", {"width": WIDTH, "depth": Int(1, 4, 2), "dropout": Float(0, 0.5, 0.1)}),
        Convolutions("conv-net", "encoder", {"width": WIDTH, "reach": Int(1, 15, 3)}),
        Made("tower", "encoder", {"width": WIDTH}, {"block": Slot("block", 1, 4)}),
        *(Made(name, "block", {"reach": Int(1, 15, 3)}) for name in BLOCKS),
    ]
}


def net(encoder: Config) -> Config:
    return Config("net", {}, {"encoder": (encoder,), "recipe": (Config("gradient"),)})


def family(name: str, *presets: Config, tags: tuple[str, ...] = ()) -> Family:
    return Family(name, "", tuple(grammar.complete(p, PRODUCTIONS) for p in presets), lambda views: True, tags=tags)


FAMILIES = {
    f.name: f
    for f in [
        family("linear", Config("linear"), Config("linear", {"square": True}), tags=("quick",)),
        family("trees", Config("trees"), Config("trees", {"leaves": 16})),
        family("dense-net", net(Config("dense-net")), net(Config("dense-net", {"width": 128}))),
        family("conv-net", net(Config("conv-net")), net(Config("conv-net", {"reach": 9}))),
    ]
}


class Accuracy(Metric):
    name = "accuracy"

    def score(self, target, prediction, state):
        raise NotImplementedError("nothing is predicted here")


def cost(config: Config) -> float:
    """Seconds of a full fit."""
    if config.production == "linear":
        return 0.05
    if config.production == "trees":
        return 0.5
    encoder = grammar.unfold(config, VIEWS, PRODUCTIONS).parts["encoder"][0]
    width = encoder.numbers["width"] / 32
    return (0.3 + 0.5 * len(encoder.parts.get("block", (0, 0)))) * (0.5 + 0.5 * width)


@dataclass(frozen=True)
class Landscape:
    """How good configs truly are, and what a fit of them says."""

    invention: float = 1.0  # how much better blocks can be than those of the catalogue; 0: not at all
    noise: float = 0.006  # standard error of the skill over all folds

    def quality(self, config: Config) -> float:
        """The true skill of a full fit."""
        at = grammar.numbers(config, PRODUCTIONS)
        if config.production == "linear":
            return 0.80 - 0.004 * math.log10(at["penalty"] / 3) ** 2 + 0.004 * at["square"]
        if config.production == "trees":
            return 0.85 - 0.04 * math.log10(at["rate"] / 0.05) ** 2 - 0.01 * math.log2(at["leaves"] / 16) ** 2
        lr, decay = math.log10(at["recipe.0:lr"] / 5e-3), math.log10(at["recipe.0:decay"] / 3e-3)
        encoder = grammar.unfold(config, VIEWS, PRODUCTIONS).parts["encoder"][0]
        found = -0.02 * lr**2 - 0.005 * decay**2 - 0.01 * math.log2(encoder.numbers["width"] / 96) ** 2
        if encoder.production == "dense-net":
            return found + 0.86 - 0.1 * abs(encoder.numbers["dropout"] - 0.25)
        blocks = encoder.parts["block"]
        good = sum(BLOCKS[b.production] for b in blocks) / math.sqrt(len(blocks))
        good += sum(PAIRS.get((a.production, b.production), 0.0) for a, b in pairwise(blocks))
        reach = sum(0.0005 * (b.numbers["reach"] - 7) ** 2 for b in blocks)
        return found + 0.82 + (good if good < 0.03 else 0.03 + self.invention * (good - 0.03)) - reach

    def fit(self, number: int, proposal: Proposal, folds: int, seed: int) -> Trial:
        """A trial on the first so many folds; what they say scatters, and the first fold is an easy one."""
        rng = np.random.default_rng([seed, int(grammar.complete(proposal.config, PRODUCTIONS).id[:8], 16)])
        scatter = self.noise * math.sqrt(FOLDS) * rng.normal(size=FOLDS)
        scores = self.quality(proposal.config) + scatter + [0.03, -0.02, -0.01]
        seen = [float(s) for s in scores[:folds]]
        facts = {"merits": seen, "merit": float(np.mean(seen)), "folds": folds, "share": 1.0}
        skill, seconds = float(np.mean(seen)), cost(proposal.config) * folds / FOLDS
        return Trial(number, proposal, "ok", seed, folds / FOLDS, skill, skill, seconds, 0.0, facts)

    def run(self, proposer: Proposer, seconds: float, seed: int = 0, siblings: int = 0) -> list[Trial]:
        """A run on one worker: every config on one fold first, one in three of them gone on with, the best first."""
        trials: list[Trial] = []
        clock, promoted = 0.0, set()
        while clock < seconds:
            moment = Moment(seconds - clock, clock / seconds)
            level = sorted((t for t in trials if t.rung < 1.0), key=lambda t: -(t.skill or 0.0))
            due = [t for t in level[: len(level) // 3] if t.config.id not in promoted]
            if due:
                jobs, folds = [due[0].proposal], FOLDS
                promoted.add(due[0].config.id)
            else:
                jobs, folds = proposer.ask(1, trials, moment), 1
                jobs += proposer.siblings(jobs[0], siblings, trials, moment) if jobs and siblings else []
            if not jobs:
                break
            for proposal in jobs:
                trial = self.fit(len(trials), proposal, folds, seed)
                spent = trial.seconds * (1 - 1 / FOLDS) if folds == FOLDS else trial.seconds
                clock += spent + OVERHEAD
                trials.append(replace(trial, seconds=spent, finished=clock))
        return trials

    def chosen(self, trials: Sequence[Trial]) -> float:
        """The true skill of the config that a run would hand over: the best full fit as it looked."""
        full = [t for t in trials if t.rung == 1.0]
        return self.quality(max(full, key=lambda t: t.skill or 0.0).config) if full else 0.0


class Presets(Proposer):
    """What a portfolio says when nothing is known: the presets, the defaults of all families first."""

    name = "portfolio"

    def ask(self, n: int, seen: Sequence[Trial], moment: Moment) -> list[Proposal]:
        tried = {t.config.id for t in seen}
        presets = [(i, f.name, c) for f in FAMILIES.values() for i, c in enumerate(f.presets)]
        order = sorted(presets, key=lambda p: p[:2])
        return [Proposal(c, f, "portfolio", "a preset", 0.25) for _, f, c in order if c.id not in tried][:n]


def scope(seed: int = 0) -> Scope:
    prior = Prior((), 1.0, Forecast("accuracy", None, None, None), dict.fromkeys(FAMILIES, 0.25), {})
    return Scope(
        FAMILIES, PRODUCTIONS, VIEWS, Accuracy(), prior, Presets(), (), seed, first_share=lambda config: 1 / FOLDS
    )
