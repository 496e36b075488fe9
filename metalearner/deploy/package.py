"""Write a bundle: beside its place first, then into it in one step."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Fields
from ..errors import BundleError, RunError
from ..predictor import Predictor
from ..records import Column, Schema, Scorecard, plain
from . import manifest as manifests
from .bundle import Bundle
from .card import card
from .portable import FORM, Export, export

if TYPE_CHECKING:
    from ..plugins import Registry

RENAME_EXCHANGE, AT_FDCWD = 2, -100  # of Linux's renameat2


def package(  # noqa: PLR0913, PLR0917 - the parts of a bundle
    folder: Path,
    predictor: Predictor,
    scorecard: Scorecard | None,
    reference: Mapping[str, Any],
    about: Mapping[str, Any],
    proof: Fields,
    registry: Registry,
    deadline: float,
) -> Bundle:
    """Write the bundle to `folder`, replacing a bundle that is there, never leaving half of one.

    `about` says what it was trained on: "rows", "data" (a DatasetCard), "seed", and "target", the target's Column,
    without which its kind is told from the predictions. `proof` are rows on which ONNX must equal the trained
    models; exports stop at `deadline` on `time.monotonic()`. Raises BundleError when something else than a bundle
    is in the way, RunError when the disk refuses.
    """
    folder = Path(folder)
    if folder.is_symlink() or (folder.exists() and not _replaceable(folder)):
        raise BundleError(f"'{folder}' is there and is not a bundle.", "Only a bundle is replaced by a bundle.",
                          "Name another folder.")  # fmt: skip
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    try:
        part.mkdir(parents=True)
        schema = _labelled(predictor, about)
        _write(part, predictor, schema, scorecard, reference)
        onnx = export(_exports(predictor, proof, registry, part), part, deadline)
        (part / "README.md").write_text(card(predictor, scorecard, about, onnx))
        manifest = manifests.seal(part, _about(predictor, about, onnx, registry, part))
        swap(part, folder)
    except OSError as problem:
        raise RunError(f"The bundle '{folder}' could not be written: {problem.strerror or problem}.",
                       "What was there before is untouched.", "Free some space, or name another folder.") from problem  # fmt: skip
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Bundle(folder, predictor, schema, scorecard, dict(reference), manifest, registry)


def swap(new: Path, place: Path) -> None:
    """Put the folder `new` at `place`; what was there ends up at `new`. In one step where the system can."""
    if not place.exists():
        new.rename(place)
        return
    if _exchange(new, place):
        return
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    place.rename(old)
    try:
        new.rename(place)
    except OSError:
        old.rename(place)
        raise
    old.rename(new)


def _exchange(one: Path, other: Path) -> bool:
    """Linux's atomic exchange of two names; False where there is none."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and ((folder / manifests.MANIFEST).is_file() or not any(folder.iterdir()))


def _write(
    part: Path, predictor: Predictor, schema: Schema, scorecard: Scorecard | None, reference: Mapping[str, Any]
) -> None:
    """Everything but ONNX, the card and the manifest."""
    output = {
        "name": predictor.output.name,
        "state": predictor.state,
        "calibration": predictor.calibration,
        "conformal": predictor.conformal,
    }
    _json(part / "task.json", predictor.task)
    _json(part / "schema.json", schema)
    _json(part / "output.json", output)
    _json(part / "reference.json", reference)
    _json(part / "scorecard.json", scorecard)
    for i, state in enumerate(predictor.transforms):
        _json(part / "transforms" / f"{i}.json", state)
    for member in predictor.members:
        place = part / "members" / member.trial
        about = {"family": member.family, "config": member.config, "weight": member.weight}
        _json(place / "config.json", {**about, "learner": member.config.production})
        for i, model in enumerate(member.models):
            (place / str(i)).mkdir(parents=True)
            model.save(place / str(i))


def _exports(predictor: Predictor, proof: Fields, registry: Registry, part: Path) -> list[Export]:
    """First the heaviest member's first fold, then the next member's, so that each architecture gets its turn."""
    members = sorted(predictor.members, key=lambda m: -m.weight)
    found = []
    for i, state in enumerate(predictor.transforms):
        tensors, views = predictor.transform.apply(state, proof), predictor.transform.views(state)
        for m in members:
            if i < len(m.models):
                place = f"members/{m.trial}/{i}"
                saved = tuple(file.name for file in (part / place).iterdir())
                found.append(Export(place, m.models[i], views, tensors, registry.forms, saved))
    return found


def _labelled(predictor: Predictor, about: Mapping[str, Any]) -> Schema:
    """The schema with the target's column, so that labelled rows can be read too; of the source only its name."""
    task, schema = predictor.task, predictor.schema.without(predictor.task.target)
    column = about.get("target")
    if isinstance(column, Mapping):
        column = Column.from_json(column)
    if column is None:
        nothing = predictor.output.baseline(predictor.state, np.zeros(1, np.int64), 1)
        said = np.asarray(predictor.output.table(predictor.state, nothing)["prediction"])
        column = Column(task.target, "number" if said.dtype.kind in "fiu" else "category")
    return replace(schema, source=Path(schema.source).name, columns=(*schema.columns, column))


def _about(
    predictor: Predictor, about: Mapping[str, Any], onnx: Mapping[str, Any], registry: Registry, part: Path
) -> dict[str, Any]:
    """What the manifest says beside the files."""
    forms = {json.loads((part / name).read_text())["form"] for name in onnx["proven"] if name.endswith(FORM)}
    return {
        "versions": _versions(),
        "needs": _needs(predictor, registry, forms),
        "transform": predictor.transform.name,
        "members": {m.trial: len(m.models) for m in predictor.members},
        "folds": len(predictor.transforms),
        "onnx": onnx,
        "about": {k: v for k, v in about.items() if k != "target"},
    }


def _needs(predictor: Predictor, registry: Registry, forms: Iterable[str]) -> list[dict[str, str]]:
    """Every registered name that opening and evaluating the bundle looks up, and who brings it."""
    names = {
        ("modalities", predictor.modality.name),
        ("transforms", predictor.transform.name),
        ("outputs", predictor.output.name),
        ("metrics", predictor.task.metric),
        *(("forms", name) for name in forms),
    }
    for member in predictor.members:
        names.add(("learners", member.config.production))
        nodes = {node.production for _, node in member.config.walk()}
        names |= {("productions", name) for name in nodes if name in registry.productions}
    found = []
    for kind, name in sorted(names):
        brought = [p for p in registry.plugins if name in p.brings.get(kind, ())]
        distribution, version = (brought[0].distribution, brought[0].version) if brought else ("unknown", "?")
        found.append({"kind": kind, "name": name, "distribution": distribution, "version": version})
    return found


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("metalearner", "numpy", "onnxruntime", "torch"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _json(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(plain(content), indent=1))
