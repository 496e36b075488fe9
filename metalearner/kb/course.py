"""What is tried on one data set: the presets of every family, what search finds, second seeds of the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..kinds import Family, Moment, Proposer, Scope
from ..propose import Portfolio, propose
from ..records import Config, Proposal, Recall, Trial
from ..setting import INVENTED_LEVEL, Setting
from .prepared import SEED

# Beside the presets of every family: so many configs that search finds, and second seeds of the best so many; of data that
# were made fewer.
ADAPTIVE, TWICE = 16, 8
MADE_ADAPTIVE, MADE_TWICE = 4, 0
# Of each four that search finds: two where it sees most to gain, one by chance, one that nobody has named.
BY_CHANCE, UNNAMED, ROUND = 1, 3, 4
SECOND = 1  # seed
# A config of search that was tried before is asked for again at most so often.
TRIES = 4


def extent() -> list[int]:
    """What decides how much is tried on a data set beside the presets."""
    return [ADAPTIVE, TWICE, MADE_ADAPTIVE, MADE_TWICE]


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


def cold(setting: Setting, families: Mapping[str, Family], seed: int = SEED) -> Scope:
    """What a searcher knows that nobody told anything."""
    registry = setting.registry
    prior = propose(setting.task, Recall(), families, setting.metric, setting.baseline)
    return Scope(families, registry.productions, setting.views, setting.metric, prior, Portfolio(Recall(), prior, families),
                 seed=seed, look=setting.look)  # fmt: skip
