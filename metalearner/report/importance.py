"""What a packaged model relies on: how much worse its score is when one column's values are dealt out among the rows anew."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Array, Fields, Ragged
from ..dataset import Dataset
from ..deploy import Bundle
from ..errors import UserError
from ..evaluate import Answers
from ..plugins import Registry
from ..runs import ANSWERS

# Rows that are looked at, times that each column is shuffled, and seconds after which what is known must do.
ROWS, TIMES, SECONDS = 1000, 3, 30.0


def importance(run: Path, registry: Registry) -> list[dict[str, Any]]:
    """{column, drop, spread} of each column, the most important first (Breiman 2001), on the rows that measured the model.

    `drop` is in the metric's unit, positive where the model does worse without the column. Raises UserError where the
    run kept no predictions.
    """
    if not (run / ANSWERS).exists():
        raise UserError(
            f"The run in '{run}' kept no single predictions.", "They are needed to compare with.", "Run it again."
        )
    answers, dataset = Answers.open(run / ANSWERS), Dataset.open(run / "data")
    sealed = answers.split == "sealed test"
    rng = np.random.default_rng(0)
    some = np.sort(rng.permutation(len(answers.target))[:ROWS])
    fields = Fields.open(run / "data" / "sealed" / "fields") if sealed else dataset.fields
    fields, target = fields.take(answers.rows[some]), answers.target[some]
    predictor = Bundle.open(run / "bundle", registry).predictor
    metric = registry.get("metrics", dataset.task.metric)
    sign = 1 if metric.greater_is_better else -1
    whole = metric.score(target, predictor.predict(fields), predictor.state)
    drops: dict[str, list[float]] = {name: [] for name in fields}
    end = time.monotonic() + SECONDS
    for _ in range(TIMES):
        for name in fields:
            if time.monotonic() > end:
                break
            dealt = Fields({k: _dealt(v, rng) if k == name else v for k, v in fields.items()})
            drops[name].append(sign * (whole - metric.score(target, predictor.predict(dealt), predictor.state)))
    found = [{"column": n, "drop": float(np.mean(d)), "spread": float(np.std(d))} for n, d in drops.items() if d]
    return sorted(found, key=lambda one: -one["drop"])


def _dealt(column: Array, rng: np.random.Generator) -> Array:
    order = rng.permutation(len(column))
    return column.take(order) if isinstance(column, Ragged) else column[order]
