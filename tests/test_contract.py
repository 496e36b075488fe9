"""What a client may send: cells as modalities tell them, the form that is made of them, rows that were held out."""

from __future__ import annotations

import base64
import io
import wave

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from metalearner.arrays import Fields
from metalearner.data import read
from metalearner.errors import DataError
from metalearner.kinds import Cell
from metalearner.pages.contract import numbers
from metalearner.pages.tables import guarded
from metalearner.report.examples import examples, held

RNG = np.random.default_rng(0)


def png(size=12):
    out = io.BytesIO()
    Image.fromarray(RNG.integers(0, 255, (size, size, 3)).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def wav():
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes((RNG.normal(size=4000) * 5000).astype("<i2").tobytes())
    return out.getvalue()


def folder_of(make, ending, place):
    for kind in "ab":
        (place / kind).mkdir(parents=True)
        for i in range(6):
            (place / kind / f"{i}{ending}").write_bytes(make())
    return place


def pictures(place):
    return folder_of(png, ".png", place / "pictures"), {"image": Cell("picture", (12, 12, 3))}


def recordings(place):
    return folder_of(wav, ".wav", place / "recordings"), {"signal": Cell("recording")}


def channels_first(place):
    time = np.sin(np.linspace(0, 9, 40) + RNG.normal(size=(60, 3, 1)))
    np.savez(place / "x.npz", x=time.astype(np.float32), y=np.arange(60) % 2)
    return place / "x.npz", {"signal": Cell("numbers", (3, 40))}


def mixed(place):
    names = [f"{i}.png" for i in range(40)]
    for name in names:
        (place / name).write_bytes(png())
    rows = {"photo": names, "price": RNG.normal(size=40), "colour": list("xy") * 20, "good": list("ab") * 20}
    pd.DataFrame(rows).to_csv(place / "shop.csv", index=False)
    return place / "shop.csv", {"photo": Cell("picture", (12, 12, 3)), "price": Cell(), "colour": Cell()}


@pytest.mark.parametrize("make", [pictures, recordings, channels_first, mixed], ids=lambda make: make.__name__)
def test_what_cells_are_told_to_be_is_what_rows_may_hold(make, registry, tmp_path):
    source, expected = make(tmp_path)
    schema = read(source, registry.modalities).schema.without("good" if make is mixed else "label")
    modality = registry.modalities[schema.modality]
    found = modality.cells(schema)
    assert found == expected
    cells = {
        "picture": base64.b64encode(png(20)).decode(),
        "recording": base64.b64encode(wav()).decode(),
        "value": None,
    }
    row = {n: cells[c.form] if c.form in cells else np.zeros(c.shape).tolist() for n, c in found.items()}
    assert Fields.concat(list(modality.decode([row], schema))).rows == 1


# -- the form --------------------------------------------------------------------------------------------------


def script():
    import streamlit as st

    from metalearner.errors import DataError
    from metalearner.pages.contract import form

    def column(name, kind, form="value", levels=(), shape=(), used=True):
        return {"name": name, "kind": kind, "form": form, "levels": levels, "shape": shape, "used": used}

    columns = [
        column("photo", "array", "picture"), column("curve", "array", "numbers", shape=(3, 1)), column("note", "text"),
        column("size", "number"), column("colour", "category", levels=("red", "blue")), column("old", "boolean"),
        column("when", "date"), column("id", "identifier", used=False),
    ]  # fmt: skip
    sent = st.session_state.get("sent", {})
    try:
        row = form({"columns": columns}, None, sent, "k")
    except DataError as lacking:
        st.error(str(lacking))
    else:
        st.session_state["row"] = row


def filled(**sent):
    test = AppTest.from_function(script, default_timeout=30)
    test.session_state["sent"] = sent
    return test.run()


def test_a_form_takes_a_picture_numbers_a_text_and_plain_values():
    test = filled()
    picture = png()
    test.file_uploader[0].upload("x.png", picture, "image/png")
    test.text_area[0].set_value("1, 2\n nan")
    test.text_area[1].set_value("some words")
    test.number_input[0].set_value(4.5)
    test.selectbox[1].set_value("yes")
    test.button[0].click().run()
    assert not test.exception and not test.error
    assert test.session_state["row"] == {
        "photo": base64.b64encode(picture).decode(), "curve": [[1.0], [2.0], [None]], "note": "some words", "size": 4.5,
        "colour": "red", "old": 1, "when": None, "id": None,
    }  # fmt: skip


def test_a_form_begins_with_a_row_and_sends_it_as_it_is():
    sent = {"photo": [[[0, 1, 2]]], "curve": [[1.0], [2.0], [3.0]], "note": "words", "size": -1.25, "colour": "blue", "old": 0.0,
            "when": "2024-01-31 00:00:00"}  # fmt: skip
    test = filled(**sent)
    test.button[0].click().run()
    assert test.session_state["row"] == {**sent, "id": None}


def test_a_form_says_what_is_not_there():
    test = filled(curve=[[1.0], [2.0], [3.0]])
    test.button[0].click().run()
    assert "There is nothing for 'photo' yet" in test.error[0].value and test.error[0].value.count("\n") == 2


@pytest.mark.parametrize(
    ("said", "shape", "found"),
    [
        ("1;2;3", (3,), [1, 2, 3]),
        ("[[1, 2], [3, null]]", (2, 2), [[1, 2], [3, None]]),
        ("1 2\n3 4\n", (None, 2), [[1, 2], [3, 4]]),
        ("1,?,NA", (3, 1), [[1], [None], [None]]),
    ],
)
def test_numbers_are_read_as_people_write_them(said, shape, found):
    assert numbers(said, shape) == found


@pytest.mark.parametrize("said", ["1, two", "[1, [2]]", "[" * 100_000, "1 2", "[]", "__import__('os')", "1 2 3 4"])
def test_what_are_not_so_many_numbers_is_refused_in_three_parts(said):
    with pytest.raises(DataError) as refused:
        numbers(said, (3, 1))
    assert "It takes 3 numbers" in str(refused.value) and len(str(refused.value).splitlines()) == 3


# -- rows that were held out, and what is told of new ones ---------------------------------------------------


def test_texts_are_shown_as_texts():
    from metalearner.arrays import Ragged

    texts = Ragged.pack([np.frombuffer(t.encode(), np.uint8) for t in ("a café", "b")])
    found = examples(Fields({"note": texts, "size": np.array([1.5, np.nan])}), [0, 1])
    assert [e.values for e in found] == [{"note": "a café", "size": 1.5}, {"note": "b", "size": None}]


def test_held_rows_are_sent_as_they_are_read(tmp_path, registry):
    from metalearner.dataset import Dataset
    from metalearner.deploy import Bundle
    from metalearner.request import Request, parse_budget
    from metalearner.run import run
    from metalearner.task import Wish

    rows = pd.DataFrame(
        {"size": RNG.normal(size=120), "colour": list("xyz") * 40, "when": pd.date_range("2024-01-01", periods=120)}
    )
    rows["kind"] = np.where(rows["size"] > 0, "up", "down")
    rows.to_csv(tmp_path / "t.csv", index=False)
    run(
        Request(str(tmp_path / "t.csv"), Wish("which kind?"), parse_budget("1trials"), tmp_path / "run", cold=True),
        registry,
    )
    found = held(tmp_path / "run", registry, 5)
    assert len(found) == 5 and {e.truth for e, _ in found} <= {"up", "down"}
    predictor = Bundle.open(tmp_path / "run" / "bundle", registry).predictor
    sealed = Fields.open(tmp_path / "run" / "data" / "sealed" / "fields").take(np.array([e.row for e, _ in found]))
    assert np.allclose(predictor.predict(predictor.decode([row for _, row in found])), predictor.predict(sealed))
    assert Dataset.open(tmp_path / "run" / "data").schema.column("when").kind == "date"
    assert all(str(pd.Timestamp(row["when"])) == row["when"] for _, row in found)
    (tmp_path / "run" / "answers.npz").unlink()
    assert held(tmp_path / "run", registry) == []


def test_tables_that_can_be_saved_hold_no_formulas():
    frame = pd.DataFrame({"=SUM(A1)": ["@cmd", "\t=1", "-2+3", "-2", "+1e3", "-", "plain", None], "n": range(-4, 4)})
    kept = guarded(frame)
    assert list(kept.columns) == ["'=SUM(A1)", "n"] and kept["n"].tolist() == frame["n"].tolist()
    assert kept.iloc[:, 0].tolist()[:7] == ["'@cmd", "'\t=1", "'-2+3", "-2", "+1e3", "-", "plain"]


def test_coverage_is_told_beside_shift():
    shift = {"name": "x", "what": "values", "shifted": False, "effect": 0.01, "before": "1", "now": "median 1"}
    covered = {"share": 0.8, "low": 0.7, "high": 0.88, "rows": 90, "promised": 0.9, "less": True}
    found = {
        "shifted": [],
        "rows": 100,
        "verdict": "no shift found",
        "alpha": 0.05,
        "shifts": [shift],
        "performance": None,
    }

    def page(found):
        from metalearner.pages.watch import verdict

        verdict(found)

    test = AppTest.from_function(page, args=({**found, "coverage": covered},)).run()
    assert {m.label: m.value for m in test.metric} == {"Coverage": "80.0%", "Promised": "90%"}
    assert "less often than promised" in test.warning[0].value and "90 rows" in test.warning[0].value
    test = AppTest.from_function(page, args=({**found, "coverage": None},)).run()
    assert not test.metric and "where enough rows" in test.caption[0].value.lower()
