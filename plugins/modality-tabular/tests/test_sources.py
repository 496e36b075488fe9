"""Every form a table comes in gives the same schema and the same fields."""

from __future__ import annotations

import csv
import json
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metalearner_modality_tabular.modality import TabularModality
from PIL import Image

from metalearner.arrays import Fields
from metalearner.records import Column, Schema
from metalearner.tables.cells import words

MODALITY = TabularModality()
CITIES = ["Bern", "Thun", "Genf"]


def frame(rows: int = 60) -> pd.DataFrame:
    """A number with gaps, a whole number, a category, a boolean, a date, a row number and a target."""
    rng = np.random.default_rng(0)
    price = rng.normal(10, 3, rows).round(3)
    price[::7] = np.nan
    return pd.DataFrame(
        {
            "id": np.arange(1, rows + 1),
            "price": price,
            "count": rng.integers(0, 9, rows),
            "city": [CITIES[i % 3] for i in range(rows)],
            "sold": [("yes", "no")[i % 2] for i in range(rows)],
            "when": pd.date_range("2020-01-01", periods=rows, freq="37h").strftime("%Y-%m-%d %H:%M:%S"),
            "target": rng.choice(["a", "b"], rows),
        }
    )


def records(table: pd.DataFrame) -> list[dict]:
    return json.loads(table.to_json(orient="records"))


def write_csv(table: pd.DataFrame, folder: Path) -> Path:
    table.to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def write_utf16(table: pd.DataFrame, folder: Path) -> Path:
    table.to_csv(folder / "t.csv", index=False, encoding="utf-16", sep=";")
    return folder / "t.csv"


def write_marked(table: pd.DataFrame, folder: Path) -> Path:
    table.to_csv(folder / "t.csv", index=False, encoding="utf-8-sig", lineterminator="\r\n", quoting=1)
    return folder / "t.csv"


def write_tsv(table: pd.DataFrame, folder: Path) -> Path:
    table.to_csv(folder / "t.tsv", index=False, sep="\t", na_rep="NA")
    return folder / "t.tsv"


def write_bars(table: pd.DataFrame, folder: Path) -> Path:
    table.to_csv(folder / "t.txt", index=False, sep="|")
    return folder / "t.txt"


def write_decimal_comma(table: pd.DataFrame, folder: Path) -> Path:
    table.to_csv(folder / "t.csv", index=False, sep=";", decimal=",")
    return folder / "t.csv"


def write_parquet(table: pd.DataFrame, folder: Path) -> Path:
    table.to_parquet(folder / "t.parquet", index=False)
    return folder / "t.parquet"


def write_jsonl(table: pd.DataFrame, folder: Path) -> Path:
    (folder / "t.jsonl").write_text("\n".join(json.dumps(r) for r in records(table)) + "\n\n")
    return folder / "t.jsonl"


def write_sqlite(table: pd.DataFrame, folder: Path) -> Path:
    with sqlite3.connect(folder / "t.db") as connection:
        table.to_sql("my table", connection, index=False)
    connection.close()
    return folder / "t.db"


FORMS: list[Callable] = [
    *(write_csv, write_utf16, write_marked, write_tsv, write_bars, write_decimal_comma),
    *(write_parquet, write_jsonl, write_sqlite),
    lambda table, folder: table,
    lambda table, folder: table.convert_dtypes(),
    lambda table, folder: records(table),
]


def decode(source: object, schema: Schema) -> Fields:
    return Fields.concat(list(MODALITY.decode(source, schema)))


def sniff(source: object) -> Schema:
    schema = MODALITY.sniff(source)
    assert schema is not None
    return schema


def assert_equal(a: Fields, b: Fields) -> None:
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype.kind == b[name].dtype.kind
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_table(form: Callable, tmp_path: Path) -> None:
    table = frame()
    expected = sniff(write_csv(table, tmp_path))
    fields = decode(tmp_path / "t.csv", expected)
    source = form(table, tmp_path)
    schema = sniff(source)
    assert schema.columns == expected.columns
    assert (schema.rows, schema.target_hint, schema.options["dates"]) == (60, "target", {"when": "ISO8601"})
    assert_equal(decode(source, schema), fields)
    assert_equal(decode(source, expected), fields)  # a schema reads the other forms too
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    assert str(tmp_path) not in json.dumps(schema.to_json())


