"""What can be said without training: of a data set, or of a packaged model on labelled rows."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import events, grammar, sources
from .data import read
from .deploy import Bundle
from .describe import sights
from .errors import DataError
from .evaluate import Answers, Evidence, evaluate
from .events import Story
from .kinds import Family, Float, Int, Moment, Source
from .knowledge import Base, plane
from .markup import amounts, card, items, number, table
from .monitor import Coverage, coverage
from .plugins import Registry
from .propose import spread
from .records import Scorecard, plain
from .request import Request
from .steps.foresee import foresee
from .steps.understand import formulate_and_prepare

# Families and past data sets that are shown in a notebook.
SHOWN = 6


class Look(dict[str, Any]):
    """What is known of a source before anything is trained, as JSON: task, description, neighbours, odds, forecast ..."""

    def _repr_html_(self) -> str:
        """In a notebook: how well it should go, what would be tried first, and why."""
        task, forecast = self["task"], self["forecast"]
        level = "" if forecast["low"] is None else (
            f"{number(forecast['low'])} to {number(forecast['high'])} in {forecast['level']:.0%} of cases"
        )  # fmt: skip
        figures = [
            (number(forecast["value"]), f"{forecast['metric']}, forecast", level),
            (f"{self['rows']:,}", "rows", f"{len(self['columns'])} columns"),
        ]
        odds = sorted(self["odds"].items(), key=lambda item: -item[1])[:SHOWN]
        whys = [(name, f"{odd:.0%}", self["reasons"].get(name, "").partition(": ")[2]) for name, odd in odds]
        near = [(n["name"], f"{n['weight']:.0%}", n["best_family"]) for n in self["neighbours"][:SHOWN]]
        near += [("none of these", f"{self['nothing_like_it']:.0%}", "")]
        return card(
            f"{task['target']} · {task['output']}",
            amounts(figures),
            items(task["reasons"]),
            table(("family", "odds", "because"), whys, (1,)),
            table(("past data set that is near", "weight", "won there"), near, (1,)),
        )


def look(request: Request, registry: Registry, pictures: bool = False, into: Path | None = None) -> Look:
    """Task, description, neighbours, odds, forecast and first proposals of a source.

    `pictures` adds the probes' sights. With `into`, a folder, the prepared data stay there.
    """
    source = sources.find(request.source)
    with contextlib.nullcontext(into) if into else tempfile.TemporaryDirectory() as scratch:
        Path(scratch).mkdir(parents=True, exist_ok=True)
        story = Story(Path(scratch) / "events.jsonl")
        reading = read(source.source, registry.modalities)
        setting, _ = formulate_and_prepare(request, source, reading, registry, Path(scratch), story)
        base = Base.open(productions=registry.productions)
        foresight = foresee(setting, base, request, story)
        prior = foresight.prior
        soft = {name: spread(known, registry.productions) for name, known in prior.soft.items()}
        found = plain(
            {
                "name": source.name,
                "task": setting.task,
                "rows": setting.dataset.card.rows,
                "views": setting.views,
                "columns": reading.schema.columns,
                "metrics": setting.output.metrics,
                "families": {name: f.level for name, f in foresight.families.items()},
                "summaries": {name: f.summary for name, f in foresight.families.items()},
                "prepared": next(e for e in events.read(story.file) if e["stage"] == "prepare"),
                "plane": plane(base, foresight.description),
                "description": foresight.description,
                "sights": sights(setting.dataset, setting.transform, registry.probes.values()) if pictures else [],
                "neighbours": prior.neighbours,
                "nothing_like_it": prior.nothing_like_it,
                "odds": prior.odds,
                "reasons": prior.reasons,
                "left_out": setting.left_out,
                "productions": prior.productions,
                "leanings": prior.leanings,
                "space": {name: space(f, registry, soft.get(name, {})) for name, f in foresight.families.items()},
                "soft": soft,
                "learnt": [{**e.to_json(), "told": str(e)} for e in foresight.learnt],
                "forecast": prior.forecast,
                "proposals": foresight.portfolio.ask(5, [], Moment()),
            }
        )
        return Look(found)


def space(family: Family, registry: Registry, soft: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What is searched of a family, as `--narrow` calls it: ends or options, and between what ends past runs did well."""
    skeleton = family.presets[0]
    well = {
        f"{node.production}.{number}": soft[place]
        for path, node in skeleton.walk()
        for number in registry.productions[node.production].space()
        if (place := grammar.address(path, number)) in soft
    }
    found: dict[str, dict[str, Any]] = {}
    for name, values in grammar.listed(skeleton, registry.productions).items():
        if isinstance(values, Float | Int):
            found[name] = {"low": values.low, "high": values.high, "log": values.log, "whole": isinstance(values, Int)}
        else:
            found[name] = {"options": [grammar.word(option) for option in values.options]}
        found[name]["well"] = well.get(name)
    return found


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
