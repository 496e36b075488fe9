"""What fits the two ways of transfer: a backbone reads the rows, another learner goes on from there."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from metalearner.arrays import RAW, Fold, Tensor, Tensors, rows_of, take
from metalearner.errors import BundleError, Pruned
from metalearner.foldwise import FoldByFold
from metalearner.kinds import Aim, Backbone, Learner, Model, Output, Rung
from metalearner.records import Axis, Config, View, plain

from .ways import FineTune, Frozen

if TYPE_CHECKING:
    from .reading import Reader

# Rows that are predicted at once: inner states are wide.
AT_ONCE, AT_ONCE_TUNED = 1024, 64
NET = "net"
# What a view is called that goes along beside what was read.
BESIDE = " beside"


@dataclass(frozen=True)
class Reading:
    """A backbone at one setting, and the views whose data it reads."""

    backbone: Backbone
    numbers: Mapping[str, Any]
    tuned: int  # layers
    names: tuple[str, ...]

    @property
    def reader(self) -> Reader:
        """What reads the rows."""
        from .reading import Reader

        return Reader(self.backbone, self.numbers, self.tuned)

    @property
    def key(self) -> str:
        """What tells it from other readings: rows are read once for all that have it."""
        return " ".join([self.reader.key, *self.names])

    def raw(self, tensors: Tensors) -> list[list[np.ndarray]]:
        """What is to be read, a group of arrays for each view that comes of it: tuned layers read all texts as one."""
        arrays = [np.asarray(tensors[name + RAW].values) for name in self.names]
        return [arrays] if self.tuned else [[one] for one in arrays]

    def read(self, tensors: Tensors, deadline: float = math.inf, keep: bool = True) -> np.ndarray:
        """Which rows (n,) are known by then, in all views."""
        return np.logical_and.reduce([self.reader.read(raw, deadline, keep) for raw in self.raw(tensors)])

    def needed(self, tensors: Tensors) -> float:
        """Seconds that it would take, as far as one can tell."""
        return sum(self.reader.unknown(raw) for raw in self.raw(tensors)) * self.reader.row_seconds

    def tensors(self, tensors: Tensors) -> Tensors:
        """What was read, a view each; of two of a kind also how alike they are."""
        found = {self.names[i]: self.reader.tensor(raw) for i, raw in enumerate(self.raw(tensors))}
        if len(self.names) == 2 and not self.tuned:
            a, b = (found[name].values for name in self.names)
            found[f"{self.backbone.raw} pair"] = Tensor(np.concatenate([np.abs(a - b), a * b], axis=1))
        return found


@dataclass(frozen=True)
class Plan:
    """One config made out: which backbones read which views, and what learns from it."""

    readings: tuple[Reading, ...]
    beside: tuple[str, ...]  # views that go along as they are
    inner: Config
    way: Mapping[str, Any]  # the root's numbers

    @classmethod
    def of(cls, config: Config, views: Mapping[str, View], aim: Aim, segments: bool = True) -> Plan:
        """Raises PluginError where a backbone is not here. `segments`: layers that are tuned on two texts see which is which."""
        from metalearner import grammar

        productions = aim.registry.productions
        way = grammar.numbers(Config(config.production, config.numbers), productions)
        tunes = config.production == FineTune.name
        readings = []
        for node in config.parts["backbone"]:
            backbone: Backbone = aim.registry.get("productions", node.production)
            names = tuple(name for name, view in views.items() if view.raw == backbone.raw)
            tuned = max(1, round(way["share"] * backbone.layers)) if tunes else 0
            numbers = grammar.numbers(node, productions)
            if tuned and segments and len(names) > 1:
                numbers["segments"] = True
            if names:
                readings.append(Reading(backbone, numbers, tuned, names))
        if not readings:
            raise Pruned("none of these backbones reads what there is")
        if tunes:
            encoder = Config(f"{readings[0].backbone.name}:last-{readings[0].tuned}")
            (recipe,) = config.parts["recipe"]
            if readings[0].backbone.raw == "text":  # words have no average
                recipe = replace(recipe, numbers={**recipe.numbers, "mixup": 0.0})
            inner = Config(NET, {}, {"encoder": (encoder,), "recipe": (recipe,)})
            return cls(tuple(readings), (), inner, way)
        read = {name for reading in readings for name in reading.names}
        beside = tuple(name for name in views if way["beside"] or name not in read)
        return cls(tuple(readings), beside, config.parts["learner"][0], way)

    @property
    def tuned(self) -> int:
        """Layers that are tuned."""
        return self.readings[0].tuned

    @property
    def backbones(self) -> tuple[Backbone, ...]:
        """All that read."""
        return tuple(reading.backbone for reading in self.readings)

    def aim(self, aim: Aim) -> Aim:
        """With the layers that are tuned among the productions."""
        if not self.tuned:
            return aim
        from .upper import UpperLayers

        first = self.readings[0]
        own = UpperLayers(first.backbone, first.tuned, first.numbers, self.way)
        productions = MappingProxyType({**aim.registry.productions, own.name: own})
        return replace(aim, registry=replace(aim.registry, productions=productions))

    def read(self, tensors: Tensors, deadline: float = math.inf, keep: bool = True) -> np.ndarray:
        """Which rows (n,) are known by then."""
        return np.logical_and.reduce([reading.read(tensors, deadline, keep) for reading in self.readings])

    def trim(self) -> None:
        """Forget rows that somebody wanted predicted, as soon as they are many; not between views of the same rows."""
        for reading in self.readings:
            reading.reader.trim()

    def lengths(self, tensors: Tensors) -> np.ndarray:
        """How long rows (n,) are, for those that are tuned on; one for all of a size."""
        first = np.asarray(self.readings[0].raw(tensors)[0][0])
        return np.count_nonzero(first, axis=1) if self.tuned and first.ndim == 2 else np.zeros(len(first))

    def tensors(self, tensors: Tensors) -> Tensors:
        """What the inner learner sees of rows that were read."""
        found: Tensors = {}
        for reading in self.readings:
            found |= reading.tensors(tensors)
        return found | {name + BESIDE: tensors[name] for name in self.beside}

    def views(self, views: Mapping[str, View], tensors: Tensors) -> dict[str, View]:
        """The views of what `tensors` gives, by one example of it."""
        found: dict[str, View] = {}
        for name, tensor in tensors.items():
            shape = tensor.values.shape[1:]
            if name.removesuffix(BESIDE) in self.beside and name.endswith(BESIDE):
                found[name] = replace(views[name.removesuffix(BESIDE)], raw="")
            elif tensor.mask is not None:
                kind = "time" if self.readings[0].backbone.raw == "wave" else "tokens"
                found[name] = View((Axis(kind, shape[0], True),), shape[1])
            elif self.tuned:
                colours = "colours" if self.readings[0].reader.untouched else ""
                found[name] = View(tuple(Axis("space", size) for size in shape[:-1]), shape[-1], channel_kind=colours)
            else:
                found[name] = View((Axis("columns", shape[0]),), 1)
        return found


@dataclass(frozen=True)
class TransferModel(Model):
    """A backbone, by name and digest of its weights, and the model on what it gives."""

    config: Config
    views: Mapping[str, View]  # as the data have them
    seen: Mapping[str, View]  # as the inner model has them
    inner: Model
    aim: Aim
    segments: bool = True

    @property
    def plan(self) -> Plan:
        """What the config says for these views."""
        return Plan.of(self.config, self.views, self.aim, self.segments)

    def predict(self, tensors: Tensors) -> np.ndarray:
        """As the inner model, batch by batch, rows of about one length together where what is filled up is work."""
        plan, rows = self.plan, rows_of(tensors)
        if not rows:
            output, state = self.aim.output, self.aim.state  # encoders of transformers take no empty batch
            return output.activate(state, np.zeros((0, output.width(state))))
        order = np.argsort(plan.lengths(tensors), kind="stable")
        step = AT_ONCE_TUNED if plan.tuned else AT_ONCE
        found = []
        for start in range(0, rows, step):
            batch = take(tensors, order[start : start + step])
            plan.trim()
            plan.read(batch, keep=False)
            found.append(self.inner.predict(_as_seen(plan.tensors(batch), self.seen)))
        said = np.concatenate(found)
        sorted_back = np.empty_like(said)
        sorted_back[order] = said
        return sorted_back

    def save(self, folder: Path) -> None:
        """`transfer.json`, and the inner model in a folder of its own. The backbone's weights stay where they are."""
        weights = {backbone.name: backbone.identity() for backbone in self.plan.backbones}
        about = {"config": self.config, "views": self.views, "seen": self.seen, "weights": weights,
                 "segments": self.segments}  # fmt: skip
        (folder / "transfer.json").write_text(json.dumps(plain(about)))
        (folder / "inner").mkdir()
        self.inner.save(folder / "inner")


