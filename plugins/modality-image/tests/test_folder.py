"""Folders of class folders: what is read, in which order, and what is said when it cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from metalearner_modality_image.modality import ImageModality
from PIL import Image

from metalearner.arrays import Fields
from metalearner.errors import DataError

IMAGE = ImageModality()


def picture(file, seed=0, shape=(8, 8)):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(file)


def pets(folder, each=12, **keywords):
    for c, label in enumerate(("cat", "dog")):
        for i in range(each):
            picture(folder / label / f"{i}.png", 100 * c + i, **keywords)
    return folder


def decode(source, schema):
    return Fields.concat(list(IMAGE.decode(source, schema)))


def pixels(file):
    return np.asarray(Image.open(file))[..., None]


def test_classes_are_the_folders_in_natural_order(tmp_path):
    pets(tmp_path)
    picture(tmp_path / "cat" / "deep" / "er" / "1.png", 7)
    schema = IMAGE.sniff(str(tmp_path))
    assert (schema.modality, schema.rows, schema.target_hint) == ("image", 25, "label")
    assert schema.names == ("image", "label")
    assert schema.column("label").kind == "category" and schema.column("label").levels == ("cat", "dog")
    assert schema.options["size"] == [8, 8] and schema.options["channels"] == 1 and schema.options["skipped"] == 0
    fields = decode(tmp_path, schema)
    assert fields["image"].dtype == np.uint8 and fields["image"].shape == (25, 8, 8, 1)
    assert fields["label"].tolist() == ["cat"] * 13 + ["dog"] * 12
    np.testing.assert_array_equal(fields["image"][2], pixels(tmp_path / "cat" / "2.png"))
    np.testing.assert_array_equal(fields["image"][10], pixels(tmp_path / "cat" / "10.png"))
    np.testing.assert_array_equal(fields["image"][12], pixels(tmp_path / "cat" / "deep" / "er" / "1.png"))


def test_more_than_one_chunk(tmp_path):
    pets(tmp_path, each=300)
    parts = list(IMAGE.decode(tmp_path, IMAGE.sniff(tmp_path)))
    assert [p.rows for p in parts] == [512, 88]
    assert parts[1]["label"].tolist() == ["dog"] * 88
    np.testing.assert_array_equal(parts[1]["image"][-1], pixels(tmp_path / "dog" / "299.png"))


def test_a_folder_within_a_folder_and_hidden_files(tmp_path):
    pets(tmp_path / "unpacked" / "pets")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "x.png").write_bytes(b"no")
    (tmp_path / "unpacked" / "pets" / "cat" / "._0.png").write_bytes(b"no")
    schema = IMAGE.sniff(tmp_path)
    assert schema.rows == 24 and schema.column("label").levels == ("cat", "dog")


def test_an_unreadable_image_is_skipped_and_counted(tmp_path):
    pets(tmp_path)
    (tmp_path / "cat" / "5.png").write_bytes(b"not a picture")
    schema = IMAGE.sniff(tmp_path)
    assert schema.options["skipped"] == 1 and schema.rows == 23
    assert schema.options["skipped_names"] == ["cat/5.png (no picture of a known format)"]
    assert "cat/5.png" in schema.column("image").note
    fields = decode(tmp_path, schema)
    assert fields["label"].tolist() == ["cat"] * 11 + ["dog"] * 12
    np.testing.assert_array_equal(fields["image"][5], pixels(tmp_path / "cat" / "6.png"))


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tif", "webp"])
def test_a_truncated_image_is_found_whatever_its_format(tmp_path, suffix):
    pets(tmp_path, shape=(40, 40, 3))
    file = tmp_path / "dog" / f"half.{suffix}"
    picture(file, shape=(40, 40, 3))
    whole = IMAGE.sniff(tmp_path)
    assert whole.rows == 25 and whole.options["skipped"] == 0
    file.write_bytes(file.read_bytes()[:-400])
    schema = IMAGE.sniff(tmp_path)
    assert schema.options["skipped"] == 1 and "dog/half" in schema.options["skipped_names"][0]
    assert decode(tmp_path, schema).rows == schema.rows == 24


def test_damage_that_only_decoding_finds_keeps_rows_aligned(tmp_path, monkeypatch):
    from metalearner_modality_image import pixels as module

    pets(tmp_path)
    schema = IMAGE.sniff(tmp_path)
    reading = module.read

    def damaged(file, form):
        if file.name == "3.png" and file.parent.name == "cat":
            raise module.Unreadable("image file is truncated")
        return reading(file, form)

    monkeypatch.setattr(module, "read", damaged)
    fields = decode(tmp_path, schema)
    assert fields["label"].tolist() == ["cat"] * 11 + ["dog"] * 12
    with pytest.raises(DataError, match=r"cat/3\.png \(image file is truncated\)"):
        decode(tmp_path, schema.without("label"))


def test_rows_to_predict_each_need_an_image(tmp_path):
    schema = IMAGE.sniff(pets(tmp_path / "a"))
    inputs = schema.without("label")
    for i in (10, 9, 1):
        picture(tmp_path / "b" / f"{i}.png", i)
    fields = decode(tmp_path / "b", inputs)
    assert set(fields) == {"image"}
    for row, name in enumerate((1, 9, 10)):
        np.testing.assert_array_equal(fields["image"][row], pixels(tmp_path / "b" / f"{name}.png"))
    np.testing.assert_array_equal(decode(tmp_path / "b" / "9.png", inputs)["image"], fields["image"][1:2])
    assert decode(tmp_path / "a", inputs).rows == 24
    (tmp_path / "b" / "9.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"The image 9\.png .* could not be read"):
        decode(tmp_path / "b", inputs)
    with pytest.raises(DataError, match="3 images and no labels"):
        decode(tmp_path / "b", schema)
    with pytest.raises(DataError, match="There is no"):
        decode(tmp_path / "c", inputs)


def test_a_set_to_evaluate_may_have_one_class_only(tmp_path):
    schema = IMAGE.sniff(pets(tmp_path / "a"))
    picture(tmp_path / "b" / "dog" / "1.png")
    assert decode(tmp_path / "b", schema)["label"].tolist() == ["dog"]


def test_others_may_claim_what_holds_no_images(tmp_path):
    (tmp_path / "sounds" / "a").mkdir(parents=True)
    (tmp_path / "sounds" / "a" / "1.wav").write_bytes(b"RIFF")
    picture(tmp_path / "sounds" / "cover.png")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "a_TRAIN.ts").write_text("@data\n")
    (tmp_path / "notes.txt").write_text("hello")
    for name in ("sounds", "tables", "series", "notes.txt", "absent"):
        assert IMAGE.sniff(tmp_path / name) is None
    for other in (3, {}, [], [{"a": 1}], None):
        assert IMAGE.sniff(other) is None


def nothing(folder):
    folder.mkdir()


def documents(folder):
    folder.mkdir()
    (folder / "notes.md").write_text("hello")
    (folder / "picture.heic").write_bytes(b"hello")


def flat(folder):
    for i in range(30):
        picture(folder / f"{i}.png", i)


def flat_beside_a_table(folder):
    flat(folder)
    (folder / "labels.csv").write_text("id,label\n1,a\n")


def one_class(folder):
    for i in range(30):
        picture(folder / "cat" / f"{i}.png", i)


def stray(folder):
    pets(folder)
    picture(folder / "stray.png")


def parts(folder):
    pets(folder / "train")
    pets(folder / "test", each=2)


def broken(folder):
    pets(folder, each=18)
    (folder / "cat" / "bad1.png").write_bytes(b"no")
    (folder / "dog" / "bad2.png").write_bytes(b"no")


def nothing_readable(folder):
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        (folder / label / "a.png").write_bytes(b"")


BAD = {
    "an empty folder": (nothing, "no images in 'bad', it is empty"),
    "a folder without images": (documents, r"no images in 'bad', its files are 1 \.\w+, 1 \.\w+"),
    "images without class folders": (flat, "30 images and no labels.*\n.*each class in a folder of its own"),
    "a table that may hold the labels": (flat_beside_a_table, "If 'labels.csv' holds them"),
    "one class folder": (one_class, "30 images and no labels, all in 'cat'"),
    "images beside class folders": (stray, r"1 images lie beside the class folders: stray\.png"),
    "parts in place of classes": (parts, "parts, not classes: test, train.*\n.*\n.*'bad/train'.*--test bad/test"),
    "over 5 % unreadable": (broken, r"2 of 38 images in bad could not be read: cat/bad1\.png .*, dog/bad2\.png"),
    "nothing readable": (nothing_readable, "2 of 2 images in bad could not be read"),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_bad_folders(tmp_path, make, message):
    make(tmp_path / "bad")
    with pytest.raises(DataError, match=message) as caught:
        IMAGE.sniff(tmp_path / "bad")
    assert caught.value.holds and len(str(caught.value).splitlines()) <= 3


def test_a_single_image_is_no_set(tmp_path):
    picture(tmp_path / "a.png")
    with pytest.raises(DataError, match="a single image"):
        IMAGE.sniff(tmp_path / "a.png")
