"""Tables with a column of paths: CSV, TSV and DataFrames."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from metalearner_modality_image.modality import ImageModality
from PIL import Image

from metalearner.arrays import Fields
from metalearner.errors import DataError

IMAGE = ImageModality()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pics").mkdir()
    rng = np.random.default_rng(0)
    for i in range(60):
        Image.fromarray(rng.integers(0, 256, (6, 6), dtype=np.uint8)).save(tmp_path / "pics" / f"{i}.png")
    return tmp_path


def write(folder, header, row, rows=60, name="set.csv", separator=","):
    lines = [header, *(row(i) for i in range(rows))]
    (folder / name).write_text("\n".join(separator.join(map(str, line)) for line in lines) + "\n")
    return folder / name


def decode(source, schema):
    return Fields.concat(list(IMAGE.decode(source, schema)))


def pixels(folder, i):
    return np.asarray(Image.open(folder / "pics" / f"{i}.png"))[..., None]


def animal(i):
    return ("cat", "dog")[i % 3 == 0]


@pytest.mark.parametrize(("name", "separator"), [("set.csv", ","), ("set.csv", ";"), ("set.tsv", "\t")])
def test_a_path_and_a_label(folder, name, separator):
    file = write(
        folder, ("file", "animal"), lambda i: (f"pics/{59 - i}.png", animal(i)), name=name, separator=separator
    )
    schema = IMAGE.sniff(file)
    assert schema.names == ("image", "animal") and schema.target_hint == "animal" and schema.rows == 60
    assert schema.column("animal").levels == ("cat", "dog") and schema.options["path_column"] == "file"
    fields = decode(file, schema)
    assert fields["animal"].tolist() == [animal(i) for i in range(60)]
    np.testing.assert_array_equal(fields["image"][0], pixels(folder, 59))
    np.testing.assert_array_equal(fields["image"][59], pixels(folder, 0))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (lambda i: i * 0.5, "number"),
        (lambda i: "" if i == 7 else "?" if i == 8 else i + 3, "number"),
        (lambda i: i % 20, "category"),
        (lambda i: f"class{i % 30}", "category"),
        (lambda i: "n/a" if i % 5 == 0 else i, "category"),
    ],
    ids=["fractions", "nearly all numbers", "few numbers", "texts", "too few numbers"],
)
def test_kinds_of_targets(folder, value, kind):
    schema = IMAGE.sniff(write(folder, ("path", "value"), lambda i: (f"pics/{i}.png", value(i))))
    assert schema.column("value").kind == kind
    found = decode(folder / "set.csv", schema)["value"]
    if kind == "number":
        wanted = [float(v) if v not in ("", "?") else np.nan for v in map(value, range(60))]
        np.testing.assert_array_equal(found, wanted)
        assert schema.column("value").missing == pytest.approx(np.isnan(wanted).mean())
    else:
        assert found.tolist() == [str(value(i)) for i in range(60)]


def test_codes_of_many_classes_are_classes(folder):
    row = lambda i: (f"pics/{i % 60}.png", i % 40)  # noqa: E731
    assert IMAGE.sniff(write(folder, ("path", "code"), row, rows=240)).column("code").kind == "category"
    ages = lambda i: (f"pics/{i % 60}.png", 1 + i % 40)  # noqa: E731
    assert IMAGE.sniff(write(folder, ("path", "age"), ages, rows=240)).column("age").kind == "number"


def test_columns_beside_path_and_target_are_noted_and_not_needed(folder):
    file = write(folder, ("id", "path", "label", "site"), lambda i: (i, f"pics/{i}.png", animal(i), "AB"[i % 2]))
    schema = IMAGE.sniff(file)
    assert schema.names == ("image", "id", "label", "site") and schema.target_hint == "label"
    assert "left out" in schema.column("site").note
    assert set(IMAGE.views(schema)) == {"image"}
    inputs = schema.without("label")
    write(folder, ("path",), lambda i: (f"pics/{i}.png",), rows=5, name="new.csv")
    fields = decode(folder / "new.csv", inputs)
    assert fields.rows == 5 and np.isnan(fields["id"]).all() and fields["site"].tolist() == [""] * 5
    with pytest.raises(DataError, match="no column but the paths"):
        decode(folder / "new.csv", schema)
    write(folder, ("path", "site"), lambda i: (f"pics/{i}.png", "A"), rows=5, name="new.csv")
    with pytest.raises(DataError, match=r"no column 'label'\.\nIt has site"):
        decode(folder / "new.csv", schema)
    # nobody says which of two is the target
    assert IMAGE.sniff(write(folder, ("p", "a", "b"), lambda i: (f"pics/{i}.png", i % 2, i % 3))).target_hint == ""


def test_missing_and_broken_files_are_skipped_up_to_5_percent(folder):
    file = write(folder, ("path", "label"), lambda i: ("pics/none.png" if i == 55 else f"pics/{i}.png", animal(i)))
    (folder / "pics" / "3.png").write_bytes(b"no")
    schema = IMAGE.sniff(file)
    assert schema.options["skipped"] == 2 and schema.rows == 58
    assert schema.options["skipped_names"][1] == "pics/none.png (no such file)"
    fields = decode(file, schema)
    assert fields["label"].tolist() == [animal(i) for i in range(60) if i not in (3, 55)]
    with pytest.raises(DataError, match=r"The image pics/3\.png .* could not be read"):
        decode(file, schema.without("label"))


def test_a_folder_answers_to_the_name_the_table_gave(folder):
    schema = IMAGE.sniff(write(folder, ("path", "animal"), lambda i: (f"pics/{i}.png", animal(i))))
    for label in ("cat", "dog"):
        (folder / "new" / label).mkdir(parents=True)
        Image.new("L", (9, 9)).save(folder / "new" / label / "a.png")
    assert decode(folder / "new", schema)["animal"].tolist() == ["cat", "dog"]


def test_mere_tables_are_left_to_others(folder):
    assert IMAGE.sniff(write(folder, ("a", "b"), lambda i: (i, i % 2))) is None
    assert IMAGE.sniff(write(folder, ("scan", "size"), lambda i: (f"elsewhere/{i}.png", i))) is None
    (folder / "empty.csv").write_text("")
    assert IMAGE.sniff(folder / "empty.csv") is None
    assert IMAGE.sniff(write(folder, ("path", "label"), None, rows=0)) is None
    (folder / "latin.csv").write_bytes("straße,label\n1,2\n".encode("latin-1"))
    assert IMAGE.sniff(folder / "latin.csv") is None


def test_no_rows_to_predict(folder):
    schema = IMAGE.sniff(write(folder, ("path", "label"), lambda i: (f"pics/{i}.png", animal(i))))
    assert decode([], schema.without("label"))["image"].shape == (0, 6, 6, 1)
    with pytest.raises(DataError, match="holds no images"):
        decode(pd.DataFrame({"path": []}), schema.without("label"))


def test_a_table_without_a_column_of_images_cannot_be_predicted(folder):
    schema = IMAGE.sniff(write(folder, ("path", "label"), lambda i: (f"pics/{i}.png", animal(i))))
    with pytest.raises(DataError, match="holds no images"):
        decode(write(folder, ("a", "b"), lambda i: (i, i), name="b.csv"), schema.without("label"))


BAD = {
    "paths alone": ("path\n" + "".join(f"pics/{i}.png\n" for i in range(60)), "no column but the paths in 'path'"),
    "no header": ("".join(f"pics/{i}.png,a\n" for i in range(60)), "no header: its first line names the image"),
    "many files not there": (
        "path,label\n" + "".join(f"pics/{i}.png,a\n" for i in range(30, 80)),
        r"20 of the first 50 images that column 'path' of bad.csv names are not there: pics/60\.png",
    ),
    "over 5 % not there": (
        "path,label\n" + "".join(f"pics/{i}.png,a\n" for i in range(68)),
        r"8 of 68 images in bad\.csv could not be read: pics/60\.png \(no such file\), .* and 3 more",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_bad_tables(folder, text, message):
    (folder / "bad.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        IMAGE.sniff(folder / "bad.csv")


@pytest.mark.parametrize(
    "text",
    [
        "path,label\n" + "".join(f"pics/{i}.png,a\n" for i in range(60)) + "pics/1.png\n",
        "path,a,a\n" + "".join(f"pics/{i}.png,1,2\n" for i in range(60)),
    ],
    ids=["a ragged row", "a name twice"],
)
def test_broken_tables_are_left_to_those_who_read_tables_until_they_are_to_be_predicted(folder, text):
    (folder / "bad.csv").write_text(text)
    assert IMAGE.sniff(folder / "bad.csv") is None
    schema = IMAGE.sniff(write(folder, ("path", "label"), lambda i: (f"pics/{i}.png", animal(i))))
    with pytest.raises(
        DataError, match=r"Line 62 of bad\.csv has 1 cells, its header 2|'a' stands 2 times in bad\.csv"
    ):
        decode(folder / "bad.csv", schema.without("label"))


@pytest.mark.parametrize("form", ["parquet", "jsonl", "db"])
def test_paths_in_tables_of_any_form(folder, form):
    frame = pd.DataFrame({"file": [f"pics/{i}.png" for i in range(60)], "animal": [animal(i) for i in range(60)]})
    if form == "parquet":
        frame.to_parquet(folder / "set.parquet")
    elif form == "jsonl":
        frame.to_json(folder / "set.jsonl", orient="records", lines=True)
    else:
        with closing(sqlite3.connect(folder / "set.db")) as connection:
            frame.to_sql("animals", connection, index=False)
    schema = IMAGE.sniff(folder / f"set.{form}")
    assert schema.names == ("image", "animal") and schema.rows == 60
    np.testing.assert_array_equal(decode(folder / f"set.{form}", schema)["image"][7], pixels(folder, 7))


def test_data_frames(folder, monkeypatch):
    monkeypatch.chdir(folder)
    frame = pd.DataFrame({"image": [f"pics/{i}.png" for i in range(60)], "label": [animal(i) for i in range(60)]})
    schema = IMAGE.sniff(frame)
    assert schema.names == ("image", "label") and schema.source == "DataFrame"
    fields = decode(frame, schema)
    assert fields["label"].tolist() == frame["label"].tolist()
    np.testing.assert_array_equal(fields["image"][7], pixels(folder, 7))
    np.testing.assert_array_equal(
        decode(frame[["image"]][40:42], schema.without("label"))["image"][1], pixels(folder, 41)
    )
    cells = pd.DataFrame({"image": [pixels(folder, 4)[..., 0].tolist(), pixels(folder, 5)]})
    np.testing.assert_array_equal(decode(cells, schema.without("label"))["image"][1], pixels(folder, 5))
    assert IMAGE.sniff(pd.DataFrame({"image": ["a", "b"], "x": [1, 2]})) is None
    assert IMAGE.sniff(pd.DataFrame({"x": [1, 2]})) is None