class TransferLearner(FoldByFold):
    """What both ways share."""

    def accepts(self, views: Mapping[str, View], output: Output) -> bool:
        """Views with something raw beside them, for classes and numbers."""
        return any(view.raw for view in views.values()) and output.name in ("classification", "regression")

    def look(self, config: Config, views: Mapping[str, View], aim: Aim) -> Mapping[str, Any]:
        """The backbones' size and work."""
        backbones = Plan.of(config, views, aim).backbones
        return {
            "parameters": sum(b.parameters for b in backbones),
            "multiply_adds": sum(b.multiply_adds for b in backbones),
            "beside_bytes": sum(4 * b.parameters for b in backbones),
        }

    def warm(self, views: Mapping[str, View]) -> None:
        """Open the backbone that is proposed first, with the libraries it needs."""
        from .backbones import present
        from .reading import opened

        fitting = [b for b in present() if any(view.raw == b.raw for view in views.values())]
        if fitting:
            opened(fitting[0])

    def load(self, folder: Path, aim: Aim) -> TransferModel:
        """Read back what `TransferModel.save` wrote; BundleError where the backbone's weights are others."""
        about = json.loads((folder / "transfer.json").read_text())
        config = Config.from_json(about["config"])
        views, seen = ({k: View.from_json(v) for k, v in about[name].items()} for name in ("views", "seen"))
        segments = about.get("segments", False)  # bundles that do not say so come from when texts were not told apart
        plan = Plan.of(config, views, aim, segments)
        for backbone in plan.backbones:
            if not backbone.identity().startswith(about["weights"][backbone.name]):  # older bundles name less of it
                raise BundleError(
                    f"The weights of '{backbone.name}' are not those that the model was made with.",
                    f"They come from {backbone.origin}.",
                    "Install the version that was there then.",
                )
        learner: Learner = aim.registry.get("learners", plan.inner.production)
        return TransferModel(config, views, seen, learner.load(folder / "inner", plan.aim(aim)), aim, segments)

    def fit_one(
        self, config: Config, fold: Fold, aim: Aim, upto: Rung, resume: Path | None
    ) -> tuple[TransferModel, dict[str, Any]]:
        """Read the fold's rows, then fit; what was read stays known. There is nothing to resume."""
        import torch

        torch.set_num_threads(upto.threads)
        plan = Plan.of(config, fold.views, aim)
        known, seconds = _read(plan, fold, upto)
        train, valid = plan.tensors(take(fold.train, known)), plan.tensors(fold.valid)
        seen = plan.views(fold.views, train)
        inside = replace(fold, views=seen, train=train, train_target=fold.train_target[known],
                         valid=_as_seen(valid, seen), state={})  # fmt: skip
        learner: Learner = aim.registry.get("learners", plan.inner.production)
        fitted = next(iter(learner.fit([plan.inner], [inside], plan.aim(aim), upto, [None])))
        facts = {**fitted.facts, "rows": len(known), "reading_seconds": round(seconds, 3),
                 "row_shared": {r.key: r.reader.row_seconds * len(r.raw(fold.valid)) for r in plan.readings}}  # fmt: skip
        facts["stopped_early"] = bool(facts.get("stopped_early")) or len(known) < len(fold.train_target)
        if not plan.tuned:
            facts["parameters"] = sum(b.parameters for b in plan.backbones) + facts.get("parameters", 0)
        return TransferModel(config, fold.views, seen, fitted.models[0], aim), facts


