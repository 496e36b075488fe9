"""Per-row numbers on which a shift of pictures can be seen."""

from __future__ import annotations

import numpy as np

from .scaling import seen_size, shrunk

CHUNK = 512
# Pixels of the longer side that are looked at: more would take longer and tell no more.
SEEN = 128
GREY = ("brightness", "contrast", "edge energy")
COLOUR = (*GREY, "red", "green", "blue", "saturation")


def features(images: np.ndarray) -> dict[str, np.ndarray]:
    """Of uint8 (n, H, W, C), in units of 0 to 255: mean, deviation, mean gradient; with colour its means and strength."""
    names = COLOUR if images.shape[-1] == 3 else GREY
    size = seen_size(images.shape[1], images.shape[2], SEEN)
    parts = [_measures(shrunk(images[start : start + CHUNK], size)) for start in range(0, len(images), CHUNK)]
    values = np.concatenate(parts) if parts else np.zeros((0, len(names)))
    return {name: values[:, i] for i, name in enumerate(names)}


def _measures(images: np.ndarray) -> np.ndarray:
    """(m, H, W, C) to (m, measures) float64."""
    images = images.astype(np.float32)
    grey = images.mean(axis=-1)  # (m, H, W)
    steps = [np.abs(np.diff(grey, axis=axis)).reshape(len(grey), -1) for axis in (1, 2)]
    edges = sum(s.mean(axis=1, dtype=np.float64) for s in steps if s.shape[1])
    found = [grey.mean(axis=(1, 2), dtype=np.float64), grey.std(axis=(1, 2), dtype=np.float64)]
    found.append(np.broadcast_to(edges, len(grey)))
    if images.shape[-1] == 3:
        found += list(images.mean(axis=(1, 2), dtype=np.float64).T)
        high, low = images.max(axis=-1), images.min(axis=-1)
        strength = np.divide(high - low, high, out=np.zeros_like(high), where=high > 0)
        found.append(255 * strength.mean(axis=(1, 2), dtype=np.float64))
    return np.stack(found, axis=1)
