"""A narrower search space: what may be said of it, what it does to presets and past configs, and that a run keeps to it."""

from __future__ import annotations

import json

import pytest

from metalearner import grammar
from metalearner.errors import RunError, TaskError
from metalearner.grammar import Narrowing
from metalearner.kinds import Choice, Float, Int, Name, Production, Slot
from metalearner.propose import moved
from metalearner.records import Config
from metalearner.report.account import Account
from metalearner.request import Request, parse_budget
from metalearner.run import run
from metalearner.task import Wish


class Made(Production):
    """A production out of a few words."""

    def __init__(self, name, symbol, space, parts=None):
        self.name, self.symbol, self._space, self.parts = name, symbol, space, parts or {}

    def space(self):
        return self._space


PRODUCTIONS = {
    "net": Made("net", "learner", {"deep": Int(1, 9, 2)}, {"recipe": Slot("recipe")}),
    "recipe": Made("recipe", "recipe", {
        "lr": Float(1e-4, 0.1, 1e-3, log=True), "how": Name("optimisers", ("adamw", "sgd")), "much": Choice((0.0, 0.2, 0.5)),
        "flip": Choice((False, True)),
    }),
}  # fmt: skip
NET = grammar.complete(Config("net", {}, {"recipe": (Config("recipe"),)}), PRODUCTIONS)


def left(*said):
    productions = Narrowing.read(said, PRODUCTIONS).of(PRODUCTIONS)
    return {f"{p}.{n}": values for p, made in productions.items() for n, values in made.space().items()}


def test_what_is_said_is_what_is_left_and_all_else_stays():
    found = left("recipe.lr=0.01..0.02", "net.deep=4", "recipe.how=sgd", "recipe.much=0.2, 0.5", "recipe.flip=true")
    assert found["recipe.lr"] == Float(0.01, 0.02, 0.01, log=True)
    assert found["net.deep"] == Int(4, 4, 4)
    assert found["recipe.how"] == Choice(("sgd",)) and found["recipe.flip"] == Choice((True,))
    assert found["recipe.much"] == Choice((0.2, 0.5))
    assert left("net.deep=3..5", "net.deep=4..5")["net.deep"] == Int(4, 5, 4)
    assert left()["net.deep"] is PRODUCTIONS["net"].space()["deep"]
    assert PRODUCTIONS["net"].space()["deep"] == Int(1, 9, 2)  # the registry's own is as it was


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ("deep=3", "narrows nothing"), ("net.deep", "narrows nothing"), ("net.deep=", "narrows nothing"),
        ("nett.deep=3", "Unknown production 'nett'. Did you mean 'net'?"), ("net.depp=3", "Unknown net number 'depp'"),
        ("net.deep=0..3", "That is 1..9"), ("net.deep=3..2", "That is 1..9"), ("net.deep=2.5", "That is 1..9"),
        ("net.deep=2..", "That is 1..9"), ("recipe.lr=nan..1", "That is 0.0001..0.1"), ("recipe.lr=inf", "That is 0.0001..0.1"),
        ("recipe.how=adam", "That is adamw,sgd"), ("recipe.much=0.2,0.3", "That is 0,0.2,0.5"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_said_in_three_parts(said, holds):
    with pytest.raises(TaskError) as refused:
        Narrowing.read([said], PRODUCTIONS)
    assert holds in str(refused.value) and len(str(refused.value).splitlines()) == 3


def test_a_range_said_as_it_is_written_is_the_whole_of_it():
    for place, values in grammar.listed(NET, PRODUCTIONS).items():
        whole = left(f"{place}={grammar.values_of(values)}")[place]
        assert grammar.values_of(whole) == grammar.values_of(values) and whole.default == values.default


def test_presets_and_what_past_runs_did_well_with_are_moved_inside_no_further_than_needed():
    narrowing = Narrowing.read(["net.deep=4..6", "recipe.lr=0.01..0.02", "recipe.how=sgd"], PRODUCTIONS)
    inside = narrowing.moved(NET)
    assert grammar.numbers(inside, PRODUCTIONS) == {
        "deep": 4, "recipe.0:lr": 0.01, "recipe.0:how": "sgd", "recipe.0:much": 0.0, "recipe.0:flip": False,
    }  # fmt: skip
    assert not narrowing.holds(NET) and narrowing.holds(inside) and narrowing.moved(inside) == inside
    high = grammar.with_numbers(NET, {"deep": 9, "recipe.0:lr": 0.015})
    assert grammar.numbers(narrowing.moved(high), PRODUCTIONS)["deep"] == 6
    assert moved({"net": ((NET, 0.25), (inside, 0.75))}, narrowing) == {"net": ((inside, 0.25), (inside, 0.75))}
    nothing = Narrowing.read([], PRODUCTIONS)
    assert nothing.holds(high) and nothing.moved(high) is high


def test_a_run_keeps_to_what_it_was_told_and_says_so(tmp_path, registry):
    """With the base that ships, whose best configs for these data lie outside."""
    narrow = ("trees.leaves=100..128", "trees.extra=true", "linear.expansion=none")
    request = Request("penguins", Wish("tell the sex"), parse_budget("8trials"), tmp_path / "run",
                      families=("trees", "linear"), narrow=narrow)  # fmt: skip
    run(request, registry)
    account = Account.open(tmp_path / "run")
    tried = [Config.from_json(t["proposal"]["config"]) for t in account.trials]
    assert {c.production for c in tried} == {"trees", "linear"}
    assert all(c.numbers["leaves"] >= 100 and c.numbers["extra"] is True for c in tried if c.production == "trees")
    assert {c.numbers["expansion"] for c in tried if c.production == "linear"} == {"none"}
    kept = json.loads((tmp_path / "run" / "request.json").read_text())
    assert Request.from_json(kept, tmp_path).narrow == narrow
    assert all(f"--narrow={one}" in account.reproduce() for one in narrow)


def test_a_searcher_that_proposes_nothing_of_what_is_left_says_so(tmp_path, registry):
    request = Request("penguins", Wish("tell the sex"), parse_budget("3trials"), tmp_path / "run",
                      families=("invented",), searcher="random")  # fmt: skip
    with pytest.raises(RunError, match="nothing to try") as raised:
        run(request, registry)
    assert "'random'" in str(raised.value) and "--searcher evolution" in str(raised.value)


def test_families_that_do_not_take_the_data_are_refused_and_those_that_do_are_named(tmp_path, registry):
    request = Request("penguins", Wish("tell the sex"), parse_budget("1trials"), tmp_path / "run",
                      families=("resnet", "text-cnn"))  # fmt: skip
    with pytest.raises(TaskError, match="not for resnet or text-cnn") as raised:
        run(request, registry)
    assert "trees" in str(raised.value)
