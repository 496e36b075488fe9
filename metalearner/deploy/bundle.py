"""A packaged model: a folder of JSON, safetensors, ONNX and text, checked and opened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..errors import BundleError, MetalearnerError
from ..kinds import Aim, Model, Source
from ..markup import amounts, card, number, table, words
from ..predictor import Member, Predictor
from ..records import Config, Schema, Scorecard, Task
from . import manifest as manifests
from .portable import FORM, ONNX, OnnxModel

if TYPE_CHECKING:
    from ..plugins import Registry


# Columns that are shown in a notebook.
SHOWN = 12


@dataclass(frozen=True)
class Bundle:
    """The model with all that belongs to it. Opened with `Bundle.open`, written by `package`."""

    folder: Path
    predictor: Predictor
    schema: Schema  # the target is its last column
    scorecard: Scorecard | None
    reference: Mapping[str, Any]  # what monitoring compares against
    manifest: Mapping[str, Any]
    registry: Registry

    @classmethod
    def open(cls, folder: Path | str, registry: Registry) -> Bundle:
        """Check every file against the manifest, then load.

        Raises BundleError when the folder is no bundle, has changed, or needs a plugin that is not there.
        """
        folder = Path(folder)
        manifest = manifests.verify(folder)
        try:
            _check_needs(folder, manifest, registry)
            return cls(
                folder=folder,
                predictor=_predictor(folder, manifest, registry),
                schema=Schema.from_json(_json(folder, "schema.json")),
                scorecard=_scorecard(_json(folder, "scorecard.json")),
                reference=_json(folder, "reference.json"),
                manifest=manifest,
                registry=registry,
            )
        except MetalearnerError:
            raise
        except Exception as problem:  # whatever a learner or a forged file raises is the bundle's fault
            raise BundleError(
                f"'{folder}' cannot be loaded: {type(problem).__name__}: {problem}",
                f"It was written with {_versions(manifest)}.",
                "Install these versions, or package the run anew.",
            ) from problem

    @property
    def task(self) -> Task:
        """What is predicted, and how it is scored."""
        return self.predictor.task

    def predict(self, source: Source, regions: bool = False) -> pd.DataFrame:
        """One row a sample: `prediction`, for classes `p_<class>`, and if asked the conformal `region`."""
        return self.predictor.table(source, regions)

    def _repr_html_(self) -> str:
        """In a notebook: what it predicts, how well, from which columns, and what it is made of."""
        s, size = self.scorecard, f"{self.size / 1e6:.2f} MB"
        figures = [] if s is None else [(number(s.value), s.metric, f"{s.split}, {number(s.baseline)} without looking")]
        members = [(m.family, f"{m.weight:.0%}", len(m.models)) for m in self.predictor.members]
        inputs = self.predictor.schema.columns
        rows = [(c.name, c.kind) for c in inputs[:SHOWN]]
        more = f"And {len(inputs) - SHOWN:,} columns more." if len(inputs) > SHOWN else ""
        return card(
            f"{self.task.target} · {self.task.output}",
            amounts([*figures, (size, "on disk", self.portable)]),
            table(("made of", "share", "models"), members, numbers=(1, 2)),
            table(("told from", "kind"), rows) + words(more),
        )

    @property
    def size(self) -> int:
        """Bytes of all files the manifest lists."""
        return sum(entry["size"] for entry in self.manifest["files"].values())

    @property
    def portable(self) -> str:
        """How many models are ONNX and how close to the trained ones; empty when none is."""
        proven, models = self.manifest["onnx"]["proven"], sum(_models(self.manifest).values())
        if not proven:
            return ""
        packed = sum(name.endswith(FORM) for name in proven)
        ways = ["as ONNX"] * (len(proven) > packed) + ["packed"] * bool(packed)
        return f"{len(proven)} of {models} models {' or '.join(ways)}, equal within {max(proven.values()):.1g}"


def _models(manifest: Mapping[str, Any]) -> dict[str, int]:
    """How many models each member has, one a fold; in older bundles all had one for every fold."""
    found = manifest["members"]
    return dict(found) if isinstance(found, Mapping) else dict.fromkeys(found, int(manifest["folds"]))


def _predictor(folder: Path, manifest: Mapping[str, Any], registry: Registry) -> Predictor:
    task = Task.from_json(_json(folder, "task.json"))
    output = _json(folder, "output.json")
    aim = Aim(registry.outputs[output["name"]], output["state"], registry.metrics[task.metric], registry)
    members = []
    for trial, many in _models(manifest).items():
        about = _json(folder, f"members/{trial}/config.json")
        config = Config.from_json(about["config"])
        models = [_model(folder, f"members/{trial}/{i}", about["learner"], manifest, aim) for i in range(many)]
        members.append(Member(trial, about["family"], config, float(about["weight"]), tuple(models)))
    return Predictor(
        task=task,
        schema=Schema.from_json(_json(folder, "schema.json")).without(task.target),
        modality=registry.modalities[task.modality],
        transform=registry.transforms[manifest["transform"]],
        output=aim.output,
        state=aim.state,
        transforms=tuple(_json(folder, f"transforms/{i}.json") for i in range(manifest["folds"])),
        members=tuple(members),
        calibration=output["calibration"],
        conformal=output["conformal"],
    )


def _model(folder: Path, place: str, learner: str, manifest: Mapping[str, Any], aim: Aim) -> Model:
    """ONNX or another form where there is one, else whatever the learner saved."""
    path = folder / _checked(place)
    if f"{place}/{FORM}" in manifest["files"]:
        return aim.registry.get("forms", str(_json(folder, f"{place}/{FORM}")["form"])).load(path)
    if f"{place}/{ONNX}" in manifest["files"]:
        return OnnxModel.load(path)
    return aim.registry.learners[learner].load(path, aim)


def _json(folder: Path, name: str) -> Any:
    return json.loads((folder / _checked(name)).read_text())


def _checked(name: str) -> str:
    if not manifests.inside(name):
        raise BundleError(f"The bundle names the path '{name}'.", "Paths in a bundle stay inside it.", manifests.AGAIN)
    return name


def _scorecard(found: Mapping[str, Any] | None) -> Scorecard | None:
    return None if found is None else Scorecard.from_json(found)


def _check_needs(folder: Path, manifest: Mapping[str, Any], registry: Registry) -> None:
    """Every name the bundle uses is brought by some plugin here."""
    for need in manifest["needs"]:
        kind, name, distribution = need["kind"], need["name"], need["distribution"]
        if name in getattr(registry, kind, ()):
            continue
        broken = [p for p in registry.plugins if p.distribution == distribution and p.failure]
        if broken:
            hint = f"It is installed but does not load: {broken[0].failure}"
        elif distribution == "extra":
            hint = "It came from a file: put it into a folder of METALEARNER_PLUGIN_PATH."
        else:
            hint = f"Install it: pip install {distribution}"
        raise BundleError(f"'{folder}' needs '{name}' of {kind}, which is not here.",
                          f"{distribution} {need['version']} brought it when the bundle was written.", hint)  # fmt: skip


def _versions(manifest: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
