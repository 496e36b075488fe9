"""A trained network as ONNX: tensors of its views in, the prediction out."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..grammar.build import Net
from ..kinds import Aim
from ..records import View


class Portable(nn.Module):
    """The network behind flat inputs, its members' activations averaged."""

    def __init__(self, net: Net, slots: list[tuple[str, str]], aim: Aim) -> None:
        super().__init__()
        self.net, self.slots, self.aim = net, slots, aim

    def forward(self, *given: torch.Tensor) -> torch.Tensor:
        """Tensors in the order of `slots` -> prediction (B, k)."""
        by_slot = dict(zip(self.slots, given))
        raw = self.net([tuple(by_slot.get((v, part)) for part in ("values", "codes", "mask")) for v in self.net.views])
        return self.aim.output.graph(self.aim.state, raw).mean(dim=1)


def to_onnx(net: Net, views: Mapping[str, View], aim: Aim) -> bytes:
    """ONNX bytes with a dynamic batch; inputs "<view>.values" (and .codes, .mask), output "prediction"."""
    slots: list[tuple[str, str]] = []
    examples: list[torch.Tensor] = []
    for name, view in views.items():
        slots.append((name, "values"))
        examples.append(torch.zeros(2, *view.shape))
        if view.cardinalities:
            slots.append((name, "codes"))
            examples.append(torch.zeros(2, len(view.cardinalities), dtype=torch.int64))
        if any(a.ragged for a in view.axes):
            slots.append((name, "mask"))
            examples.append(torch.ones(2, next(a.size for a in view.axes if a.ragged), dtype=torch.bool))
    module = Portable(net.eval(), slots, aim).eval()
    batch = torch.export.Dim("batch", min=1, max=1 << 20)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            module,
            tuple(examples),
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=[f"{v}.{part}" for v, part in slots],
            output_names=["prediction"],
            dynamic_shapes=(tuple({0: batch} for _ in examples),),
        )
    buffer = io.BytesIO()
    program.save(buffer)
    return buffer.getvalue()
