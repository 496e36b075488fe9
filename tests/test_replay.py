"""What the base is worth, on bases made up so that the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from metalearner import grammar
from metalearner.kb import replay
from metalearner.kb.hindsight import best_families, hindsight
from metalearner.knowledge import Base
from metalearner.knowledge.embedder import Embedder, table, train
from metalearner.records import DatasetCard, Description
from metalearner.report.text import hindsight_lines, replay_lines
from metalearner.space import Space

FAMILIES = ("linear", "trees", "mlp", "kernel-ridge")


def card(name):
    return DatasetCard(name, name, "tabular", 400, f"hash-of-{name}")


def description(kind, seed):
    """Data sets of one kind look much alike."""
    rng = np.random.default_rng(seed)
    numbers = {f"probe.{i}": float(3 * kind + rng.normal(0, 0.3)) if i < 6 else float(rng.normal()) for i in range(20)}
    return Description("1", {"classes": 2.0} | numbers, (), 0.5)


def skills(kind, configs):
    """Of one kind the first configs are good, of the other the last."""
    worth = np.linspace(0.9, 0.3, len(configs))
    return worth if kind == 0 else worth[::-1]


@pytest.fixture
def base(tmp_path, registry, experience):
    """Twenty data sets of two kinds, no two of one group."""
    found = Base.open(tmp_path / "home", shipped=None)
    configs = [
        (grammar.complete(p, registry.productions), name) for name in FAMILIES for p in registry.families[name].presets
    ]
    for i in range(20):
        one = card(f"set {i}")
        worth = skills(i % 2, configs)
        tried = [experience(one, c, f, s) for (c, f), s in zip(configs, worth)]
        assert found.add(one, description(i % 2, i), tried) == []
    return found


def test_every_arm_reaches_the_best_and_those_that_know_reach_it_sooner(base, registry):
    rows = replay.replay(base, list(replay.cases(base, registry)))
    assert {r["dataset"] for r in rows} == {f"set {i}" for i in range(20)}
    for row in rows:
        reached = [row["regret"][str(k)] for k in replay.AT]
        assert reached == sorted(reached, reverse=True) and reached[-1] == pytest.approx(0.0)
    regret = {arm: np.mean(list(replay.by_group(rows, arm, 1).values())) for arm in replay.ARMS}
    assert regret["nearest data set"] < 0.2 < regret["random"]
    after = {arm: np.mean(list(replay.by_group(rows, arm, 5).values())) for arm in replay.ARMS}
    assert after["task samples (M1)"] <= after["portfolio (M0)"] + 0.05 and after["task samples (M1)"] < after["random"]
    assert regret["task samples (M1)"] < regret["portfolio (M0)"]  # what is good for all is good for neither kind
    mean, low, high = replay.difference(rows, "nearest data set", "random", 1)
    assert low <= mean <= high < 0
    assert any("groups" in line for line in replay_lines(rows))


def test_a_portfolio_for_everybody_knows_all_of_the_modality_alike_and_nothing_of_what_is_forgotten(base, registry):
    for one in replay.cases(base, registry):
        known = one.everybody
        weights = [n.weight for n in known.neighbours]
        assert one.card.id not in known.experiences and max(weights) == pytest.approx(min(weights))
        assert len(weights) == 16
        assert all(len(es) == len(one.everything) for es in known.experiences.values())


def test_hindsight_judges_the_families_named_first_and_the_forecast(base, registry):
    rows = hindsight(base, list(replay.cases(base, registry)))
    assert len(rows) == 20 and all(r["named"] and r["believed"] for r in rows)
    assert all(r["low"] <= r["truth"] <= r["high"] for r in rows)  # on all of them the best reaches .9
    lines = hindsight_lines(rows)
    assert lines[0].count("for 100%") >= 2 and "cover 100%" in lines[1]
    assert hindsight_lines([]) == []


def test_the_best_family_is_one_that_could_be_named_beforehand(base, registry, experience):
    one = next(replay.cases(base, registry))
    tried = base.experiences(one.card.id)
    composed = experience(one.card, tried[0].config, "invented-1", 0.99)
    assert best_families([*tried, composed], one.families) == best_families(tried, one.families)
    assert best_families(tried, ("trees",)) == {"trees"}


def test_an_empty_base_says_so(tmp_path, registry):
    assert list(replay.cases(Base.open(tmp_path / "home", shipped=None), registry)) == []
    assert "No data set" in replay_lines([])[0]


def test_the_embedder_learns_what_tells_where_configs_do_well(tmp_path):
    """One number of thirty tells; in the plain space it drowns among the others."""
    names, configs = [f"d{i}" for i in range(60)], [f"c{j}" for j in range(12)]
    descriptions = {}
    for i, name in enumerate(names):
        numbers = dict(zip(map("probe.{}".format, range(30)), np.random.default_rng(i).normal(size=30)))
        descriptions[name] = Description("1", numbers | {"probe.telling": float(i % 2)}, (), 0.5)
    achieved = {n: dict(zip(configs, skills(i % 2, configs))) for i, n in enumerate(names)}
    kept, new = names[:48], names[48:]
    embedder = train({n: descriptions[n] for n in kept}, achieved, {n: n for n in names})
    plain = Space.fit([descriptions[n] for n in kept]).points
    alike = {}
    for how, points in (("plain", plain), ("embedded", embedder.embed)):
        known, asked = points([descriptions[n] for n in kept]), points([descriptions[n] for n in new])
        apart = np.linalg.norm(asked[:, None] - known[None], axis=2)
        kinds = np.argsort(apart, axis=1)[:, :5] % 2  # of the five that are nearest
        alike[how] = np.mean(kinds == np.arange(48, 60)[:, None] % 2)
    assert alike["embedded"] > 0.85 > alike["plain"]
    embedder.save(tmp_path / "embedder.npz")
    again = Embedder.load(tmp_path / "embedder.npz")
    one = [descriptions["d3"]]
    assert np.allclose(again.embed(one), embedder.embed(one), atol=1e-5)


def test_regrets_are_of_configs_that_several_data_sets_know():
    achieved = {n: {f"c{j}": j / 10 for j in range(6)} for n in "abc"} | {"d": {"c0": 1.0, "c1": 0.0}}
    achieved["a"] |= {"nobody else's": 5.0}
    found = table(achieved, "abcd")
    assert set(found) == {"a", "b", "c"}  # of d too little is known
    assert found["a"].tolist() == pytest.approx([2.0, 1.6, 1.2, 0.8, 0.4, 0.0])


def test_with_nothing_in_common_there_is_no_embedder():
    assert train({"a": description(0, 0)}, {"a": {"c": 1.0}}, {"a": "a"}) is None
