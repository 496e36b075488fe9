"""Texts in tables of any form and in folders: what is one, how it travels, what is said of a bad one."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from metalearner_modality_text.marks import MARKS, TextMarks, measured
from metalearner_modality_text.modality import TextModality
from metalearner_modality_text.texts import LONGEST, are_texts, packed, raw, texts_of, tokens, unpacked

from metalearner.arrays import RAW, Fields, Ragged
from metalearner.errors import DataError
from metalearner.testing import check_modality, check_transform

TEXT = TextModality()
PRAISE, BLAME = "what a lovely, lovely film {} it was", "I have never been so bored {} in my life"
ROWS = [((PRAISE, BLAME)[i % 2].format(f"number {i}"), ("good", "bad")[i % 2]) for i in range(60)]
FRAME = pd.DataFrame(ROWS, columns=["review", "mood"])


def decode(source, schema):
    return Fields.concat(list(TEXT.decode(source, schema)))


def write(folder, form, frame=FRAME):
    file = folder / f"set.{form}"
    if form in ("csv", "tsv"):
        frame.to_csv(file, index=False, sep="," if form == "csv" else "\t")
    elif form == "parquet":
        frame.to_parquet(file)
    elif form == "jsonl":
        frame.to_json(file, orient="records", lines=True)
    else:
        with closing(sqlite3.connect(file)) as connection:
            frame.to_sql("reviews", connection, index=False)
    return file


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet", "jsonl", "db"])
def test_a_table_of_any_form(tmp_path, form):
    file = write(tmp_path, form)
    schema = check_modality(TEXT, file)
    assert [(c.name, c.kind) for c in schema.columns] == [("review", "text"), ("mood", "category")]
    assert schema.rows == 60 and schema.target_hint == "mood" and not any(c.left_out for c in schema.columns)
    fields = decode(file, schema)
    assert isinstance(fields["review"], Ragged) and unpacked(fields["review"]) == FRAME["review"].tolist()
    assert fields["mood"].tolist() == FRAME["mood"].tolist()


def test_rows_in_memory_and_rows_to_predict():
    schema = TEXT.sniff(FRAME)
    assert schema.column("review").kind == "text"
    inputs = schema.without("mood")
    rows = [{"review": "fine"}, {"review": None}, {"review": 7.5}, {"review": ["a", 1], "more": 2}]
    assert unpacked(decode(rows, inputs)["review"]) == ["fine", "", "7.5", '["a", 1]']
    assert decode([], inputs).rows == 0
    with pytest.raises(DataError, match=r"no column 'review'.* Did you mean 'reviews'"):
        decode([{"reviews": "fine"}], inputs)


def test_folders_of_class_folders(tmp_path):
    for i, (text, mood) in enumerate(ROWS):
        (tmp_path / "set" / mood).mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / mood / f"{i:02}.txt").write_bytes(text.encode("utf-8" if i else "utf-8-sig"))
    (tmp_path / "set" / "bad" / "01.txt").write_bytes("caf\xe9 au lait".encode("latin-1"))
    schema = check_modality(TEXT, tmp_path / "set")
    fields = decode(tmp_path / "set", schema)
    assert schema.target_hint == "label" and sorted(set(fields["label"].tolist())) == ["bad", "good"]
    assert unpacked(fields["text"])[0] == "café au lait" and "﻿" not in "".join(unpacked(fields["text"]))
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a.txt").write_text("fine")
    assert unpacked(decode(tmp_path / "new", schema.without("label"))["text"]) == ["fine"]
    (tmp_path / "set" / "bad" / "x.png").write_bytes(b"")
    assert TEXT.sniff(tmp_path / "set") is None


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        (["It rained all day long.", "Nobody knew what to say about it.", "ok then"], True),
        (["今日はとても良い天気です", "明日は雨が降るでしょう", "何も言うことはありません"], True),
        (["red", "green", "blue"], False),
        (["1.5 2.5 3.5", "2 3 4 5", "7 8 9"], False),
        (["New York City"] * 4 + ["San Diego Bay Area"], False),
        ([1.0, 2.0, 3.0], False),
        ([None, "", "  "], False),
    ],
    ids=["sentences", "a script without blanks", "words", "numbers", "few levels", "floats", "nothing"],
)
def test_what_texts_are(cells, text):
    assert are_texts(cells) == text


def test_mere_tables_and_columns_beside(tmp_path):
    assert TEXT.sniff(pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x"]})) is None
    wide = FRAME.assign(**{f"n{i}": np.arange(60) * 1.5 for i in range(3)})
    schema = TEXT.sniff(wide)
    assert sum(c.left_out for c in schema.columns) == 4  # who reads numbers leaves out fewer
    with pytest.raises(DataError, match="no column beside the texts"):
        TEXT.sniff(FRAME[["review"]])


def test_long_texts_are_cut_and_counted(tmp_path):
    long = FRAME.assign(review=[("word " * 30_000 if i == 3 else t) for i, t in enumerate(FRAME["review"])])
    schema = TEXT.sniff(long)
    assert schema.column("review").note.startswith("1 texts are longer than 100,000 characters")
    assert decode(long, schema)["review"].lengths.max() == LONGEST


def test_bytes_there_and_back():
    texts = ["", "café", "今日", "a\0b".replace("\0", " "), "x" * 50]
    found = packed(texts)
    assert unpacked(found) == texts and texts_of(raw(found, 100)) == texts
    assert raw(packed([]), 100).values.shape == (0, 0)


def test_tokens_of_several_scripts():
    assert tokens("Don't! 今日は，№5") == ["don't", "!", "今", "日", "は", "，", "№", "5"]


def test_the_transform_keeps_its_contract_and_sees_what_is_said():
    schema = TEXT.sniff(FRAME)
    fields = decode(FRAME, schema)
    check_transform(TextMarks(), fields, schema)
    state = json.loads(json.dumps(TextMarks().fit(fields, schema)))
    tensors = TextMarks().apply(state, fields)
    assert "lovely" in state["texts"][0]["words"] and texts_of(tensors["text" + RAW]) == FRAME["review"].tolist()
    column = len(MARKS) + state["texts"][0]["words"].index("lovely")
    lovely = tensors["text"].values[:, column, 0] > 0
    assert lovely.tolist() == [m == "good" for m in FRAME["mood"]]


def test_several_columns_of_texts_have_a_view_each():
    pairs = FRAME.assign(answer=[f"and what do you say to that, {i}?" for i in range(60)])
    schema = TEXT.sniff(pairs)
    state = TextMarks().fit(decode(pairs, schema), schema)
    assert set(TextMarks().views(state)) == set(TEXT.views(schema)) == {"text 1", "text 2"}


def test_of_a_pair_of_texts_one_may_be_missing(caplog):
    pairs = FRAME.assign(answer=[f"and what do you say to that, {i}?" for i in range(60)])
    schema = TEXT.sniff(pairs).without("mood")
    fields = decode([{"review": "fine"}, {"review": "good"}], schema)
    assert unpacked(fields["review"]) == ["fine", "good"] and unpacked(fields["answer"]) == ["", ""]
    assert "no column 'answer'" in caplog.text
    state = TextMarks().fit(decode(pairs, schema), schema)
    assert np.isfinite(TextMarks().apply(state, fields)["text 2"].values).all()
    with pytest.raises(DataError, match="no column 'review'"):
        decode([{"other": "fine"}], schema)
    with pytest.raises(DataError, match="no column 'mood'"):  # to learn, or to be judged, the target is needed
        decode(pairs.drop(columns="mood"), TEXT.sniff(pairs))


def test_no_text_at_all_has_the_form_of_some():
    found = Fields.concat([Fields({"a": packed([])}), Fields({"a": packed(["x", "yz"])})])
    assert packed([]).values.dtype == np.uint8 and unpacked(found["a"]) == ["x", "yz"]


def test_marks_of_empty_and_odd_texts_are_finite():
    table = measured(
        ["", " ", "!!!", "HELLO http://x.y #tag @me", "ааааа", "\ud800".encode("utf-8", "replace").decode()]
    )
    assert np.isfinite(table).all() and table.shape == (6, len(MARKS))
    features = TEXT.features(decode(FRAME, TEXT.sniff(FRAME)), TEXT.sniff(FRAME))
    assert set(features) == set(MARKS) and all(len(v) == 60 for v in features.values())


def test_where_all_would_be_too_wide_the_longest_are_cut():
    found = packed(["short", "é" * 50])
    assert texts_of(raw(found, 21)) == ["short", "é" * 10]  # half a character is none
