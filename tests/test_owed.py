"""What a search leaves time for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from metalearner.records import Config, Proposal, Trial
from metalearner.search import Budget, owed, price
from metalearner.steps.seconds import GROWS, OWED_MOST, KeptBack, reserve


def trial(number, family, skill, **facts):
    proposal = Proposal(Config("x", {"n": number}), family, "arm", "")
    return Trial(number, proposal, "ok", 0, 1.0, skill, skill, 1.0, 1.0, facts=facts)


def test_what_folds_and_configs_share_is_paid_once():
    one, two = (trial(i, f, 0.9, row_seconds=0.01, row_shared={"backbone": 0.1}, folds=5) for i, f in enumerate("ab"))
    assert price([one], 120) == pytest.approx((0.1 + 5 * 0.01) * 100)
    assert price([one, two], 120) == pytest.approx((0.1 + 10 * 0.01) * 100)
    other = trial(2, "c", 0.9, row_shared={"another": 0.2})
    assert price([one, other], 120) == pytest.approx((0.3 + 5 * 0.01) * 100)
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
    tried = [trial(i, f"f{i}", 0.9, row_seconds=0.05, folds=1) for i in range(8)]
    assert kept.seconds(tried[:0]) == reserve(budget) and not looks
    one = price(tried[:1], 120)
    assert one < 0.3 * 100 < 8 * one
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
