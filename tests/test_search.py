"""Search: the clock's promises, who gets to propose, workers that die."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from metalearner import grammar
from metalearner.kinds import Executor, Family, Float, Int, Job, Prior, Production, Proposer, Rung
from metalearner.outputs import METRICS
from metalearner.records import Config, Forecast, Proposal, Trial
from metalearner.search import Budget, Clock, Strategy, ledger, search
from metalearner.search.local import LocalProcesses
from metalearner.search.tpe import Tpe

R2 = {m.name: m for m in METRICS}["r2"]


class Curve(Production):
    """A root with two numbers; the best is at x = 0.7, n = 5."""

    name, symbol = "curve", "learner"

    def space(self):
        return {"x": Float(0, 1, 0.2), "n": Int(1, 9, 2)}


PRODUCTIONS = {"curve": Curve()}
FAMILIES = {
    "curve": Family("curve", "", (Config("curve"), Config("curve", {"x": 0.9})), lambda views: True, tags=("quick",)),
    "other": Family("other", "", (Config("curve", {"x": 0.1, "n": 9}),), lambda views: True),
}
PRIOR = Prior((), 1.0, Forecast("r2", None, None, None), {"curve": 0.6, "other": 0.4}, {})


def value(config):
    numbers = grammar.numbers(config, PRODUCTIONS)
    return 1 - (numbers["x"] - 0.7) ** 2 - 0.01 * (numbers["n"] - 5) ** 2


def tried(number, proposal, seconds=0.1):
    score = value(proposal.config)
    return Trial(number, proposal, "ok", 0, 1.0, score, score, seconds, number * 1.0)


class Presets(Proposer):
    name = "portfolio"

    def ask(self, n, seen, seconds_left):
        known = {t.config.id for t in seen}
        return [Proposal(c, f.name, "portfolio") for f in FAMILIES.values() for c in f.presets if c.id not in known][:n]


class Here(Executor):
    """Runs a job in this process the moment it is collected."""

    name = "here"

    def __init__(self, fit):
        self.fit, self.jobs = fit, []

    def start(self, begin, workers):
        pass

    def submit(self, job):
        self.jobs.append(job)

    def collect(self, timeout):
        return [self.fit(self.jobs.pop(0))] if self.jobs else []

    def idle(self):
        return 2 - len(self.jobs)

    def stop(self):
        pass


def strategy(seed=0):
    return Strategy(Presets(), PRIOR, FAMILIES, PRODUCTIONS, R2, seed)


def test_a_trial_budget_is_kept_exactly_and_nothing_is_tried_twice():
    trials = search(strategy(), Here(lambda job: tried(job.number, job.proposal)), Clock(Budget(None, 15)), 0)
    assert len(trials) == 15
    assert len({grammar.complete(t.config, PRODUCTIONS).id for t in trials}) == 15
    assert trials[0].proposal.arm == "first"
    assert {"portfolio", "tpe"} <= {t.proposal.arm for t in trials}


def test_a_second_of_budget_is_a_second():
    def slow(job):
        time.sleep(0.05)
        return tried(job.number, job.proposal)

    start = time.monotonic()
    clock = Clock(Budget(3.0), reserve=0.5)
    trials = search(strategy(), Here(slow), clock, 0)
    assert len(trials) > 3
    assert 1.0 < time.monotonic() - start < 3.0
    assert all(clock.rung(0).deadline <= clock.end for _ in range(3))


def test_tpe_finds_the_top_of_a_curve():
    tpe = Tpe({"curve": FAMILIES["curve"]}, PRODUCTIONS, R2, seed=0)
    trials = []
    for i in range(40):
        trials.append(tried(i, tpe.ask(1, trials, 100.0)[0]))
    assert max(t.score for t in trials[8:]) > 0.99
    assert np.mean([t.score for t in trials[20:]]) > np.mean([t.score for t in trials[:8]])


def test_tpe_learns_from_trials_it_did_not_propose():
    tpe = Tpe(FAMILIES, PRODUCTIONS, R2, seed=0)
    foreign = [tried(i, p) for i, p in enumerate(Presets().ask(3, [], 1.0))]
    assert tpe.ask(1, foreign, 1.0)
    assert len(tpe._told) == 3


def test_resuming_counts_what_was_tried():
    first = search(strategy(), Here(lambda job: tried(job.number, job.proposal)), Clock(Budget(None, 6)), 0)
    again = strategy()
    again.count(t.proposal for t in first)
    everything = search(again, Here(lambda job: tried(job.number, job.proposal)), Clock(Budget(None, 12)), 0, first)
    assert len(everything) == 12 and len({t.number for t in everything}) == 12
    assert len({grammar.complete(t.config, PRODUCTIONS).id for t in everything}) == 12


def test_an_interrupt_keeps_what_is_done():
    def fit(job):
        if job.number == 3:
            raise KeyboardInterrupt
        return tried(job.number, job.proposal)

    assert len(search(strategy(), Here(fit), Clock(Budget(60.0)), 0)) == 3


def test_half_written_trials_are_swept(tmp_path):
    (tmp_path / "00000").mkdir()
    (tmp_path / "00000" / "trial.json").write_text(json.dumps(tried(0, Presets().ask(1, [], 1)[0]).to_json()))
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
            executor.submit(Job(number, Proposal(Config("curve", {"x": at}), "curve", "test"), Rung(1.0, deadline)))
            trials = []
            while not trials:
                trials = executor.collect(1.0)
            assert trials[0].outcome == (outcome if number == 0 else "ok")
    finally:
        executor.stop()


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
