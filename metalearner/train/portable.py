"""A trained network as ONNX: tensors of its views in, the prediction out."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..grammar.build import Net
from ..kinds import Aim
from ..records import View

OPSET = 18


class Portable(nn.Module):
    """The network behind flat inputs, its members' activations averaged."""

    def __init__(self, net: Net, slots: Sequence[tuple[str, str]], aim: Aim) -> None:
        super().__init__()
        self.net, self.slots, self.aim = net, slots, aim

    def forward(self, *given: torch.Tensor) -> torch.Tensor:
        """Tensors in the order of `slots` -> prediction (B, k)."""
        by_slot = dict(zip(self.slots, given))
        raw = self.net([tuple(by_slot.get((v, part)) for part in ("values", "codes", "mask")) for v in self.net.views])
        return self.aim.output.graph(self.aim.state, raw).mean(dim=1)


@dataclass(frozen=True)
class Slot:
    """One input: a part of a view, the shape of a row, its type."""

    view: str
    part: str
    shape: tuple[int, ...]
    kind: torch.dtype

    @property
    def name(self) -> str:
        """As ONNX calls it."""
        return f"{self.view}.{self.part}"

    def example(self, rows: int) -> torch.Tensor:
        """Some rows of it: nothing is missing, every sequence has its full length."""
        return torch.ones(rows, *self.shape, dtype=self.kind) if self.part == "mask" else torch.zeros(
            rows, *self.shape, dtype=self.kind
        )  # fmt: skip


def slots(views: Mapping[str, View]) -> list[Slot]:
    """The inputs that views have."""
    found = []
    for name, view in views.items():
        found.append(Slot(name, "values", tuple(view.shape), torch.float32))
        if view.cardinalities:
            found.append(Slot(name, "codes", (len(view.cardinalities),), torch.int64))
        if any(a.ragged for a in view.axes):
            found.append(Slot(name, "mask", (next(a.size for a in view.axes if a.ragged),), torch.bool))
    return found


def to_onnx(net: Net, views: Mapping[str, View], aim: Aim) -> Iterator[bytes]:
    """ONNX bytes with a dynamic batch; inputs "<view>.values" (and .codes, .mask), output "prediction".

    First as traced, which takes a hundredth of the time of a symbolic export; that one is for networks that cannot be
    traced, or whose trace holds only for as many rows as it was made with.
    """
    given = slots(views)
    module = Portable(net.eval(), [(s.view, s.part) for s in given], aim).eval()
    for way in (_traced, _symbolic):
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            try:
                made = way(module, given)
            except Exception:
                if way is _symbolic:
                    raise
                continue
        yield made


def _traced(module: Portable, given: Sequence[Slot]) -> bytes:
    names = [s.name for s in given]
    buffer = io.BytesIO()
    torch.onnx.export(
        module,
        tuple(s.example(2) for s in given),
        buffer,  # type: ignore[arg-type]  # a trace may be written to any file
        dynamo=False,
        opset_version=OPSET,
        input_names=names,
        output_names=["prediction"],
        dynamic_axes={name: {0: "batch"} for name in [*names, "prediction"]},
    )
    return buffer.getvalue()


def _symbolic(module: Portable, given: Sequence[Slot]) -> bytes:
    """What torch.export makes of it, without the stack of calls that it notes beside every node."""
    batch = torch.export.Dim("batch", min=1, max=1 << 20)
    program: Any = torch.onnx.export(
        module,
        tuple(s.example(2) for s in given),
        dynamo=True,
        external_data=False,
        verbose=False,
        input_names=[s.name for s in given],
        output_names=["prediction"],
        dynamic_shapes=(tuple({0: batch} for _ in given),),
    )
    model = program.model_proto
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.initializer, model.graph):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    return model.SerializeToString()
