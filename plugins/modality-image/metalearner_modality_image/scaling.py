"""The transform "image-scaling": each channel to mean 0 and deviation 1 over the training rows."""

from __future__ import annotations

import numpy as np

from metalearner.arrays import RAW, Fields, Tensor, Tensors
from metalearner.kinds import State, Transform
from metalearner.records import Axis, Schema, View

CHUNK = 512


class ImageScaling(Transform):
    """Learns mean and deviation of each channel, and takes bytes to float32 by them."""

    name = "image-scaling"

    def fit(self, fields: Fields, schema: Schema) -> State:
        """Mean and deviation from how often each of the 256 values occurs, hence exact; a constant channel keeps 1."""
        images = np.asarray(fields["image"])  # uint8 (n, H, W, C)
        channels = images.shape[-1]
        counts = np.zeros((channels, 256))
        for start in range(0, len(images), CHUNK):
            part = images[start : start + CHUNK]
            counts += [np.bincount(part[..., c].ravel(), minlength=256) for c in range(channels)]
        share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
        mean = share @ np.arange(256)
        std = np.sqrt((share * (np.arange(256) - mean[:, None]) ** 2).sum(axis=1))
        return {
            "size": [int(side) for side in images.shape[1:3]],
            "mean": mean.tolist(),
            "std": np.where(std > 1e-6, std, 1.0).tolist(),
        }

    def apply(self, state: State, fields: Fields) -> Tensors:
        """float32 (n, H, W, C), and the bytes beside it."""
        images = np.asarray(fields["image"])
        mean, std = np.float32(state["mean"]), np.float32(state["std"])
        values = np.empty(images.shape, dtype=np.float32)
        for start in range(0, len(images), CHUNK):  # no second copy of all
            values[start : start + CHUNK] = (images[start : start + CHUNK] - mean) / std
        return {"image": Tensor(values), "image" + RAW: Tensor(images)}

    def views(self, state: State) -> dict[str, View]:
        """The view "image"."""
        return {"image": View(tuple(Axis("space", side) for side in state["size"]), len(state["mean"]), raw="pixels")}
