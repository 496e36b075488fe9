"""The conductor: joins the stages and hands objects on. The whole story is in `run`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from . import library, machine, runs, sources
from .data import Reading, Sealed, prepare, read
from .data.prepare import Split
from .dataset import Dataset
from .deploy import Bundle, package
from .deploy.portable import PROOF
from .deploy.weigh import weighed
from .describe import describe
from .describe.sentence import embed
from .evaluate import Answers, Evidence, evaluate, reaches
from .events import Listener, Story
from .kinds import Executor, Family, Prior, Proposer, Scope
from .knowledge import Base
from .monitor import reference
from .observers import Observers
from .plugins import Registry
from .predictor import Predictor
from .propose import Blocks, Here, Portfolio, Ranker, moved, propose
from .records import Config, Description, Experience, Proposal, Recall, Scorecard, Trial
from .request import Request
from .result import Run
from .search import Budget, Clock, Ladder, Rungs, Search, interruptible, ledger, owed, price, quick
from .setting import Setting
from .task import FEWEST_ROWS, FEWEST_UNMEASURED, find_target, formulate
from .train.ensemble import Cost, Selection, assemble, select
from .warm import Warm
from .worker import Begin

# The share of rows that is sealed when nothing else is said.
TEST_SHARE = 0.2
# Seconds at the end of a run that belong to ensemble, evaluation and packaging: a share of the budget, bounded.
RESERVE_SHARE, RESERVE_LEAST, RESERVE_MOST = 0.08, 2.5, 15.0
# Of the budget, what predicting the rows kept apart may take beyond that.
OWED_MOST = 0.3
# Seconds for it that there always are: cheap models are not left out because somebody is in a hurry.
OWED_LEAST = 1.0
# The share of the reserve that selecting and packaging take.
AFTERWARDS = 0.6
# Seconds that callbacks have for their last words; what takes longer goes on by itself.
LAST_WORDS = 3.0
# Facts of a trial that mean something within its run alone.
OF_THE_RUN = ("curve", "baseline", "merit", "merits", "share", "seconds_before", "loss_reason", "fit_seconds", "batch",
             "row_seconds", "row_seconds_once", "bytes", "alone", "form", "beside_bytes")  # fmt: skip


@machine.threads_kept()
def run(
    request: Request, registry: Registry, listen: Listener = lambda event: None, base: Base | None = None,
    began: float | None = None,
) -> Run:  # fmt: skip
    """Data and a sentence in; a trained, measured, packaged model out, and the base one run richer.

    The budget counts from `began` on `time.monotonic()`, from now when it is not given.
    """
    clock = Clock(request.budget, began or time.monotonic(), reserve(request.budget))
    source = sources.find(request.source)
    for name in request.callbacks:
        registry.get("callbacks", name)
    with runs.owned(request, source.name) as folder, interruptible(clock):
        observers = Observers(request.callbacks, folder)
        story = Story(folder / "events.jsonl", listen, clock.began, observers.failed)
        reading = None if prepared(folder) else read(source.source, registry.modalities)
        executor = registry.get("executors", request.executor)
        executor.start(Begin(folder, clock.began), request.workers, request.address)  # they import while data are read
        warm = Warm()
        try:
            setting, sealed = formulate_and_prepare(request, source, reading, registry, folder, story)
            hunt = prepare_search(request, executor, clock, setting, folder, warm)
            hunt.listen = partial(heard, hunt, setting, folder / "trials", story, warm, kept_apart(setting, sealed))
            # Something quick is set going while the data are still being looked at.
            begun = hunt.begin(quick(setting.families)[:1])
            foresight = foresee(setting, base or Base.open(), request, story)
            hunt.ladder = replace(hunt.ladder, families=foresight.families)  # those too that the description calls for
            # Once the test was opened nothing may be tried any more; what is left is to finish.
            opened = sealed is not None and sealed.opened
            trials = hunt.trials if opened else hunt.run(proposer(request, setting, foresight, begun))
            said = hunt.ladder.said(trials, clock.spent)
            story.tell("searched", tried=len({t.config.id for t in trials}), seconds=clock.elapsed, ladder=said)
        finally:
            executor.stop()
        warm.wait()
        ensemble = combine(trials, folder, setting, story, affordable(trials, setting, sealed, clock))
        answers = measure(ensemble, sealed, setting)
        answers.save(folder / runs.ANSWERS)
        evidence = Evidence(trials, foresight.prior.forecast, setting.dataset.rows)
        scorecard = evaluate(
            setting.task, setting.output, ensemble.predictor.state, registry.metrics, answers, evidence
        )
        story.tell("evaluate", scorecard=scorecard)
        bundle = deliver(folder, ensemble.predictor, answers, scorecard, setting, clock)
        limits = keeps(setting, folder, [t for t in trials if t.name in ensemble.selection.weights])
        story.tell("deploy", bundle=str(folder / "bundle"), bytes=bundle.size, portable=bundle.portable, limits=limits)
        experiences = [experience(t, setting) for t in trials] if request.learn else []
        refused = foresight.base.add(setting.dataset.card, foresight.description, experiences) if request.learn else []
        done = Run(folder, setting.task, tuple(trials), scorecard, foresight.prior, clock.elapsed, registry,
                   clock.interrupted, said, limits, machine.cpu_seconds())  # fmt: skip
        (folder / "run.json").write_text(json.dumps(done.to_json(), indent=1))
        story.tell(
            "learned", records=len(experiences) - len(refused), refused=refused, seconds=clock.elapsed, done=True
        )
        registry.hook.run_finished(run=done.to_json())
        for name, why in observers.close(LAST_WORDS):
            story.tell("callback", name=name, problem=why)
        return done


def prepared(folder: Path) -> bool:
    """Whether an earlier process of this run got as far as prepared data."""
    return (folder / "data" / "dataset.json").exists()


def formulate_and_prepare(
    request: Request, source: sources.Found, reading: Reading | None, registry: Registry, folder: Path, story: Story
) -> tuple[Setting, Sealed | None]:
    """Stages 1 and 2: what is wanted, and the data cleaned, folded and sealed. Without a reading they are there already."""
    data = folder / "data"
    if reading is None:
        return Setting(Dataset.open(data), registry, request.families, request.narrow), Sealed.find(data / "sealed")
    wish = source.wish(request.wish)
    target = find_target(reading.schema, wish)
    reading = reading.naming(target[0])
    fewest = FEWEST_UNMEASURED if request.test == "none" else FEWEST_ROWS
    task = formulate(
        wish, reading.schema, target, reading.column(target[0]), registry.outputs, registry.metrics, fewest
    )
    story.tell("formulate", task=task, source=source.name)
    split = Split(_test(request, source.source, reading, registry), request.seed)
    dataset, sealed = prepare(task, reading, registry.get("outputs", task.output), split, source.card, data)
    story.tell("prepare", card=dataset.card, rows=dataset.rows, sealed=sealed.rows if sealed else 0,
               folds=len(dataset.folds), apart=len(dataset.apart), findings=dataset.findings,
               kinds=_kinds(reading))  # fmt: skip
    return Setting(dataset, registry, request.families, request.narrow), sealed


def prepare_search(
    request: Request, executor: Executor, clock: Clock, setting: Setting, folder: Path, warm: Warm
) -> Search:
    """The search of this run, with what an earlier process of it has tried."""
    trials = folder / "trials"
    seen = ledger.read(trials)
    clock.count(seen)

    dataset, registry = setting.dataset, setting.registry
    # A budget of trials is one of full fits: nobody is in a hurry.
    whole = request.budget.seconds is None
    held = [len(valid) for _, valid in dataset.folds]
    rungs = Rungs(held, registry.learners, registry.productions, partial(look, setting, warm), whole)
    reaches = None if setting.task.goal is None else partial(meets_goal, setting, trials)
    ladder = Ladder(setting.families, reaches, setting.levels)
    return Search(executor, clock, rungs, ladder, request.seed, trials=seen)


def heard(hunt: Search, setting: Setting, trials: Path, story: Story, warm: Warm, apart: int, trial: Trial) -> None:
    """A trial is finished: it is kept and told, and what the end of the run needs is imported beside those to come.

    Models that take long to predict the rows kept apart make the search end sooner.
    """
    ledger.keep(trials, trial)
    clock = hunt.clock
    if clock.budget.seconds:
        clock.reserve = reserve(clock.budget) + owed(hunt.trials, apart, OWED_MOST * clock.budget.seconds)
    story.tell("search", trial=trial, left=clock.left)
    warm.begin()
    if trial.outcome == "ok":
        learner = setting.registry.get("learners", trial.config.production)
        warm.beside(learner.name, partial(learner.warm, setting.views))


def affordable(trials: list[Trial], setting: Setting, sealed: Sealed | None, clock: Clock) -> Cost:
    """What each trial costs to predict the rows kept apart, what is left for it, and what may be deployed."""
    left = clock.end - time.monotonic() - AFTERWARDS * reserve(clock.budget)
    most = max(OWED_LEAST, left) if clock.budget.seconds else float("inf")
    rows = kept_apart(setting, sealed)
    return Cost({t.name: price(t, rows) for t in trials}, most, setting.task.limits)


def kept_apart(setting: Setting, sealed: Sealed | None) -> int:
    """Rows that are predicted after the search."""
    return len(setting.dataset.apart) + (sealed.rows if sealed else 0)


def look(setting: Setting, warm: Warm, config: Config) -> Mapping[str, Any]:
    """What is known of a config before it is fitted; nothing as long as that would have to wait for imports."""
    learner = setting.registry.get("learners", config.production)
    return learner.look(config, setting.views, setting.aim) if warm.ready else {}


def meets_goal(setting: Setting, trials: Path, trial: Trial) -> bool:
    """Whether a full trial meets the task's goal out of fold, beyond doubt."""
    dataset = setting.dataset
    rows, prediction = (np.load(trials / trial.name / f"{name}.npy") for name in ("rows", "prediction"))
    goal, target = setting.task.goal, dataset.target[rows]
    assert goal is not None
    state = setting.output.decide(dataset.state, setting.task.metric, goal, prediction, target)
    return reaches(goal, setting.metric, target, prediction, state)


