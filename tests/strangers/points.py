"""A stranger's plugin: point clouds (a modality), a set encoder (a block), graded answers (an output)."""

from pathlib import Path

import numpy as np

from metalearner.arrays import Fields, Ragged, Tensor
from metalearner.hookspecs import hookimpl
from metalearner.kinds import Family, Int, Modality, Output, Production, Transform
from metalearner.records import Axis, Column, Config, Schema, View


class Points(Modality):
    """Files of lines "grade x y x y ...": a cloud a line."""

    name, transform = "points", "points-padding"

    def sniff(self, source):
        if not str(source).endswith(".points"):
            return None
        columns = (Column("cloud", "array"), Column("grade", "grade"))
        return Schema(self.name, "points", len(Path(source).read_text().splitlines()), columns, target_hint="grade")

    def decode(self, source, schema):
        rows = [np.array(line.split(), np.float32) for line in Path(source).read_text().splitlines()]
        fields = {
            "cloud": Ragged.pack([r[1:].reshape(-1, 2) for r in rows]),
            "grade": np.array([float(r[0]) for r in rows]),
        }
        yield Fields({k: v for k, v in fields.items() if k in schema.names})

    def views(self, schema):
        return {"cloud": View((Axis("set", 1, ragged=True),), 2)}

    def features(self, fields, schema):
        return {"points": fields["cloud"].lengths.astype(float)}


class Padding(Transform):
    """Pad clouds to the largest one seen."""

    name = "points-padding"

    def fit(self, fields, schema):
        return {"size": int(fields["cloud"].lengths.max()), "scale": float(fields["cloud"].values.std())}

    def apply(self, state, fields):
        values = np.zeros((fields.rows, state["size"], 2), np.float32)
        mask = np.zeros((fields.rows, state["size"]), bool)
        for i, cloud in enumerate(fields["cloud"]):
            kept = cloud[: state["size"]] / state["scale"]
            values[i, : len(kept)], mask[i, : len(kept)] = kept, True
        return {"cloud": Tensor(values, mask=mask)}

    def views(self, state):
        return {"cloud": View((Axis("set", state["size"], ragged=True),), 2)}


class Cloud(Production):
    """Sum over points of a small network (Deep Sets)."""

    name, symbol = "cloud", "encoder"

    def space(self):
        return {"width": Int(8, 64, 16)}

    def build(self, numbers, view, parts):
        import torch

        class Module(torch.nn.Module):
            width, members = numbers["width"], 1

            def __init__(self):
                super().__init__()
                self.point = torch.nn.Sequential(torch.nn.Linear(view.channels, self.width), torch.nn.SiLU())

            def forward(self, values, codes, mask):  # (B, points, 2), None, (B, points) -> (B, width)
                return (self.point(values) * mask.unsqueeze(-1)).sum(1) / 10

        return Module()


class Grade(Output):
    """An ordered grade, learnt as a number and answered as the nearest whole one."""

    name, metrics, losses = "grade", ("r2",), ("squared-grade",)
    claims = lambda self, target, kind: float(kind == "grade")  # noqa: E731
    fit = lambda self, target: {"mean": float(target.mean()), "scale": float(target.std())}  # noqa: E731
    encode = lambda self, s, target: (target - s["mean"]) / s["scale"]  # noqa: E731
    width = lambda self, s: 1  # noqa: E731
    activate = lambda self, s, raw: raw  # noqa: E731
    baseline = lambda self, s, target, rows: np.zeros((rows, 1))  # noqa: E731
    merge = lambda self, predictions, weights: sum(w * p for w, p in zip(weights, predictions))  # noqa: E731
    strata = lambda self, target: np.unique(target, return_inverse=True)[1]  # noqa: E731
    calibrate = lambda self, s, prediction, target: {}  # noqa: E731
    calibrated = lambda self, calibration, prediction: prediction  # noqa: E731
    conform = lambda self, s, p, target, level: {"off": float(np.quantile(np.abs(p[:, 0] - target), level))}  # noqa: E731
    regions = lambda self, c, s, p: [[v - c["off"], v + c["off"]] for v in p[:, 0].tolist()]  # noqa: E731
    table = lambda self, s, p: {"prediction": np.round(p[:, 0] * s["scale"] + s["mean"])}  # noqa: E731


@hookimpl
def register_modalities():
    return [Points()]


@hookimpl
def register_transforms():
    return [Padding()]


@hookimpl
def register_outputs():
    return [Grade()]


@hookimpl
def register_productions():
    return [Cloud()]


@hookimpl
def register_losses():
    from metalearner.kinds import Loss

    class Squared(Loss):
        name, outputs = "squared-grade", ("grade",)
        __call__ = lambda self, raw, target: (raw[:, 0] - target) ** 2  # noqa: E731

    return [Squared()]


@hookimpl
def register_families():
    config = Config("net", {}, {"encoder": (Config("cloud"),), "recipe": (Config("gradient", {"lr": 0.01}),)})
    return [Family("cloud", "a set of points", (config,), lambda views: next(iter(views.values())).kinds == ("set",))]
