"""What a search leaves time for."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from metalearner.arrays import Fields
from metalearner.kinds import Model
from metalearner.predictor import Member, Predictor
from metalearner.records import Config, Proposal, Trial
from metalearner.search import Budget, Clock, owed, price
from metalearner.steps.seconds import AFTERWARDS, GROWS, OWED_MOST, KeptBack, in_time, reserve


def trial(number, family, skill, **facts):
    proposal = Proposal(Config("x", {"n": number}), family, "arm", "")
    return Trial(number, proposal, "ok", 0, 1.0, skill, skill, 1.0, 1.0, facts=facts)


def test_what_folds_and_configs_share_is_paid_once():
    one, two = (trial(i, f, 0.9, row_seconds=0.01, row_shared={"backbone": 0.1}, folds=5) for i, f in enumerate("ab"))
    assert price([one], 120) == pytest.approx((0.1 / 1.5 + 5 * 0.01 / 1.2) * 120)
    assert price([one, two], 120) == pytest.approx((0.1 / 1.5 + 10 * 0.01 / 1.2) * 120)
    other = trial(2, "c", 0.9, row_shared={"another": 0.2})
    assert price([one, other], 120) == pytest.approx((0.3 / 1.5 + 5 * 0.01 / 1.2) * 120)
    assert price([trial(0, "a", 0.9)], 120) == 0


def test_only_what_is_near_the_best_is_owed_for():
    slow, far = (trial(i, f"f{i}", s, row_seconds=0.01, folds=1) for i, s in enumerate((0.9, 0.5)))
    assert owed([slow, far], 120, 100) == pytest.approx(1.0)
    assert owed([slow, far], 120, 0.5) == 0.5
    several = [trial(i, "f", 0.9, row_seconds=0.01, folds=1) for i in range(4)]
    assert owed(several, 120, 100) == pytest.approx(2.0)
    assert owed([], 120, 100) == 0
    lucky = replace(trial(4, "f", 0.95, row_seconds=0.01, folds=1), rung=0.2)
    whole = trial(5, "f", 0.8, row_seconds=0.01, folds=5)
    assert owed([lucky], 120, 100) == pytest.approx(1.0) and owed([lucky, whole], 120, 100) == pytest.approx(5.0)


def test_where_much_is_owed_it_is_looked_at_what_would_be_chosen():
    looks = []

    def chosen(trials):
        looks.append(len(trials))
        return {trials[0].name}

    budget = Budget(seconds=100.0)
    kept = KeptBack(budget, 120, chosen)
    tried = [trial(i, f"f{i}", 0.9, row_seconds=0.1, folds=1) for i in range(8)]
    assert kept.seconds(tried[:0]) == reserve(budget) and not looks
    one = price(tried[:1], 120)
    assert GROWS * one < OWED_MOST * 100 < 8 * one
    assert kept.seconds(tried) == pytest.approx(reserve(budget) + GROWS * one)
    assert kept.seconds(tried) == pytest.approx(reserve(budget) + GROWS * one) and looks == [8]  # not again so soon
    cheap = [trial(i, f"f{i}", 0.9, row_seconds=1e-4, folds=1) for i in range(8)]
    KeptBack(budget, 120, chosen).seconds(cheap)
    assert looks == [8]  # nothing worth a look
    first = KeptBack(budget, 120, chosen)
    partial = [replace(t, rung=0.2) for t in tried]
    first.seconds(partial)
    first.seconds(partial)
    first.seconds([*tried[:1], *partial])  # a full fit is of more folds than what was looked at
    assert looks == [8, 8, 9]
    everything = KeptBack(budget, 120, lambda trials: {t.name for t in trials})
    assert everything.seconds(tried) == pytest.approx(reserve(budget) + OWED_MOST * 100)
    assert KeptBack(Budget(seconds=None, trials=3), 120, chosen).seconds(tried) == 0.0


class Slow(Model):
    """A model that takes its time for every row."""

    def __init__(self, seconds):
        self.seconds, self.read = seconds, 0

    def predict(self, tensors):
        """The first time that rows are asked about they have to be read."""
        new, self.read = len(tensors["x"]) - self.read, len(tensors["x"])
        time.sleep(self.seconds * (len(tensors["x"]) + 3 * max(0, new)))
        return np.zeros((len(tensors["x"]), 1))

    def save(self, folder):
        raise NotImplementedError


def five(seconds):
    members = tuple(Member(str(i), "f", Config("x"), 0.5, (Slow(seconds),) * 5) for i in range(2))
    transform, output = (
        SimpleNamespace(apply=lambda state, fields: fields),
        SimpleNamespace(merge=lambda said, w: said[0]),
    )
    return Predictor(None, None, None, transform, output, {}, ({},) * 5, members)  # type: ignore[arg-type]


def test_models_that_there_is_no_time_to_predict_by_are_left_out():
    known, budget = Fields({"x": np.zeros(400)}), Budget(seconds=100.0)
    tried = [trial(i, "f", 0.9, row_seconds=0.02, folds=5) for i in range(2)]

    def kept(seconds, left, rows=1000):
        clock = Clock(budget, time.monotonic() - 100.0 + left + AFTERWARDS * reserve(budget))
        return in_time(five(seconds), tried, known, rows, clock).models

    assert price(tried, 1000) == pytest.approx(1000 / 6)  # but two models of 1 ms take 2 s for as many rows
    assert kept(0.001, 12.0) == 10
    assert kept(0.001, 7.0) in {4, 6} and len(five(0).thinned(2).transforms) == 2
    assert kept(0.001, -5.0) == 2, "one of each there always is"
    assert (
        kept(0.001, 1.0, rows=1) == 10 and in_time(five(0.1), tried, known, 10**6, Clock(Budget(None, 3))).models == 10
    )
    reader = [trial(0, "f", 0.9, row_seconds=0.0002, row_shared={"backbone": 0.1}, folds=5)]
    clock = Clock(budget, time.monotonic() - 90.0)
    assert in_time(five(0.0001), reader, known, 1000, clock).models == 10, "what reads for them is what takes long"
