"""The model card: what the bundle is, for whoever finds the folder."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from ..predictor import Predictor
from ..records import Scorecard, plain
from .portable import FORM, ONNX


def card(predictor: Predictor, scorecard: Scorecard | None, about: Mapping[str, Any], onnx: Mapping[str, Any]) -> str:
    """Markdown: what it predicts, what it was trained on, how good it is, what is inside, how to use it.

    It begins with the metadata that model cards of the Hugging Face hub have, so that a bundle can be uploaded as it is.
    """
    task = predictor.task
    sentence = f"\n> {inline(task.sentence)}\n" if task.sentence else ""
    return "\n".join(
        [
            *metadata(predictor, scorecard, about),
            f"# A model of {inline(task.target)}",
            sentence,
            f"Predicts `{inline(task.target)}` ({inline(task.output)}) from {inline(task.modality)} data with "
            f"{_count(len(predictor.schema.columns), 'column')}, scored by {inline(task.metric)}.",
            "",
            "## Trained on",
            "",
            *_trained(about),
            "",
            "## How good it is",
            "",
            *_score(scorecard),
            "",
            "## What is inside",
            "",
            *_members(predictor, onnx),
            "",
            "## How to use it",
            "",
            *USE,
            "",
        ]
    )


USE = (
    "```",
    "metalearner predict   BUNDLE ROWS --out predictions.csv   # a prediction a row, with probabilities for classes",
    "metalearner evaluate  BUNDLE ROWS                         # the score on labelled rows",
    "metalearner serve     BUNDLE                              # JSON rows over HTTP on this machine",
    "metalearner monitor   BUNDLE ROWS                         # whether new rows have shifted",
    "```",
    "",
    "`BUNDLE` is this folder. `manifest.json` holds the SHA-256 of every file: a bundle that was changed is not opened.",
    "There is no pickle in it. It is as good as its data: rows of another kind than it was trained on get an answer too,",
    "and `metalearner monitor` is how to notice.",
)


# What the hub calls these tasks; it has no name for others.
HUB_TASKS = {
    ("tabular", "classification"): "tabular-classification",
    ("tabular", "regression"): "tabular-regression",
    ("image", "classification"): "image-classification",
    ("text", "classification"): "text-classification",
}


def metadata(predictor: Predictor, scorecard: Scorecard | None, about: Mapping[str, Any]) -> list[str]:
    """YAML front matter as https://huggingface.co/docs/hub/model-cards has it.

    Every value is written as JSON, which YAML reads: no name of a column or a data set can break out of it.
    """
    task, data = predictor.task, plain(about.get("data") or {})
    hub = HUB_TASKS.get((task.modality, task.output))
    lines: dict[str, Any] = {
        "library_name": "metalearner",
        "tags": ["metalearner", "automl", task.modality, task.output],
    }
    lines |= {"pipeline_tag": hub} if hub else {}
    lines |= {"metrics": [scorecard.metric, *scorecard.others]} if scorecard else {}
    if scorecard and not math.isnan(scorecard.value):
        kind = {"type": hub or task.output, "name": task.output}
        source = {"type": "local", "name": data.get("name") or "data", "split": scorecard.split}
        values = {scorecard.metric: scorecard.value, **scorecard.others}
        found = [{"type": name, "value": value, "verified": False} for name, value in plain(values).items()]
        result = {"task": kind, "dataset": source, "metrics": found}
        lines["model-index"] = [{"name": inline(task.target), "results": [result]}]
    return ["---", *(f"{key}: {json.dumps(value, ensure_ascii=True)}" for key, value in lines.items()), "---", ""]


def inline(text: str) -> str:
    """One line without markup, whatever a column is called.

    >>> inline("a|b <i>\\n# c `d`")
    'a b i # c d'
    """
    return " ".join(re.sub(r"[`|<>\[\]*\\]|\s", " ", str(text)).split())[:200]


def _trained(about: Mapping[str, Any]) -> list[str]:
    data = plain(about.get("data") or {})
    lines = [f"- {about.get('rows', 0):,} rows" + (f" of {inline(data['name'])}" if data.get("name") else "")]
    lines += [f"- SHA-256 of the data: `{inline(data['data_hash'])}`"] if data.get("data_hash") else []
    for key in ("source", "licence"):
        lines += [f"- {key}: {inline(data[key])}"] if data.get(key) else []
    return [*lines, f"- seed {about['seed']}"] if "seed" in about else lines


def _score(found: Scorecard | None) -> list[str]:
    if found is None:
        return ["It was not measured."]
    lines = [
        f"| on {found.rows:,} rows ({inline(found.split)}) | value | 95 % interval | naive baseline |",
        "|---|---|---|---|",
        f"| {inline(found.metric)} | {_n(found.value)} | {_n(found.low)} to {_n(found.high)} | {_n(found.baseline)} |",
    ]
    lines += [f"| {inline(name)} | {_n(value)} | | |" for name, value in found.others.items()]
    if found.goal is not None:
        lines += ["", f"The goal was {_n(found.goal)}: {'met' if found.goal_met else 'missed'}."]
    return lines + [f"- {inline(str(cause))}" for cause in found.diagnosis]


def _members(predictor: Predictor, onnx: Mapping[str, Any]) -> list[str]:
    folds = sorted({len(m.models) for m in predictor.members})
    each = _count(folds[0], "fold") if len(folds) == 1 else f"{folds[0]} to {folds[-1]} folds"
    models = f"{_count(len(predictor.members), 'configuration')}, each fitted on {each}"
    lines = [f"The weighted average of {models}:" if len(predictor.members) * folds[-1] > 1 else "One model:", "",
             "| configuration | learner | weight | as ONNX | packed |", "|---|---|---|---|---|"]  # fmt: skip
    for m in predictor.members:
        places = [path for path in onnx["proven"] if path.startswith(f"members/{m.trial}/")]
        ways = [f"{sum(path.endswith(form) for path in places)} of {len(m.models)}" for form in (ONNX, FORM)]
        lines.append(f"| {' | '.join((inline(m.family), inline(m.config.production), f'{m.weight:.0%}', *ways))} |")
    if predictor.conformal.get("level"):
        lines += [
            "",
            f"Regions are conformal: they hold the truth for {predictor.conformal['level']:.0%} of rows like these.",
        ]
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _n(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.4g}"