def test_the_kinds_and_values_of_the_table(tmp_path: Path) -> None:
    schema = sniff(write_csv(frame(), tmp_path))
    kinds = {c.name: c.kind for c in schema.columns}
    assert kinds == {
        "id": "identifier",
        "price": "number",
        "count": "number",
        "city": "category",
        "sold": "boolean",
        "when": "date",
        "target": "category",
    }
    assert schema.column("price").missing == pytest.approx(9 / 60)
    assert schema.column("city").levels == ("Bern", "Genf", "Thun")
    assert schema.source == "t.csv"
    fields = decode(tmp_path / "t.csv", schema)
    assert fields["when"][:2].tolist() == [18262, 18262 + 37 / 24]
    assert fields["sold"][:2].tolist() == [1, 0]
    assert np.isnan(fields["price"][0]) and fields["price"][1] == frame()["price"][1]
    assert fields["id"][0] == "1"
    view = MODALITY.views(schema)["table"]
    assert (view.shape, view.cardinalities) == ((8, 1), (4, 3))
    assert list(MODALITY.features(fields, schema)) == ["price", "count", "city", "sold", "when", "target"]


def test_chunks_join_to_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from metalearner.tables import database, delimited, rows
    from metalearner.tables import frame as frames

    table = frame(50)
    sources = [form(table, tmp_path) for form in (write_csv, write_parquet, write_jsonl, write_sqlite)]
    whole = [(s, sniff(s)) for s in [*sources, table, records(table)]]
    fields = [decode(s, schema) for s, schema in whole]
    for module in (database, delimited, frames, rows):
        monkeypatch.setattr(module, "CHUNK", 7)
    for (source, schema), expected in zip(whole, fields):
        parts = list(MODALITY.decode(source, schema))
        assert [p.rows for p in parts] == [7] * 7 + [1]
        assert_equal(Fields.concat(parts), expected)
        assert sniff(source) == schema


def test_typed_columns_of_a_frame() -> None:
    table = pd.DataFrame(
        {
            "moment": pd.to_datetime(["2020-01-01 12:00", None, "2020-01-02 00:00"] * 10).tz_localize("Europe/Berlin"),
            "grade": pd.Categorical([1, 2, 3] * 10),
            "flag": [True, False, True] * 10,
            "span": pd.to_timedelta([1.5, 2.5] * 15, unit="D"),
            "huge": pd.Series([2**70, 10**400, -(10**5000)] * 10, dtype=object),
            "wide": [1e308, -1e308, np.inf] * 10,
            5: np.float32([0.5, 1.5, 2.5] * 10),
        }
    )
    schema = sniff(table)
    assert [c.kind for c in schema.columns] == ["date", "category", "boolean", "number", "category", "number", "number"]
    fields = decode(table, schema)
    assert fields["moment"][0] == pytest.approx(18262 + 11 / 24) and np.isnan(fields["moment"][1])
    assert fields["grade"][:3].tolist() == ["1", "2", "3"]
    assert fields["span"][:2].tolist() == [1.5, 2.5]
    np.testing.assert_array_equal(fields["wide"][:3], [1e30, -1e30, np.nan])
    assert "5" in fields


def test_the_same_cell_in_every_type() -> None:
    """A number given as JSON number or text is one number; a digit given as 3, 3.0 or "3" is one word."""
    column = ["3", "4", "A", "B"] * 10
    schema = sniff([{"n": x / 4, "c": c} for x, c in zip(range(40), column)])
    assert [c.kind for c in schema.columns] == ["number", "category"]
    given = [("1.50", "3"), (1.5, 3), (1.5, 3.0), (" 1.5 ", "3.0"), (np.float64(1.5), np.int64(3))]
    fields = decode([{"n": n, "c": c} for n, c in given], schema)
    assert fields["n"].tolist() == [1.5] * 5
    assert fields["c"].tolist() == ["3"] * 5
    frames = pd.DataFrame({"n": ["1.50", "x"], "c": [3.0, np.nan]})
    assert decode(frames, schema)["c"].tolist() == ["3", ""]
    np.testing.assert_array_equal(decode(frames, schema)["n"], [1.5, np.nan])


def test_cells_that_are_nothing_a_column_can_hold() -> None:
    schema = sniff(records(frame()))
    odd = [{"price": p, "count": 1, "city": c, "sold": s, "when": w} for p, c, s, w in ODD]
    fields = decode(odd, schema.without("target"))
    assert np.isnan(fields["price"]).all()
    assert np.isnan(fields["sold"]).all()
    assert np.isnan(fields["when"]).all()
    assert fields["city"].dtype.kind == "U" and len(fields["city"]) == len(ODD)


ODD = [
    ("x", "Nowhere", "perhaps", "tomorrow"),
    (None, None, None, None),
    ([1], ["Bern"], [], {"a": 1}),
    ("1_000", b"Bern", 2, 18262),
    (float("inf"), "x" * 5000, "?", "2020-13-45"),
    ("-", "NA", "", "NaT"),
]