def proposer(request: Request, setting: Setting, foresight: Foresight, begun: list[Proposal]) -> Proposer:
    """What the searcher asked for makes of this task."""
    registry = setting.registry
    productions = library.known(setting.productions, foresight.learnt)
    scope = Scope(foresight.families, productions, registry.learners, setting.views, setting.metric,
                  foresight.prior, foresight.portfolio, tuple(begun), request.seed)  # fmt: skip
    return registry.get("searchers", searcher(request, registry)).begin(scope)


def searcher(request: Request, registry: Registry) -> str:
    """The name of the searcher: evolution where it is installed, unless another one was asked for."""
    if request.searcher != "auto":
        return request.searcher
    return "evolution" if "evolution" in registry.searchers else "priors"


@dataclass(frozen=True)
class Foresight:
    """What is known before anything is trained."""

    base: Base
    description: Description
    families: Mapping[str, Family]  # those that take the data, and those that the description calls for
    recall: Recall
    prior: Prior
    portfolio: Portfolio
    learnt: tuple[library.Entry, ...]  # productions that the base has learnt


def foresee(setting: Setting, base: Base, request: Request, story: Story) -> Foresight:
    """Stage 3: describe, recall what past runs of similar data taught, propose."""
    dataset, registry = setting.dataset, setting.registry
    description = describe_setting(setting)
    story.tell("describe", numbers=description.numbers, seconds=description.seconds)
    recall = (
        Recall()
        if request.cold
        else base.recall(description, task=setting.task, blind=dataset.card if request.blind else None)
    )
    here = Here(dataset.rows * len(dataset.folds), request.budget.room, machine.speed())
    families = setting.families | setting.called_for(description)
    # What was trained on all there is would remember what is to be forgotten.
    folders = [] if request.cold or request.blind else base.folders
    ranker, learnt = Ranker.find(folders), library.find(folders, registry)
    blocks = Blocks(library.known(registry.productions, learnt), setting.views, description.numbers)
    prior = propose(setting.task, recall, families, setting.metric, setting.baseline, here, blocks)
    portfolio = Portfolio(recall, prior, families, here, judge=ranker.about(description) if ranker else None)
    if request.narrow:
        prior = replace(prior, soft=moved(prior.soft, setting.narrowing))
        portfolio.keep_to({c.key for c in portfolio.candidates if setting.narrowing.holds(c.config)})
    story.tell("propose", neighbours=prior.neighbours, nothing_like_it=prior.nothing_like_it, odds=prior.odds,
               reasons=prior.reasons, forecast=prior.forecast,
               loss=setting.output.choose_loss(dataset.state, setting.task.metric, dataset.target))  # fmt: skip
    return Foresight(base, description, families, recall, prior, portfolio, tuple(learnt))


