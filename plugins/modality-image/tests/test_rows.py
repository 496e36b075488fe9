"""JSON rows, as a server gets them."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from metalearner_modality_image.modality import ImageModality
from PIL import Image

from metalearner.arrays import Fields
from metalearner.errors import DataError

IMAGE = ImageModality()


@pytest.fixture(params=["png", "jpg"])
def pets(request, tmp_path):
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for i in range(10):
            coarse = Image.fromarray(rng.integers(0, 256, (6, 5, 3), dtype=np.uint8))
            coarse.resize((300, 200)).save(tmp_path / label / f"{i}.{request.param}")
    return tmp_path


def decode(source, schema):
    return Fields.concat(list(IMAGE.decode(source, schema)))


def small(channels=1):
    """The schema of 2 x 2 images."""
    from metalearner.records import Column, Schema

    options = {"size": [2, 2], "channels": channels, "beside": ["label"]}
    columns = (Column("image", "array"), Column("label", "category", levels=("a", "b")))
    return Schema("image", "x", 20, columns, options, "label")


def test_base64_gives_what_the_file_gives(pets):
    schema = IMAGE.sniff(pets)
    wanted = decode(pets, schema)
    files = [*sorted(pets.glob("cat/*")), *sorted(pets.glob("dog/*"))]
    rows = []
    for i, file in enumerate(files):
        text = base64.b64encode(file.read_bytes()).decode()
        rows.append({"image": text if i % 2 else f"data:image/png;base64,{text}", "label": file.parent.name})
    fields = decode(rows, schema)
    np.testing.assert_array_equal(fields["image"], wanted["image"])
    assert fields["label"].tolist() == wanted["label"].tolist()
    inputs = schema.without("label")
    np.testing.assert_array_equal(decode([rows[3]], inputs)["image"], wanted["image"][3:4])


def test_nested_lists_give_what_the_file_gives(tmp_path):
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for i in range(10):
            Image.fromarray(rng.integers(0, 256, (90, 70, 3), dtype=np.uint8)).save(tmp_path / label / f"{i}.png")
    schema = IMAGE.sniff(tmp_path)
    rows = [{"image": np.asarray(Image.open(tmp_path / "dog" / f"{i}.png")).tolist()} for i in range(10)]
    np.testing.assert_array_equal(
        decode(rows, schema.without("label"))["image"], decode(tmp_path, schema)["image"][10:]
    )


def test_nested_lists():
    inputs = small().without("label")
    for cell in ([[0, 255], [128, 64]], [[[0], [255]], [[128], [64]]], [[[0] * 3, [255] * 3], [[128] * 3, [64] * 3]]):
        assert decode([{"image": cell, "more": 1}], inputs)["image"].tolist() == [[[[0], [255]], [[128], [64]]]]
    assert decode([{"image": [[0.4, 254.6], [128, 64]]}], inputs)["image"][0, 0].tolist() == [[0], [255]]
    wide = decode([{"image": [[10] * 7] * 3}] * 600, small(3).without("label"))["image"]
    assert wide.shape == (600, 2, 2, 3) and (wide == 10).all()
    assert decode([], inputs)["image"].shape == (0, 2, 2, 1)


def test_numbers_have_the_units_of_the_archive(tmp_path):
    images = np.random.default_rng(0).random((20, 8, 8))
    np.savez(tmp_path / "a.npz", images=images, y=np.arange(20) % 2)
    schema = IMAGE.sniff(tmp_path / "a.npz")
    rows = [{"image": image.tolist()} for image in images]
    wanted = decode(tmp_path / "a.npz", schema)["image"]
    assert wanted.std() > 50
    np.testing.assert_array_equal(decode(rows, schema.without("label"))["image"], wanted)


def test_labels_in_rows():
    schema = small()
    rows = [{"image": [[0, 1], [2, 3]], "label": "a"}, {"image": [[0, 1], [2, 3]]}]
    assert decode(rows, schema)["label"].tolist() == ["a", ""]
    with pytest.raises(DataError, match="no column 'label'"):
        decode(rows[1:], schema)


GOOD = [[0, 1], [2, 3]]
BAD = {
    "no such column": ({"picture": GOOD}, "Row 2 has no column 'image', it has picture"),
    "an empty row": ({}, "Row 2 has no column 'image', it is empty"),
    "no object": (3, "Row 2 is a int"),
    "nothing": ({"image": None}, r"row 2 has shape \(\)"),
    "ragged lists": ({"image": [[1, 2], [3]]}, "row 2 is no rectangle"),
    "words": ({"image": [["a", "b"]]}, "row 2 is no rectangle"),
    "a missing pixel": ({"image": [[1, None]]}, "row 2 has values that are missing"),
    "one axis": ({"image": [1, 2, 3]}, r"row 2 has shape \(3,\)"),
    "two channels": ({"image": [[[1, 2]]]}, r"row 2 has shape \(1, 1, 2\)"),
    "no pixels": ({"image": [[]]}, r"row 2 has shape \(1, 0\)"),
    "negative values": ({"image": [[-1, 3]]}, "row 2 go from -1 to 3"),
    "large values": ({"image": [[0, 4000]]}, "row 2 go from 0 to 4000"),
    "fractions": ({"image": [[0.1, 0.9]]}, "row 2 go from 0.1 to 0.9"),
    "no base64": ({"image": "hello there!"}, "row 2 is text, and no base64"),
    "not ASCII": ({"image": "größer"}, "row 2 is text, and no base64"),
    "no text": ({"image": ""}, "row 2 could not be read"),
    "no picture": ({"image": base64.b64encode(b"hello").decode()}, "row 2 could not be read: no picture of a known"),
    "a path": ({"image": "../secret.png"}, "row 2 is a path, '../secret.png': it is not opened"),
}


@pytest.mark.parametrize(("row", "message"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("labelled", [True, False])
def test_bad_rows(row, message, labelled):
    if isinstance(row, dict):
        row = {**row, "label": "a"} if row else row
    with pytest.raises(DataError, match=message) as caught:
        decode([{"image": GOOD, "label": "a"}, row], small() if labelled else small().without("label"))
    assert caught.value.holds and caught.value.hint


def test_paths_in_rows_are_not_opened(pets, monkeypatch):
    monkeypatch.chdir(pets)
    rows = [{"image": str(f.relative_to(pets)), "label": f.parent.name} for f in sorted(pets.glob("*/*"))]
    with pytest.raises(DataError, match=r"no path in them is opened.*\n.*DataFrame"):
        IMAGE.sniff(rows)
    assert IMAGE.sniff([{"image": GOOD, "label": "a"}]) is None