def test_rows_without_a_name_are_missing_there_and_none_at_all_is_fine() -> None:
    schema = sniff([{"a": 1, "b": "x"}, {"a": 2}, {"b": "y"}] * 10)
    fields = decode([{"a": 1, "b": "x"}, {"a": 2}], schema)
    assert fields["b"].tolist() == ["x", ""]
    assert decode([], schema).rows == 0
    assert decode(pd.DataFrame({"a": [], "b": []}), schema).rows == 0
    assert set(decode([], schema)) == {"a", "b"}


def test_a_table_in_a_database_is_named(tmp_path: Path) -> None:
    path = write_sqlite(frame(), tmp_path)
    with sqlite3.connect(path) as connection:
        frame(30).to_sql("second", connection, index=False)
    connection.close()
    assert sniff(f"{path}::second").rows == 30
    assert sniff(f"{path}::second").source == "t.db::second"


def test_latin_1_is_read_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("ort,n\nZürich,1\nGenève,2\n".encode("latin-1") * 1)
    schema = sniff(path)
    assert schema.options["encoding"] == "latin-1" and schema.options["note"]
    assert decode(path, schema)["ort"].tolist() == ["Zürich", "Genève"]


@pytest.mark.parametrize(
    ("content", "cells"),
    [
        ('a,b\n"x, y",1\nz,2\n', ["x, y", "z"]),
        ('a,b\n"x\ny",1\nz,2', ["x\ny", "z"]),
        ('a,b\n"say ""x""",1\r\nz,2\r\n', ['say "x"', "z"]),
        ("a;b\nx,y;1\nz,w;2\n", ["x,y", "z,w"]),
        ("\n\na,b\nx,1\n\nz,2\n   \n", ["x", "z"]),
        ('a, b\nx, 1\nz, "2"\n', ["x", "z"]),
        ("a\tb\nx\t1\nz\t2\n", ["x", "z"]),
        ('a,b\n5" pipe,1\nz,2\n', ['5" pipe', "z"]),
        ("a\nx\nz\n", ["x", "z"]),
        ('a,b\n"so" he said,1\nz,2\n', ["so he said", "z"]),
        ('a\tb\n"so\t1\n"he" said\t2\n', ['"so', '"he" said']),
        ('a\tb\n"so\t1\nhe"\t2\n', ['"so', 'he"']),
        ('a\tb\n"so"\t1\n"he"\t2\n', ["so", "he"]),
        ('a\tb\n"s\no"\t1\n"he"\t2\n', ["s\no", "he"]),
    ],
)
def test_delimited_text(content: str, cells: list[str], tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content, newline="")
    schema = sniff(path)
    assert decode(path, schema)["a"].tolist() == cells
    assert schema.rows == 2


CELL = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t", exclude_characters=","), max_size=8
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=20), st.sampled_from(",;\t|"))
def test_what_is_written_is_read(rows: list[tuple[str, ...]], delimiter: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("one", "two", "three"), *rows])
        schema = Schema("tabular", "t.csv", 1, tuple(Column(n, "category") for n in ("one", "two", "three")))
        fields = decode(path, schema)
        assert fields.rows == len(rows)
        for name, column in zip(fields, zip(*rows)):
            assert fields[name].tolist() == words(column)


def test_thousands_are_no_decimals(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b\n" + "1,234;x\n5,678;y\n" * 5)
    assert sniff(path).column("a").kind == "category"


def test_what_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "prose.txt").write_text("Once, upon a time,\nthere was\na fox, a hen, and so on, and on.\n")
    (tmp_path / "list.txt").write_text("one\ntwo\n")
    (tmp_path / "x.npz").write_bytes(b"PK")
    (tmp_path / "other.db").write_bytes(b"\x00\x06\x15\x61 of another kind")
    names = ["prose.txt", "list.txt", "x.npz", "other.db", "absent.csv", "."]
    assert [MODALITY.sniff(tmp_path / n) for n in names] == [None] * len(names)
    assert MODALITY.sniff([]) is None
    assert MODALITY.sniff([1, 2]) is None
    assert MODALITY.sniff([{"signal": [[0.1], [0.2]], "label": "a"}]) is None
    assert MODALITY.sniff([{"x": np.zeros(3)}]) is None
    assert MODALITY.sniff(np.zeros((3, 3))) is None


def test_a_list_of_pictures_is_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    for i in range(20):
        Image.new("L", (4, 4)).save(tmp_path / "pics" / f"{i}.PNG")
    path = tmp_path / "t.csv"
    path.write_text("path,label\n" + "".join(f"pics/{i}.PNG,{i % 2}\n" for i in range(20)))
    assert MODALITY.sniff(path) is None
    path.write_text("path,label\n" + "".join(f"gone/{i}.png,{i % 2}\n" for i in range(20)))
    assert sniff(path).names == ("path", "label")
