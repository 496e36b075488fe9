"""The smallest complete set of kinds: two columns, a scaling, a line and a tiny network. Real, and quick to fit."""

import json
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from metalearner.arrays import Fields, Tensor, rows_of
from metalearner.errors import DataError
from metalearner.kinds import Learner, Modality, Model, Transform
from metalearner.outputs import METRICS, Classification, Regression
from metalearner.plugins import KINDS, Plugin, Registry
from metalearner.predictor import Member, Predictor
from metalearner.records import Axis, Column, Config, Schema, Scorecard, Task, View

SCHEMA = Schema("pairs", "frame", 400, (Column("x", "number"), Column("colour", "category", levels=("red", "blue"))))


class Pairs(Modality):
    """DataFrames or lists of rows with a number `x` and a category `colour`."""

    name, transform = "pairs", "pair-scaling"

    def sniff(self, source):
        return SCHEMA if isinstance(source, pd.DataFrame) else None

    def decode(self, source, schema):
        frame = source if isinstance(source, pd.DataFrame) else pd.DataFrame(source)
        for column in schema.columns:
            if column.name not in frame:
                raise DataError(f"There is no column '{column.name}'.", f"Found: {list(frame)}.", "Add it.")
        try:
            yield Fields({c.name: self._column(frame[c.name], c.kind) for c in schema.columns})
        except (ValueError, TypeError) as problem:
            raise DataError(f"A cell cannot be read: {problem}.", "", "Correct it.") from None

    def _column(self, cells, kind):
        return cells.to_numpy(float) if kind == "number" else cells.fillna("").to_numpy(str)

    def views(self, schema):
        return {"table": View((Axis("columns", 1),), 1, (3,))}

    def features(self, fields, schema):
        return {name: fields[name] for name in schema.names}


class PairScaling(Transform):
    """x to mean 0 and deviation 1; colours to codes."""

    name = "pair-scaling"

    def fit(self, fields, schema):
        x = fields["x"]
        return {"mean": float(np.nanmean(x)), "scale": float(np.nanstd(x)), "levels": sorted(set(fields["colour"]))}

    def apply(self, state, fields):
        values = ((fields["x"] - state["mean"]) / state["scale"]).astype(np.float32)[:, None, None]
        code = {level: i + 1 for i, level in enumerate(state["levels"])}
        codes = np.array([code.get(c, 0) for c in fields["colour"]], np.int64).reshape(-1, 1)
        return {"table": Tensor(values, codes)}

    def views(self, state):
        return {"table": View((Axis("columns", 1),), 1, (len(state["levels"]) + 1,))}


@dataclass
class Line(Model):
    """Head outputs linear in x and the colour."""

    weights: np.ndarray  # (3, width)
    aim: object

    def predict(self, tensors):
        return self.aim.output.activate(self.aim.state, design(tensors) @ self.weights)

    def save(self, folder):
        (folder / "line.json").write_text(json.dumps(self.weights.tolist()))


class LineLearner(Learner):
    """Least squares."""

    name = "line"

    def accepts(self, views, output):
        return True

    def fit(self, configs, folds, aim, upto, resume):
        raise NotImplementedError("tests fit it with `line`")

    def load(self, folder, aim):
        return Line(np.array(json.loads((folder / "line.json").read_text())), aim)


def design(tensors):
    table = tensors["table"]
    x = np.nan_to_num(table.values[:, 0, 0].astype(np.float64))
    return np.stack([np.ones(len(x)), x, table.codes[:, 0] == 1], axis=1)


def line(tensors, target, aim):
    """Fit a Line."""
    width = aim.output.width(aim.state)
    wanted = 4 * np.eye(width)[target] if width > 1 else target[:, None]
    return Line(np.linalg.lstsq(design(tensors), wanted, rcond=None)[0], aim)


