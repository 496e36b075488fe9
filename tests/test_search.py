"""Search: the clock's promises, who gets to propose, workers that die."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from metalearner import grammar
from metalearner.kinds import (
    Executor,
    Family,
    Float,
    Int,
    Job,
    Learner,
    Moment,
    Prior,
    Production,
    Proposer,
    Rung,
    Scope,
)
from metalearner.outputs import METRICS
from metalearner.records import FULL, Config, Forecast, Proposal, Trial
from metalearner.search import Budget, Clock, Ladder, Rungs, Search, ledger
from metalearner.search.inline import InProcess
from metalearner.search.local import LocalProcesses
from metalearner.search.priors import Priors

R2 = {m.name: m for m in METRICS}["r2"]


class Curve(Production):
    """A root with three numbers, one of them loose; the best is at x = 0.7, n = 5."""

    name, symbol, loose = "curve", "learner", ("x",)

    def space(self):
        return {"x": Float(0, 1, 0.2), "n": Int(1, 9, 2)}


class Curves(Learner):
    """Fits nothing: what a trial scores is `value`. Three of a shape may be fitted side by side."""

    name = "curve"

    def accepts(self, views, output):
        return True

    def fit(self, configs, folds, aim, upto, resume):
        raise AssertionError

    def load(self, folder, aim):
        raise AssertionError

    def partial(self, config):
        return True

    def together(self, facts):
        return 3


PRODUCTIONS = {"curve": Curve()}
LEARNERS = {"curve": Curves()}
FAMILIES = {
    "curve": Family("curve", "", (Config("curve"), Config("curve", {"x": 0.9})), lambda views: True, tags=("quick",)),
    "other": Family("other", "", (Config("curve", {"x": 0.1, "n": 9}),), lambda views: True, level=2),
}
PRIOR = Prior((), 1.0, Forecast("r2", None, None, None), {"curve": 0.6, "other": 0.4}, {})


def value(config):
    numbers = grammar.numbers(config, PRODUCTIONS)
    return 1 - (numbers["x"] - 0.7) ** 2 - 0.01 * (numbers["n"] - 5) ** 2


def tried(number, proposal, seconds=0.1, rung=1.0):
    score = value(proposal.config)
    facts = {"merits": [score], "merit": score}
    return Trial(number, proposal, "ok", 0, rung, score, score, seconds, number * 1.0, facts)


def fitted(job, seconds=3.0):
    """What a worker would answer: two folds make a whole."""
    rung = job.rung.share * (1.0 if job.rung.folds is None else job.rung.folds / 2)
    return [tried(n, p, seconds, rung) for n, p in zip(job.numbers, job.proposals)]


class Presets(Proposer):
    name = "portfolio"

    def ask(self, n, seen, moment):
        known = {t.config.id for t in seen}
        return [Proposal(c, f.name, "portfolio") for f in FAMILIES.values() for c in f.presets if c.id not in known][:n]


class Here(Executor):
    """Runs a job in this process the moment it is collected."""

    name = "here"

    def __init__(self, fit=fitted):
        self.fit, self.jobs, self.done = fit, [], []

    def start(self, begin, workers, address=""):
        pass

    def submit(self, job):
        self.jobs.append(job)
        self.done.append(job)

    def collect(self, timeout):
        return self.fit(self.jobs.pop(0)) if self.jobs else []

    def idle(self):
        return 2 - len(self.jobs)

    def stop(self):
        pass


def hunt(budget, executor=None, folds=2, reaches=None, seen=()):
    rungs = Rungs([200] * folds, LEARNERS, PRODUCTIONS)
    clock = Clock(budget, reserve=0.5 if budget.seconds else 0.0)
    return Search(executor or Here(), clock, rungs, Ladder(FAMILIES, reaches), trials=list(seen))


def proposer(seed=0):
    return Priors().begin(Scope(FAMILIES, PRODUCTIONS, {}, R2, PRIOR, Presets(), (), seed))


def test_a_trial_budget_is_kept_exactly_and_no_config_is_begun_twice():
    executor = Here()
    trials = hunt(Budget(None, 25), executor).run(proposer())
    assert [t.number for t in trials] == list(range(25))
    begun = [p.config for job in executor.done if not job.resume for p in job.proposals]
    assert len({grammar.complete(c, PRODUCTIONS).id for c in begun}) == len(begun)
    assert trials[0].proposal.arm == "first"


def test_numbers_that_a_killed_process_left_without_a_trial_do_not_count():
    trials = hunt(Budget(None, 25)).run(proposer())
    left = [t for t in trials[:10] if t.number not in (1, 7)]  # these two were under way
    again = hunt(Budget(None, 25), seen=left).run(proposer())
    assert len(again) == 25 and len({t.number for t in again}) == 25


def test_the_best_cheap_fits_are_gone_on_with():
    executor = Here()
    trials = hunt(Budget(None, 60), executor).run(proposer())
    resumed = [job for job in executor.done if job.resume]
    names = [name for job in resumed for name in job.resume]
    assert names and len(set(names)) == len(names), "a cheap fit is gone on with once"
    assert all(job.rung.folds is None for job in resumed)
    cheap = [t for t in trials if t.rung < FULL]
    chosen = [t.score for t in cheap if t.name in names]
    assert np.mean(chosen) > np.mean([t.score for t in cheap])
    assert len(names) < 0.6 * len(cheap)


def test_configs_of_one_shape_are_fitted_side_by_side_once_one_of_them_was_seen():
    executor = Here()
    hunt(Budget(None, 40), executor).run(proposer())
    assert len(executor.done[0].numbers) == 1
    together = [job for job in executor.done if len(job.numbers) > 1]
    assert together and max(len(job.numbers) for job in together) == 3
    for job in together:
        assert len({grammar.shape(p.config, PRODUCTIONS) for p in job.proposals}) == 1


def test_how_many_are_fitted_side_by_side_is_judged_by_the_rung_they_are_fitted_on():
    rungs, proposal = Rungs([200] * 5, LEARNERS, PRODUCTIONS), Presets().ask(1, [], Moment())[0]
    facts = {"folds": 5, "share": 1.0, "fit_seconds": 2.0, "rows": 7}
    seen = [Trial(0, proposal, "ok", 0, 1.0, 0.5, 0.5, 2.0, 1.0, facts)]
    told = rungs.facts_of_shape(proposal, Rung(folds=1), seen)
    assert told == {"folds": 1, "share": 1.0, "fit_seconds": pytest.approx(0.4), "rows": 7}
    assert rungs.facts_of_shape(proposal, Rung(), seen) == facts


def test_a_look_that_names_no_size_tells_nothing_of_a_shape():
    first, bigger = Config("curve"), Config("curve", {"n": 9})
    seen = [replace(tried(0, Proposal(first, "curve", "")), facts={"folds": 5, "share": 1.0, "parameters": 10})]
    looks = {"parameters": 20, "effort": 1.0}, {"effort": 1.0}
    sized, unsized = (Rungs([200] * 5, LEARNERS, PRODUCTIONS, lambda _, own=own: own) for own in looks)
    assert sized.facts_of_shape(Proposal(bigger, "curve", ""), Rung(), seen)["parameters"] == 20
    assert unsized.facts_of_shape(Proposal(bigger, "curve", ""), Rung(), seen) == {}


def test_a_trial_that_was_lost_on_a_cheap_rung_is_no_full_one_and_ended_now():
    def lose(job):
        lost = tried(job.numbers[0], job.proposals[0])
        return [replace(lost, outcome="crash", score=None, skill=None, rung=job.rung.share, finished=0.0, facts={})]

    executor = Here(lose)
    search = hunt(Budget(60.0), executor)
    search.clock.began -= 5.0
    trials = search.run(proposer())
    assert executor.done[0].rung.folds == 1 and trials[0].rung == 0.5
    assert all(t.finished >= 5.0 for t in trials)


def test_what_takes_no_time_is_fitted_in_full_at_once():
    executor = Here(lambda job: fitted(job, seconds=0.1))
    hunt(Budget(None, 20), executor).run(proposer())
    assert all(job.rung.folds is None for job in executor.done[4:])


def test_where_rows_are_few_a_cheap_fit_takes_several_folds_or_all():
    rows = {200: 1, 60: 2, 30: 5, 10: 5}
    assert {n: Rungs([n] * 5, LEARNERS, PRODUCTIONS).cheap for n in rows} == rows


def test_how_much_of_a_fit_is_made_at_first():
    class Whole(Curves):
        def partial(self, config):
            return False

    def first(folds, learner=LEARNERS["curve"], whole=False):
        return Rungs([200] * folds, {"curve": learner}, PRODUCTIONS, whole=whole).first_share(Config("curve"))

    assert first(5) == 1 / 5 and first(5, Whole()) == 1 / 5
    assert first(1) == pytest.approx(1 / 3) and first(1, Whole()) == 1.0
    assert first(5, whole=True) == 1.0


def test_a_dear_fit_is_gone_on_with_only_near_the_best():
    rungs = Rungs([200] * 5, LEARNERS, PRODUCTIONS)
    configs = [Config("curve", {"x": 0.1 * i, "n": 3}) for i in range(6)]

    def cheap(number, merit, seconds, family):
        facts = {"merits": [merit], "merit": merit, "folds": 1, "share": 1.0}
        proposal = Proposal(configs[number], family, "portfolio")
        return Trial(number, proposal, "ok", 0, 0.2, merit, merit, seconds, 1.0, facts)

    seen = [
        cheap(0, 0.80, 0.5, "quick"),
        cheap(1, 0.77, 5.0, "dear"),
        cheap(2, 0.77, 0.5, "other"),
        cheap(3, 0.1, 0.5, "bad"),
    ]

    def gone_on_with(seconds_left):
        rungs.promoted = set()
        found = set()
        while due := rungs.due(seen, Moment(seconds_left, 0.2)):
            found |= {t.proposal.family for t in due}
            rungs.promoted |= {t.name for t in due}
        return found

    assert gone_on_with(60.0) == {"quick", "other"}, "20 of 60 seconds for something .03 behind"
    assert gone_on_with(600.0) == {"quick", "dear", "other"}


def test_a_dear_fit_far_behind_what_was_fitted_in_full_is_not_gone_on_with():
    """Of one fold cheap fits are compared with each other alone: the best of them may be bad."""
    rungs = Rungs([200], LEARNERS, PRODUCTIONS)

    def fit(number, merit, rung):
        facts = {"merits": [merit], "merit": merit, "folds": 1, "share": rung}
        proposal = Proposal(Config("curve", {"x": 0.1 * number, "n": 3}), f"family-{number}", "portfolio")
        return Trial(number, proposal, "ok", 0, rung, merit, merit, 50.0, 1.0, facts)

    def due(reached):
        return [
            t.number
            for t in rungs.due([fit(0, 0.4, 1 / 3), fit(1, 0.3, 1 / 3), fit(2, reached, 1.0)], Moment(300.0, 0.5))
        ]

    assert due(0.6) == [0], "the second is too dear for its distance"
    assert due(0.75) == []


def test_workers_do_not_run_the_caller_s_main_module_again(monkeypatch):
    from multiprocessing.spawn import get_preparation_data

    from metalearner.search import local

    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__file__", "script.py", raising=False)  # tests, too, may be run by what is no file
    before = dict(vars(main))
    assert {k for k in get_preparation_data("w") if k.startswith("init_main")}
    with local._no_main():
        assert not {k for k in get_preparation_data("w") if k.startswith("init_main")}
    assert vars(main)["__spec__"] is before["__spec__"]


def test_on_one_fold_a_third_of_the_rounds_is_cheap():
    executor = Here()
    hunt(Budget(None, 12), executor, folds=1).run(proposer())
    assert {round(job.rung.share, 2) for job in executor.done} == {0.33, 1.0}


def test_a_second_of_budget_is_a_second():
    def slow(job):
        time.sleep(0.05)
        return fitted(job)

    start = time.monotonic()
    search = hunt(Budget(3.0), Here(slow))
    assert len(search.run(proposer())) > 3
    assert 1.0 < time.monotonic() - start < 3.0
    assert all(search.clock.rung(0).deadline <= search.clock.end for _ in range(3))


def test_nothing_is_begun_where_asking_took_the_time_that_was_left():
    class Slow(Presets):
        def ask(self, n, seen, moment):
            search.clock.began -= 60 if executor.done else 0
            return super().ask(n, seen, moment)

    executor = Here()
    search = hunt(Budget(60.0), executor)
    search.run(Slow())
    assert len(executor.done) == 1


def test_with_a_goal_the_cheapest_level_that_meets_it_wins():
    search = hunt(Budget(None, 50), reaches=lambda trial: trial.score > 0.4)
    trials = search.run(proposer())
    assert {t.proposal.family for t in trials} == {"other"}, "level 2 comes before level 1"
    assert "level 2" in search.ladder.said(trials, 0.1) and "meets the goal" in search.ladder.said(trials, 0.1)


def test_a_goal_that_is_not_met_is_climbed_after():
    search = hunt(Budget(None, 50), reaches=lambda trial: False)
    trials = search.run(proposer())
    assert {"curve", "other"} == {t.proposal.family for t in trials}
    assert search.ladder.said(trials, 1.0).startswith("climbed to level 3")


def test_resuming_goes_on_where_the_trials_end():
    first = hunt(Budget(None, 6)).run(proposer())
    executor = Here()
    everything = hunt(Budget(None, 30), executor, seen=first).run(proposer())
    assert [t.number for t in everything] == list(range(30))
    again = [p.config for job in executor.done if not job.resume for p in job.proposals]
    known = {grammar.complete(t.config, PRODUCTIONS).id for t in first}
    assert not known & {grammar.complete(c, PRODUCTIONS).id for c in again}


def test_a_resumed_search_keeps_back_what_its_trials_will_take(tmp_path):
    from metalearner.request import Request
    from metalearner.steps import hunt
    from metalearner.steps.seconds import reserve

    slow = replace(tried(0, Presets().ask(1, [], Moment())[0]), facts={"row_seconds": 0.01, "folds": 1})
    (tmp_path / "trials").mkdir()
    ledger.keep(tmp_path / "trials", slow)
    folds = [(np.arange(100), np.arange(100))] * 2
    dataset = SimpleNamespace(folds=folds, apart=np.arange(120))
    setting = SimpleNamespace(dataset=dataset, registry=SimpleNamespace(learners=LEARNERS, productions=PRODUCTIONS),
                              task=SimpleNamespace(goal=None), levels=None, families={}, aim=None)  # fmt: skip
    clock, warm = Clock(Budget(100.0), reserve=reserve(Budget(100.0))), SimpleNamespace(begin=lambda: None)
    hunt.set_out(Request("x", budget=clock.budget), Here(), clock, setting, None, tmp_path, None, warm)
    assert clock.reserve == pytest.approx(reserve(clock.budget) + 1.0)


def test_an_interrupt_keeps_what_is_done():
    search = hunt(Budget(60.0))

    def fit(job):
        if job.numbers[0] >= 3:
            search.clock.interrupt()
        return [tried(n, p) for n, p in zip(job.numbers, job.proposals)]

    search.executor = Here(fit)
    started = time.monotonic()
    assert len(search.run(proposer())) >= 3
    assert time.monotonic() - started < 2


def test_an_interrupt_before_anything_was_asked_keeps_what_had_been_set_going():
    search = hunt(Budget(60.0))
    search.begin(Presets().ask(1, [], Moment()))
    search.clock.interrupt()
    search.clock.interrupted_at = time.monotonic() - 60  # whoever described the data took longer than was left
    assert [t.number for t in search.run(proposer())] == [0]


def test_fits_in_the_process_itself_come_one_at_a_time_and_only_when_they_are_waited_for():
    begun = []

    def begin():
        begun.append(True)
        return lambda job: iter(fitted(job))

    executor, proposals = InProcess(), Presets().ask(2, [], Moment())
    executor.start(begin, 2)
    executor.submit(Job((0, 1), tuple(proposals), Rung()))
    assert executor.idle() == 0 and executor.collect(0.0) == [] and not begun
    assert [[t.number for t in executor.collect(1.0)] for _ in range(3)] == [[0], [1], []]
    executor.submit(Job((2,), (proposals[0],), Rung()))
    assert [t.number for t in executor.collect(1.0)] == [2] and executor.idle() == 1 and len(begun) == 1
    executor.submit(Job((3,), (proposals[0],), Rung()))
    executor.stop()
    assert executor.idle() == 1 and executor.collect(1.0) == []


def test_half_written_trials_are_swept(tmp_path):
    (tmp_path / "00000").mkdir()
    (tmp_path / "00000" / "trial.json").write_text(json.dumps(tried(0, Presets().ask(1, [], Moment())[0]).to_json()))
    (tmp_path / ".00001.77").mkdir()
    assert [t.number for t in ledger.read(tmp_path)] == [0]
    assert not (tmp_path / ".00001.77").exists()


@pytest.mark.parametrize(("x", "outcome"), [(0.5, "ok"), (0.1, "crash"), (0.2, "timeout")])
def test_a_worker_that_dies_or_hangs_costs_one_trial(x, outcome, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent / "workers")
    from moody import Moody

    executor = LocalProcesses()
    executor.start(Moody(), 1)
    try:
        for number, at in enumerate((x, 0.5)):
            deadline = time.monotonic() + (0.5 if at == 0.2 else 30)
            executor.submit(
                Job((number,), (Proposal(Config("curve", {"x": at}), "curve", "test"),), Rung(1.0, deadline))
            )
            trials = []
            while not trials:
                trials = executor.collect(1.0)
            assert trials[0].outcome == (outcome if number == 0 else "ok")
    finally:
        executor.stop()


@pytest.mark.parametrize("noticed", [True, False])
def test_a_worker_that_dies_while_it_is_idle_costs_nothing(noticed, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent / "workers")
    from moody import Moody

    executor = LocalProcesses()
    executor.start(Moody(), 1)
    try:
        while not executor.idle():
            executor.collect(1.0)
        process = executor._workers[0].process
        process.kill()
        process.join()
        if noticed:
            assert executor.collect(5.0) == [] and executor.idle() == 0
        executor.submit(
            Job((0,), (Proposal(Config("curve", {"x": 0.5}), "curve", "test"),), Rung(1.0, time.monotonic() + 30))
        )
        trials = []
        while not trials:
            trials = executor.collect(1.0)
        assert trials[0].outcome == "ok"
    finally:
        executor.stop()


def test_what_was_finished_before_a_worker_died_is_kept(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent / "workers")
    from moody import Moody

    executor = LocalProcesses()
    executor.start(Moody(), 1)
    proposals = tuple(Proposal(Config("curve", {"x": x}), "curve", "test") for x in (0.5, 0.1, 0.6))
    try:
        executor.submit(Job((7, 8, 9), proposals, Rung(1.0, time.monotonic() + 30)))
        trials = []
        while len(trials) < 3:
            trials += executor.collect(1.0)
    finally:
        executor.stop()
    assert [(t.number, t.outcome) for t in trials] == [(7, "ok"), (8, "crash"), (9, "crash")]


def test_budgets_are_read():
    from metalearner.errors import TaskError
    from metalearner.request import parse_budget

    assert parse_budget("90") == Budget(90.0) and parse_budget("1.5 h") == Budget(5400.0)
    assert parse_budget("40trials") == Budget(None, 40)
    for bad, said in (
        ("soon", "not understood"),
        ("3s", "too short"),
        ("0trials", "no whole trial"),
        ("-5", "not understood"),
    ):
        with pytest.raises(TaskError, match=said):
            parse_budget(bad)
