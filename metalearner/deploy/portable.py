"""Models as ONNX: exported while there is time, proven equal to the trained ones, run by onnxruntime."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import machine
from ..arrays import Tensors, rows_of
from ..errors import BundleError
from ..kinds import Form, Model
from ..records import View

ONNX = "model.onnx"
FORM = "form.json"  # names the form of a model that has another one
PROOF = 64  # rows that a model is proven on
VERDICT = "onnx.json"  # what became of an export; gathered, not part of the bundle
# Equal means: nowhere further apart than this, times the value itself where that is above 1.
TOLERANCE = 1e-5
BATCH = 1024
# Longest wait for exports in seconds, when no deadline is nearer.
PATIENCE = 60.0
# Seconds to expect of a first export where it cannot be cut short.
FIRST = 5.0
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}


class OnnxModel(Model):
    """A model run by onnxruntime on one thread: inputs "<view>.<part>", output "prediction"."""

    def __init__(self, content: bytes) -> None:
        """`content` is the ONNX file."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what is wrong comes as an exception
        self.content = content
        # From bytes, not from a path: onnxruntime then refuses weights that lie in other files.
        self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.inputs = [(i.name, *i.name.rpartition(".")[::2], TYPES[i.type]) for i in self.session.get_inputs()]

    @classmethod
    def load(cls, folder: Path) -> OnnxModel:
        """From a folder with an ONNX file. Raises BundleError when onnxruntime refuses it."""
        try:
            return cls((folder / ONNX).read_bytes())
        except Exception as problem:
            reason = str(problem).splitlines()[0][:200]
            raise BundleError(f"'{folder / ONNX}' cannot be run: {reason}", "It holds a whole ONNX model.",
                              "Package the run anew.") from problem  # fmt: skip

    def predict(self, tensors: Tensors) -> np.ndarray:
        """Prediction (n, k), float64."""
        rows = rows_of(tensors)
        feeds = {name: getattr(tensors[view], part).astype(kind) for name, view, part, kind in self.inputs}
        if not rows:  # the width of the answer is known from any row
            return self._run({n: np.zeros((1, *a.shape[1:]), a.dtype) for n, a in feeds.items()})[:0]
        parts = range(0, rows, BATCH)
        return np.concatenate([self._run({n: a[i : i + BATCH] for n, a in feeds.items()}) for i in parts])

    def _run(self, feeds: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.session.run(["prediction"], feeds)[0].astype(np.float64)

    def save(self, folder: Path) -> None:
        """The ONNX file: it needs nothing else."""
        (folder / ONNX).write_bytes(self.content)

    def export(self, views: Mapping[str, View]) -> Iterator[bytes]:
        """What it was made from."""
        yield self.content


@dataclass(frozen=True)
class Export:
    """One model to export: where it is saved, and rows to prove it on."""

    place: str  # inside the bundle, "members/00003/0"
    model: Model
    views: Mapping[str, View]
    tensors: Tensors
    forms: Mapping[str, Form]  # tried before ONNX
    saved: tuple[str, ...] = ()  # what the learner's own form is made of


def export(exports: Sequence[Export], folder: Path, deadline: float) -> dict[str, dict[str, Any]]:
    """Put ONNX, or a form made from it, in the place of what was saved of each model that it is equal to, until the deadline.

    Returns {"proven": {path: largest difference}, "refused": {path: reason}}. An export that cannot be traced takes 1 to 20
    seconds and cannot be interrupted, so it happens in child processes that are ended at the deadline (`time.monotonic()`).
    """
    exports = [e for e in exports if rows_of(e.tensors) and type(e.model).export is not Model.export]
    deadline = min(deadline, time.monotonic() + PATIENCE)
    if not exports or time.monotonic() >= deadline:
        return {"proven": {}, "refused": {}}
    forks = "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"
    if forks and not multiprocessing.current_process().daemon:
        _apart(exports, folder, deadline)
    else:
        _work(exports, folder, deadline, FIRST)
    return _gather(exports, folder)


def _apart(exports: Sequence[Export], folder: Path, deadline: float) -> None:
    """Share the exports between one child a core. A forked child has torch and the models already."""
    children = min(len(exports), machine.cores(), 4)
    context = multiprocessing.get_context("fork")
    running = [
        context.Process(target=_child, args=(exports[i::children], folder, deadline), daemon=True)
        for i in range(children)
    ]
    try:
        for child in running:
            child.start()
        for child in running:
            child.join(max(0.0, deadline - time.monotonic()))
    finally:
        for child in running:
            if child.pid is not None:
                child.kill()
                child.join()


def _child(exports: Sequence[Export], folder: Path, deadline: float) -> None:
    """In the child: quiet, deaf to Ctrl-C, and on one thread, since the parent's other threads are not here."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # below Python's own streams, which loggers hold on to
        os.dup2(nowhere, stream)
    _work(exports, folder, deadline, 0.0)


def _work(exports: Sequence[Export], folder: Path, deadline: float, longest: float) -> None:
    """Export one after the other while another as long as the longest so far would end in time."""
    for one in exports:
        began = time.monotonic()
        if began + longest > deadline:
            return
        verdict = attempt(one, folder / one.place)
        _write(folder / one.place / VERDICT, json.dumps(verdict).encode())
        longest = max(longest, time.monotonic() - began)


def attempt(one: Export, place: Path) -> dict[str, Any]:
    """Export and prove one model; files are there, as `kept` names them, only if they are equal to it."""
    verdict: dict[str, Any] = {}
    try:
        for content in one.model.export(one.views):
            for name, form in one.forms.items():
                verdict = _formed(name, form, content, one, place)
                if "proven" in verdict:
                    return verdict
            verdict = _verdict(partial(OnnxModel, content), one)
            if "proven" in verdict:
                _write(place / ONNX, content)
                return {**verdict, "kept": [ONNX]}
    except Exception as problem:  # an export that fails costs nothing: the learner's own form is there
        verdict = _refused(problem)
    return verdict


def _formed(name: str, form: Form, content: bytes, one: Export, place: Path) -> dict[str, Any]:
    """A form made and proven, its files in the model's place; nothing where it is of no use."""
    with tempfile.TemporaryDirectory(dir=place) as scratch:  # where it goes with the rest if this process is ended
        try:
            files = form.make(content)
        except Exception as problem:
            return _refused(problem)
        if files is None:
            return {}
        for file, inside in files.items():
            (Path(scratch) / file).write_bytes(inside)
        verdict = _verdict(lambda: form.load(Path(scratch)), one)
    if "proven" not in verdict:
        return verdict
    for file, inside in {**files, FORM: json.dumps({"form": name}).encode()}.items():
        _write(place / file, inside)
    return {**verdict, "kept": [*files, FORM]}


def _verdict(load: Callable[[], Model], one: Export) -> dict[str, Any]:
    """Whether what was made says what the model says."""
    try:
        difference = prove(load(), one.model, one.tensors)
    except Exception as problem:  # a trace may be no valid graph, and another way may give one
        return _refused(problem)
    return {"proven": difference} if difference <= TOLERANCE else {"refused": f"differs by {difference:.1g}"}


def _refused(problem: Exception) -> dict[str, Any]:
    return {"refused": f"{type(problem).__name__}: {str(problem).strip()[:160]}"}


def prove(portable: Model, trained: Model, tensors: Tensors) -> float:
    """Largest difference between two models, as a share of values above 1; in one batch, and for a row alone."""
    differences = [0.0]
    for rows in (np.arange(rows_of(tensors)), np.arange(min(1, rows_of(tensors)))):
        some = {name: tensor.take(rows) for name, tensor in tensors.items()}
        expected, found = trained.predict(some), portable.predict(some)
        if expected.shape != found.shape or not np.array_equal(np.isfinite(expected), np.isfinite(found)):
            return float("inf")
        difference = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
        differences.append(float(np.max(difference, initial=0.0)))
    return max(differences)


def _gather(exports: Sequence[Export], folder: Path) -> dict[str, dict[str, Any]]:
    """Collect the verdicts. Of a proven model only what was proven stays; of one without a verdict, cut off, only its own form."""
    found: dict[str, dict[str, Any]] = {"proven": {}, "refused": {}}
    for one in exports:
        place = folder / one.place
        verdict = json.loads((place / VERDICT).read_text()) if (place / VERDICT).exists() else {}
        kept = verdict.get("kept", ())
        name = FORM if FORM in kept else ONNX
        for kind in ("proven", "refused"):
            if kind in verdict:
                found[kind][f"{one.place}/{name}"] = verdict[kind]
        if isinstance(one.model, OnnxModel):
            kept = (*kept, ONNX)
        own = one.saved if not kept else ()
        for file in list(place.iterdir()):
            if file.name not in kept and file.name not in own:
                shutil.rmtree(file) if file.is_dir() else file.unlink()
    return found


def _write(file: Path, content: bytes) -> None:
    """Whole or not at all."""
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(content)
    part.replace(file)