@dataclass
class Tiny(Model):
    """A small torch network; `shift` makes its ONNX differ, `pause` makes the export slow."""

    module: object
    aim: object
    shift: float = 0.0
    pause: float = 0.0
    raises: bool = False
    facts: dict = field(default_factory=dict)

    def predict(self, tensors):
        import torch

        with torch.inference_mode():
            if not rows_of(tensors):
                return np.zeros((0, self.aim.output.width(self.aim.state)))
            table = tensors["table"]
            raw = self.module(torch.as_tensor(table.values), torch.as_tensor(table.codes))
        return self.aim.output.activate(self.aim.state, raw.double().numpy())

    def save(self, folder):
        from safetensors.torch import save_file

        save_file(self.module.state_dict(), folder / "weights.safetensors")

    def export(self, views):
        import io
        import time

        import torch

        if self.raises:
            raise RuntimeError("no such operator")
        time.sleep(self.pause)
        outer = self

        class Whole(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = outer.module

            def forward(self, values, codes):
                return outer.aim.output.graph(outer.aim.state, self.inner(values, codes)) + outer.shift

        names = ["table.values", "table.codes"]
        buffer = io.BytesIO()
        torch.onnx.export(
            Whole().eval(), (torch.zeros(2, 1, 1), torch.zeros(2, 1, dtype=torch.int64)), buffer, dynamo=False,
            input_names=names, output_names=["prediction"],
            dynamic_axes={name: {0: "batch"} for name in [*names, "prediction"]},
        )  # fmt: skip
        yield buffer.getvalue()


class TinyLearner(LineLearner):
    """Loads Tiny models."""

    name = "tiny"

    def load(self, folder, aim):
        from safetensors.torch import load_file

        module = network(aim.output.width(aim.state))
        module.load_state_dict(load_file(folder / "weights.safetensors"))
        return Tiny(module.eval(), aim)


def network(width, seed=0):
    """values (B, 1, 1), codes (B, 1) -> (B, width)."""
    import torch

    torch.manual_seed(seed)

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(3, 4)
            self.body = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.SiLU(), torch.nn.Linear(16, width))

        def forward(self, values, codes):
            return self.body(torch.cat([torch.nan_to_num(values).flatten(1), self.embed(codes).flatten(1)], dim=1))

    return Network().eval()


def registry():
    """These kinds beside the core's outputs and metrics."""
    brought = {
        "modalities": [Pairs()],
        "transforms": [PairScaling()],
        "outputs": [Classification(), Regression()],
        "metrics": METRICS,
        "learners": [LineLearner(), TinyLearner()],
    }
    named = {kind: {thing.name: thing for thing in brought.get(kind, [])} for kind in KINDS}
    plugin = Plugin("pairs", "metalearner-pairs", "1.2", {kind: tuple(things) for kind, things in named.items()})
    return Registry(**{kind: MappingProxyType(things) for kind, things in named.items()}, plugins=(plugin,))


def table(rows, seed=0):
    """x, colour, and two targets that depend on them: `kind` and `size`."""
    rng = np.random.default_rng(seed)
    x, colour = rng.normal(size=rows), rng.choice(["red", "blue"], rows)
    score = 1.5 * x + (colour == "red") + 0.5 * rng.normal(size=rows)
    kind = np.select([score < -0.5, score < 1], ["a", "b"], "c")
    return pd.DataFrame({"x": x, "colour": colour, "kind": kind, "size": 100 + 10 * score})


def predictor(target="kind", tiny=None, rows=400):
    """A calibrated predictor of two folds: a line, and beside it the network if `tiny` gives its arguments."""
    from metalearner.kinds import Aim

    found = registry()
    frame = table(rows)
    output = found.outputs["classification" if target == "kind" else "regression"]
    raw = frame[target].to_numpy()
    state = output.fit(raw)
    encoded = output.encode(state, raw)
    metric = found.metrics[output.metrics[0]]
    aim = Aim(output, state, metric, found)
    modality, transform = found.modalities["pairs"], found.transforms["pair-scaling"]
    fields = Fields.concat(list(modality.decode(frame, SCHEMA)))
    halves = [np.arange(rows) % 2 == i for i in range(2)]
    states = [transform.fit(fields.take(np.flatnonzero(h)), SCHEMA) for h in halves]
    lines = [line(transform.apply(s, fields.take(np.flatnonzero(h))), encoded[h], aim) for s, h in zip(states, halves)]
    members = [Member("00000", "line", Config("line", {"ridge": 0.1}), 1.0, tuple(lines))]
    if tiny is not None:
        nets = tuple(Tiny(network(output.width(state), seed=i), aim, **tiny) for i in range(2))
        members = [
            Member("00000", "line", Config("line"), 0.75, tuple(lines)),
            Member("00007", "tiny", Config("tiny"), 0.25, nets),
        ]
    task = Task("which kind?" if target == "kind" else "what size?", "pairs", target, output.name, metric.name)
    plain = Predictor(task, SCHEMA, modality, transform, output, state, tuple(states), tuple(members))
    said = plain.raw(fields)
    calibration = output.calibrate(state, said, encoded)
    conformal = output.conform(state, output.calibrated(calibration, said), encoded, 0.9)
    return replace(plain, calibration=calibration, conformal=conformal)


def scorecard(predictor, rows=300):
    """Its score on new rows."""
    frame = table(rows, seed=1)
    metric = registry().metrics[predictor.task.metric]
    target = predictor.output.encode(predictor.state, frame[predictor.task.target].to_numpy())
    value = metric.score(target, predictor.predict(predictor.decode(frame)), predictor.state)
    return Scorecard(metric.name, value, value - 0.05, value + 0.05, 0.4, rows, "sealed test")