class FrozenLearner(TransferLearner):
    """Any learner on the features that a backbone gives."""

    name = Frozen.name


class FineTuneLearner(TransferLearner):
    """The last layers of a backbone and a head, trained by the one training loop."""

    name = FineTune.name


def _read(plan: Plan, fold: Fold, upto: Rung) -> tuple[np.ndarray, float]:
    """Positions of the training rows that could be read in time, and the seconds that took. Held-out rows come first."""
    from .reading import FEWEST, HOPEFUL, SHARE

    began = time.monotonic()
    until = began + SHARE * (upto.deadline - began) if math.isfinite(upto.deadline) else math.inf
    names = " and ".join(f"'{backbone.name}'" for backbone in plan.backbones)
    needed = sum(reading.needed(fold.valid) for reading in plan.readings)
    if needed > HOPEFUL * (until - began):  # not even begun
        raise Pruned(f"{names} would take {needed:.0f} s to read {len(fold.valid_target)} held-out rows alone")
    valid, train = plan.read(fold.valid, until), plan.read(fold.train, until)
    known = np.flatnonzero(train)
    if not valid.all() or len(known) < min(FEWEST, len(train)):
        total = len(valid) + len(train)
        raise Pruned(
            f"{names} read {int(valid.sum()) + len(known)} of {total} rows in the "
            f"{time.monotonic() - began:.0f} s there were; it will go on from there"
        )
    return known, time.monotonic() - began


def _as_seen(tensors: Tensors, seen: Mapping[str, View]) -> Tensors:
    """Rows brought to the length that the inner model knows: states of longer ones are cut off, of shorter ones filled up."""
    found = {}
    for name, tensor in tensors.items():
        if tensor.mask is None:
            found[name] = tensor
            continue
        longest = seen[name].axes[0].size
        values = np.zeros((len(tensor), longest, *tensor.values.shape[2:]), tensor.values.dtype)
        mask = np.zeros((len(tensor), longest), bool)
        some = min(longest, tensor.mask.shape[1])
        values[:, :some], mask[:, :some] = tensor.values[:, :some], tensor.mask[:, :some]
        found[name] = Tensor(values, mask=mask)
    return found
