"""What a model takes once it is deployed: bytes on disk and seconds for one row alone, measured in the form it will have."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..kinds import Aim, Learner, Model
from .bundle import Bundle
from .portable import FORM, ONNX, Export, OnnxModel, attempt

# Calls that are timed, after some that are not; what is slow is called less often, for a budget is a promise.
TIMED, WARMED, SECONDS = 30, 3, 0.5


def weigh(model: Model, learner: Learner, aim: Aim, export: Export) -> dict[str, Any]:
    """Facts of one model: `bytes` of its files, `alone` seconds (median) for a single row, and the `form` it has in a bundle."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        model.save(place)
        saved = tuple(file.name for file in place.iterdir())
        kept = attempt(replace(export, saved=saved), place).get("kept", saved)
        if FORM in kept:
            form = str(json.loads((place / FORM).read_text())["form"])
            deployed = aim.registry.get("forms", form).load(place)
        else:
            form = "onnx" if ONNX in kept else ""
            deployed = OnnxModel.load(place) if form else learner.load(place, aim)
        size = sum(f.stat().st_size for name in kept for f in (place / name, *(place / name).rglob("*")) if f.is_file())
    one = {name: tensor.take(np.arange(1)) for name, tensor in export.tensors.items()}
    return {"bytes": size, "alone": timed(lambda: deployed.predict(one)), "form": form}


def weighed(bundle: Bundle, row: Any) -> dict[str, float]:
    """Of a whole bundle: `size`, bytes of all its models, and `latency`, seconds from one decoded row to its prediction."""
    files = bundle.manifest["files"]
    size = sum(entry["size"] for name, entry in files.items() if name.startswith("members/"))
    return {"size": float(size), "latency": timed(lambda: bundle.predictor.predict(row))}


def timed(call: Callable[[], Any]) -> float:
    """Median seconds of a call; of the last one where there was no time for more."""
    took: list[float] = []
    began = time.perf_counter()
    while len(took) < WARMED + TIMED and (not took or time.perf_counter() - began < SECONDS):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return statistics.median(took[WARMED:] or took[-1:])
