"""The data sets of a base on a plane, those close together where the same configs did well."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..records import Description
from .base import Base


def plane(base: Base, description: Description | None = None) -> dict[str, Any]:
    """Points (name, modality, x, y) of all described data sets, and of `description` where it is given.

    The two principal directions of the embeddings that recall goes by; nothing without an embedder.
    """
    embedder, cards = base.embedder, base.cards()
    if embedder is None:
        return {"points": [], "here": None}
    found = {i: d for i, d in base.archive.descriptions().items() if i in cards}
    if len(found) < 3:
        return {"points": [], "here": None}
    vectors = embedder.embed(list(found.values())).astype(float)
    centre = vectors.mean(axis=0)
    directions = np.linalg.svd(vectors - centre, full_matrices=False)[2][:2]
    places = ((vectors - centre) @ directions.T).round(4).tolist()
    points = [
        {"id": i, "name": cards[i].name, "modality": cards[i].modality, "made": cards[i].synthetic, "x": x, "y": y}
        for i, (x, y) in zip(found, places)
    ]
    here = None
    if description is not None:
        here = ((embedder.embed([description])[0] - centre) @ directions.T).round(4).tolist()
    return {"points": points, "here": here}
