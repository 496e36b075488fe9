"""Folders with a pretrained model as transformers writes it: config.json, safetensors, what its input needs."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from metalearner.backbones import FETCHED
from metalearner.errors import PluginError
from metalearner.kinds import Backbone

WEIGHTS, CONFIG = "*.safetensors", "config.json"
# Multiply-adds of a row for each parameter: a token each of a text, a patch each of a picture.
POSITIONS = 32


class Folder(Backbone):
    """A backbone whose weights lie in a folder. `width` and `layers` are read from its config.json."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.origin, self.licence, self.summary = f"folder {folder.name}", "not stated", ""
        about = self._config
        sizes = about.get("hidden_sizes") or [about.get("hidden_size") or about.get("dim") or 0]
        self.width = int(sizes[-1])
        self.layers = int(about.get("num_hidden_layers") or about.get("n_layers") or len(about.get("depths", ())) or 1)
        self.parameters = sum(map(_numbers, folder.glob(WEIGHTS)))
        looked_up = int(about.get("vocab_size", 0)) * self.width  # the embeddings of words that do not occur do nothing
        self.multiply_adds = float(max(0, self.parameters - looked_up)) * POSITIONS

    def missing(self) -> str:
        """What is not in the folder."""
        if not (self.folder / CONFIG).exists():
            return f"'{self.folder}' has no {CONFIG}"
        return "" if any(self.folder.glob(WEIGHTS)) else f"'{self.folder}' holds no weights as safetensors"

    def identity(self) -> str:
        """SHA-256 of its weights, then of what else it reads rows by: config, tokeniser, preprocessor.

        The weights come first and alone were all that older bundles name.
        """
        return self._digest

    def model(self) -> Any:
        """The encoder with its weights."""
        from transformers import AutoModel

        with quietly():
            try:
                found, loading = AutoModel.from_pretrained(
                    self.folder, local_files_only=True, use_safetensors=True, trust_remote_code=False,
                    output_loading_info=True, dtype="float32", attn_implementation="eager",
                )  # fmt: skip
            except Exception as problem:
                raise PluginError(
                    f"The weights of '{self.name}' cannot be read: {problem}".splitlines()[0][:300],
                    f"They should lie in '{self.folder}' as transformers writes them.",
                    "Save them again with save_pretrained, or: metalearner backbone remove " + self.name,
                ) from problem
        lacking = [key for key in loading["missing_keys"] if "pooler" not in key]
        if lacking or loading.get("mismatched_keys"):
            wrong = [*lacking, *map(str, loading.get("mismatched_keys") or ())]
            raise PluginError(
                f"The weights of '{self.name}' do not fit its config.json: {len(wrong)} are missing or of another shape.",
                f"The first is {wrong[0]}.",
                "Save weights and config together with save_pretrained.",
            )
        return found

    @cached_property
    def _config(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.folder / CONFIG).read_text()))
        except (OSError, ValueError, TypeError):
            return {}

    @cached_property
    def _digest(self) -> str:
        beside = {file for pattern in FETCHED for file in self.folder.glob(pattern)} - set(self.folder.glob(WEIGHTS))
        return f"{_digest(sorted(self.folder.glob(WEIGHTS)))}-{_digest(sorted(beside))}"


def _digest(files: Sequence[Path]) -> str:
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()


def _numbers(file: Path) -> int:
    """How many numbers a file of safetensors holds, by its first lines; 0 where it is broken."""
    try:
        with file.open("rb") as opened:
            header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
        return sum(math.prod(about["shape"]) for name, about in header.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError):
        return 0


@contextmanager
def quietly() -> Iterator[None]:
    """transformers, without bars and warnings; `local_files_only` keeps it off the network."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    yield
