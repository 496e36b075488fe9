"""Columns in any order that were a picture once: which ones lay beside each other? (Le Roux and Bengio 2007)

No labels are needed to propose a layout (`grammar.layout`); a landmarker on it confirms it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import Tensors
from ..grammar.layout import laid_out, layout, varying, width
from ..kinds import Output, Probe, Sight
from ..records import View
from .filters import features, grid
from .flat import values
from .locality import correlation_along, squashed
from .ridge import Question, ridge

FEWEST, MOST = 36, 576  # columns of a table that may have been a picture
# Layouts of two halves of the rows whose distances correlate less than this agree on nothing: there is no picture.
AGREE = 0.5


class Topology(Probe):
    """A grid recovered from the correlations of columns, how sure it is, and what it is worth."""

    name = "topology"
    explains = {
        "agreement": ("", "correlation of the distances in layouts recovered from either half of the rows"),
        "recovered": ("skill", "random local features of the recovered picture"),
        "recovered_gain": ("skill", "that over the same of shuffled columns"),
        "recovered_gain_z": ("log1p(sd)", "that gain in standard errors over rows"),
    }

    def measure(
        self,
        tensors: Tensors,
        views: Mapping[str, View],
        target: np.ndarray,
        output: Output,
        rng: np.random.Generator,
    ) -> dict[str, float | None]:
        """Of the first table that is wide enough; three-fold skills."""
        table = _table(views)
        if table is None:
            return {}
        x = values(tensors[table])
        half = rng.permutation(len(x)) % 2 == 0
        halves = [correlation_along(x[rows], 1, rng, MOST) for rows in (half, ~half)]
        vary = np.logical_and(*map(varying, halves))
        if vary.sum() < FEWEST:
            return {}
        first, second = (layout(correlation)[vary] for correlation in halves)
        agreement = _agreement(first, second, width(x.shape[1]))
        found: dict[str, float | None] = {"agreement": agreement}
        if agreement < AGREE:
            return found
        question = Question.ask(target, rng)
        flat = grid(x, [0])[:, :, 0]  # (n, p, c), standardised
        cells = layout(correlation_along(x, 1, rng, MOST))
        pictures = laid_out(flat, cells), laid_out(flat[:, rng.permutation(flat.shape[1])], cells)
        intact, shuffled = (ridge(features(p, 0), question) for p in pictures)
        gained = question.loss(shuffled) - question.loss(intact)
        z = float(gained.mean() / (gained.std() / np.sqrt(len(gained)) + 1e-6))
        skill = question.skill(intact)
        return found | {
            "recovered": skill,
            "recovered_gain": skill - question.skill(shuffled),
            "recovered_gain_z": squashed(z),
        }

    def sights(self, tensors: Tensors, views: Mapping[str, View], rng: np.random.Generator) -> list[Sight]:
        """The layout that was recovered, with how much each column spreads."""
        table = _table(views)
        if table is None:
            return []
        x = values(tensors[table])
        cells = layout(correlation_along(x, 1, rng, MOST))
        mean = np.nanmean(x.reshape(len(x), len(cells), -1), axis=2)
        spread = np.nanstd(mean, axis=0)
        picture = laid_out(spread[None, :, None].astype(np.float32), cells)[0, :, :, 0]
        picture = np.where(laid_out(np.ones((1, len(cells), 1), np.float32), cells)[0, :, :, 0] > 0, picture, np.nan)
        rows = tuple(tuple(map(float, row)) for row in picture)
        return [Sight("columns laid out by resemblance, the spread of each", "cells", rows)]


def _table(views: Mapping[str, View]) -> str | None:
    """The first table that is wide enough to have been a picture."""
    return next((n for n, v in views.items() if v.kinds == ("columns",) and FEWEST <= v.axes[0].size <= MOST), None)


def _agreement(first: np.ndarray, second: np.ndarray, across: int) -> float:
    """How well the distances between columns agree in two layouts so many cells wide; turned and mirrored ones are the same."""
    apart = []
    for cells in (first, second):
        places = np.stack(np.divmod(cells, across), axis=1)
        apart.append(np.sqrt(((places[:, None] - places) ** 2).sum(axis=2)))
    pairs = np.triu_indices(len(first), 1)
    return float(np.corrcoef(apart[0][pairs], apart[1][pairs])[0, 1])
