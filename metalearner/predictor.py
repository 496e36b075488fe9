"""The trained ensemble as one function: decoded fields in, calibrated prediction out.

The same object predicts inside the run, from the bundle, and behind the server, so that they agree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from .arrays import Array, Fields, Ragged
from .kinds import Modality, Model, Output, Source, State, Transform
from .records import Config, Schema, Task

# Rows that are predicted at once, and bytes that these would take were all as wide as the widest: tensors are rectangles, and
# a single long text makes every row of its view as wide.
AT_ONCE, ROOM = 1 << 14, 1 << 28


@dataclass(frozen=True)
class Member:
    """One config of the ensemble: a model for each of the first folds, perhaps of all, and its weight."""

    trial: str
    family: str
    config: Config
    weight: float
    models: tuple[Model, ...]


@dataclass(frozen=True)
class Predictor:
    """Members over folds, averaged as the Output says, then calibrated."""

    task: Task
    schema: Schema  # inputs only
    modality: Modality
    transform: Transform
    output: Output
    state: State
    transforms: tuple[State, ...]  # one fitted transform a fold
    members: tuple[Member, ...]
    calibration: State = field(default_factory=dict)
    conformal: Mapping[str, Any] = field(default_factory=dict)

    @property
    def models(self) -> int:
        """Of all members together."""
        return sum(len(m.models) for m in self.members)

    def thinned(self, most: int) -> Predictor:
        """With so many models of each member at most, those of the first folds."""
        members = tuple(replace(m, models=m.models[:most]) for m in self.members)
        return replace(self, members=members, transforms=self.transforms[: max(len(m.models) for m in members)])

    def decode(self, source: Source) -> Fields:
        """Read the input columns of a source of this kind."""
        return Fields.concat(list(self.modality.decode(source, self.schema)))

    def predict(self, fields: Fields) -> np.ndarray:
        """Calibrated prediction (n, k)."""
        raw = self.raw(fields)
        return self.output.calibrated(self.calibration, raw) if self.calibration else raw

    def raw(self, fields: Fields) -> np.ndarray:
        """Prediction (n, k) before calibration: the weighted members, each the average of its models."""
        step = max(1, min(AT_ONCE, ROOM // max(1, sum(map(_width, fields.values())))))
        if fields.rows <= step:
            return self._merged(fields)
        rows = np.arange(fields.rows)
        return np.concatenate([self._merged(fields.take(rows[i : i + step])) for i in range(0, len(rows), step)])

    def _merged(self, fields: Fields) -> np.ndarray:
        said, weights = [], []
        for i, state in enumerate(self.transforms):
            tensors = self.transform.apply(state, fields)
            for m in self.members:
                if i < len(m.models):
                    said.append(m.models[i].predict(tensors))
                    weights.append(m.weight / len(m.models))
        return self.output.merge(said, weights)

    def table(self, source: Source, regions: bool = False) -> pd.DataFrame:
        """One row a sample for people: `prediction`, `p_<class>`, and if asked the conformal `region`."""
        prediction = np.concatenate([self.predict(part) for part in self.modality.decode(source, self.schema)])
        columns: dict[str, Any] = dict(self.output.table(self.state, prediction))
        if regions and self.conformal:
            columns["region"] = self.output.regions(dict(self.conformal), self.state, prediction)
        return pd.DataFrame(columns)


def _width(column: Array) -> int:
    """Bytes of the widest row."""
    if isinstance(column, Ragged):
        return int(column.lengths.max(initial=0)) * _width(column.values)
    return column.itemsize * math.prod(column.shape[1:])