def describe_setting(setting: Setting) -> Description:
    """The description of prepared data and their task."""
    probes = setting.registry.probes.values()
    return describe(setting.dataset, setting.transform, setting.output, probes, embed)


@dataclass(frozen=True)
class Ensemble:
    """The selected trials with what they said out of fold, and the function they make together."""

    selection: Selection
    predictor: Predictor


def combine(trials: list[Trial], folder: Path, setting: Setting, story: Story, cost: Cost) -> Ensemble:
    """Stage 4: one calibrated ensemble out of the trials, which predicts what is to come in the time there is."""
    selection = select(trials, folder / "trials", setting.dataset, setting.aim, cost)
    predictor = assemble(selection, trials, folder / "trials", setting.dataset, setting.aim, setting.modality)
    story.tell("train", weights={f"{m.family} #{int(m.trial)}": m.weight for m in predictor.members},
               score=selection.score, metric=setting.task.metric, calibration=predictor.calibration,
               cut_short=selection.cut_short)  # fmt: skip
    return Ensemble(selection, predictor)


def measure(ensemble: Ensemble, sealed: Sealed | None, setting: Setting) -> Answers:
    """Stage 4: what is predicted for the sealed test, opened once; without one, for the rows held out of each fold."""
    dataset, output = setting.dataset, setting.output
    if sealed is not None:
        inputs, target = sealed.open(again=sealed.opened)
        prediction, split, rows = ensemble.predictor.predict(inputs), "sealed test", np.arange(len(target))
    else:
        rows = ensemble.selection.rows
        target, split = dataset.target[rows], "out of fold"
        prediction = output.calibrated(ensemble.predictor.calibration, ensemble.selection.prediction)
    naive = output.baseline(dataset.state, dataset.target, len(target))
    return Answers(target, prediction, naive, split, rows)


