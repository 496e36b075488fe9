"""The grammar: numbers by path, checking, sampling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalearner import grammar
from metalearner.kinds import Choice, Float, Int, Name, Production, Slot
from metalearner.records import Config


class Root(Production):
    name, symbol, parts = "root", "learner", {"encoder": Slot("encoder", 0)}

    def space(self):
        return {"rate": Float(1e-4, 1.0, 0.1, log=True), "kind": Choice(("a", "b"))}


class Block(Production):
    name, symbol = "block", "encoder"

    def space(self):
        return {"width": Int(4, 64, 16, log=True), "loss": Name("losses", ("auto",))}


PRODUCTIONS = {"root": Root(), "block": Block()}
CONFIG = Config("root", {"kind": "b"}, {"encoder": (Config("block", {"width": 8}),)})


def test_numbers_have_paths_and_defaults():
    assert grammar.numbers(CONFIG, PRODUCTIONS) == {
        "rate": 0.1, "kind": "b", "encoder.0:width": 8, "encoder.0:loss": "auto",
    }  # fmt: skip


def test_with_numbers_reaches_every_node():
    changed = grammar.with_numbers(CONFIG, {"rate": 0.5, "encoder.0:width": 32})
    assert grammar.numbers(changed, PRODUCTIONS)["encoder.0:width"] == 32
    assert changed.numbers == {"kind": "b", "rate": 0.5}


def test_equal_fits_have_equal_identities_once_complete():
    implicit, explicit = CONFIG, grammar.with_numbers(CONFIG, {"rate": 0.1})
    assert implicit.id != explicit.id
    assert grammar.complete(implicit, PRODUCTIONS).id == grammar.complete(explicit, PRODUCTIONS).id


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (Config("rot"), "Unknown production 'rot'. Did you mean 'root'?"),
        (Config("root", {"speed": 1}), "has no number 'speed'"),
        (Config("root", {"rate": 7.0}), "rate must be in"),
        (Config("block", {"width": True}), "width must be in"),
        (Config("root", {}, {"encoder": (Config("root"),)}), "takes encoder, not root"),
        (Config("block", {}, {"encoder": (Config("block"),)}), "has no slot 'encoder'"),
    ],
)
def test_what_is_wrong_is_said(config, complaint):
    assert any(complaint in w for w in grammar.check(config, PRODUCTIONS))


def test_a_name_nobody_lists_may_still_be_given():
    assert not grammar.check(Config("block", {"loss": "my-own"}), PRODUCTIONS)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_samples_are_valid(seed, near):
    sampled = grammar.sample(CONFIG, PRODUCTIONS, np.random.default_rng(seed), near)
    assert not grammar.check(sampled, PRODUCTIONS)
    assert sampled.skeleton == CONFIG.skeleton
