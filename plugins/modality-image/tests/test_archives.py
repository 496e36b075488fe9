"""NPZ archives: which are pictures, what becomes of them, and what is said of bad ones."""

from __future__ import annotations

import numpy as np
import pytest
from metalearner_modality_image.modality import ImageModality

from metalearner import plugins
from metalearner.arrays import Fields
from metalearner.errors import DataError

IMAGE = ImageModality()
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 8, 9), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (20, 8, 9, 3), dtype=np.uint8)
Y = np.arange(20) % 2


def archive(folder, name="a.npz", **arrays):
    np.savez(folder / name, **arrays)
    return folder / name


def decode(source, schema):
    return Fields.concat(list(IMAGE.decode(source, schema)))


CLAIMED = {
    "grey": ({"x": GREY, "y": Y}, GREY[..., None]),
    "a channel of its own": ({"X": GREY[..., None], "labels": Y}, GREY[..., None]),
    "colour": ({"data": COLOUR, "target": Y}, COLOUR),
    "channels first": ({"x": COLOUR.transpose(0, 3, 1, 2), "y": Y}, COLOUR),
    "a name of its own": ({"scans": COLOUR, "label": Y, "classes": np.array(["a", "b"])}, COLOUR),
    "no names": ({"arr_0": COLOUR, "arr_1": Y}, COLOUR),
    "grey written as colour": ({"x": np.repeat(GREY[..., None], 3, axis=3), "y": Y}, GREY[..., None]),
    "opaque": ({"x": np.concatenate([COLOUR, np.full_like(COLOUR[..., :1], 255)], axis=3), "y": Y}, COLOUR),
    "fractions": ({"images": GREY / 255, "y": Y}, GREY[..., None]),
    "whole numbers": ({"image": COLOUR.astype(np.int64), "targets": Y}, COLOUR),
    "twelve bits": ({"images": GREY.astype(np.uint16) * 16, "y": Y}, np.rint(GREY / 4095 * 16 * 255)[..., None]),
    "cut in parts": ({"x_train": GREY, "y_train": Y, "x_test": COLOUR[:3], "y_test": Y[:3]}, GREY[..., None]),
    "cut in named parts": ({"train_images": GREY, "train_labels": Y, "test_images": GREY[:2]}, GREY[..., None]),
    "labels in a column": ({"x": GREY, "y": Y[:, None]}, GREY[..., None]),
}


@pytest.mark.parametrize(("arrays", "wanted"), CLAIMED.values(), ids=CLAIMED)
def test_archives_of_pictures(tmp_path, arrays, wanted):
    file = archive(tmp_path, **arrays)
    schema = IMAGE.sniff(file)
    assert schema.rows == 20 and schema.names == ("image", "label") and schema.target_hint == "label"
    assert schema.options["size"] == [8, 9] and schema.options["channels"] == wanted.shape[-1]
    fields = decode(str(file), schema)
    assert fields["image"].dtype == np.uint8
    np.testing.assert_array_equal(fields["image"], wanted)
    assert fields["label"].tolist() == [str(label) for label in Y]
    np.testing.assert_array_equal(decode(file, schema.without("label"))["image"], wanted)


LEFT = {
    "fractions": {"x": GREY / 255, "y": Y},
    "a narrow array": {"x": GREY[:, :, :3], "y": Y},
    "rows of bytes": {"x": GREY.reshape(20, -1), "y": Y},
    "five channels": {"x": np.zeros((20, 8, 9, 5), np.uint8), "y": Y},
    "a signal with a mask of bytes": {"x": np.zeros((20, 50)), "mask": GREY, "y": Y},
    "two arrays of bytes": {"left": GREY, "right": GREY, "y": Y},
    "labels alone": {"y": Y},
}


@pytest.mark.parametrize("arrays", LEFT.values(), ids=LEFT)
def test_other_arrays_are_left_to_others(tmp_path, arrays):
    assert IMAGE.sniff(archive(tmp_path, **arrays)) is None


@pytest.mark.parametrize("arrays", [a for a, _ in CLAIMED.values()], ids=CLAIMED)
def test_an_archive_is_never_claimed_by_signals_too(tmp_path, arrays):
    signal = plugins.load(only=["modality-signal"]).modalities.get("signal")
    if signal is None:
        pytest.skip("the signal modality is not installed")
    assert signal.sniff(archive(tmp_path, **arrays)) is None


