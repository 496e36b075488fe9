"""The transform "image-scaling": each channel to mean 0 and deviation 1 over the training rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metalearner.arrays import RAW, Fields, Tensor, Tensors
from metalearner.kinds import State, Transform
from metalearner.records import Axis, Schema, View

CHUNK = 512
# Pixels of the longer side that learners look at who are not told of the bytes beside.
SEEN = 64


class ImageScaling(Transform):
    """Learns mean and deviation of each channel, and takes bytes to float32 by them."""

    name = "image-scaling"

    def fit(self, fields: Fields, schema: Schema) -> State:
        """Mean and deviation from how often each of the 256 values occurs, hence exact; a constant channel keeps 1."""
        images = np.asarray(fields["image"])  # uint8 (n, H, W, C)
        channels, size = images.shape[-1], seen_size(*images.shape[1:3])
        counts = np.zeros((channels, 256))
        for start in range(0, len(images), CHUNK):
            part = shrunk(images[start : start + CHUNK], size)
            counts += [np.bincount(part[..., c].ravel(), minlength=256) for c in range(channels)]
        share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
        mean = share @ np.arange(256)
        std = np.sqrt((share * (np.arange(256) - mean[:, None]) ** 2).sum(axis=1))
        return {
            "size": list(size),
            "mean": mean.tolist(),
            "std": np.where(std > 1e-6, std, 1.0).tolist(),
        }

    def apply(self, state: State, fields: Fields) -> Tensors:
        """float32 (n, H, W, C), and the bytes beside it."""
        images = np.asarray(fields["image"])
        mean, std = np.float32(state["mean"]), np.float32(state["std"])
        size = (int(state["size"][0]), int(state["size"][1]))
        values = np.empty((len(images), *size, images.shape[-1]), dtype=np.float32)
        for start in range(0, len(images), CHUNK):  # no second copy of all
            values[start : start + CHUNK] = (shrunk(images[start : start + CHUNK], size) - mean) / std
        return {"image": Tensor(values), "image" + RAW: Tensor(images)}

    def views(self, state: State) -> dict[str, View]:
        """The view "image"."""
        return {"image": picture(state["size"], len(state["mean"]))}


def picture(size: Sequence[int], channels: int) -> View:
    """The view of pictures (height, width), the bytes beside it."""
    return View(tuple(Axis("space", side) for side in size), channels, raw="pixels", channel_kind="colours")


def seen_size(height: int, width: int, most: int = SEEN) -> tuple[int, int]:
    """What pictures are reduced to where they are larger than learners look at.

    >>> seen_size(28, 28), seen_size(128, 96)
    ((28, 28), (64, 48))
    """
    scale = min(1.0, most / max(height, width, 1))
    return (height, width) if scale == 1 else (max(1, round(height * scale)), max(1, round(width * scale)))


def shrunk(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 (n, H, W, C) at a smaller size, averaging over all the pixels that are merged."""
    if images.shape[1:3] == size:
        return images
    from PIL import Image
    from PIL.Image import Resampling

    found = np.empty((len(images), *size, images.shape[-1]), np.uint8)
    for i, image in enumerate(images):
        for c in range(images.shape[-1]):
            plane = Image.fromarray(image[..., c]).resize((size[1], size[0]), Resampling.BILINEAR)
            found[i, ..., c] = np.asarray(plane)
    return found
