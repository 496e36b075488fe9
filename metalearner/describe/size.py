"""How much there is, of what shape, and what is asked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import Tensors
from ..kinds import Output, Probe
from ..records import View

AXES = ("columns", "time", "space", "tokens", "set")


class Size(Probe):
    """Rows, elements, axes, classes."""

    name = "size"
    explains = {
        "rows": ("log10", "training rows"),
        "elements": ("log10", "numbers in one row"),
        "channels": ("log10", "channels of a position"),
        "categories": ("log10(1+n)", "categorical columns"),
        "categorical": ("share", "numbers of a row that are categories"),
        "levels": ("log10", "levels of the largest categorical column"),
        "rows_per_element": ("log10", "training rows for each number in a row"),
        **{f"axis_{kind}": ("log10(1+n)", f"length of the {kind} axes together") for kind in AXES},
        "ragged": ("0 or 1", "samples differ in length"),
        "length_spread": ("share", "spread of the lengths over their mean"),
        "classes": ("log10", "classes; absent where a number is asked for"),
        "minority": ("share", "rows of the rarest class, times the number of classes"),
        "entropy": ("share", "entropy of the classes over the largest possible"),
        "number": ("0 or 1", "a number is asked for, not a class"),
        "missing": ("share", "missing numbers and categories"),
        "missing_rows": ("share", "rows in which something is missing"),
    }

    def measure(
        self,
        tensors: Tensors,
        views: Mapping[str, View],
        target: np.ndarray,
        output: Output,
        rng: np.random.Generator,
    ) -> dict[str, float | None]:
        """Counts, mostly as logarithms."""
        n = len(target)
        elements = sum(int(np.prod(v.shape)) + len(v.cardinalities) for v in views.values())
        axes = [a for v in views.values() for a in v.axes]
        levels = [c for v in views.values() for c in v.cardinalities]
        masks = [t.mask.sum(1) for t in tensors.values() if t.mask is not None]
        found: dict[str, float | None] = {
            "rows": np.log10(n),
            "elements": np.log10(max(1, elements)),
            "channels": np.log10(sum(v.channels for v in views.values())),
            "categories": np.log10(1 + len(levels)),
            "categorical": len(levels) / max(1, elements),
            "levels": np.log10(max(levels)) if levels else None,
            "rows_per_element": np.log10(n / max(1, elements)),
            "ragged": float(any(a.ragged for a in axes)),
            "length_spread": float(masks[0].std() / max(1, masks[0].mean())) if masks else None,
        }
        for kind in AXES:
            length = np.prod([a.size for a in axes if a.kind == kind]) if any(a.kind == kind for a in axes) else 0
            found[f"axis_{kind}"] = np.log10(1 + length)
        return found | _missing(tensors) | _target(target)


def _missing(tensors: Tensors) -> dict[str, float | None]:
    """Shares of what is missing; what lies past the end of a sample is not."""
    holes, places = 0, 0
    rows = np.zeros(len(next(iter(tensors.values()))), bool)
    for t in tensors.values():
        hole = ~np.isfinite(t.values)
        if t.mask is not None:
            hole[~t.mask] = False
        places += t.values.size if t.mask is None else int(t.mask.sum()) * int(np.prod(t.values.shape[2:]))
        flat = [hole.reshape(len(hole), int(np.prod(hole.shape[1:])))]
        if t.codes is not None:
            flat.append(t.codes == 0)
            places += t.codes.size
        for part in flat:
            holes += int(part.sum())
            rows |= part.any(axis=1)
    return {"missing": holes / max(1, places), "missing_rows": float(rows.mean())}


def _target(target: np.ndarray) -> dict[str, float | None]:
    if target.dtype.kind != "i":
        return {"number": 1.0}
    counts = np.bincount(target[target >= 0])
    share = counts[counts > 0] / counts.sum()
    classes = len(share)
    entropy = float(-(share * np.log(share)).sum() / np.log(classes)) if classes > 1 else 0.0
    return {"number": 0.0, "classes": np.log10(classes), "minority": float(share.min() * classes), "entropy": entropy}