def test_the_test_part_is_noted(tmp_path):
    schema = IMAGE.sniff(archive(tmp_path, x_train=GREY, y_train=Y, x_test=GREY[:4], y_test=Y[:4]))
    assert schema.options["test_keys"] == ["x_test", "y_test"]
    assert "x_test and y_test are ignored" in schema.column("image").note
    fields = decode(archive(tmp_path, "b.npz", x_test=GREY[:4], y_test=Y[:4]), schema)
    assert fields.rows == 4 and fields["label"].tolist() == ["0", "1", "0", "1"]


def test_many_rows_and_other_sizes(tmp_path):
    images = RNG.integers(0, 256, (600, 350, 280), dtype=np.uint8)
    schema = IMAGE.sniff(archive(tmp_path, x=images, y=RNG.normal(size=600)))
    assert schema.options["size"] == [224, 179] and schema.column("label").kind == "number"
    parts = list(IMAGE.decode(tmp_path / "a.npz", schema))
    assert [p["image"].shape for p in parts] == [(512, 224, 179, 1), (88, 224, 179, 1)]
    assert parts[0]["label"].dtype == np.float64
    assert parts[0]["image"].std() < images.std() / 1.2, "averaged, not sampled"
    # another size, colour and no labels are brought to the form of the schema
    fields = decode(archive(tmp_path, "b.npz", x=COLOUR), schema.without("label"))
    assert fields["image"].shape == (20, 224, 179, 1)


def test_labels_are_written_in_one_way(tmp_path):
    for y in (Y.astype(np.float32), Y.astype("S1"), Y.astype(str)):
        schema = IMAGE.sniff(archive(tmp_path, x=GREY, y=y))
        assert schema.column("label").levels == ("0", "1")
        assert decode(tmp_path / "a.npz", schema)["label"].tolist() == [str(label) for label in Y]


OBJECTS = np.array([GREY[0], GREY[1, :4]] * 10, dtype=object)
BAD = {
    "without labels": ({"x": GREY}, "20 images, and there are no labels"),
    "object images": ({"x": OBJECTS, "y": Y}, "'x' .* would have to be unpickled.\nNothing is ever unpickled"),
    "object images by name": ({"images": OBJECTS, "y": Y}, "'images' .* would have to be unpickled"),
    "object labels": ({"x": GREY, "y": Y.astype(object)}, "'y' .* would have to be unpickled"),
    "too few labels": ({"x": GREY, "y": Y[:-1]}, "20 images and 19 labels"),
    "one-hot labels": ({"x": GREY, "y": np.eye(2)[Y]}, r"'y' .* shape \(20, 2\)"),
    "images by name alone": ({"images": GREY.reshape(20, -1), "y": Y}, r"'images' .* uint8 \(20, 72\), no images"),
    "text by name": ({"images": GREY.astype(str), "y": Y}, "no images"),
    "no rows": ({"x": GREY[:0], "y": Y[:0]}, "holds no images"),
}


@pytest.mark.parametrize(("arrays", "message"), BAD.values(), ids=BAD)
def test_bad_archives(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message) as caught:
        IMAGE.sniff(archive(tmp_path, "bad.npz", **arrays))
    assert "bad.npz" in caught.value.happened and caught.value.holds


@pytest.mark.parametrize("damage", ["truncated", "flipped", "encrypted", "text", "empty"])
def test_corrupt_archives(tmp_path, damage):
    path = tmp_path / "bad.npz"
    np.savez_compressed(path, x=GREY, y=Y)
    whole = path.read_bytes()
    entry = whole.index(b"PK\x01\x02") + 8  # the flags of the first entry in the archive's directory
    damaged = {
        "truncated": whole[:600],
        "flipped": whole[:700] + bytes(20) + whole[720:],
        "encrypted": whole[:entry] + bytes([whole[entry] | 1]) + whole[entry + 1 :],
        "text": b"PK no",
        "empty": b"",
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(DataError, match=r"bad\.npz cannot be read"):
        IMAGE.sniff(path)


def test_an_archive_without_images_cannot_be_predicted(tmp_path):
    inputs = IMAGE.sniff(archive(tmp_path, x=GREY, y=Y)).without("label")
    with pytest.raises(DataError, match=r"no images in b\.npz, it holds x float64 \(20, 72\)"):
        decode(archive(tmp_path, "b.npz", x=GREY.reshape(20, -1) / 255), inputs)
    with pytest.raises(DataError, match="There is no"):
        decode(tmp_path / "none.npz", inputs)
