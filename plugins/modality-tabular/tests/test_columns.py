"""Which kind a column is."""

from __future__ import annotations

import numpy as np
import pytest
from metalearner_modality_tabular.columns import Tally, target_hint, used, with_edges
from metalearner_modality_tabular.modality import TabularModality

from metalearner.records import Column, Schema
from metalearner.tables import cells

N = 100
RNG = np.random.default_rng(0)
WORDS = ["oak", "elm", "ash", "fir"]
MESSAGES = [f"call me back about order {i} as soon as you can" for i in range(N)]


def column(cells: list, name: str = "x") -> Column:
    tally = Tally(name)
    for start in range(0, len(cells), 30):
        tally.add(cells[start : start + 30])
    return tally.column()[0]


@pytest.mark.parametrize(
    ("name", "cells", "kind"),
    [
        ("x", [str(v) for v in RNG.normal(size=N)], "number"),
        ("x", ["1e3", "-2.5", ".5", "7"] * 25, "number"),
        ("x", ["0", "1"] * 50, "number"),
        ("x", [*("1", "2") * 49, "oops", "2"], "number"),
        ("x", [*("1", "2") * 48, "oops", "b", "c", "2"], "category"),
        ("x", ["1,234", "5,678"] * 50, "category"),
        ("x", ["1_000", "2_000"] * 50, "category"),
        ("x", ["Yes", "no", "NO", "yes", ""] * 20, "boolean"),
        ("x", ["t", "f"] * 50, "boolean"),
        ("x", [True, False] * 50, "boolean"),
        ("x", ["f", "m"] * 50, "category"),
        ("x", ["n", "f"] * 50, "category"),
        ("x", ["true", "false", "maybe", "true"] * 25, "category"),
        ("x", WORDS * 25, "category"),
        ("x", [f"{i:02}" for i in RNG.permutation(N)], "number"),
        ("x", [str(i) for i in range(7, N + 7)], "identifier"),
        ("y", [str(i) for i in range(N)], "number"),
        ("order_id", [str(i) for i in RNG.permutation(N)], "identifier"),
        ("PassengerId", [str(i) for i in RNG.permutation(N)], "identifier"),
        ("valid", [str(i) for i in RNG.permutation(N)], "number"),
        ("paid", [str(i) for i in RNG.permutation(N)], "number"),
        ("no", [str(i) for i in RNG.permutation(N)], "identifier"),
        ("id", ["1", "2"] * 50, "number"),
        ("x", [f"u{i}" for i in range(N)], "identifier"),
        ("label", [f"u{i}" for i in range(N)], "category"),
        ("x", [f"u{i}" for i in range(19)], "category"),
        ("x", MESSAGES, "text"),
        ("x", MESSAGES[:3] * 30, "category"),
        ("x", [f"{v:064x}" for v in range(N)], "identifier"),
        ("x", [f"2020-01-{1 + i % 28:02}" for i in range(N)], "date"),
        ("x", [f"2020-{1 + i % 12:02}" for i in range(N)], "date"),
        ("x", [f"{1 + i % 28}.3.2020" for i in range(N)], "date"),
        ("x", [f"{1 + i % 12}/{1 + i % 28}/20 10:30" for i in range(N)], "date"),
        ("x", [f"{1 + i % 28:02}-Mar-2020" for i in range(N)], "date"),
        ("x", [f"March {1 + i % 28}, 2020" for i in range(N)], "date"),
        ("x", [f"20200{1 + i % 9}{10 + i % 18}" for i in range(N)], "number"),
        ("x", [f"2020-01-{1 + i % 28:02}" if i % 10 else "soon" for i in range(N)], "category"),
        ("x", [f"{i}-{i + 1}" for i in range(40)] * 2, "category"),
        ("x", ["", "NA", None, "?"] * 25, "number"),
        ("x", ["inf", "1.5", "-inf", "2"] * 25, "number"),
        ("x", [{"a": 1}, [1, 2]] * 50, "text"),
    ],
)
def test_kind(name: str, cells: list, kind: str) -> None:
    assert column(cells, name).kind == kind


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        (["", "NA"] * 20, "left out: no value in any row"),
        (["same"] * 40, "left out: 'same' in every row"),
        ([7] * 40, "left out: '7' in every row"),
        ([f"u{i}" for i in range(40)], "left out: unique for each row"),
        ([str(i) for i in range(40)], "left out: numbers the rows"),
        (MESSAGES, "left out: free text, which needs a modality for text"),
        ([*("1", "2") * 49, "oops", "2"], "1 values are no numbers and count as missing"),
        (WORDS * 10, ""),
    ],
)
def test_note(cells: list, note: str) -> None:
    found = column(cells)
    assert found.note == note
    assert (found not in used(Schema("tabular", "", 1, (found,)))) == note.startswith("left out")


