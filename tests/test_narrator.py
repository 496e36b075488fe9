"""What a terminal shows of a run: what failed in short, and nothing twice."""

from __future__ import annotations

import io

import pytest

from metalearner.report.narrator import Narrator

LIMIT = "\nThe task limits what is deployed.\nAllow more, or take a smaller one."


def narrated(*events):
    out = io.StringIO()
    narrator = Narrator(out)
    for event in events:
        narrator(event)
    return out.getvalue().splitlines()


def tried(at, family, outcome="ok", error="", skill=None, rung=1.0):
    trial = {"outcome": outcome, "error": error, "skill": skill, "score": skill, "rung": rung, "seconds": 1.0,
             "proposal": {"family": family, "arm": "first"}}  # fmt: skip
    return {"stage": "search", "at": at, "left": 30.0, "trial": trial}


def large(at, family, kilobytes):
    return tried(at, family, "pruned", f"Too large for 50 kB: it takes {kilobytes} kB.{LIMIT}")


END = {"stage": "searched", "at": 60.0, "tried": 4, "seconds": 60.0, "ladder": ""}


def test_a_failure_is_the_first_sentence_of_its_reason():
    said = narrated(large(1.0, "trees", "354.6"), END)
    assert said[0] == "4 search     1:00 trees: pruned (Too large for 50 kB: it takes 354.6 kB)"


def test_failures_of_one_reason_in_a_row_are_one_line():
    said = narrated(large(1.0, "trees", "354.6"), tried(2.0, "mlp", skill=0.5, rung=0.3), large(3.0, "resnet", "1,861"),
                    large(4.0, "trees", "99.1"), tried(5.0, "linear", skill=0.9), END)  # fmt: skip
    assert said[0] == "4 search     0:05 3 pruned (Too large for 50 kB): trees (2), resnet"
    assert "linear" in said[1] and "best so far" in said[1]
    assert len(said) == 3


def test_another_reason_begins_another_line():
    crash = tried(2.0, "mlp", "crash", "ValueError: nothing to learn\nmore")
    said = narrated(large(1.0, "trees", "354.6"), crash, crash, large(3.0, "trees", "99"), END)
    assert [line.partition(" (")[0][13:] for line in said[:3]] == [
        "0:02 trees: pruned",
        "0:03 2 crash",
        "1:00 trees: pruned",
    ]
    assert "(ValueError: nothing to learn): mlp (2)" in said[1]


def test_many_families_are_named_in_part_and_long_reasons_are_cut_off():
    said = narrated(*(tried(float(i), f"family-{i}", "crash", "x" * 300) for i in range(9)), END)
    assert said[0].endswith(" and 3 more") and len(said[0]) < 250 and "…" in said[0]


def test_nothing_is_held_back_for_long():
    assert len(narrated(large(1.0, "trees", "354.6"), large(20.0, "trees", "99"))) == 1


@pytest.mark.parametrize(("error", "said"), [("", "timeout"), ("\n", "timeout"), ("killed", "timeout (killed)")])
def test_what_has_no_reason_has_none(error, said):
    assert narrated(tried(1.0, "mlp", "timeout", error), END)[0] == f"4 search     1:00 mlp: {said}"


def test_a_model_that_was_cut_short_is_said_to_be():
    train = {"stage": "train", "at": 9.0, "weights": {"resnet #1": 1.0}, "score": 0.7, "metric": "accuracy"}
    assert len(narrated(train)) == 1 and "larger --budget" in narrated({**train, "cut_short": True})[1]
    assert "counts as 90 more" in narrated({**train, "rows": 60, "expected_rows": 90.0})[1]


def test_models_left_out_for_want_of_time_are_counted():
    train = {"stage": "train", "at": 9.0, "weights": {"mlp #0": 1.0}, "score": 0.5, "models": 10}
    assert len(narrated({**train, "models_kept": 10})) == 1
    assert "! 7 of its 10 models are taken" in narrated({**train, "models_kept": 7})[1]
