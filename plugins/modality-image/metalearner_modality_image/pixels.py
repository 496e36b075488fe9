"""From a picture, be it a file, bytes or numbers, to uint8 of one size and one number of channels.

Pillow is imported only where a picture is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")  # of Pillow's many, some run other programs
DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")  # one channel of more than eight bits
GLANCE = 128  # pixels a side that suffice to tell grey from colour
JPEG_END, JPEG_TAIL = b"\xff\xd9", 4096


class Unreadable(Exception):
    """A picture that cannot be read, with the reason."""


@dataclass(frozen=True)
class Form:
    """What every decoded picture is brought to. `depth`: what is black and white in pictures that are not bytes."""

    height: int
    width: int
    channels: int
    depth: tuple[float, float] | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Form:
        """The form that a schema's options name."""
        depth = options.get("depth")
        height, width = options["size"]
        return cls(int(height), int(width), int(options["channels"]), (depth[0], depth[1]) if depth else None)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.height, self.width, self.channels

    def fit(self, image: Image) -> np.ndarray:
        """A flat picture of any size to uint8 (H, W, C). Reducing averages over all the pixels it merges."""
        from PIL.Image import Resampling

        image = image.convert("L" if self.channels == 1 else "RGB")
        if image.size != (self.width, self.height):
            image = image.resize((self.width, self.height), Resampling.BILINEAR)
        return np.asarray(image).reshape(self.shape)


@dataclass(frozen=True)
class Look:
    """What one picture is: its size, whether it has no colour, and if it is not bytes the range of its values."""

    height: int
    width: int
    grey: bool
    span: tuple[float, float] | None = None
    whole: bool = True  # whether values are whole numbers by their type


def read(file: Path | BytesIO, form: Form) -> np.ndarray:
    """A picture file to uint8 (H, W, C); Unreadable when it is none or broken."""
    with _opened(file) as image:
        # JPEG can be decoded at a fraction of its size, which saves most of the time on photographs
        image.draft(None, (2 * max(form.height, form.width),) * 2)
        return form.fit(_flat(_upright(image), form.depth))


def convert(values: np.ndarray, form: Form) -> np.ndarray:
    """Numbers (h, w) or (h, w, 1 | 3 | 4) to uint8 (H, W, C); what is not uint8 is scaled by the form's depth."""
    return form.fit(_flat(_image(to_bytes(values, form.depth))))


def look(file: Path) -> Look:
    """What a picture file is; Unreadable when it is none."""
    with _opened(file) as image:
        width, height = image.size if _orientation(image) < 5 else image.size[::-1]
        if image.mode in DEEP:
            values = np.asarray(image)
            return Look(height, width, True, _span(values), values.dtype.kind in "iu")
        image.draft(None, (GLANCE, GLANCE))
        return Look(height, width, _is_grey(_flat(image)))


def look_at(values: np.ndarray) -> Look:
    """What a picture of uint8 (h, w, 1 | 3 | 4) is."""
    return Look(values.shape[0], values.shape[1], _is_grey(_flat(_image(values))))


def verify(file: Path) -> None:
    """Unreadable unless the whole of a file is there, as cheaply as its format allows."""
    with _opened(file) as image:
        if image.format == "PNG":
            image.verify()  # the checksums of all chunks
            return
        if image.format in ("JPEG", "MPO"):
            image.fp.seek(-min(image.fp.seek(0, 2), JPEG_TAIL), 2)
            if JPEG_END in image.fp.read():  # nothing else in compressed data looks like the end
                return
        image.load()


def to_bytes(values: np.ndarray, depth: tuple[float, float] | None = None) -> np.ndarray:
    """Numbers to uint8, `depth` being black and white (by their type where it is None).

    >>> to_bytes(np.array([0, 32896, 65535], np.uint16)).tolist(), to_bytes(np.array([0.0, 0.5, 2]), (0, 1)).tolist()
    ([0, 128, 255], [0, 128, 255])
    """
    if values.dtype == np.uint8:
        return values
    if depth is None:
        whole = values.dtype.kind in "iu"
        depth = (0.0, 65535.0) if whole else natural_depth(*_span(values), whole)
    scaled = (values.astype(np.float64) - depth[0]) * (255 / (depth[1] - depth[0]))
    return np.rint(np.clip(np.nan_to_num(scaled, nan=0.0), 0, 255)).astype(np.uint8)


def natural_depth(low: float, high: float, whole: bool) -> tuple[float, float]:
    """Black and white for values from `low` to `high`: the range they were most likely recorded in.

    >>> natural_depth(3, 4000, True), natural_depth(0.1, 0.9, False), natural_depth(-1.5, 1.5, False)
    ((0.0, 4095.0), (0.0, 1.0), (-1.5, 1.5))
    """
    if low >= 0 and whole:
        return 0.0, float(2 ** max(8, int(high).bit_length()) - 1)
    if low >= 0 and high <= 255:
        return 0.0, 1.0 if high <= 1 else 255.0
    return low, high if high > low else low + 1


def depth_of(values: np.ndarray) -> tuple[float, float] | None:
    """The natural depth of an array, None for bytes."""
    return None if values.dtype == np.uint8 else natural_depth(*_span(values), values.dtype.kind in "iu")


def _span(values: np.ndarray) -> tuple[float, float]:
    """The least and the largest finite value, 0 and 1 where there is none."""
    known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


@contextmanager
def _opened(file: Path | BytesIO) -> Iterator[Any]:
    """A picture whose size is bearable; whatever goes wrong with it is Unreadable."""
    from PIL import Image

    try:
        # by path, Pillow maps plain TIFF files into memory and garbles those that are stored on their side
        stream = file.open("rb") if isinstance(file, Path) else nullcontext(file)
        with stream as opened, Image.open(opened, formats=FORMATS) as image:
            pixels = image.width * image.height
            if pixels > (Image.MAX_IMAGE_PIXELS or pixels):
                raise Unreadable(f"{image.width} x {image.height} pixels, at most {Image.MAX_IMAGE_PIXELS} are read")
            yield image
    except Unreadable:
        raise
    except Exception as error:  # the readers of damaged files raise whatever they stumble over
        raise Unreadable(_reason(error)) from None


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "no picture of a known format"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return told.splitlines()[0] if told else type(error).__name__


def _orientation(image: Image) -> int:
    """How the camera was held, 1 to 8; Pillow turns TIFF itself."""
    if image.format == "TIFF":
        return 1
    try:
        found = image.getexif().get(0x0112, 1)
    except Exception:  # a broken note about the picture does not spoil the picture
        return 1
    return found if found in range(1, 9) else 1


def _upright(image: Image) -> Image:
    from PIL.Image import Transpose as T

    turns = {2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE}
    turns |= {6: T.ROTATE_270, 7: T.TRANSVERSE, 8: T.ROTATE_90}
    turn = turns.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _flat(image: Image, depth: tuple[float, float] | None = None) -> Image:
    """Any mode to L or RGB: transparent pictures lie on white, deep ones are scaled to bytes."""
    from PIL import Image as pil

    if image.mode in DEEP:
        return pil.fromarray(to_bytes(np.asarray(image), depth))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return pil.alpha_composite(pil.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("L" if image.mode in ("L", "1") else "RGB")


def _image(values: np.ndarray) -> Image:
    """uint8 (h, w) or (h, w, 1 | 3 | 4) as Pillow has it."""
    from PIL import Image as pil

    return pil.fromarray(np.ascontiguousarray(values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values))


def _is_grey(image: Image) -> bool:
    if image.mode == "L":
        return True
    values = np.asarray(image)
    return bool((values[..., :1] == values).all())
