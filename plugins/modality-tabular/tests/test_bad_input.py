"""What cannot be used is said in one message: what happened, what holds, what to try."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from metalearner_modality_tabular.modality import TabularModality

from metalearner.arrays import Fields
from metalearner.errors import DataError

MODALITY = TabularModality()
GOOD = "a,b\n" + "1,x\n" * 5

BROKEN = [
    ("empty.csv", b"", ["empty.csv is empty"]),
    ("blank.csv", b" \n\r\n\t\n", ["is empty"]),
    ("bom.csv", b"\xef\xbb\xbf", ["is empty"]),
    ("header.csv", b"a,b,c\n", ["has a header and no rows"]),
    ("header.tsv", b"a\tb\n\n", ["has a header and no rows"]),
    ("long.csv", b"a,b\n1,2\n3,4,5\n6,7\n", ["Line 3", "3 cells", "header 2"]),
    ("short.csv", b"a,b,c\n1,2,3\n\n4,5\n", ["Line 4", "2 cells", "header 3"]),
    ("after-break.csv", b'a,b\n"x\ny",2\n3\n', ["Line 4", "1 cells", "header 2"]),
    ("index.csv", b"a,b\n0,1,2\n1,3,4\n", ["Line 2", "3 cells", "header 2"]),
    ("quote-swallows.csv", b'a,b\n1,2\n"3,4\n5,6\n7,8\n9",1,2\n', ["Line 3", "quote left open on line 3"]),
    ("twice.csv", b"a,b,a\n1,2,3\n", ["'a' stands 2 times", "columns 1, 3"]),
    ("twice-blanks.csv", b"a, a\n1,2\n", ["'a' stands 2 times", "columns 1, 2"]),
    ("nul.csv", b"a,b\n1,2\n3,\x004\n", ["NUL byte on line 3"]),
    ("utf16-unmarked.csv", "a,b\n1,2\n".encode("utf-16-le"), ["NUL byte on line 1"]),
    ("open.csv", b'a,b\n1,2\n"3,4\n5,6\n', ["quote opened on line 3", "never closed"]),
    ("open-later.csv", b'a,b\n1,2\n"x\ny","z\n5,6\n7,8', ["quote opened on line 4"]),
    ("open-last.csv", b'a,b\n1,2\n3,"4', ["quote opened on line 3"]),
    ("stray.csv", b'a,b\n1,2\n"3,4\n"x" y,6\n7,8\n', ["quote opened on line 3", "swallows"]),
    ("open-header.csv", b'a,"b\n1,2\n', ["quote opened on line 1"]),
    ("rows.jsonl", b"", ["is empty"]),
    ("rows.jsonl", b"\n \n", ["is empty"]),
    ("rows.jsonl", b'{"a": 1}\n{"a": \n', ["Line 2", "no JSON"]),
    ("rows.jsonl", b'{"a": 1}\n\n[1, 2]\n', ["Line 3", "JSON list"]),
    ("rows.jsonl", b'{"a": "\xff"}\n', ["Line 1", "no JSON"]),
    ("rows.jsonl", b'{"a": 1, " a": 2}\n', ["'a' stands 2 times"]),
    ("t.parquet", b"", ["cannot be read as Parquet"]),
    ("t.parquet", b"PAR1 but nothing else PAR1", ["cannot be read as Parquet"]),
    ("t.db", b"", ["is empty"]),
    ("t.db", b"SQLite format 3\0" + b"\xff" * 200, ["cannot be read as SQLite"]),
]


@pytest.mark.parametrize(("name", "content", "said"), BROKEN, ids=[f"{i}-{b[0]}" for i, b in enumerate(BROKEN)])
def test_broken_files(name: str, content: bytes, said: list[str], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        MODALITY.sniff(path)
    for words in said:
        assert words in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert caught.value.hint or caught.value.holds


@pytest.mark.parametrize(
    "source",
    [pd.DataFrame({"a": []}), pd.DataFrame(), pd.DataFrame([[1, 2]], columns=["a", "a"])],
)
def test_broken_frames(source: pd.DataFrame) -> None:
    with pytest.raises(DataError):
        MODALITY.sniff(source)


def test_a_ragged_row_far_down_is_found_when_rows_are_predicted(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(GOOD + "2,y\n" * 25_000)
    schema = MODALITY.sniff(path)
    assert schema is not None and schema.rows == 25_005
    path.write_text(GOOD + "2,y\n" * 25_000 + "3\n")
    with pytest.raises(DataError, match=r"Line 25007 of t.csv has 1 cells, its header 2"):
        list(MODALITY.decode(path, schema))


def test_databases_with_no_table_or_several(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 1")
    with pytest.raises(DataError, match="holds no table"):
        MODALITY.sniff(path)
    connection.execute("CREATE TABLE houses (a, b)")
    with pytest.raises(DataError, match="has no rows"):
        MODALITY.sniff(path)
    connection.execute("CREATE TABLE streets (a, b)")
    connection.commit()
    connection.close()
    with pytest.raises(DataError, match=r"2 tables: houses, streets[\s\S]*t.sqlite::houses"):
        MODALITY.sniff(path)
    with pytest.raises(DataError, match="Did you mean 'houses'"):
        MODALITY.sniff(f"{path}::house")
    with pytest.raises(DataError, match="Unknown table"):
        MODALITY.sniff(f'{path}::x"; DROP TABLE houses; --')


TRAINED = [{"Age": float(i) / 3, "city": "ABC"[i % 3], "note": f"u{i}"} for i in range(40)]


def decode(source: object) -> Fields:
    schema = MODALITY.sniff(TRAINED)
    assert schema is not None
    return Fields.concat(list(MODALITY.decode(source, schema)))


def test_rows_to_predict_may_be_reordered_have_more_columns_and_new_categories() -> None:
    fields = decode([{"extra": 1, "city": "Never", "note": "x", "Age": 1}, {"Age": "2", "city": "A", "note": "y"}])
    assert fields["Age"].tolist() == [1.0, 2.0]
    assert fields["city"].tolist() == ["Never", "A"]
    assert list(fields) == ["Age", "city", "note"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"age": 1, "city": "A"}, "no column 'Age'. Did you mean 'age'?"),
        ({"Agee": 1, "city": "A"}, "no column 'Age'. Did you mean 'Agee'?"),
        ({"Age": 1}, "no column 'city'"),
        ({"other": 1}, "no column 'Age', nor 'city'"),
        ({}, "no column 'Age', nor 'city'"),
    ],
)
def test_rows_to_predict_must_have_the_columns_that_are_used(row: dict, said: str) -> None:
    with pytest.raises(DataError) as caught:
        decode([row])
    assert said in caught.value.happened


def test_columns_that_were_left_out_need_not_be_there() -> None:
    fields = decode(pd.DataFrame({"Age": [1, 2], "city": ["A", "B"]}))
    assert fields["note"].tolist() == ["", ""]


def test_what_is_no_table_cannot_be_decoded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no table"):
        decode(tmp_path)
    with pytest.raises(DataError, match="ndarray is no table"):
        decode(np.zeros((2, 2)))
