"""A bundle's networks handed to what deploys them elsewhere, its files written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError
from ..kinds import Network, Target
from .bundle import Bundle
from .portable import FORM, ONNX

if TYPE_CHECKING:
    from ..plugins import Registry


def write(folder: Path, registry: Registry, target: str, out: Path, name: str) -> list[Path]:
    """The files of a target, written to `out`. Raises UserError where the bundle or the target refuses."""
    writer: Target = registry.get("targets", target)
    if not re.fullmatch(r"[A-Za-z_]\w{0,60}", name, re.ASCII):
        raise UserError(f"'{name}' is no name for code.", "Letters, digits and _, a letter first.", "--name model")
    files = writer.write(networks(Bundle.open(folder, registry)), name)
    out.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (out / file).write_bytes(content)
    return [out / file for file in files]


def networks(bundle: Bundle) -> list[Network]:
    """Every model of a bundle as it lies there, with its share of the answer."""
    found = []
    for member in bundle.predictor.members:
        for i in range(len(member.models)):
            place = bundle.folder / "members" / member.trial / str(i)
            form = json.loads((place / FORM).read_text())["form"] if (place / FORM).exists() else ""
            onnx = (place / ONNX).read_bytes() if (place / ONNX).exists() else None
            found.append(Network(member.weight / len(member.models), place, form, onnx))
    return found
