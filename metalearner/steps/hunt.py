"""Stage 4 begins: the search of a run, set going while the data are still looked at, and told what was foreseen."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import library
from ..data import Sealed
from ..errors import RunError
from ..evaluate import reaches
from ..events import Story
from ..grammar import Narrowing
from ..kinds import Executor, Production, Proposer, Scope
from ..plugins import Registry
from ..records import Config, Proposal, Trial
from ..request import Request
from ..search import Clock, Handover, Ladder, Rungs, Search, ledger, quick
from ..setting import Setting
from ..train.ensemble import UNKNOWN, Expected, expected, select
from ..warm import Warm
from ..worker import Begin
from .finish import kept_apart
from .foresee import Foresight
from .seconds import KeptBack

# The searcher of the core, which is always there.
INSTEAD = "priors"
# A first model is waited for this share of the budget, and so many seconds, before what the end of the run needs is imported.
OVERDUE, OVERDUE_LEAST = 0.3, 5.0


@contextmanager
def workers(request: Request, registry: Registry, folder: Path, clock: Clock) -> Iterator[Executor]:
    """The executor that was asked for, stopped whatever happens; its workers import while data are read."""
    executor = registry.get("executors", request.executor)
    executor.start(Begin(folder, clock.began), request.workers, request.address)
    try:
        yield executor
    finally:
        executor.stop()


@dataclass(frozen=True)
class Hunt:
    """A search under way, and the proposals that it was begun with."""

    search: Search
    begun: tuple[Proposal, ...]
    trials: Path
    kept_back: KeptBack
    opened: bool  # the sealed test, by an earlier process: nothing may be tried any more


def set_out(  # noqa: PLR0913, PLR0917 - what a search touches
    request: Request, executor: Executor, clock: Clock, setting: Setting, sealed: Sealed | None, folder: Path, story: Story,
    warm: Warm,
) -> Hunt:  # fmt: skip
    """The search of this run, with what an earlier process of it has tried; something quick is set going at once."""
    trials = folder / "trials"
    seen = ledger.read(trials)

    dataset, registry = setting.dataset, setting.registry
    # A budget of trials is one of full fits: nobody is in a hurry.
    whole = request.budget.seconds is None
    held = [len(valid) for _, valid in dataset.folds]
    rungs = Rungs(held, registry.learners, registry.productions, partial(look, setting, warm), whole)
    goal = None if setting.task.goal is None else partial(meets_goal, setting, trials)
    ladder = Ladder(setting.families, goal, setting.levels)
    search = Search(executor, clock, rungs, ladder, request.seed, trials=seen)
    kept_back = KeptBack(request.budget, kept_apart(setting, sealed), partial(chosen, setting, trials))
    clock.reserve = kept_back.seconds(seen)
    search.listen = partial(heard, search, setting, trials, story, warm, kept_back)
    begun = tuple(search.begin(quick(setting.families)[:1]))
    if not begun:  # no first model to hurry for: what compares networks before they are fitted is there the sooner
        warm.begin()
    elif request.budget.seconds:
        warm.begin_after(max(OVERDUE_LEAST, OVERDUE * request.budget.seconds) - clock.elapsed)
    return Hunt(search, begun, trials, kept_back, sealed is not None and sealed.opened)


def seek(hunt: Hunt, request: Request, setting: Setting, foresight: Foresight, story: Story) -> tuple[list[Trial], str]:
    """All trials, and where the ladder of levels stopped, in words."""
    search = hunt.search
    # Those families too that the description calls for.
    search.ladder = replace(search.ladder, families=foresight.families)
    hunt.kept_back.chosen = partial(chosen, setting, hunt.trials, known=expected(foresight.prior))
    # Once the test was opened what is left is to finish.
    trials = search.trials if hunt.opened else search.run(proposer(request, setting, foresight, hunt, story))
    if not trials and search.clock.left > 0:
        raise RunError("There was nothing to try.",
                       f"The searcher '{searcher(request, setting.registry)}' proposes nothing that is left by --families and --narrow.",
                       "Allow more families, or take --searcher evolution, which composes networks of its own.")  # fmt: skip
    said = search.ladder.said(trials, search.clock.spent)
    story.tell("searched", tried=len({t.config.id for t in trials}), seconds=search.clock.elapsed, ladder=said)
    return trials, said


def chosen(setting: Setting, trials: Path, tried: Sequence[Trial], known: Expected = UNKNOWN) -> Collection[str]:
    """The names of the trials that an ensemble would be made of now."""
    return select(tried, trials, setting.dataset, setting.aim, known=known).weights.keys()


def heard(
    search: Search, setting: Setting, trials: Path, story: Story, warm: Warm, kept_back: KeptBack, trial: Trial
) -> None:
    """A trial is finished: it is kept and told, and what the end of the run needs is imported beside those to come.

    Models that take long to predict the rows kept apart make the search end sooner.
    """
    ledger.keep(trials, trial)
    search.clock.reserve = kept_back.seconds(search.trials)
    story.tell("search", trial=trial, left=search.clock.left)
    warm.begin()
    if trial.outcome == "ok":
        learner = setting.registry.get("learners", trial.config.production)
        warm.beside(learner.name, partial(learner.warm, setting.views))


def look(setting: Setting, warm: Warm, config: Config) -> Mapping[str, Any]:
    """What is known of a config before it is fitted; nothing as long as that would have to wait for imports."""
    return setting.look(config) if warm.ready else {}


def meets_goal(setting: Setting, trials: Path, trial: Trial) -> bool:
    """Whether a full trial meets the task's goal out of fold, beyond doubt."""
    dataset = setting.dataset
    rows, prediction = (np.load(trials / trial.name / f"{name}.npy") for name in ("rows", "prediction"))
    goal, target = setting.task.goal, dataset.target[rows]
    assert goal is not None
    state = setting.output.decide(dataset.state, setting.task.metric, goal, prediction, target)
    return reaches(goal, setting.metric, target, prediction, state)


def proposer(request: Request, setting: Setting, foresight: Foresight, hunt: Hunt, story: Story) -> Proposer:
    """What the searcher asked for makes of this task; where it fails on the way, the core's goes on."""
    searchers, rungs = setting.registry.searchers, hunt.search.rungs
    scope = Scope(foresight.families, productions(setting, foresight), setting.views, setting.metric, foresight.prior, foresight.portfolio,
                  hunt.begun, request.seed, rungs.look, rungs.first_share)  # fmt: skip
    name = searcher(request, setting.registry)
    first = setting.registry.get("searchers", name).begin(scope)
    if name == INSTEAD:
        return first

    def failed(problem: Exception) -> None:
        story.tell("handover", searcher=name, error=f"{type(problem).__name__}: {problem}", instead=INSTEAD)

    return Handover(first, lambda: searchers[INSTEAD].begin(scope), failed)


def productions(setting: Setting, foresight: Foresight) -> dict[str, Production]:
    """What networks are composed of: as narrow as was asked for and as the description says, and what was learnt."""
    told = Narrowing.told(foresight.description.numbers, setting.productions)
    return library.known(told.of(setting.productions), foresight.learnt)


def searcher(request: Request, registry: Registry) -> str:
    """The name of the searcher: evolution where it is installed, unless another one was asked for."""
    if request.searcher != "auto":
        return request.searcher
    return "evolution" if "evolution" in registry.searchers else INSTEAD
