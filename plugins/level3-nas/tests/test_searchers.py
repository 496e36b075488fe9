"""All searchers: nothing twice, levels, resuming, siblings; and that Bayes and the grid do what they are named for."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from metalearner_level3_nas import register_searchers
from metalearner_level3_nas.bayes import DRAWS, Study
from metalearner_level3_nas.chance import softly
from metalearner_level3_nas.grid import walk
from metalearner_level3_nas.history import History

from metalearner import grammar
from metalearner.kinds import Moment
from metalearner.propose import moved
from metalearner.records import Config, Proposal
from metalearner.search.priors import Priors

SEARCHERS = {s.name: s for s in register_searchers()}
EVERY = pytest.mark.parametrize("name", sorted(SEARCHERS))


def begin(land, name, seed=0):
    return SEARCHERS[name].begin(land.scope(seed))


def key(land, config):
    return grammar.complete(config, land.PRODUCTIONS).id


@EVERY
def test_what_is_proposed_is_valid_fits_is_new_and_says_why(land, name):
    trials = land.Landscape().run(begin(land, name), 40.0, siblings=2)
    proposals = {t.config.id: t.proposal for t in trials}.values()
    assert len(proposals) > 20
    assert len({key(land, p.config) for p in proposals}) == len(proposals)
    for p in proposals:
        assert not grammar.check(p.config, land.PRODUCTIONS)
        assert p.config.production != "net" or not grammar.fits(p.config, land.VIEWS, land.PRODUCTIONS)
        assert p.reason and p.arm in ("portfolio", "tpe", "evolution", "uniform", "grid")


@pytest.mark.parametrize("name", ["priors", *sorted(SEARCHERS)])
def test_a_narrower_space_is_obeyed_also_where_past_configs_lie_outside(land, name):
    said = ["trees.leaves=20..40", "gradient.lr=0.01..0.02", "conv-net.reach=5", "linear.square=true"]
    narrowing = grammar.Narrowing.read(said, land.PRODUCTIONS)
    families = {n: replace(f, presets=tuple(narrowing.moved(p) for p in f.presets)) for n, f in land.FAMILIES.items()}
    outside = {n: ((f.presets[0], 1.0),) for n, f in land.FAMILIES.items()}
    scope = land.scope()
    scope = replace(scope, families=families, productions=narrowing.of(land.PRODUCTIONS), begun=(),
                    prior=replace(scope.prior, soft=moved(outside, narrowing)))  # fmt: skip
    searcher = Priors() if name == "priors" else SEARCHERS[name]
    trials = land.Landscape().run(searcher.begin(scope), 40.0, siblings=2)
    tried = {t.config.id: t.config for t in trials}.values()
    assert len(tried) > 20 and all(narrowing.holds(grammar.complete(c, land.PRODUCTIONS)) for c in tried)
    assert {"trees", "net", "linear"} <= {c.production for c in tried}


@EVERY
def test_a_resumed_run_proposes_nothing_that_was_tried(land, name):
    trials = land.Landscape().run(begin(land, name), 15.0)
    again = begin(land, name)
    tried = {key(land, t.config) for t in trials}
    for _ in range(10):
        found = again.ask(1, trials, Moment(10.0, 0.6))
        assert found
        assert not {key(land, p.config) for p in found} & tried
        tried |= {key(land, p.config) for p in found}


@EVERY
def test_what_the_run_has_begun_itself_is_not_proposed_again(land, name):
    """Of a family with ten configs, all but the one that is under way."""
    linear = land.FAMILIES["linear"]
    begun = Proposal(linear.presets[0], "linear", "first")
    scope = replace(land.scope(), families={"linear": linear}, begun=(begun,))
    found, proposer = [], SEARCHERS[name].begin(scope)
    for _ in range(10):
        found += proposer.ask(1, [], Moment(10.0, 0.5, frozenset({linear.level})))
    assert found and key(land, begun.config) not in {key(land, p.config) for p in found}


def test_bayes_draws_on_while_chance_repeats_itself(land):
    """In startup six tries are six draws, not one draw six times."""
    proposer = begin(land, "tpe")
    tries = []
    proposer.history.fresh = lambda config: bool(tries.append(key(land, config)))
    assert proposer.ask(1, [], Moment(10.0, 0.0)) == [] and len(set(tries)) == len(tries) == DRAWS


@EVERY
def test_only_allowed_levels_are_tried(land, name):
    trials = land.Landscape().run(begin(land, name), 10.0)
    assert begin(land, name).ask(3, trials, Moment(10.0, 0.5, frozenset({2}))) == []
    found = begin(land, name).ask(12, trials, Moment(10.0, 0.5, frozenset({1})))
    assert found
    assert all(p.family in land.FAMILIES for p in found)


@pytest.mark.parametrize("name", ["evolution", "tpe", "random"])
def test_siblings_share_a_shape_and_differ_in_loose_numbers(land, name):
    proposer = begin(land, name)
    trials = [t for t in land.Landscape().run(proposer, 30.0) if t.proposal.family == "dense-net"]
    proposer = begin(land, name)  # to which no family is far behind another
    preset = land.FAMILIES["dense-net"].presets[1]
    parent = Proposal(preset, "dense-net", "tpe", "to have siblings", None, 2.0)
    found = proposer.siblings(parent, 6, trials, Moment(10.0, 0.8))
    assert len({key(land, p.config) for p in found} | {key(land, preset)}) == 7
    assert {grammar.shape(p.config, land.PRODUCTIONS) for p in found} == {grammar.shape(preset, land.PRODUCTIONS)}
    tree = Proposal(land.FAMILIES["trees"].presets[0], "trees", "tpe")
    assert proposer.siblings(tree, 3, trials, Moment(10.0, 0.8)) == []


def told(study, scores):
    """Tell a study what each of these numbers scored."""
    study.values |= {k: numbers for k, (numbers, _) in scores.items()}
    study.tell({k: score for k, (_, score) in scores.items()})
    return study


def test_a_study_finds_the_top_of_a_hill_and_keeps_what_is_fixed(land):
    skeleton = land.FAMILIES["trees"].presets[0]
    space = grammar.space(skeleton, land.PRODUCTIONS)
    study, rng, scores = Study(space, 0), np.random.default_rng(0), {}
    for i in range(60):
        numbers = study.draw() or {path: grammar.draw(r, rng) for path, r in space.items()}
        scores[str(i)] = numbers, land.Landscape().quality(grammar.with_numbers(skeleton, numbers))
        told(study, scores)
    found = [score for _, score in scores.values()]
    assert max(found) > 0.845
    assert np.mean(found[-20:]) > np.mean(found[:10]) + 0.01
    held = land.FAMILIES["trees"].presets[1]
    beside = [grammar.with_numbers(held, drawn) for drawn in study.draw_beside(held.numbers, ["rate"], 8)]
    assert {c.numbers["leaves"] for c in beside} == {16}
    assert len({c.numbers["rate"] for c in beside}) == 8
    assert np.mean([land.Landscape().quality(c) for c in beside]) > land.Landscape().quality(held)


def test_a_study_forgets_what_turned_out_otherwise(land):
    space, rng = grammar.space(land.FAMILIES["trees"].presets[0], land.PRODUCTIONS), np.random.default_rng(1)
    numbers = [{path: grammar.draw(r, rng) for path, r in space.items()} for _ in range(30)]
    study = told(Study(space, 0), {str(i): (n, n["rate"]) for i, n in enumerate(numbers)})
    high = np.median([study.draw()["rate"] for _ in range(20)])
    study.tell({str(i): -n["rate"] for i, n in enumerate(numbers)})
    low = np.median([study.draw()["rate"] for _ in range(20)])
    assert low < high / 3


def test_the_grid_begins_with_presets_and_looks_along_every_axis_before_two_at_once(land):
    family = land.FAMILIES["dense-net"]
    held = grammar.numbers(family.presets[0], land.PRODUCTIONS)
    points = list(islice(walk(family, land.PRODUCTIONS), 14))
    assert tuple(points[:2]) == family.presets
    off = [{p for p, v in grammar.numbers(c, land.PRODUCTIONS).items() if v != held[p]} for c in points[3:]]
    assert all(len(changed) == 1 for changed in off[: len(held)])
    assert set().union(*off) == set(held)


def test_the_grid_ends_with_every_point_once(land):
    family = land.FAMILIES["linear"]
    points = [key(land, c) for c in walk(family, land.PRODUCTIONS)]
    assert len(set(points)) == 5 * 2
    proposer = begin(land, "grid")
    trials = land.Landscape().run(proposer, 60.0)
    assert sum(t.proposal.family == "linear" and t.rung < 1 for t in trials) == 5 * 2


def test_skills_of_rungs_are_compared_fairly(land):
    history = History(land.scope())
    trials = []
    for i in range(12):
        config = grammar.sample(land.FAMILIES["trees"].presets[0], land.PRODUCTIONS, np.random.default_rng(i))
        trials.append(land.Landscape(noise=0.001).fit(i, Proposal(config, "trees", "tpe"), 3 if i % 2 else 1, 0))
    history.learn(trials)
    for entry in history.entries.values():
        assert (
            abs(history.skill(entry) - land.Landscape().quality(entry.config)) < 0.01
        )  # the first fold alone says +.03
    assert 0.0005 <= history.noise < 0.004


def test_asking_stays_cheap_with_hundreds_of_trials(land):
    proposer = begin(land, "evolution")
    trials = land.Landscape().run(proposer, 450.0)
    assert len(trials) > 250
    spent = []
    for _ in range(20):
        start = time.process_time()
        proposer.ask(1, trials, Moment(100.0, 0.9))
        spent.append(time.process_time() - start)
    assert np.median(spent) < 0.05


def test_a_config_with_a_number_out_of_range_is_never_proposed(land):
    history = History(land.scope())
    assert not history.fresh(Config("linear", {"penalty": -1.0}))
    assert history.fresh(Config("linear", {"penalty": 2.0}))


def test_numbers_are_drawn_near_what_did_well_on_similar_data_and_now_and_then_anywhere(land):
    family, scope = land.FAMILIES["trees"], land.scope()
    good = grammar.with_numbers(family.presets[0], {"rate": 0.02, "leaves": 100})
    told = replace(scope, prior=replace(scope.prior, soft={"trees": ((good, 1.0),)}))

    def rates(of):
        rng = np.random.default_rng(0)
        return np.array([softly(family, of, rng).numbers["rate"] for _ in range(200)])

    assert 0.05 < np.mean(rates(told) > 0.1) < 0.25 and np.median(rates(told)) < 0.03
    assert np.mean(rates(scope) > 0.1) > 0.3  # where nothing is known, anywhere
