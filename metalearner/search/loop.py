"""Keep the workers busy until the budget is spent, or the goal is met."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ..kinds import Executor, Job, Learner, Moment, Proposer, Rung
from ..records import FULL, Proposal, Trial
from .clock import Clock
from .ladder import Ladder
from .rungs import Rungs, going_on

# Nothing is begun with less than this left, in seconds.
SHORTEST = 1.0
# How long the search waits for the last trials after its time is up, in seconds.
GRACE = 0.7
# What is meant to be cheap may take at most this share of the budget; more where it may be all that is made of a config.
CHEAP_SHARE, ALONE_SHARE = 0.1, 0.15
# Configs of one shape that are tried at once: more would know the shape better than it deserves.
SIDE_BY_SIDE = 16
# Packaging the least model takes this long.
FINISH = 2.0


@dataclass
class Search:
    """One run's search: proposals in, trials out. Knows neither who proposes nor what is fitted."""

    executor: Executor
    clock: Clock
    rungs: Rungs
    ladder: Ladder
    seed: int = 0
    listen: Callable[[Trial], None] = lambda trial: None
    trials: list[Trial] = field(default_factory=list)  # an earlier process's first
    number: int = field(init=False)  # of the next trial
    _under_way: dict[int, Rung] = field(default_factory=dict)  # by the number of the trial
    _exhausted: bool = False

    def __post_init__(self) -> None:
        self.number = first_number(self.trials)

    def run(self, proposer: Proposer) -> list[Trial]:
        """All trials, those of an earlier process included. An interrupt of the clock ends it early."""
        self.rungs.resumed(self.trials)
        while True:
            while self._more() and self.executor.idle():
                job = self._next(proposer)
                if job is None or not self._more():  # asking may have taken all that was left
                    break
                self._submit(job)
            if self._over():
                self._collect(0.0)  # what has ended by now, before anybody asked perhaps, is kept
                return self.trials
            self._collect(min(0.5, max(0.05, self.clock.left)))

    def _collect(self, seconds: float) -> None:
        """Take in the trials that have ended, waiting at most so long for one."""
        for trial in self.executor.collect(seconds):
            rung = self._under_way.pop(trial.number)
            if not trial.finished:  # its worker could not say when it ended, nor how far it was to get
                trial = replace(trial, finished=self.clock.elapsed, rung=self.rungs.reach(rung))
            self._exhausted = False
            self.trials.append(trial)
            self.listen(trial)

    def begin(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        """Set something going before there is a proposer: full fits that may take all the time there is.

        Nothing where an earlier process has tried something, or where their level is not allowed.
        """
        levels = self.ladder.allowed(self.trials, 0.0)
        fit = [p for p in proposals if not self.trials and (levels is None or self.ladder.level_of(p) in levels)]
        for proposal in fit:
            self._submit(Job((self.number,), (proposal,), self.clock.rung(self.seed, share=1.0)))
        return fit

    def _over(self) -> bool:
        """Nothing left to do, no time left, or the goal is met. For a first model the search waits to the last."""
        if (not self._under_way and not self._more()) or self.ladder.met(self.trials):
            return True
        usable = any(t.outcome == "ok" and t.rung >= FULL for t in self.trials)
        return self.clock.left < -GRACE and (usable or self.clock.end - time.monotonic() < FINISH)

    def _more(self) -> bool:
        """Whether anything new may be begun."""
        enough = self.clock.left > SHORTEST
        return enough and self._begun < (self.clock.budget.trials or float("inf")) and not self._exhausted

    @property
    def _begun(self) -> int:
        """Trials finished or under way; a killed process leaves numbers behind that have none."""
        return len(self.trials) + len(self._under_way)

    def _next(self, proposer: Proposer) -> Job | None:
        """What to do with a free worker: go on with a cheap fit that earned it, else something new."""
        moment = self._moment()
        if due := self.rungs.due(self.trials, moment):
            learner = self.rungs.learners[due[0].config.production]
            due = due[: self._room(learner.together(going_on(due[0])))]
            self.rungs.promoted |= {t.name for t in due}
            return Job(self._numbers(len(due)), tuple(t.proposal for t in due), self.clock.rung(self.seed),
                       tuple(t.name for t in due))  # fmt: skip
        proposals = proposer.ask(1, self.trials, moment)
        if not proposals:
            self._exhausted = True  # until something new is learnt
            return None
        rung = self.rungs.opening(proposals[0], self.clock.rung(self.seed), self.trials)
        proposals += self._siblings(proposer, proposals[0], rung, moment)
        if rung.folds is not None or rung.share < 1:
            share = ALONE_SHARE if self.rungs.many else CHEAP_SHARE
            rung = replace(rung, deadline=self.clock.rung(self.seed, share).deadline)
        return Job(self._numbers(len(proposals)), tuple(proposals), rung)

    def _siblings(self, proposer: Proposer, proposal: Proposal, rung: Rung, moment: Moment) -> list[Proposal]:
        """More of the same shape, as many as an earlier fit of that shape says it pays to train side by side."""
        learner: Learner = self.rungs.learners[proposal.config.production]
        facts = self.rungs.facts_of_shape(proposal, rung, self.trials)
        many = self._room(min(SIDE_BY_SIDE, learner.together(facts))) if facts else 1
        return proposer.siblings(proposal, many - 1, self.trials, moment)[: many - 1] if many > 1 else []

    def _room(self, many: int) -> int:
        """As many, but no more trials than the budget has."""
        return max(1, min(many, int(min(1e9, self.clock.budget.trials or 1e9)) - self._begun))

    def _numbers(self, many: int) -> tuple[int, ...]:
        return tuple(range(self.number, self.number + many))

    def _submit(self, job: Job) -> None:
        self.executor.submit(job)
        self.number = max(self.number, job.numbers[-1] + 1)
        self._under_way |= dict.fromkeys(job.numbers, job.rung)

    def _moment(self) -> Moment:
        budget = self.clock.budget
        spent = max(self.clock.spent, self._begun / budget.trials if budget.trials else 0.0)
        return Moment(self.clock.left, spent, self.ladder.allowed(self.trials, spent))


def first_number(seen: Sequence[Trial]) -> int:
    """The number of the next trial."""
    return max((t.number for t in seen), default=-1) + 1
