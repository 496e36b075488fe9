"""Networks built and exported as a run does it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from metalearner import grammar, testing
from metalearner.grammar.build import build
from metalearner.kinds import Aim
from metalearner.records import View
from metalearner.train.portable import to_onnx


class Probabilities:
    """The part of an output that an export needs."""

    def graph(self, state, raw):
        return torch.softmax(raw, -1)


AIM = Aim(Probabilities(), {}, None, None)


def exported(config, views: Mapping[str, View], width: int, productions, seed: int = 0):
    """A network whose norms have seen data, and its ONNX."""
    torch.manual_seed(seed)
    net = build(grammar.complete(config, productions), views, width, productions)
    with torch.no_grad():
        for i in range(2):
            net.train()([testing.random_inputs(view, 16, i) for view in views.values()])
    return net.eval(), next(iter(to_onnx(net, views, AIM)))


def tensors_of(x: np.ndarray):
    """(values, codes, mask) of values alone."""
    return torch.from_numpy(x), None, None


def feed(views: Mapping[str, View], inputs) -> dict[str, np.ndarray]:
    """What a program or a session takes."""
    parts = ("values", "codes", "mask")
    return {f"{n}.{p}": t.numpy() for n, given in zip(views, inputs) for p, t in zip(parts, given) if t is not None}


def predicted(net, inputs) -> np.ndarray:
    """By torch."""
    with torch.inference_mode():
        return AIM.output.graph(None, net(inputs)).mean(dim=1).numpy()
