"""The engine on a made-up task: better than chance for the same seconds, nothing sunk into what is cheap and stuck."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from metalearner_level3_nas import register_searchers
from metalearner_level3_nas.gain import Arm, Ledger, outlooks
from metalearner_level3_nas.history import History
from metalearner_level3_nas.population import difference
from metalearner_level3_nas.steps import smaller

from metalearner import grammar
from metalearner.kinds import Moment, Proposer
from metalearner.records import Config, Proposal, Trial

SEARCHERS = {s.name: s for s in register_searchers()}
SEEDS = range(20)
SECONDS = 90.0
MOMENT = Moment(30.0, 0.5)


@pytest.fixture(scope="module")
def runs(land):
    """For each searcher the trials of twenty runs of the same seconds, where inventing pays."""
    made_up = land.Landscape()
    return {
        name: [made_up.run(SEARCHERS[name].begin(land.scope(seed)), SECONDS, seed) for seed in SEEDS]
        for name in ("evolution", "random", "tpe")
    }


def interval(differences):
    """95 % of the paired difference's mean, by Student's t with 19 degrees of freedom."""
    half = 2.093 * np.std(differences, ddof=1) / np.sqrt(len(differences))
    return np.mean(differences) - half, np.mean(differences) + half


@pytest.mark.parametrize("other", ["random", "tpe"])
def test_evolution_beats_plain_searchers_for_the_same_seconds(land, runs, other):
    found = {name: [land.Landscape().chosen(trials) for trials in runs[name]] for name in ("evolution", other)}
    low, _ = interval(np.array(found["evolution"]) - found[other])
    assert low > 0.0


def test_evolution_is_no_worse_than_chance_where_inventing_does_not_pay(land):
    flat = land.Landscape(invention=0.0)
    found = {
        name: np.array([flat.chosen(flat.run(SEARCHERS[name].begin(land.scope(s)), SECONDS, s)) for s in SEEDS])
        for name in ("evolution", "random")
    }
    _, high = interval(found["evolution"] - found["random"])
    assert high > 0.0
    assert found["evolution"].mean() > found["random"].mean() - flat.noise / 2


def test_what_is_cheap_and_stuck_does_not_get_the_budget(runs):
    shares = []
    for trials in runs["evolution"]:
        linear = [t for t in trials if t.proposal.family == "linear" and t.rung < 1]
        assert len(linear) < 0.2 * len(trials)
        shares.append(sum(t.seconds for t in trials if t.proposal.family in ("linear", "trees")) / SECONDS)
    assert np.mean(shares) < 0.3  # two of five arms
    assert sorted(shares)[-3] < 0.5  # in two of twenty runs a cheap family may go on improving


def test_a_step_up_from_a_failure_is_no_promise():
    lucky = Arm("lucky", 0.98, 2, since=0, steps=(0.98,), seconds=1.0)
    assert outlooks([lucky], 0.002, 0.0)[0].step < 0.01


def test_every_family_has_a_full_look_and_a_tenth_is_chance(land, runs):
    for trials in runs["evolution"]:
        assert {t.proposal.family for t in trials} >= set(land.FAMILIES)
        proposals = list({t.config.id: t.proposal for t in trials}.values())
        share = np.mean([p.arm == "uniform" for p in proposals])
        assert 0.08 <= share <= 0.2
        chance = sum(t.seconds for t in trials if t.proposal.arm == "uniform")
        assert chance <= 0.15 * sum(t.seconds for t in trials)
        opening = [p.family for p in proposals[:7]]
        assert max(opening.count(f) for f in opening) <= 4  # what is cheap may have four turns, anything else two


def test_what_is_invented_has_a_name_of_its_own_and_its_parents_in_the_reason(land, runs):
    proposals = [t.proposal for trials in runs["evolution"] for t in trials]
    invented = [p for p in proposals if p.family.startswith("invented-")]
    assert invented
    catalogue = {grammar.identity(f.presets[0]) for f in land.FAMILIES.values()}
    for p in invented:
        identity = grammar.identity(p.config)
        assert p.family == f"invented-{identity[:4]}"
        assert identity not in catalogue
        assert p.expected_seconds is not None
    assert any(p.reason.startswith("child of #") for p in invented)
    assert any(" crossed with #" in p.reason for p in invented)


def test_a_network_that_a_gate_refused_is_not_proposed_again_nor_anything_larger(land):
    made_up, proposer = land.Landscape(), SEARCHERS["evolution"].begin(land.scope(3))
    trials: list[Trial] = []
    size = {}
    for number in range(120):
        proposal = proposer.ask(1, trials, MOMENT)[0]
        trial = made_up.fit(number, proposal, 3, 0)
        blocks = (
            len(proposal.config.parts["encoder"][0].parts.get("block", ())) if "encoder" in proposal.config.parts else 0
        )
        size[number] = blocks
        if blocks > 2:
            trial = replace(trial, outcome="pruned", skill=None, score=None, facts={}, error="too many parameters")
        trials.append(trial)
    pruned = [t for t in trials if t.outcome == "pruned"]
    assert pruned
    skeletons = [grammar.identity(t.config) for t in pruned]
    assert len(set(skeletons)) == len(skeletons)
    assert len(pruned) < 15


def test_what_is_refused_after_its_fit_has_cost_its_seconds_and_promises_nothing(land):
    made_up, history = land.Landscape(), History(land.scope(0))
    linear = land.FAMILIES["linear"].presets[0]
    configs = [grammar.with_numbers(linear, {"penalty": penalty}) for penalty in (0.1, 1.0, 10.0, 100.0)]
    cheap, *refused = (made_up.fit(n, Proposal(c, "linear", "tpe"), 1, 0) for n, c in enumerate(configs))
    outcomes = zip(refused, (2.0, 4.0, 0.001))  # the last one by a gate, before anything was fitted
    history.learn([cheap, *(replace(t, outcome="pruned", skill=None, facts={}, seconds=s) for t, s in outcomes)])
    arm = Ledger(history).arm("linear", history.of(["linear"]), 0, None)
    assert (arm.tried, arm.since) == (3, 2)
    assert arm.seconds == pytest.approx((cheap.seconds + 6.0) / 3)
    # A cheap fit of what turns out too large when it is gone on with is no model either.
    history.learn([replace(cheap, number=9, outcome="pruned", skill=None)])
    assert all(e.failed for e in history.entries.values())


def test_a_family_whose_presets_are_too_large_is_tried_smaller(land):
    made_up, proposer = land.Landscape(), SEARCHERS["evolution"].begin(land.scope(2))
    trials: list[Trial] = []
    for number in range(80):
        proposal = proposer.ask(1, trials, MOMENT)[0]
        trial = made_up.fit(number, proposal, 3, 0)
        encoder = proposal.config.parts.get("encoder", (proposal.config,))[0]
        if encoder.production == "dense-net" and grammar.complete(encoder, land.PRODUCTIONS).numbers["width"] > 10:
            trial = replace(trial, outcome="pruned", skill=None, score=None, facts={}, seconds=0.001, error="too large")
        trials.append(trial)
    dense = [t for t in trials if t.proposal.family == "dense-net"]
    fitted = [t.number for t in dense if t.outcome == "ok"]
    assert fitted and len([t for t in dense if t.number < fitted[0]]) <= 10
    assert any("less than #" in t.proposal.reason for t in dense)


def test_what_has_no_amounts_cannot_be_halved(land):
    linear = land.FAMILIES["linear"].presets[0]
    assert smaller(linear, land.PRODUCTIONS) == linear
    net = grammar.complete(land.FAMILIES["dense-net"].presets[0], land.PRODUCTIONS)
    half = smaller(net, land.PRODUCTIONS)
    assert half.parts["encoder"][0].numbers["width"] == net.parts["encoder"][0].numbers["width"] // 2
    assert half.parts["recipe"] == net.parts["recipe"]


def test_a_family_that_always_fails_is_given_up(land):
    made_up, proposer = land.Landscape(), SEARCHERS["evolution"].begin(land.scope(1))
    trials: list[Trial] = []
    for number in range(60):
        proposal = proposer.ask(1, trials, MOMENT)[0]
        trial = made_up.fit(number, proposal, 3, 0)
        if proposal.family == "trees":
            trial = replace(trial, outcome="crash", skill=None, score=None, facts={}, error="no such library")
        trials.append(trial)
    assert sum(t.proposal.family == "trees" for t in trials) <= 4


def test_what_cannot_finish_in_time_is_not_begun(land):
    made_up, proposer = land.Landscape(), SEARCHERS["evolution"].begin(land.scope(2))
    trials = made_up.run(proposer, 40.0, 2)
    for p in proposer.ask(6, trials, Moment(0.1, 0.99)):
        assert p.family == "linear"


def test_a_family_far_behind_has_no_company(land):
    proposer, made_up = SEARCHERS["evolution"].begin(land.scope(0)), land.Landscape(noise=0.0)
    presets = [("trees", land.FAMILIES["trees"].presets[1]), ("dense-net", land.FAMILIES["dense-net"].presets[1])]
    trials = [made_up.fit(i, Proposal(c, name, "tpe"), 3, 0) for i, (name, c) in enumerate(presets)]
    parent = Proposal(presets[1][1], "dense-net", "tpe")
    ahead = replace(trials[0], facts={**trials[0].facts, "merit": trials[1].merit + 0.2})
    level = replace(trials[0], facts={**trials[0].facts, "merit": trials[1].merit + 0.01})
    assert proposer.siblings(parent, 4, [ahead, trials[1]], MOMENT) == []
    assert len(SEARCHERS["evolution"].begin(land.scope(0)).siblings(parent, 4, [level, trials[1]], MOMENT)) == 4


def test_what_is_dear_is_opened_last_and_a_family_once(land):
    seconds = {"linear": 0.1, "trees": 1.0, "dense-net": 40.0, "conv-net": None}

    class Shelf(Proposer):
        name = "shelf"

        def ask(self, n, seen, moment):
            presets = [(name, preset) for name in seconds for preset in land.FAMILIES[name].presets]
            return [Proposal(c, name, "portfolio", "", None, seconds[name]) for name, c in reversed(presets)]

    proposer = SEARCHERS["evolution"].begin(replace(land.scope(0), portfolio=Shelf()))
    made_up, trials = land.Landscape(), []
    for number in range(8):
        (proposal,) = proposer.ask(1, trials, MOMENT)
        trials.append(made_up.fit(number, proposal, 3, 0))
        assert proposer.siblings(proposal, 4, trials, MOMENT) == [] or proposal.arm != "portfolio"
    opened = [t.proposal.family for t in trials if t.proposal.arm == "portfolio"]
    assert opened[:3] == ["trees", "linear", "trees"], "linear's first preset is what the run began by itself"
    assert opened[3:5] == ["dense-net", "conv-net"], "what was never timed may be dearer still"


def test_a_network_that_was_never_timed_is_dear_whatever_its_root(land):
    tagged = {"trees": replace(land.FAMILIES["trees"], tags=("network",)), "linear": land.FAMILIES["linear"]}
    proposer = SEARCHERS["evolution"].begin(replace(land.scope(0), families=tagged))
    trees, linear = (Proposal(tagged[n].presets[-1], n, "portfolio") for n in ("trees", "linear"))
    assert proposer._share(trees, MOMENT) == 1.0 > proposer._share(linear, MOMENT)


def test_what_is_fitted_in_full_at_once_is_dear_sooner(land):
    """A fit of a fifth of all seconds may open a run if it begins with a third of it, not if it begins with all."""

    class Shelf(Proposer):
        name = "shelf"

        def ask(self, n, seen, moment):
            presets = [(name, land.FAMILIES[name].presets[0]) for name in ("dense-net", "trees")]
            return [
                Proposal(c, name, "portfolio", "", None, 12.0 if name == "dense-net" else 1.0) for name, c in presets
            ]

    def opens(first):
        scope = replace(land.scope(0), portfolio=Shelf(), first_share=lambda config: first)
        return [p.family for p in SEARCHERS["evolution"].begin(scope).ask(2, [], Moment(60.0, 0.0))]

    assert opens(1 / 3) == ["dense-net", "trees"]
    assert opens(1.0) == ["trees", "dense-net"]


# -- the choice of an arm, in numbers --------------------------------------------------------------


def first(*arms, noise=0.002, spent=0.0):
    return outlooks(arms, noise, spent)[0].arm.name


def test_equal_prospects_go_to_the_cheaper_arm_and_cost_matters_less_in_the_end():
    cheap = Arm("cheap", 0.80, 5, since=3, seconds=0.5)
    dear = Arm("dear", 0.81, 5, since=3, seconds=5.0)
    assert first(cheap, dear) == first(cheap, dear, spent=1.0) == "cheap"

    def advantage(spent):
        worth = {o.arm.name: o.worth for o in outlooks([cheap, dear], 0.002, spent)}
        return worth["cheap"] / worth["dear"]

    assert advantage(1.0) < 0.7 * advantage(0.0)


def test_an_arm_that_stopped_improving_yields_even_if_it_is_cheap():
    stuck = Arm("stuck", 0.85, 40, since=30, seconds=0.1)
    alive = Arm("alive", 0.84, 4, since=1, steps=(0.01,), seconds=2.0)
    assert first(stuck, alive) == "alive"


def test_a_family_as_good_as_the_best_counts_and_one_far_behind_does_not():
    best, beside, behind = (Arm(n, b, 6, since=4, seconds=1.0) for n, b in [("a", 0.90), ("b", 0.897), ("c", 0.70)])
    gains = {o.arm.name: o.gain for o in outlooks([best, beside, behind], 0.005, 0.0)}
    assert gains["b"] > 0.5 * gains["a"]
    assert gains["c"] < 0.05 * gains["a"]


def test_what_is_under_way_makes_the_next_of_its_kind_less_urgent():
    busy, free = (Arm(n, 0.8, 5, since=1, seconds=1.0, open=o) for n, o in [("busy", 2), ("free", 0)])
    assert first(busy, free) == "free"


def test_odds_decide_between_what_nobody_tried():
    known = Arm("known", 0.8, 5, since=5, seconds=1.0)
    likely, unlikely = Arm("likely", odds=2.0, seconds=1.0), Arm("unlikely", odds=0.2, seconds=1.0)
    order = [o.arm.name for o in outlooks([known, unlikely, likely], 0.002, 0.0)]
    assert order.index("likely") < order.index("unlikely")


def test_the_difference_of_two_networks_in_words():
    before = Config("net", {}, {"encoder": (Config("tower", {}, {"block": (Config("conv"), Config("conv"))}),)})
    after = Config("net", {}, {"encoder": (Config("tower", {}, {"block": (Config("conv"), Config("spectral"))}),)})
    fewer = Config("net", {}, {"encoder": (Config("tower", {}, {"block": (Config("conv"),)}),)})
    assert difference(before, after) == "conv -> spectral"
    assert difference(before, fewer) == "tower with 2 -> 1 block"
    assert difference(before, before) == ""


def test_where_trials_are_counted_a_family_that_nobody_timed_is_not_put_off(land):
    class Timed(land.Presets):
        """Knows what one family takes, and proposes it first."""

        def ask(self, n, seen, moment):
            found = [
                replace(p, expected_seconds=1.0 if p.family == "linear" else None)
                for p in super().ask(99, seen, moment)
            ]
            return sorted(found, key=lambda p: p.family != "linear")[:n]

    engine = SEARCHERS["evolution"].begin(replace(land.scope(), portfolio=Timed()))
    first = engine.ask(len(land.FAMILIES), [], Moment())
    assert {p.family for p in first} == set(land.FAMILIES)


def test_where_only_inventing_is_allowed_there_is_always_something_to_begin_with(land):
    """Most derivations from nothing begin with a name; a run whose first eight did ended before it had begun."""
    for seed in range(200):
        scope = land.scope(seed)
        scope = replace(scope, families={n: f for n, f in scope.families.items() if n != "conv-net"})
        (found,) = SEARCHERS["evolution"].begin(scope).ask(1, [], Moment(30.0, 0.0, frozenset({3})))
        assert found.family.startswith("invented-")
        assert found.config.parts["encoder"][0].production == "tower"  # a name is no invention, whoever's family it is


def first_costs(land, **told):
    """What the first invention of each of fifty runs costs."""
    moment = Moment(30.0, 0.0, frozenset({3}))
    scopes = (replace(land.scope(seed), **told) for seed in range(50))
    return [land.cost(SEARCHERS["evolution"].begin(s).ask(1, [], moment)[0].config) for s in scopes]


def test_of_networks_that_nobody_fitted_a_light_one_comes_first(land):
    """Derivations differ in their work by orders of magnitude: a run that begins with a heavy one learns little else."""
    light = first_costs(land, look=lambda config: {"effort": land.cost(config)})
    blind = first_costs(land)
    assert np.mean(light) < 0.6 * np.mean(blind)
    assert max(light) > 2 * min(light)  # chance has its say


def test_later_ones_are_likelier_the_less_they_cost_and_none_is_ruled_out(land):
    """A network costs what its parent cost, times how much more work it is."""
    scope = replace(land.scope(), look=lambda config: {"effort": 7 * land.cost(config)})
    preset = scope.families["conv-net"].presets[0]
    seen = [Trial(0, Proposal(preset, "conv-net", "portfolio", ""), "ok", 0, 1.0, 0.8, 0.8, 10.0, 10.0, {"merit": 0.8})]
    moment = Moment(300.0, 0.1, frozenset({3}))
    made, usual = [], []
    for seed in range(60):
        engine = SEARCHERS["evolution"].begin(replace(scope, seed=seed))
        made += engine.ask(2, seen, moment)
        children = (engine.population.child(np.random.default_rng([seed, i])) for i in range(4))
        usual += [land.cost(child.config) for child in children if child]
    for found in made:
        assert found.expected_seconds == pytest.approx(10 * land.cost(found.config) / land.cost(preset))
    costs = [land.cost(p.config) for p in made if p.arm != "uniform"]
    assert np.mean(costs) < 0.9 * np.mean(usual)
    assert max(costs) > np.mean(usual)