def test_numbers_that_never_vary_keep_their_place_among_many_that_do() -> None:
    vary, same = [column([0, 1, 2] * 20, f"x{i}") for i in range(40)], column([0] * 60, "edge")
    word = column(["a"] * 60, "word")
    kept = with_edges([same, *vary, word], [True, *[False] * 40, True])
    assert [c.name for c in used(Schema("tabular", "", 60, kept))] == ["edge", *(c.name for c in vary)]
    few = with_edges([same, *vary[:20]], [True, *[False] * 20])
    more = with_edges([same] * 50 + vary, [True] * 50 + [False] * 40)
    assert few[0].left_out and all(c.left_out for c in more[:50])


def test_a_name_that_is_a_value_is_noted() -> None:
    assert "first line" in column(["ham", "spam"] * 20, "ham").note
    assert column(["ham", "spam"] * 20, "kind").note == ""


def test_a_constant_with_gaps_still_says_whether_it_is_there() -> None:
    found = column([7, None] * 20)
    assert (found.kind, found.levels, found.missing, found.note) == ("category", ("7",), 0.5, "")


def test_levels_are_counted_and_the_rare_ones_dropped() -> None:
    cells = [f"a{i}" for i in range(1500)] * 2 + ["b"] * 10 + [""] * 5
    found = column(cells)
    assert found.levels[0] == "b" and len(found.levels) == 1000
    assert found.note == "1501 levels, the 1000 most frequent kept"


def test_many_distinct_values_are_told_apart_from_few() -> None:
    rng = np.random.default_rng(1)
    tallies = [Tally("a"), Tally("b"), Tally("c")]
    for part in range(3):
        tallies[0].add([f"{v:.9f}" for v in rng.normal(size=12_000)])
        tallies[1].add([f"u{part}-{i}" for i in range(12_000)])
        tallies[2].add(["", "?", *(str(v) for v in rng.normal(size=11_998))])
    kinds = [t.column()[0] for t in tallies]
    assert [c.kind for c in kinds] == ["number", "identifier", "number"]
    assert kinds[2].missing == pytest.approx(2 / 12_000)


@pytest.mark.parametrize(
    ("names", "hint"),
    [(("a", "Label", "target"), "target"), (("a", "CLASS"), "CLASS"), (("x", "Y"), "Y"), (("a", "my_target"), "")],
)
def test_target_hint(names: tuple[str, ...], hint: str) -> None:
    assert target_hint(names) == hint


@pytest.mark.parametrize(
    ("written", "day"),
    [
        (["31/01/2020", "04/03/2020"], 18325),
        (["01/31/2020", "03/04/2020"], 18325),
        (["31.1.20", "4.3.20"], 18325),
        (["2020-01-31T06:00:00Z", "2020-03-04"], 18325),
        (["2020-01-31", "2020-03-04T12:00:00+02:00"], 18325 + 10 / 24),
    ],
)
def test_a_column_decides_how_its_dates_are_read(written: list[str], day: float) -> None:
    rows = [{"when": w, "n": i % 3} for i, w in enumerate(written * 15)]
    modality = TabularModality()
    schema = modality.sniff(rows)
    assert schema is not None
    first = next(modality.decode(rows, schema))
    assert first["when"][1] == pytest.approx(day)
    # rows to predict may also write ISO dates
    assert next(modality.decode([{"when": "1970-01-03", "n": 1}], schema))["when"].tolist() == [2.0]


def test_a_minus_beside_a_plus_is_a_word_and_elsewhere_a_gap() -> None:
    signed = column(["+", "-", "-", "+", "-", ""])
    assert signed.kind == "category" and set(signed.levels) == {"+", "-"} and signed.missing == pytest.approx(1 / 6)
    assert column(["1.5", "-", "2.5", "3.5"]).kind == "number"
    assert cells.signs(["+", "-", " - ", "NA"]).tolist() == ["+", "-", "-", ""]
