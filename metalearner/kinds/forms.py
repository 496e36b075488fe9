"""What a trained network may become once it is trained: other forms in a bundle, other files for other machines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .learning import Model


class Form(ABC):
    """A form a network may have in a bundle instead of ONNX, smaller or quicker. It is proven equal like ONNX itself."""

    name: str

    @abstractmethod
    def make(self, onnx: bytes) -> Mapping[str, bytes] | None:
        """Files by name, made from the network's ONNX; None where this form is of no use to it."""

    @abstractmethod
    def load(self, folder: Path) -> Model:
        """Read back what `make` gave, once it lies in a folder. It is data: whatever is wrong with it raises ValueError."""


@dataclass(frozen=True)
class Network:
    """One model of a bundle, as it lies there: its share of the answer, its folder, the form it has ("" for ONNX)."""

    weight: float
    folder: Path
    form: str
    onnx: bytes | None


class Target(ABC):
    """Something other than this program that networks can be deployed to."""

    name: str
    summary: str

    @abstractmethod
    def write(self, networks: Sequence[Network], name: str) -> Mapping[str, bytes]:
        """Files by name. `name` is a word to call it by. Raises UserError, naming what is in the way."""
