"""Callbacks, told of a run that never was."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..kinds import Callback
from ..records import Config

MLP = Config(
    "net", {}, {"encoder": (Config("mlp", {"width": 64}),), "recipe": (Config("gradient", {"lr": 0.01, "flip": True}),)}
)
PAGE = "<!doctype html><title>a report</title>"


def _trial(number: int, finished: float, score: float | None, **other: Any) -> dict[str, Any]:
    learns = number % 2 == 1  # one network, gone on with, among linear models
    config = MLP if learns else Config("linear", {"penalty": 0.1 * (1 + number), "expansion": "none"})
    proposal = {"config": config.to_json(), "family": "mlp" if learns else "linear", "arm": "first",
                "reason": "", "odds": None, "expected_seconds": None}  # fmt: skip
    facts = {"curve": [0.7, 0.5, None, 0.4]} if learns else {}
    usual = {"outcome": "ok", "seed": 0, "rung": 1.0, "score": score, "skill": score, "seconds": 1.0, "error": ""}
    trial = {"number": number, "proposal": proposal, "finished": finished, "facts": facts, **usual, **other}
    return {"stage": "search", "at": finished, "trial": trial, "left": 10.0}


REQUEST = {"source": "flowers", "wish": {"sentence": "which flower is it?", "target": "kind"}, "budget": {"seconds": 25.0, "trials": None},
           "seed": 0, "families": [], "workers": 2, "cold": False, "callbacks": []}  # fmt: skip
# A full fit, a partial one, a full one that is worse, the best, and one that failed.
EVENTS: tuple[Mapping[str, Any], ...] = (
    {"stage": "formulate", "at": 0.1, "source": "flowers",
     "task": {"sentence": "which flower is it?", "modality": "tabular", "target": "kind", "output": "classification",
              "metric": "accuracy", "goal": None, "reasons": ["target kind: named"]}},
    {"stage": "prepare", "at": 0.2, "rows": 100, "sealed": 25, "folds": 5, "card": {"data_hash": "0f"}, "findings": []},
    {"stage": "propose", "at": 1.0, "odds": {"linear": 1.0}, "reasons": {}, "nothing_like_it": 0.6,
     "forecast": {"metric": "accuracy", "value": 0.8, "low": None, "high": 0.9, "level": 0.8, "reason": ""},
     "neighbours": [{"name": "iris", "weight": 0.4, "best_family": "linear", "best_skill": 0.9}]},
    _trial(0, 1.5, 0.8),
    _trial(1, 3.0, 0.95, rung=0.3),
    _trial(2, 4.0, 0.7),
    _trial(3, 9.0, 0.9),
    _trial(4, 9.5, None, outcome="crash", error="it broke"),
    {"stage": "searched", "at": 18.0, "tried": 5, "seconds": 18.0, "ladder": ""},
    {"stage": "train", "at": 19.0, "weights": {"mlp #3": 0.75, "linear #0": 0.25}, "score": 0.92, "metric": "accuracy"},
    {"stage": "evaluate", "at": 20.0, "scorecard": {"metric": "accuracy", "value": 0.85, "low": 0.75, "high": 0.93, "baseline": 0.3,
     "rows": 25, "split": "sealed test", "others": {"auc": None, "f1": 0.8}, "goal": None, "goal_met": None, "diagnosis": []}},
    {"stage": "deploy", "at": 21.0, "bundle": "bundle", "bytes": 250_000, "portable": ""},
    {"stage": "learned", "at": 22.0, "records": 5, "refused": [], "seconds": 22.0, "done": True},
    {"stage": "of-a-later-version", "at": 22.5},
)  # fmt: skip
CUT_OFF = 6  # events, after which the run is cut off and goes on in another process


def check_callback(callback: Callback, folder: Path) -> None:
    """A callback hears a run that was cut off and resumed, and changes nothing of it.

    The run is written into the folder; what the callback made of it is left there for tests of its own.
    """
    (folder / "bundle").mkdir(exist_ok=True)
    (folder / "bundle" / "manifest.json").write_text("{}")
    if not (folder / "request.json").exists():
        (folder / "request.json").write_text(json.dumps(REQUEST))
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    before = _bytes(folder)
    for many in (CUT_OFF, len(EVENTS)):
        observer = callback.begin(folder)
        for event in copy.deepcopy(EVENTS[:many]):
            kept = copy.deepcopy(event)
            observer.hear(event)
            assert event == kept, f"{callback.name} changes the event '{kept['stage']}'"
        observer.end(lambda: PAGE)
    after = _bytes(folder)
    changed = [name for name, content in before.items() if after.get(name) != content]
    assert not changed, f"{callback.name} changes what belongs to the run: {changed}"


def _bytes(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("request.json", "events.jsonl", "bundle/manifest.json")}