def deliver(
    folder: Path, predictor: Predictor, answers: Answers, scorecard: Scorecard, setting: Setting, clock: Clock
) -> Bundle:
    """Stages 5 and 6: the bundle, with the reference that monitoring compares against.

    The reference holds predictions of rows not learnt from: in sample they would be surer than anything to come.
    """
    dataset = setting.dataset
    said = setting.output.table(predictor.state, answers.prediction)
    drift = reference(setting.modality, dataset.fields, dataset.schema, said)
    about = {"rows": dataset.rows, "data": dataset.card, "target": dataset.label}
    proof = dataset.fields.take(np.arange(min(PROOF, dataset.rows)))
    return package(folder / "bundle", predictor, scorecard, drift, about, proof, setting.registry, clock.end - 1.0)


def keeps(setting: Setting, folder: Path, members: list[Trial]) -> dict[str, dict[str, Any]]:
    """For each limit of the task what it is, what the bundle takes, measured here and now, and whether that is kept.

    What has to be there beside the bundle counts, and what a pretrained model takes for a row it has not seen.
    """
    limits = setting.task.limits
    if not limits.given:
        return {}
    taken = weighed(Bundle.open(folder / "bundle", setting.registry), setting.dataset.fields.take(np.arange(1)))
    for name, fact in (("size", "beside_bytes"), ("latency", "row_seconds_once")):
        taken[name] += max((float(t.facts.get(fact, 0.0)) for t in members), default=0.0)
    asked = {name: value for name, value in vars(limits).items() if value is not None}
    return {n: {"limit": most, "taken": taken[n], "kept": taken[n] <= most} for n, most in asked.items()}


def experience(trial: Trial, setting: Setting) -> Experience:
    """A trial as the knowledge base keeps it."""
    card, task = setting.dataset.card, setting.task
    kept = {k: v for k, v in trial.facts.items() if k not in OF_THE_RUN} | {"speed": round(machine.speed(), 1)}
    return Experience(
        dataset=card.id,
        data_hash=card.data_hash,
        task={"output": task.output, "metric": task.metric},
        config=trial.config,
        family=trial.proposal.family,
        seed=trial.seed,
        rung=trial.rung,
        outcome=trial.outcome,
        metric=task.metric,
        score=trial.score,
        baseline=trial.facts.get("baseline"),
        skill=trial.skill,
        seconds=trial.cost,
        facts=kept,
        versions=runs.versions(setting.registry),
        hardware=runs.hardware(),
    )


def reserve(budget: Budget) -> float:
    """Seconds kept back for what follows the search."""
    return float(np.clip(RESERVE_SHARE * budget.seconds, RESERVE_LEAST, RESERVE_MOST)) if budget.seconds else 0.0


def _test(request: Request, source: Any, reading: Reading, registry: Registry) -> float | Reading | None:
    """The sealed rows as `prepare` takes them; a test file is read by the training data's schema."""
    if request.test == "none":
        return None
    own = reading.schema.options.get("test_file")
    if request.test == "auto" and not own:
        return TEST_SHARE
    if request.test != "auto" and request.fraction is not None:
        return request.fraction
    file = Path(source) / str(own) if request.test == "auto" else Path(request.test)
    return Reading(read(file, registry.modalities).source, reading.modality, reading.schema)


def _kinds(reading: Reading) -> dict[str, Any]:
    """How many columns of each kind, and the views."""
    counted: dict[str, int] = {}
    for column in reading.schema.columns:
        counted[column.kind] = counted.get(column.kind, 0) + 1
    return counted
