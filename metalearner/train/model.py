"""A trained network: how it predicts, what it leaves on disk, and how a higher rung goes on from there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ..arrays import Tensors, rows_of, take
from ..errors import BundleError
from ..grammar.build import Net, build
from ..kinds import Aim, Model
from ..records import Config, View, plain
from .samples import inputs

# Rows that are predicted or judged at once.
AT_ONCE = 512


@dataclass
class NetModel(Model):
    """A trained network. Where the fit can go on, its checkpoint carries the latest weights and the optimiser too."""

    net: Net
    config: Config
    views: Mapping[str, View]
    aim: Aim
    latest: Mapping[str, torch.Tensor] = field(default_factory=dict)
    progress: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, tensors: Tensors) -> np.ndarray:
        """Members' predictions averaged, batch by batch."""
        rows = rows_of(tensors)
        found = []
        if self.net.training:  # `eval` walks the whole tree
            self.net.eval()
        with torch.inference_mode():
            for start in range(0, max(rows, 1), AT_ONCE):
                batch = take(tensors, np.arange(start, min(start + AT_ONCE, rows)))
                raw = self.net(inputs(batch, self.views)).double().numpy()  # (B, members, width)
                found.append(
                    self.aim.output.merge(
                        [self.aim.output.activate(self.aim.state, raw[:, m]) for m in range(raw.shape[1])],
                        [1 / raw.shape[1]] * raw.shape[1],
                    )
                )
        return np.concatenate(found)

    def save(self, folder: Path) -> None:
        """Weights and optimiser state as safetensors, the rest as JSON."""
        left_out = given(self.net)
        weights = {k: v.detach().contiguous() for k, v in self.net.state_dict().items() if k not in left_out}
        save_file(weights, folder / "weights.safetensors")
        if self.latest:
            save_file(dict(self.latest), folder / "optimiser.safetensors")
        about = {"config": self.config, "views": self.views, "progress": self.progress}
        (folder / "net.json").write_text(json.dumps(plain(about)))

    def export(self, views: Mapping[str, View]) -> Iterator[bytes]:
        """ONNX of the network and the output's activation."""
        from .portable import to_onnx

        return to_onnx(self.net, self.views, self.aim)


@dataclass(frozen=True)
class Checkpoint:
    """What an earlier rung left of one network."""

    best: Mapping[str, torch.Tensor]
    latest: Mapping[str, torch.Tensor]
    progress: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Checkpoint | None:
        """None where that fold was not fitted."""
        if not (folder / "net.json").exists():
            return None
        rest = folder / "optimiser.safetensors"
        progress = json.loads((folder / "net.json").read_text())["progress"]
        return cls(load_file(folder / "weights.safetensors"), load_file(rest) if rest.exists() else {}, progress)


def load(folder: Path, aim: Aim) -> NetModel:
    """Rebuild the network and fill in its weights."""
    about = json.loads((folder / "net.json").read_text())
    views = {k: View.from_json(v) for k, v in about["views"].items()}
    config = Config.from_json(about["config"])
    net = build(config, views, aim.output.width(aim.state), aim.registry.productions)
    weights = load_file(folder / "weights.safetensors")
    net.load_state_dict(weights, strict=False)
    if lacking := set(net.state_dict()) - set(weights) - given(net):
        raise BundleError(f"The weights in '{folder.name}' lack {sorted(lacking)[0]}.", "", "Package the run anew.")
    return NetModel(net.eval(), config, views, aim, {}, about.get("progress", {}))


def given(net: Net) -> set[str]:
    """Names of weights that building a network gives as they are: those of a pretrained part that nobody trains."""
    return {name for name, parameter in net.named_parameters() if getattr(parameter, "given", False)}


def fill(net: Net, tensors: Mapping[str, torch.Tensor]) -> Net:
    """Give a network on the processor these weights and buffers, as storage of its own."""
    for name, parameter in net.named_parameters():
        if name in tensors:
            parameter.data = tensors[name].to("cpu", copy=True)
        parameter.grad = None
    for name, buffer in net.named_buffers():
        if name in tensors:
            buffer.copy_(tensors[name])
    return net.eval()
