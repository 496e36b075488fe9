"""What can be said without training: of a data set, or of a packaged model on labelled rows."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from . import events, sources
from .data import read
from .deploy import Bundle
from .describe import sights
from .errors import DataError
from .evaluate import Answers, Evidence, evaluate
from .events import Story
from .kinds import Moment, Source
from .knowledge import Base, plane
from .monitor import Coverage, coverage
from .plugins import Registry
from .propose import spread
from .records import Scorecard, plain
from .request import Request
from .run import foresee, formulate_and_prepare


def look(request: Request, registry: Registry, pictures: bool = False, keep: Path | None = None) -> dict[str, Any]:
    """Task, description, neighbours, odds, forecast and first proposals of a source, as JSON.

    `pictures` adds the probes' sights. With `keep`, a folder, the prepared data stay there.
    """
    source = sources.find(request.source)
    with contextlib.nullcontext(keep) if keep else tempfile.TemporaryDirectory() as scratch:
        Path(scratch).mkdir(parents=True, exist_ok=True)
        story = Story(Path(scratch) / "events.jsonl")
        reading = read(source.source, registry.modalities)
        setting, _ = formulate_and_prepare(request, source, reading, registry, Path(scratch), story)
        base = Base.open()
        foresight = foresee(setting, base, request, story)
        prior = foresight.prior
        return plain(
            {
                "name": source.name,
                "task": setting.task,
                "rows": setting.dataset.card.rows,
                "views": setting.views,
                "columns": reading.schema.columns,
                "metrics": setting.output.metrics,
                "families": {name: f.level for name, f in foresight.families.items()},
                "prepared": next(e for e in events.read(story.file) if e["stage"] == "prepare"),
                "plane": plane(base, foresight.description),
                "description": foresight.description,
                "sights": sights(setting.dataset, setting.transform, registry.probes.values()) if pictures else [],
                "neighbours": prior.neighbours,
                "nothing_like_it": prior.nothing_like_it,
                "odds": prior.odds,
                "reasons": prior.reasons,
                "productions": prior.productions,
                "leanings": prior.leanings,
                "soft": {name: spread(known, registry.productions) for name, known in prior.soft.items()},
                "learnt": [{**e.to_json(), "told": str(e)} for e in foresight.learnt],
                "forecast": prior.forecast,
                "proposals": foresight.portfolio.ask(5, [], Moment()),
            }
        )


def appraise(bundle: Bundle, rows: Source) -> tuple[Scorecard, Coverage | None]:
    """How well a packaged model does on labelled rows, and how many of them its regions cover."""
    predictor = bundle.predictor
    parts = list(predictor.modality.decode(rows, bundle.schema))
    if not parts or not sum(p.rows for p in parts):
        raise DataError(f"'{rows}' holds no rows.", "Rows with a known target are needed.")
    fields = type(parts[0]).concat(parts)
    raw = np.asarray(fields[bundle.task.target])
    known = np.flatnonzero(np.isfinite(raw) if raw.dtype.kind == "f" else raw != "")
    if not len(known):
        raise DataError(
            f"No row of '{rows}' has a known '{bundle.task.target}'.", "Evaluation compares with what is known."
        )
    target = predictor.output.encode(predictor.state, raw[known])
    prediction = predictor.predict(fields.without(bundle.task.target).take(known))
    naive = predictor.output.baseline(predictor.state, target, len(target))
    answers = Answers(target, prediction, naive, "given rows")
    metrics = bundle.registry.metrics
    card = evaluate(bundle.task, predictor.output, predictor.state, metrics, answers, Evidence())
    return card, coverage(predictor, target, prediction)
