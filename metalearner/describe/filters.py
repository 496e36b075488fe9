"""Random local filters over the ordered axes of data: the features of a learner that knows what lies beside what."""

from __future__ import annotations

import numpy as np

from .flat import standardised

CHANNELS = 16
FILTERS = 36
WIDTHS = (3, 5, 9)  # of filters along one axis
REGIONS = 8  # along one axis; 3 x 3 along two


def grid(x: np.ndarray, axes: list[int]) -> np.ndarray:
    """(n, axes..., c) to (n, h, w, channels): one or two ordered axes, w = 1 for one; all else becomes channels.

    Each channel is standardised over samples and positions; what is missing is 0.
    """
    x = np.moveaxis(x, [a + 1 for a in axes], range(1, len(axes) + 1))
    x = x.reshape(*x.shape[: len(axes) + 1], -1)
    x = standardised(x.reshape(-1, x.shape[-1])).reshape(x.shape)
    return x[:, :, None, :] if len(axes) == 1 else x


def shrink(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """At most 128 steps of one axis or 20 x 20 of two, by averaging neighbours; at most 16 channels, mixed by chance."""
    limit = 128 if x.shape[2] == 1 else 20
    if x.shape[-1] > CHANNELS:
        x = x @ (rng.normal(size=(x.shape[-1], CHANNELS)) / np.sqrt(x.shape[-1])).astype(np.float32)
    for axis in (1, 2):
        factor = -(-x.shape[axis] // limit)
        if factor > 1:
            length = x.shape[axis] // factor
            x = np.moveaxis(np.moveaxis(x, axis, -1)[..., : length * factor], -1, axis)
            x = x.reshape(*x.shape[:axis], length, factor, *x.shape[axis + 1 :]).mean(axis=axis + 1)
    return x


def features(x: np.ndarray, seed: int, regions: bool = True) -> np.ndarray:
    """Random local filters, ReLU, mean over each region or over everything: (n, h, w, c) -> (n, features).

    Over everything there are as many features, of more filters.
    """
    rng = np.random.default_rng(seed)
    line = x.shape[2] == 1
    sizes = [(min(k, x.shape[1]), 1) for k in WIDTHS] if line else [(min(3, x.shape[1]), min(3, x.shape[2]))]
    found = []
    for high, wide in sizes:
        patches = np.lib.stride_tricks.sliding_window_view(x, (high, wide), axis=(1, 2))  # (n, h', w', c, high, wide)
        n, h, w = patches.shape[:3]
        down, across = (min(REGIONS, h), 1) if line else (min(3, h), min(3, w))
        filters = FILTERS // len(sizes) * (1 if regions else down * across)
        weights = rng.normal(size=(x.shape[-1] * high * wide, filters)).astype(np.float32)
        weights /= np.linalg.norm(weights, axis=0)
        if not regions:
            found.append(_everywhere(patches, weights))
            continue
        answers = np.maximum(patches.reshape(n, h, w, -1) @ weights, 0)  # (n, h', w', filters)
        for rows in np.array_split(np.arange(h), down):
            for columns in np.array_split(np.arange(w), across):
                region = answers[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                found.append(region.mean(axis=(1, 2)))
    return np.concatenate(found, axis=1)


def _everywhere(patches: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The mean over all places, (n, filters); a few samples at a time, for many filters take much room."""
    n, h, w = patches.shape[:3]
    step = max(1, int(2e7 / (h * w * weights.shape[1])))
    parts = [patches[i : i + step].reshape(min(step, n - i), h * w, -1) for i in range(0, n, step)]
    return np.concatenate([np.maximum(part @ weights, 0).mean(axis=1) for part in parts])
