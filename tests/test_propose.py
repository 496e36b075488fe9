"""Propose: odds with reasons, forecast, portfolio, on hand-made pasts whose answers are known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from metalearner.errors import RunError
from metalearner.kinds import Choice, Family, Float, Int, Moment
from metalearner.outputs.metrics import Accuracy, Rmse
from metalearner.propose import Blocks, Here, Portfolio, propose
from metalearner.propose.agreement import kendall
from metalearner.propose.forecast import quantiles
from metalearner.propose.gaps import gaps
from metalearner.propose.leanings import Leaning, leanings
from metalearner.propose.odds import FLOOR, odds
from metalearner.propose.regret import CEILING, pasts, weighted_quantile
from metalearner.propose.soft import soft, spread
from metalearner.records import Axis, Config, Experience, Neighbour, Proposal, Recall, Task, Trial, View

TASK = Task("predict the label", "tabular", "label", "classification", "accuracy")
LINEAR, TREES, MLP, CNN = (Config(name, {"x": 1.0}) for name in ("linear", "trees", "mlp", "cnn"))
Row = Sequence[tuple[Config, float | None]]  # None: it failed there


def family(*presets: Config, level: int = 1, tags: tuple[str, ...] = ()) -> Family:
    return Family(presets[0].production, "", presets, lambda views: True, level, tags)


FAMILIES = {c.production: family(c) for c in (LINEAR, TREES, MLP, CNN)}


def experience(dataset: str, config: Config, skill: float | None, seconds: float) -> Experience:
    return Experience(
        dataset=dataset, data_hash="hash", task={"output": "classification", "metric": "accuracy"}, config=config,
        family=config.production, seed=0, rung=1.0, outcome="crash" if skill is None else "ok", metric="accuracy",
        score=skill, baseline=0.0, skill=skill, seconds=seconds, facts={"rows": 100},
    )  # fmt: skip


def remembered(rows: Mapping[str, Row], doubt: float = 0.1, seconds: Mapping[str, float] | None = None) -> Recall:
    """Equally near neighbours by name with what was tried there; seconds by production."""
    neighbours, experiences = [], {}
    for name, row in rows.items():
        skill, best = max((s, c.production) for c, s in row if s is not None)
        neighbours.append(Neighbour(name, name, name, (1 - doubt) / len(rows), 1.0, best, skill))
        experiences[name] = tuple(experience(name, c, s, (seconds or {}).get(c.production, 1.0)) for c, s in row)
    return Recall(tuple(neighbours), doubt, experiences)


def without(recall: Recall, name: str) -> Recall:
    kept = tuple(n for n in recall.neighbours if n.dataset != name)
    return Recall(kept, recall.nothing_like_it, {d: e for d, e in recall.experiences.items() if d != name})


def test_made_neighbours_have_at_most_half_the_weight_however_well_they_agree():
    """The run ranks configs as the made data sets do; still the real one counts for half."""
    recall = remembered(
        {"a": [(LINEAR, 0.9), (TREES, 0.5), (MLP, 0.1)], "b": [(LINEAR, 0.1), (TREES, 0.5), (MLP, 0.9)]}
    )
    made = replace(recall, neighbours=tuple(replace(n, made=n.name == "a") for n in recall.neighbours))
    seen = [
        replace(trial(c, i), score=s, skill=s) for i, (c, s) in enumerate([(LINEAR, 0.9), (TREES, 0.5), (MLP, 0.1)])
    ]
    free, held = (portfolio(r)._trusted(seen)[:2] for r in (recall, made))
    assert free[0] > 10 * free[1] and held[0] == pytest.approx(held[1])


def trial(config: Config, number: int, outcome: str = "ok", seconds: float = 1.0) -> Trial:
    score = 0.5 if outcome == "ok" else None
    return Trial(number, Proposal(config, config.production, "portfolio"), outcome, 0, 1.0, score, score, seconds, 1.0)


def portfolio(recall: Recall, families: Mapping[str, Family] = FAMILIES, rows: int | None = 100) -> Portfolio:
    here = Here(rows)
    return Portfolio(recall, propose(TASK, recall, families, Accuracy(), 0.5, here), families, here)


def order(proposals: Sequence[Proposal]) -> list[str]:
    return [p.config.production for p in proposals]


# Regrets: on a  linear 0, trees .4, mlp and cnn 1.6; on b  mlp 0, trees .4, linear and cnn 1.6.
TWO = {
    "a": [(LINEAR, 0.9), (TREES, 0.8), (MLP, 0.5), (CNN, 0.5)],
    "b": [(LINEAR, 0.5), (TREES, 0.8), (MLP, 0.9), (CNN, 0.5)],
}


# -- gaps -----------------------------------------------------------------------------------------------


def test_a_family_is_behind_by_what_its_best_lacked_to_the_best_of_all() -> None:
    three = TWO | {"c": [(LINEAR, 0.9), (Config("trees", {"x": 2.0}), 0.7), (TREES, 0.1), (CNN, 0.8)]}
    recall = remembered(three)
    found = gaps(pasts(recall), ("linear", "trees", "cnn", "new"))
    assert found["linear"] == pytest.approx((0 + 0.4 + 0) / 3) and found["trees"] == pytest.approx(
        (0.1 + 0.1 + 0.2) / 3
    )
    assert found["new"] == pytest.approx((found["linear"] + found["trees"] + found["cnn"]) / 3)
    near = replace(
        recall, neighbours=tuple(replace(n, weight=0.9 if n.name == "a" else 0.0) for n in recall.neighbours)
    )
    assert gaps(pasts(near), ("linear",)) == pytest.approx({"linear": 0.0})
    assert gaps(pasts(remembered({"a": [(LINEAR, 0.9), (TREES, -7.0)]})), ("trees",)) == {"trees": 1.0}
    assert gaps([], ("linear",)) == {} and gaps(pasts(recall), ("unheard-of",)) == {}


def test_where_half_of_the_families_could_not_be_tried_nothing_says_how_far_the_others_are_behind() -> None:
    """On the table linear is the best there was; on texts what reads them is far ahead."""
    texts = {"a": [(LINEAR, 0.2), (TREES, 0.3), (MLP, 0.8), (CNN, 0.9)]}
    recall = remembered(texts | {"table": [(LINEAR, 0.9), (TREES, 0.8)]})
    assert gaps(pasts(recall), ("linear", "trees", "mlp", "cnn")) == pytest.approx(
        {"linear": 0.7, "trees": 0.6, "mlp": 0.1, "cnn": 0.0}
    )


# -- regret ------------------------------------------------------------------------------------------


def test_regret_is_measured_between_best_and_median_and_failures_are_at_the_ceiling() -> None:
    past = pasts(remembered({"a": [*TWO["a"], (Config("rocket"), None)]}))[0]
    found = {past.family[c]: r for c, r in past.regret.items()}
    assert found == pytest.approx({"linear": 0.0, "trees": 0.4, "mlp": 1.6, "cnn": 1.6, "rocket": CEILING})
    assert past.imputed("trees") == pytest.approx(0.4)
    assert past.imputed("rocket") == CEILING
    assert past.imputed("unheard-of") is None


def test_what_crashed_on_one_fold_failed_but_what_had_no_time_there_did_not() -> None:
    recall = remembered({"a": TWO["a"]})
    rocket, slow = (replace(experience("a", Config(n), None, 1.0), rung=0.2) for n in ("rocket", "slow"))
    tried = (*recall.experiences["a"], rocket, replace(slow, outcome="timeout"))
    (past,) = pasts(replace(recall, experiences={"a": tried}))
    assert past.imputed("rocket") == CEILING and past.imputed("slow") is None


def test_seeds_are_averaged_and_partial_fits_left_out() -> None:
    lucky = [experience("a", LINEAR, s, 1.0) for s in (0.9, 0.5)]
    partial = replace(experience("a", TREES, 1.0, 1.0), rung=0.1)
    recall = Recall((Neighbour("a", "a", "a", 0.9, 1.0, "", None),), 0.1, {"a": (*lucky, partial)})
    past = pasts(recall)[0]
    assert list(past.skill.values()) == [pytest.approx(0.7)]


@pytest.mark.parametrize(
    ("rows", "room", "telling"),
    [(100, None, True), (100, 15.0, True), (100, 40.0, False), (500, 40.0, True), (None, 40.0, False)],
)
def test_a_fit_cut_short_says_how_good_it_was_only_of_as_little_time(
    rows: int | None, room: float | None, telling: bool
) -> None:
    recall = remembered(TWO, seconds={"cnn": 10.0})
    cut = {
        d: tuple(replace(e, facts={**e.facts, "stopped": "deadline"}) if e.family == "cnn" else e for e in es)
        for d, es in recall.experiences.items()
    }
    past = pasts(replace(recall, experiences=cut), Here(rows, room))[0]
    assert ("cnn" in {past.family[c] for c in past.skill}) == telling
    assert past.seconds[CNN.id] == (10.0 if telling else room)


@pytest.mark.parametrize(
    ("rows", "budget", "stopped", "reached"),
    [(100, None, "", True), (100, 1.5, "", True), (100, 1.0, "", False), (500, 1.5, "", False), (100, 1.5, "deadline", False),
     (100, 3.0, "deadline", True)],
)  # fmt: skip
def test_what_took_many_times_the_seconds_that_there_are_is_expected_to_come_to_nothing(
    rows: int, budget: float | None, stopped: str, reached: bool
) -> None:
    recall = remembered(TWO, seconds={"cnn": 10.0, "linear": 0.1, "trees": 0.1, "mlp": 0.1})
    cut = {
        d: tuple(replace(e, facts={**e.facts, "stopped": stopped}) if e.family == "cnn" else e for e in es)
        for d, es in recall.experiences.items()
    }
    recall = replace(recall, experiences=cut)
    past = pasts(recall, Here(rows, budget, budget=budget))[0]
    assert (CNN.id in past.skill) == reached
    assert (past.imputed("cnn") == CEILING) == (not reached)
    here = propose(TASK, recall, FAMILIES, Accuracy(), 0.5, Here(rows, budget, budget=budget))
    somewhere = propose(TASK, recall, FAMILIES, Accuracy(), 0.5)
    assert (here.odds["cnn"] < somewhere.odds["cnn"]) == (not reached)


def test_equal_configs_have_no_regret() -> None:
    past = pasts(remembered({"a": [(LINEAR, 1.0), (TREES, 1.0), (MLP, 0.9999)]}))[0]
    assert max(past.regret.values()) <= 0.02


# -- odds --------------------------------------------------------------------------------------------


def test_odds_sum_to_one_and_keep_the_floor() -> None:
    recall = remembered({str(i): [(LINEAR, 0.9), (TREES, 0.1), (MLP, 0.1)] for i in range(9)}, doubt=0.05)
    prior = propose(TASK, recall, FAMILIES, Accuracy(), 0.5)
    assert sum(prior.odds.values()) == pytest.approx(1)
    assert min(prior.odds.values()) >= FLOOR / len(FAMILIES) - 1e-12
    assert max(prior.odds, key=prior.odds.get) == "linear" and prior.odds["linear"] > 0.85
    assert prior.odds["cnn"] > FLOOR / len(FAMILIES)  # never tried: more than nothing


def test_doubt_moves_odds_towards_uniform() -> None:
    rows = {"a": [(LINEAR, 0.9), (TREES, 0.1)], "b": [(LINEAR, 0.9), (TREES, 0.2)]}
    sure, unsure, cold = (
        propose(TASK, remembered(rows, d), FAMILIES, Accuracy(), 0.5).odds["linear"] for d in (0.05, 0.5, 1.0)
    )
    assert sure > unsure > cold > 0.25


def test_every_number_of_a_reason_is_read_from_the_odds() -> None:
    recall = remembered(TWO)
    found = odds(pasts(recall), recall.nothing_like_it, tuple(FAMILIES))["linear"]
    assert sum(found.neighbours.values()) + found.anywhere + found.floor == pytest.approx(found.value)
    assert (found.best, found.of) == (1, 2)
    assert (
        f"linear {100 * found.value:.0f} %: best on 1 of 2 neighbours (a {100 * found.neighbours['a']:.0f} %"
        in found.reason
    )
    assert f"{100 * found.anywhere:.0f} % from what wins anywhere" in found.reason
    assert f"{100 * found.floor:.0f} % from the floor" in found.reason


def test_removing_a_neighbour_changes_the_reasons() -> None:
    recall = remembered(TWO)
    before, after = (propose(TASK, r, FAMILIES, Accuracy(), 0.5) for r in (recall, without(recall, "b")))
    assert all(before.reasons[f] != after.reasons[f] for f in ("linear", "trees", "mlp"))
    assert "best on 1 of 1 neighbour (a" in after.reasons["linear"]
    assert before.odds["mlp"] > after.odds["mlp"]
    tried = [{p.family: p.reason for p in portfolio(r).ask(4, [], Moment(60))} for r in (recall, without(recall, "b"))]
    assert tried[0]["linear"] != tried[1]["linear"]


def test_a_family_that_suits_other_data_is_believed_in_as_where_it_was_tried() -> None:
    """Three tables, on which a network for pictures cannot be tried, say nothing against it."""
    tables = {n: [(LINEAR, 0.9), (TREES, 0.8), (MLP, 0.5)] for n in "bcd"}
    pictures = {"a": [(CNN, 0.9), (LINEAR, 0.5), (TREES, 0.6), (MLP, 0.5)]}
    found = odds(pasts(remembered(pictures | tables)), 0.1, tuple(FAMILIES))
    assert found["cnn"].value > 0.45 and found["cnn"].best == 1 and found["linear"].best == 3
    crashed = {n: [*row, (CNN, None)] for n, row in tables.items()}
    assert odds(pasts(remembered(pictures | crashed)), 0.1, tuple(FAMILIES))["cnn"].value < 0.3
    assert not any(odds(pasts(remembered(tables)), 0.1, tuple(FAMILIES))["cnn"].neighbours.values())


def test_a_group_counts_once_in_what_wins_anywhere() -> None:
    recall = remembered({"a": TWO["a"], "b": TWO["b"], "b2": TWO["b"], "b3": TWO["b"]}, doubt=1.0)
    neighbours = tuple(replace(n, group=n.name[0], weight=0.0) for n in recall.neighbours)
    found = propose(TASK, replace(recall, neighbours=neighbours), FAMILIES, Accuracy(), 0.5).odds
    assert found["linear"] == pytest.approx(found["mlp"])


def test_cold_is_uniform_and_says_so() -> None:
    prior = propose(TASK, Recall(), FAMILIES, Accuracy(), 0.5)
    assert set(prior.odds.values()) == {0.25}
    assert set(prior.reasons.values()) == {"no past runs: uniform"}
    assert prior.neighbours == () and prior.nothing_like_it == 1.0


def test_no_family_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(RunError, match="metalearner plugin list"):
        propose(TASK, Recall(), {}, Accuracy(), 0.5)


# -- forecast ----------------------------------------------------------------------------------------


def test_forecast_lies_within_the_metric_and_turns_skill_back() -> None:
    recall = remembered(
        {name: [(LINEAR, s), (TREES, s - 0.1)] for name, s in (("a", 0.6), ("b", 0.7), ("c", 0.8))}, 0.05
    )
    found = propose(TASK, recall, FAMILIES, Accuracy(), 0.5).forecast
    assert found.metric == "accuracy" and found.level == 0.8
    assert 0.5 <= found.low < found.value < found.high <= 1.0
    assert found.value == pytest.approx(0.5 + 0.7 * 0.5, abs=0.02)
    assert "3 neighbours" in found.reason and "5 %" in found.reason


def test_forecast_of_an_error_metric_has_its_interval_the_right_way_round() -> None:
    recall = remembered({"a": [(LINEAR, 0.5)], "b": [(LINEAR, 0.6)]})
    found = propose(TASK, recall, FAMILIES, Rmse(), 10.0).forecast
    assert 0.0 <= found.low < found.value < found.high <= 10.0
    assert found.value == pytest.approx(4.5, abs=0.5)


def test_doubt_widens_the_forecast() -> None:
    rows = {"a": [(LINEAR, 0.7)], "b": [(LINEAR, 0.72)]}
    sure, unsure = (propose(TASK, remembered(rows, d), FAMILIES, Accuracy(), 0.0).forecast for d in (0.05, 0.6))
    assert unsure.high - unsure.low > 3 * (sure.high - sure.low)


def test_forecast_seconds_follow_the_rows_and_cold_has_none() -> None:
    recall = remembered({"a": [(LINEAR, 0.9), (TREES, 0.5)]}, seconds={"linear": 2.0, "trees": 50.0})
    assert propose(TASK, recall, FAMILIES, Accuracy(), 0.5, Here(300)).forecast.seconds == pytest.approx(6.0)
    cold = propose(TASK, Recall(), FAMILIES, Accuracy(), 0.5).forecast
    assert (cold.value, cold.low, cold.high, cold.seconds) == (None,) * 4 and "no past runs" in cold.reason
    assert propose(TASK, recall, FAMILIES, Accuracy(), math.nan).forecast.value is None


def test_skills_of_another_output_are_not_forecast_from() -> None:
    task = replace(TASK, output="regression", metric="rmse")
    prior = propose(task, remembered(TWO), FAMILIES, Rmse(), 10.0)
    assert prior.forecast.value is None and prior.odds["linear"] > FLOOR


@pytest.mark.parametrize("doubt", [0.05, 0.5, 1.0])
def test_quantiles_are_ordered_and_never_above_perfect(doubt: float) -> None:
    rng = np.random.default_rng(0)
    for skills in ([0.99, 1.0], [-0.5, 0.2, 0.9], rng.uniform(0, 1, 15).tolist()):
        low, middle, high = quantiles(np.array(skills), np.ones(len(skills)), doubt)
        assert min(skills) - 1 <= low <= middle <= high <= 1.0


def test_weighted_quantile() -> None:
    assert weighted_quantile([1, 2, 3], [1, 1, 8], 0.5) == 3
    assert weighted_quantile([1, 2, 3], [1, 1, 1], 0.0) == 1
    assert weighted_quantile([5], [1e-12], 0.9) == 5


# -- portfolio ---------------------------------------------------------------------------------------


def test_greedy_order_on_a_known_matrix() -> None:
    """Trees gain .6 (good everywhere), then linear and mlp gain .2 each, the plainer first; cnn gains nothing."""
    assert order(portfolio(remembered(TWO, doubt=0.0)).ask(9, [], Moment(60))) == ["trees", "linear", "mlp", "cnn"]


def test_expected_seconds_change_the_order() -> None:
    """Trees at 9 s gain .6 / 3: the two specialists come first."""
    proposals = portfolio(remembered(TWO, doubt=0.0, seconds={"trees": 9.0})).ask(9, [], Moment(60))
    assert order(proposals) == ["linear", "mlp", "trees", "cnn"]
    assert proposals[2].expected_seconds == pytest.approx(9.0)
    assert "regret 0.40 on 2 neighbours, about 9.0 s" in proposals[2].reason
    assert "regret 0.80 on 2 neighbours, the best on a, about 1.0 s" in proposals[0].reason


def test_nearness_changes_the_order() -> None:
    recall = remembered(
        {"a": [(LINEAR, 0.9), (TREES, 0.5), (MLP, 0.5)], "b": [(LINEAR, 0.5), (TREES, 0.5), (MLP, 0.9)]}, 0.0
    )
    near_b = replace(
        recall, neighbours=tuple(replace(n, weight=0.9 if n.name == "b" else 0.1) for n in recall.neighbours)
    )
    assert order(portfolio(recall).ask(1, [], Moment(60))) == ["linear"]
    assert order(portfolio(near_b).ask(1, [], Moment(60))) == ["mlp"]


def test_neighbours_that_rank_as_this_run_does_count_for_more() -> None:
    more = [Config("trees", {"n": i}) for i in range(4)]
    rows = {
        "a": [(c, 0.5 + 0.1 * i) for i, c in enumerate(more)] + [(LINEAR, 0.95), (MLP, 0.4)],
        "b": [(c, 0.8 - 0.1 * i) for i, c in enumerate(more)] + [(LINEAR, 0.4), (MLP, 0.95)],
    }
    asked = portfolio(remembered(rows, doubt=0.02))
    rising = [replace(trial(c, i), skill=0.2 * i, score=0.2 * i) for i, c in enumerate(more)]
    falling = [replace(t, skill=1 - (t.skill or 0.0)) for t in rising]
    assert order(asked.ask(1, rising, Moment(99))) == ["linear"]
    assert order(asked.ask(1, falling, Moment(99))) == ["mlp"]


def test_agreement_is_kendalls_tau() -> None:
    from scipy.stats import kendalltau

    rng = np.random.default_rng(0)
    merits, regrets = rng.integers(0, 6, 20).astype(float), rng.integers(0, 6, (20, 5)).astype(float)
    expected = [kendalltau(merits, -column).statistic for column in regrets.T]
    assert kendall(merits, regrets) == pytest.approx(expected)


def test_what_was_seen_is_not_asked_again_and_counts_as_covered() -> None:
    asked = portfolio(remembered(TWO, doubt=0.0))
    after_linear = asked.ask(9, [trial(LINEAR, 0)], Moment(60))
    assert order(after_linear)[0] == "mlp"  # with a covered, what is good on b comes before the all-rounder
    assert "linear" not in order(after_linear)
    failed = asked.ask(9, [trial(LINEAR, 0, "crash")], Moment(60))
    assert order(failed) == ["trees", "mlp", "cnn"]  # what crashed covers nothing, and is not tried again


def test_ask_is_a_prefix_of_asking_for_more_and_repeatable() -> None:
    asked = portfolio(remembered(TWO))
    assert (
        order(asked.ask(2, [], Moment(60)))
        == order(asked.ask(4, [], Moment(60)))[:2]
        == order(asked.ask(2, [], Moment(60)))
    )


def test_configs_that_cannot_finish_are_left_out() -> None:
    asked = portfolio(remembered(TWO, doubt=0.0, seconds={"trees": 9.0}))
    assert "trees" not in order(asked.ask(9, [], Moment(5.0)))
    assert "trees" in order(asked.ask(9, [], Moment(6.1)))


def test_seconds_scale_with_rows_and_with_the_speed_seen_here() -> None:
    recall = remembered(TWO, seconds={"trees": 9.0})
    assert portfolio(recall, rows=200).ask(1, [], Moment(99))[0].expected_seconds == pytest.approx(2.0)
    seen = [trial(LINEAR, 0, seconds=3.0), trial(MLP, 1, seconds=3.0)]
    slow = next(p for p in portfolio(recall).ask(9, seen, Moment(99)) if p.family == "trees")
    assert slow.expected_seconds == pytest.approx(27.0)


def test_the_speed_of_one_family_is_not_taken_for_that_of_another() -> None:
    more = [Config("trees", {"n": i}) for i in range(2)]
    recall = remembered({"a": [*TWO["a"], *((c, 0.7) for c in more)]})
    seen = [*(trial(c, i, seconds=9.0) for i, c in enumerate(more)), trial(LINEAR, 2), trial(MLP, 3)]
    expected = {p.family: p.expected_seconds for p in portfolio(recall).ask(9, seen, Moment(99))}
    assert expected == pytest.approx({"trees": 9.0, "cnn": 1.0})


def test_no_fit_is_expected_to_take_longer_than_it_may() -> None:
    recall = remembered(TWO, seconds={"mlp": 50.0})
    bounded = Portfolio(recall, propose(TASK, recall, FAMILIES, Accuracy(), 0.5), FAMILIES, Here(100, room=20.0))
    assert max(p.expected_seconds or 0.0 for p in bounded.ask(9, [], Moment(99))) == 20.0


def test_a_family_is_not_blamed_for_data_it_does_not_suit() -> None:
    rows = {"a": [(LINEAR, 0.9), (TREES, 0.8), (MLP, 0.5)], "b": TWO["b"]}
    reasons = {p.family: p.reason for p in portfolio(remembered(rows)).ask(9, [], Moment(99))}
    assert "regret 1.60" in reasons["cnn"]


def test_a_family_without_records_is_tried_sooner_the_less_the_past_is_alike() -> None:
    new = Config("new", {"x": 1.0})
    families = {**FAMILIES, "new": family(new, Config("new", {"x": 2.0}))}
    rows = {"a": TWO["a"], "b": TWO["b"]}
    sure, unsure = (order(portfolio(remembered(rows, d), families).ask(9, [], Moment(60))) for d in (0.0, 0.8))
    assert sure.index("new") > unsure.index("new") and sure.count("new") == 2
    proposal = next(p for p in portfolio(remembered(rows), families).ask(9, [], Moment(60)) if p.family == "new")
    assert proposal.reason.startswith("not tried on 2 neighbours, counted as regret 0.50")
    assert proposal.config.numbers == {"x": 1.0}  # its default first


def test_families_that_do_not_accept_the_data_are_never_proposed() -> None:
    only = {"trees": FAMILIES["trees"]}
    assert order(portfolio(remembered(TWO), only).ask(9, [], Moment(60))) == ["trees"]


def test_a_config_unknown_to_a_neighbour_counts_as_its_family_does_there() -> None:
    other = Config("linear", {"x": 2.0})
    rows = {"a": [*TWO["a"], (other, 0.95)], "b": TWO["b"]}
    asked = portfolio(remembered(rows, doubt=0.0))
    on_b = asked.regrets[asked.place[other.id], 1]
    assert on_b == asked.regrets[asked.place[LINEAR.id], 1] == pytest.approx(1.6)


def test_a_hopeless_family_is_dropped() -> None:
    many = {**FAMILIES, "trees": family(*(Config("trees", {"x": float(i)}) for i in range(5)))}
    seen = [trial(c, i, "crash") for i, c in enumerate(many["trees"].presets[:3])]
    assert "trees" not in order(portfolio(remembered(TWO), many).ask(20, seen, Moment(60)))


def test_cold_order_is_linear_then_defaults_by_level_then_more_presets() -> None:
    families = {
        f.name: f
        for f in (
            family(Config("zeta", {"x": 1}), Config("zeta", {"x": 2}), tags=("quick",)),
            family(Config("binary", {"x": 1}), level=0),
            family(Config("alpha", {"x": 1}), Config("alpha", {"x": 2})),
            family(Config("transfer", {"x": 1}), level=2),
            family(Config("linear", {"x": 1}), Config("linear", {"x": 2})),
        )
    }
    proposals = portfolio(Recall(), families).ask(20, [], Moment(60))
    assert order(proposals)[:5] == ["linear", "binary", "zeta", "alpha", "transfer"]
    assert [p.config.numbers["x"] for p in proposals] == [1] * 5 + [2] * 3
    assert proposals[0].reason == "no past runs; the default preset of linear"
    assert proposals[-1].reason.startswith("no past runs; the preset 2 of ")
    assert all(p.arm == "portfolio" and p.odds == 0.2 and p.expected_seconds is None for p in proposals)


def test_a_large_base_is_quick() -> None:
    import time

    rng = np.random.default_rng(0)
    configs = [Config(f, {"x": float(i)}) for f in FAMILIES for i in range(100)]
    recall = remembered({f"d{t}": [(c, float(s)) for c, s in zip(configs, rng.uniform(0, 1, 400))] for t in range(15)})
    began = time.process_time()
    asked = portfolio(recall)
    assert len(asked.ask(40, [], Moment(60))) == 40
    assert time.process_time() - began < 2.0


# -- blocks ------------------------------------------------------------------------------------------


def told(numbers: Mapping[str, float | None], past: Recall | None = None) -> dict[str, Leaning]:
    from metalearner import plugins

    productions = plugins.load().productions
    blocks = Blocks(productions, {"x": View((Axis("time", 64),), 2)}, numbers)
    return leanings(pasts(past) if past else [], blocks)


def test_only_a_confirmed_gain_moves_the_odds_of_blocks() -> None:
    proposed = told({"order.gain": 0.1, "order.gain_z": math.log1p(1.5)})
    assert all(leaning.odds == pytest.approx(1.0) for leaning in proposed.values())
    confirmed = told({"order.gain": 0.1, "order.gain_z": math.log1p(4.0)})
    conv, gru = confirmed["conv"], confirmed["gru"]
    assert conv.gains == {"order.gain": 0.1} and conv.odds > 1.5 > 1 > gru.odds
    assert "order.gain 0.10 (x3.0)" in conv.reason and f"conv x{conv.odds:.1f}" in conv.reason
    against = told({"order.gain": -0.1, "order.gain_z": -math.log1p(4.0)})
    assert against["conv"].odds < 1 < against["gru"].odds


def test_blocks_of_a_symbol_share_one_and_none_falls_below_the_floor() -> None:
    found = told({"order.gain": 0.9, "order.gain_z": 9.0})
    for symbol in {leaning.symbol for leaning in found.values()}:
        shares = [leaning.share for leaning in found.values() if leaning.symbol == symbol]
        assert sum(shares) == pytest.approx(1.0)
        assert min(shares) >= FLOOR / len(shares) - 1e-12


def test_blocks_of_the_neighbours_best_networks_are_believed_in() -> None:
    from metalearner import plugins

    families = plugins.load().families
    conv, recurrent = families["resnet-1d"].presets[0], families["recurrent"].presets[0]
    found = told({}, remembered({"a": [(conv, 0.9), (recurrent, 0.2)], "b": [(conv, 0.8), (recurrent, 0.3)]}))
    assert found["basic"].neighbours > 1.2 > 1 > found["gru"].neighbours
    assert "networks of 2 neighbours" in found["basic"].reason


# -- the soft space ----------------------------------------------------------------------------------


def test_the_soft_space_is_what_did_well_near_by_its_weight() -> None:
    good, bad = (Config("mlp", {"width": w}) for w in (64, 256))
    recall = remembered({"a": [(good, 0.9), (bad, 0.5), (LINEAR, 0.7)], "b": [(good, 0.9), (bad, 0.8), (LINEAR, 0.7)]})
    found = soft(pasts(recall), ("mlp", "linear", "cnn"))
    assert set(found) == {"mlp", "linear"}  # nobody tried a cnn
    (first, more), (second, less) = found["mlp"]
    assert (first, second) == (good, bad)
    assert more + less == pytest.approx(1.0) and more > 0.9


def test_a_number_is_narrowed_down_only_where_the_weight_lies_together() -> None:
    ranges = {"width": Int(16, 1024, 64, log=True), "norm": Choice(("batch", "layer")), "dropout": Float(0, 0.5, 0)}
    mlp = SimpleNamespace(space=lambda: ranges, parts={})
    known = [(Config("mlp", {"width": 64, "norm": "batch", "dropout": d}), 0.2) for d in (0.0, 0.1, 0.2, 0.4, 0.5)]
    assert spread(tuple(known), {"mlp": mlp}) == {"norm": {"batch": 1.0}, "width": [64, 64]}


def test_a_portfolio_keeps_to_what_it_is_told() -> None:
    asked = portfolio(remembered(TWO)).keep_to({TREES.id, CNN.id})
    assert set(order(asked.ask(9, [], Moment()))) == {"trees", "cnn"}
