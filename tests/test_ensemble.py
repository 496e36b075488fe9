"""Selection: what is chosen, how honestly it is judged, what it must not take."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from metalearner.errors import RunError
from metalearner.kinds import Aim
from metalearner.outputs import Classification, Regression
from metalearner.records import Config, Proposal, Trial
from metalearner.train.ensemble import (
    CANDIDATES,
    MEMBERS,
    OF_A_FAMILY,
    Cost,
    Expected,
    _afforded,
    candidates,
    expected,
    greedy,
    select,
)
from metalearner.train.merit import Merit


class Given:
    """Trials whose out-of-fold predictions are made up, on disk as a run leaves them."""

    def __init__(self, folder, registry, target, metric="accuracy", folds=1):
        self.folder, self.target = folder, target
        output = Regression() if metric == "r2" else Classification()
        self.aim = Aim(output, output.fit(target), registry.metrics[metric], registry)
        parts = np.array_split(np.arange(len(target)), folds)
        self.dataset = SimpleNamespace(
            target=target, folds=[(np.setdiff1d(np.arange(len(target)), p), p) for p in parts]
        )
        self.trials = []

    def add(self, prediction, family="plain", rung=1.0, rows=None, facts=None):
        number = len(self.trials)
        rows = np.arange(len(self.target)) if rows is None else rows
        place = self.folder / f"{number:05d}"
        place.mkdir()
        np.save(place / "rows.npy", rows)
        np.save(place / "prediction.npy", prediction)
        score = self.aim.metric.score(self.target[rows], prediction, self.aim.state)
        proposal = Proposal(Config("net", {"width": number}), family, "test")
        self.trials.append(Trial(number, proposal, "ok", 0, rung, score, score, 1.0 + number, 1.0, facts or {}))

    def first(self, prediction):
        """A trial on the first fold alone, of predictions for all rows."""
        rows = self.dataset.folds[0][1]
        self.add(prediction[rows], rung=1 / len(self.dataset.folds), rows=rows, facts={"folds": 1, "share": 1.0})

    def select(self):
        return select(self.trials, self.folder, self.dataset, self.aim)


def guess(rng, target, noise, classes=2):
    """Probabilities that lean to the truth."""
    logits = np.eye(classes)[target] + rng.normal(0, noise, (len(target), classes))
    return np.exp(2 * logits) / np.exp(2 * logits).sum(1, keepdims=True)


@pytest.fixture
def given(tmp_path, registry):
    return Given(tmp_path, registry, np.random.default_rng(0).integers(0, 2, 300))


def test_independent_errors_are_averaged(given):
    rng = np.random.default_rng(1)
    for _ in range(6):
        given.add(guess(rng, given.target, 1.0))
    selection = given.select()
    assert selection.score > max(t.score for t in given.trials) + 0.02
    assert 1 < len(selection.weights) <= MEMBERS and sum(selection.weights.values()) == pytest.approx(1)
    assert np.allclose(selection.prediction.sum(1), 1) and np.isfinite(selection.prediction).all()


@pytest.mark.parametrize(("rows", "trusted"), [(40, "usual"), (4000, "lucky")])
def test_of_few_rows_what_past_runs_expect_decides_among_many_rows_what_was_measured(tmp_path, registry, rows, trusted):
    """The lucky family is a little ahead on these rows, and has been behind by .2 elsewhere."""
    given = Given(tmp_path, registry, np.random.default_rng(0).integers(0, 2, rows))
    for family, said in (
        ("usual", 0.9 - 0.8 * (np.arange(rows) % 5 == 0)),
        ("lucky", 0.9 - 0.8 * (np.arange(rows) % 6 == 0)),
    ):
        own = np.where(given.target == 1, said, 1 - said)
        given.add(np.stack([1 - own, own], axis=1), family)
    known = Expected({"usual": 0.0, "lucky": 0.3}, 100.0)
    weights = select(given.trials, given.folder, given.dataset, given.aim, known=known).weights
    best = max(weights, key=weights.get)
    assert given.trials[int(best)].proposal.family == trusted
    alone = select(given.trials, given.folder, given.dataset, given.aim).weights
    assert given.trials[int(max(alone, key=alone.get))].proposal.family == "lucky"


def test_what_is_like_nothing_known_is_expected_to_be_like_anything():
    behind = {"linear": 0.1, "trees": 0.3}
    some, none = (SimpleNamespace(behind=behind, nothing_like_it=doubt) for doubt in (0.2, 1.0))
    trials = [SimpleNamespace(proposal=SimpleNamespace(family=f)) for f in ("linear", "invented-3f2a")]
    assert expected(some).handicaps(trials, 80) == pytest.approx([0.1, 0.2])
    assert not expected(none).handicaps(trials, 80).any() and not Expected().handicaps(trials, 80).any()


def test_one_that_is_far_better_stands_alone(given):
    rng = np.random.default_rng(1)
    given.add(guess(rng, given.target, 0.1))
    for _ in range(5):
        given.add(guess(rng, given.target, 20.0))
    assert given.select().weights["00000"] > 0.9


def test_members_are_spared_only_where_enough_rows_tell_that_they_are_no_loss(tmp_path, registry):
    many = {}
    for rows in (200, 4000):
        folder = tmp_path / str(rows)
        folder.mkdir()
        given, rng = Given(folder, registry, np.random.default_rng(0).integers(0, 2, rows)), np.random.default_rng(1)
        whole = guess(rng, given.target, 0.5)
        for _ in range(6):  # much the same again and again
            given.add(0.8 * whole + 0.2 * guess(rng, given.target, 1.0))
        many[rows] = len(given.select().weights)
    assert many[200] > many[4000] == 1


def test_what_was_fitted_on_the_first_fold_joins_where_that_helps(tmp_path, registry):
    given, rng = (
        Given(tmp_path, registry, np.random.default_rng(0).integers(0, 2, 2400), folds=3),
        np.random.default_rng(1),
    )
    given.add(guess(rng, given.target, 1.2))
    for _ in range(4):
        given.first(guess(rng, given.target, 0.9))
    selection = given.select()
    assert np.array_equal(selection.rows, given.dataset.folds[0][1]) and len(selection.prediction) == 800
    assert set(selection.weights) & {t.name for t in given.trials[1:]}


@pytest.mark.parametrize(("rows", "helps"), [(2400, False), (1200, True)])
def test_it_does_not_where_it_is_no_better_or_rows_are_few(tmp_path, registry, rows, helps):
    given, rng = (
        Given(tmp_path, registry, np.random.default_rng(0).integers(0, 2, rows), folds=3),
        np.random.default_rng(1),
    )
    whole = guess(rng, given.target, 1.2)
    given.add(whole)
    for _ in range(4):
        given.first(guess(rng, given.target, 0.9) if helps else whole)
    selection = given.select()
    assert len(selection.rows) == rows and set(selection.weights) == {"00000"}


def test_the_best_of_many_guesses_is_not_believed(given):
    rng = np.random.default_rng(1)
    for _ in range(100):
        given.add(rng.dirichlet([1, 1], len(given.target)))
    luckiest = max(t.score for t in given.trials)
    assert luckiest > 0.55
    assert given.select().score < luckiest - 0.03, "rows that chose must not judge"


def test_only_full_trials_on_the_same_rows_enter(given):
    rng = np.random.default_rng(1)
    half = np.arange(150)
    given.add(guess(rng, given.target, 0.1), rung=0.3)
    given.add(guess(rng, given.target[half], 0.1), rung=0.2, rows=half)
    given.add(guess(rng, given.target, 1.0))
    given.trials.append(replace(given.trials[0], number=99, outcome="crash", rung=1.0, score=None))
    assert given.select().weights == {"00002": 1.0}


def test_where_nothing_was_fitted_in_full_what_got_furthest_is_taken(tmp_path, registry):
    given, rng = (
        Given(tmp_path, registry, np.random.default_rng(0).integers(0, 2, 600), folds=3),
        np.random.default_rng(1),
    )
    with pytest.raises(RunError, match="None of 0 trials gave a model"):
        given.select()
    given.first(guess(rng, given.target, 0.1))
    assert given.select().cut_short and len(given.select().rows) == 200
    given.add(guess(rng, given.target, 1.0), rung=0.3, facts={"folds": 3, "share": 0.3})
    selection = given.select()
    assert selection.cut_short and selection.weights == {"00001": 1.0} and len(selection.rows) == 600
    given.add(guess(rng, given.target, 1.0))
    assert not given.select().cut_short and set(given.select().weights) == {"00002"}


def test_what_is_too_dear_to_be_deployed_has_no_say_in_how_good_the_rest_is(given):
    rng = np.random.default_rng(1)
    given.add(guess(rng, given.target, 0.8))  # the best, and too dear
    for _ in range(2):
        given.add(guess(rng, given.target, 1.5))
    cost = Cost(lambda chosen: sum(10.0 if t.number == 0 else 0.1 for t in chosen), most=3.0)
    selection = select(given.trials, given.folder, given.dataset, given.aim, cost)
    assert "00000" in given.select().weights and "00000" not in selection.weights
    rest = select(given.trials[1:], given.folder, given.dataset, given.aim)
    assert selection.score == pytest.approx(rest.score, abs=0.03) and selection.score < given.select().score - 0.05


def test_what_fits_alone_but_not_together_is_chosen_and_judged_alone(given):
    rng = np.random.default_rng(1)
    for _ in range(3):
        given.add(guess(rng, given.target, 1.0))
    cost = Cost(lambda chosen: 2.0 * len(chosen), most=3.0)
    selection = select(given.trials, given.folder, given.dataset, given.aim, cost)
    ((name, weight),) = selection.weights.items()
    assert weight == 1 and selection.score == pytest.approx(given.trials[int(name)].score)
    assert len(given.select().weights) > 1 and given.select().score > selection.score


def test_numbers_are_selected_too(tmp_path, registry):
    rng = np.random.default_rng(0)
    target = rng.normal(size=400)
    given = Given(tmp_path, registry, target, "r2")
    for _ in range(5):
        given.add((target + rng.normal(0, 0.7, 400))[:, None])
    selection = given.select()
    assert selection.score > max(t.score for t in given.trials) + 0.1 and selection.prediction.shape == (400, 1)


def test_members_that_add_next_to_nothing_are_left_out(given):
    rng = np.random.default_rng(1)
    good = guess(rng, given.target, 0.4)
    for _ in range(6):  # the same opinion in slightly other words
        given.add(good + rng.uniform(0, 1e-3, good.shape))
    assert len(given.select().weights) == 1


def test_merit_tells_apart_what_accuracy_cannot(given):
    target = given.target[:40]
    naive = np.full((40, 2), 0.5)
    merit = Merit(given.aim, target, naive)
    sure, unsure = (np.where(np.eye(2)[target] > 0, p, 1 - p) for p in (0.9, 0.6))
    assert given.aim.metric.score(target, sure, given.aim.state) == given.aim.metric.score(
        target, unsure, given.aim.state
    )
    assert 1 > merit(sure) > merit(unsure) > merit(naive)
    assert merit(1 - np.eye(2)[target]) >= -1, "certain mistakes are bad, not everything"
    assert merit(np.full((40, 2), np.nan)) == -np.inf


def test_the_same_trials_give_the_same_ensemble(given):
    rng = np.random.default_rng(1)
    for _ in range(6):
        given.add(guess(rng, given.target, 1.0))
    first, again = given.select(), given.select()
    assert first.weights == again.weights and np.array_equal(first.prediction, again.prediction)


def test_no_family_takes_every_place_and_of_equals_the_cheapest_comes_first():
    def trial(number, family):
        return Trial(number, Proposal(Config("net"), family, ""), "ok", 0, 1.0, 0.9, 0.9, 100.0 - number, 1.0)

    trials = [trial(i, "many" if i < 60 else f"other {i}") for i in range(80)]
    pool = candidates(trials, [0.9] * 80)
    assert len(pool) == CANDIDATES and pool[0] == 79
    assert sum(trials[i].proposal.family == "many" for i in pool) <= OF_A_FAMILY


def test_greedy_is_cut_where_it_was_best(given):
    rng = np.random.default_rng(1)
    good, bad = guess(rng, given.target, 0.1), guess(rng, given.target, 20.0)

    def worth(prediction):
        return float(np.mean(prediction.argmax(1) == given.target))

    assert greedy([bad, good], worth, given.aim).tolist() == [0.0, 1.0]


def test_what_predicts_too_slowly_stays_out():
    class Named:
        def __init__(self, name):
            self.name = name

    trials = [Named("dear"), Named("cheap"), Named("middle")]
    weights = np.array([0.5, 0.2, 0.3])
    each = {"dear": 10.0, "cheap": 0.1, "middle": 2.0}
    cost = Cost(lambda chosen: sum(each[t.name] for t in chosen), most=3.0)
    np.testing.assert_allclose(_afforded(weights, trials, cost), [0, 0.4, 0.6])
    np.testing.assert_allclose(_afforded(weights, trials, Cost()), weights)
    assert _afforded(weights, trials, Cost(cost.seconds, most=0.0)).tolist() == [0, 1, 0]
