"""Whatever a picture comes as, the same pixels come out."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from metalearner_modality_image import pixels
from metalearner_modality_image.listing import survey
from metalearner_modality_image.modality import ImageModality
from metalearner_modality_image.pixels import Form, Look, Unreadable
from PIL import Image

from metalearner.arrays import Fields

IMAGE = ImageModality()
RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


def stored(image, kind="PNG", **keywords):
    file = BytesIO()
    image.save(file, kind, **keywords)
    file.seek(0)
    return file


def decoded(image, kind="PNG", form=None, **keywords):
    return pixels.read(stored(image, kind, **keywords), form or Form(image.height, image.width, 3))


def folder(path, make, count=10):
    for label in ("a", "b"):
        (path / label).mkdir(parents=True)
        for i in range(count):
            make(i).save(path / label / f"{i}.png")
    schema = IMAGE.sniff(path)
    return schema, Fields.concat(list(IMAGE.decode(path, schema)))["image"]


def test_modes():
    grey = Image.fromarray(RAMP)
    three = np.repeat(RAMP[..., None], 3, axis=2)
    np.testing.assert_array_equal(decoded(grey), three)
    np.testing.assert_array_equal(decoded(grey.convert("P")), three)
    np.testing.assert_array_equal(decoded(grey, "GIF"), three)
    np.testing.assert_array_equal(decoded(grey.point(lambda v: 255 * (v > 99), "1")), 255 * (three > 99))
    red = Image.new("RGB", (4, 4), (200, 30, 20))
    np.testing.assert_allclose(decoded(red.convert("CMYK"), "TIFF"), np.asarray(red), atol=2)
    np.testing.assert_allclose(decoded(red.convert("CMYK"), "JPEG", quality=95), np.asarray(red), atol=6)
    luma = pixels.read(stored(red), Form(4, 4, 1))
    assert luma.shape == (4, 4, 1) and luma[0, 0, 0] == round(0.299 * 200 + 0.587 * 30 + 0.114 * 20)


def test_what_is_transparent_lies_on_white():
    clear = Image.new("RGBA", (2, 1), (9, 9, 9, 0))
    clear.putpixel((1, 0), (10, 20, 30, 255))
    assert decoded(clear)[0].tolist() == [[255, 255, 255], [10, 20, 30]]
    half = Image.new("LA", (1, 1), (0, 128))
    assert abs(int(decoded(half)[0, 0, 0]) - 127) <= 1
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([0, 0, 0, 50, 60, 70])
    assert decoded(palette, transparency=0)[0].tolist() == [[255, 255, 255], [50, 60, 70]]


def test_sixteen_bits_are_scaled(tmp_path):
    full = (np.arange(64) * 65535 // 63).astype(np.uint16).reshape(8, 8)
    np.testing.assert_array_equal(decoded(Image.fromarray(full))[..., 0], np.rint(full / 257))
    big_endian = Image.frombytes("I;16B", (8, 8), full.astype(">u2").tobytes())
    np.testing.assert_array_equal(decoded(big_endian, "TIFF")[..., 0], np.rint(full / 257))
    # twelve bits in sixteen, as microscopes and scanners write them, keep their contrast
    schema, images = folder(tmp_path, lambda i: Image.fromarray((full >> 4) // (1 + i % 2)))
    assert schema.options["depth"] == [0.0, 4095.0] and schema.options["channels"] == 1
    np.testing.assert_array_equal(images[0][..., 0], np.rint((full >> 4) / 4095 * 255))
    assert images[1].max() == 127


def test_floating_point_tiff():
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    np.testing.assert_array_equal(decoded(Image.fromarray(values), "TIFF")[..., 0], np.rint(values * 255))


def test_the_first_frame_of_an_animation():
    frames = [Image.new("L", (4, 4), level) for level in (10, 200)]
    assert decoded(frames[0], "GIF", save_all=True, append_images=frames[1:]).max() == 10


@pytest.mark.parametrize(("kind", "tolerance"), [("PNG", 0), ("JPEG", 8), ("TIFF", 0), ("WEBP", 0)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_the_camera_was_held(tmp_path, kind, tolerance, orientation):
    upright = np.asarray(Image.fromarray(RAMP).resize((32, 16), Image.Resampling.BICUBIC))
    undo = {
        **{1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.T},
        **{6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1)},
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    keywords = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    file = tmp_path / "a"
    Image.fromarray(np.ascontiguousarray(undo[orientation])).save(file, kind, exif=exif, **keywords)
    found = pixels.read(file, Form(16, 32, 1))[..., 0].astype(int)
    assert np.abs(found - upright).max() <= tolerance
    seen = pixels.look(file)
    assert (seen.height, seen.width, seen.grey) == (16, 32, True)


def test_large_jpegs_are_reduced_without_aliasing():
    stripes = np.tile(np.array([[0], [255]], np.uint8), (400, 600))
    found = decoded(Image.fromarray(stripes), "JPEG", Form(16, 12, 1), quality=95)
    assert np.abs(found.astype(int) - 128).max() < 8, "averaged, not sampled"


def test_equal_small_sizes_are_kept_and_others_reduced(tmp_path):
    def sized(*sizes):
        return lambda i: Image.fromarray(np.full((*sizes[i % len(sizes)], 3), (i, 2 * i, 30), np.uint8))

    schema, images = folder(tmp_path / "a", sized((20, 31)))
    assert schema.options["size"] == [20, 31] and images.shape == (20, 20, 31, 3)
    schema, images = folder(tmp_path / "b", sized((120, 240)))
    assert schema.options["size"] == [112, 224] and images.shape == (20, 112, 224, 3)
    assert images[3, 5, 5].tolist() == [3, 6, 30], "one colour stays one colour"
    schema, images = folder(tmp_path / "c", sized((20, 40), (30, 50), (25, 45)))
    assert schema.options["size"] == [25, 44] or schema.options["size"] == [25, 45]
    assert "from 3 sizes between 20 x 40 and 30 x 50" in schema.column("image").note
    assert folder(tmp_path / "d", sized((4, 600)))[0].options["size"] == [8, 224]


def test_many_pictures_are_kept_smaller_than_few():
    looks = [Look(300, 400, grey=False)] * 10
    few, many = (survey(looks, rows)["size"] for rows in (4400, 4500))
    assert few == [168, 224] and many == [96, 128]
    assert survey([Look(96, 128, grey=False)], 10**9)["size"] == [96, 128]


def test_grey_or_colour(tmp_path):
    def grey(i):
        return Image.fromarray(np.repeat(RAMP[..., None] // (i + 1), 3, axis=2))

    schema, images = folder(tmp_path / "grey", grey)
    assert schema.options["channels"] == 1 and images.shape == (20, 8, 8, 1)
    np.testing.assert_array_equal(images[0][..., 0], RAMP)

    schema, images = folder(tmp_path / "colour", lambda i: Image.new("RGB", (8, 8), (9, 8, 7)) if i == 4 else grey(i))
    assert schema.options["channels"] == 3 and images.shape == (20, 8, 8, 3)


@pytest.mark.filterwarnings("ignore:Image size")
def test_bombs_and_other_formats_are_unreadable(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for side, reason in ((32, "32 x 32 pixels, at most 1000|exceeds limit"), (60, "exceeds limit")):
        with pytest.raises(Unreadable, match=reason):
            decoded(Image.new("L", (side, side)))
    file = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(file, "EPS")
    with pytest.raises(Unreadable, match="no picture of a known format"):
        pixels.verify(file)
    with pytest.raises(Unreadable, match="no such file"):
        pixels.verify(tmp_path / "absent.png")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_notes_about_a_picture_do_not_spoil_it():
    image = Image.new("L", (8, 8), 90)
    found = decoded(image, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\xff\xff\xff\xff")
    assert found.shape == (8, 8, 3) and abs(int(found[0, 0, 0]) - 90) <= 1
