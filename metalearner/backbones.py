"""The pretrained models that this user has added: folders as transformers writes them, by a name each.

A folder is looked at, never run: config.json, safetensors, no pickles. From a hub only when the user says so, once, at a
pinned revision; afterwards it is a folder like any other.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError, MetalearnerError, UserError
from .home import home
from .kinds import Backbone
from .records import Record

if TYPE_CHECKING:
    from .plugins import Registry

# What is fetched from a hub: numbers, text, nothing that runs.
FETCHED = ("*.safetensors", "*.json", "*.txt", "*.model")
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack")
# Samples a second at which recordings are kept for pretrained models.
RATE = 16_000
READS = {"text": "texts", "pixels": "pictures", "wave": "sound"}


@dataclass(frozen=True)
class Added(Record):
    """One pretrained model that the user has added."""

    name: str
    folder: str
    raw: str  # what it reads: one of READS
    origin: str
    licence: str = "not stated"


def added() -> list[Added]:
    """All of them, in the order in which they were added."""
    try:
        return [Added.from_json(entry) for entry in json.loads(_list().read_text())]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError) as problem:
        raise UserError(f"'{_list()}' cannot be read: {problem}", "It lists the backbones you added.",
                        "Remove it, and add them again: metalearner backbone add FOLDER") from problem  # fmt: skip


def here(registry: Registry) -> list[dict[str, Any]]:
    """Every backbone that can be loaded, and those added that cannot, with the reason."""
    found = [
        {
            "name": one.name, "reads": READS.get(one.raw, one.raw), "parameters": one.parameters, "width": one.width,
            "layers": one.layers, "licence": one.licence, "origin": one.origin, "missing": "",
        }
        for one in registry.productions.values() if isinstance(one, Backbone)
    ]  # fmt: skip
    names = {one["name"] for one in found}
    for entry in added():
        if entry.name not in names:
            why = "nothing installed loads models of this kind" if Path(entry.folder).exists() else "the folder is gone"
            found.append({"name": entry.name, "reads": READS[entry.raw], "licence": entry.licence,
                          "origin": entry.origin, "missing": why})  # fmt: skip
    return found


def add(source: str, name: str = "", revision: str = "", network: bool = False, taken: Container[str] = ()) -> Added:
    """Look at a folder and remember it; a name of the hub is fetched first, if the network is allowed.

    `taken` are names of productions: with one of these the plugin that brings backbones could not be loaded.
    """
    name = name or re.sub(r"[^a-z0-9]+", "-", Path(source).name.lower()).strip("-")
    if name in taken or any(one.name == name for one in added()):
        raise UserError(f"There is a backbone or a production '{name}' already.", "Names are unique.",
                        "Give another one: --name NAME")  # fmt: skip
    folder = Path(source).expanduser()
    licence, origin = "not stated", ""
    if not folder.exists():
        folder, licence = _fetched(source, revision, network)
        origin = f"hub {source} at {revision[:12]}"
    folder = folder.resolve()
    try:
        raw = looked_at(folder)
    except DataError:
        _forget(folder)
        raise
    found = Added(name, str(folder), raw, origin or f"folder {folder.name}", licence)
    _write([*added(), found])
    return found


def tried(added: Added, registry: Registry) -> None:
    """Read the weights of what was just added, once; what cannot be read is forgotten again. DataError says why."""
    found = registry.productions.get(added.name)
    if not isinstance(found, Backbone):
        return  # nothing installed loads it; the list says so
    try:
        found.load()
    except MetalearnerError as problem:
        remove(added.name)
        raise DataError(
            problem.happened,
            problem.holds or "It was tried, and is not added.",
            "Save the model again, weights and config together: model.save_pretrained(FOLDER)",
        ) from problem


def remove(name: str) -> Added:
    """Forget a backbone; what was fetched for it is deleted, a folder of the user's stays."""
    found = [one for one in added() if one.name == name]
    if not found:
        raise UserError(
            f"There is no backbone '{name}' among those you added.", "", "List them: metalearner backbone list"
        )
    _write([one for one in added() if one.name != name])
    _forget(Path(found[0].folder))
    return found[0]


def _forget(folder: Path) -> None:
    """Delete what was fetched; a folder of the user's stays."""
    if folder.is_relative_to((home() / "backbones").resolve()):
        shutil.rmtree(folder, ignore_errors=True)


def looked_at(folder: Path) -> str:
    """What the model in a folder reads. DataError where the folder cannot be used, with the reason."""
    hint = "Save it with model.save_pretrained(FOLDER) and its tokeniser or image processor beside it."
    config, processor = folder / "config.json", folder / "preprocessor_config.json"
    if not folder.is_dir() or not config.exists():
        raise DataError(f"'{folder}' is no folder with a config.json.", "That is how transformers saves models.", hint)
    try:
        about = json.loads(config.read_text())
        kind = str(about["model_type"])
        given = dict(json.loads(processor.read_text())) if processor.exists() else {}
    except (ValueError, KeyError, TypeError) as problem:
        raise DataError(
            f"'{config.name}' or '{processor.name}' in '{folder}' cannot be read: {problem!r}",
            "The first names the model_type.",
            hint,
        ) from None
    weights = sorted(folder.glob("*.safetensors"))
    pickled = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLED)
    if not weights:
        raise DataError(
            f"'{folder}' holds no safetensors" + (f", but {pickled[0]}, which may hold a pickle." if pickled else "."),
            "Reading a pickle can run any code; it is not opened.",
            "Convert it where you trust it: model.save_pretrained(FOLDER, safe_serialization=True)",
        )
    for file in weights:
        _whole(file)
    if "auto_map" in about:
        raise DataError(f"The model in '{folder}' brings code of its own.", "Code from models is never run.",
                        "Take one whose classes are in transformers.")  # fmt: skip
    if given.get("sampling_rate", RATE) != RATE:
        raise DataError(
            f"The model in '{folder}' listens to {given['sampling_rate']} samples a second.",
            f"Recordings are kept at {RATE}.",
            f"Take a model that was trained on {RATE} samples a second.",
        )
    if any((folder / name).exists() for name in ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model")):
        return "wave" if "sampling_rate" in given else "text"
    if "image_mean" in given or "image_processor_type" in given or "num_channels" in about:
        return "pixels"
    if "sampling_rate" in given:
        return "wave"
    raise DataError(f"What the model '{kind}' in '{folder}' reads cannot be told.",
                    "A tokeniser means texts, a preprocessor_config.json pictures or sound.", hint)  # fmt: skip


def _whole(file: Path) -> None:
    """DataError unless a file is safetensors from its first byte to its last."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as opened:
            opened.keys()
    except (SafetensorError, OSError) as problem:
        raise DataError(
            f"'{file}' is not whole: {problem}",
            "Weights are read as safetensors, from the first byte to the last.",
            "Copy or save it again.",
        ) from None


def _fetched(source: str, revision: str, network: bool) -> tuple[Path, str]:
    """A model of the hub in a folder of its own, and its licence."""
    import os

    if not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise DataError(
            f"There is no folder '{source}'.",
            "A backbone is a folder as transformers writes it.",
            "Name a folder, or owner/name of a model of the hub.",
        )
    if not network:
        raise DataError(f"There is no folder '{source}'.", "The network is used only when you say so.",
                        f"To fetch it from the hub: metalearner backbone add {source} --revision COMMIT --network")  # fmt: skip
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise DataError(f"'{revision}' is no commit.", "What is fetched is pinned, so that it is the same tomorrow.",
                        "Give the 40 letters of the commit: --revision COMMIT")  # fmt: skip
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        raise DataError(
            "HF_HUB_OFFLINE is set.", "It forbids the hub to be asked.", "Unset it, or copy the folder here."
        )
    from huggingface_hub import HfApi, snapshot_download

    target = home() / "backbones" / f"{source.replace('/', '--')}-{revision[:12]}"
    try:
        snapshot_download(source, revision=revision, local_dir=target, allow_patterns=list(FETCHED))
        tags = HfApi().model_info(source, revision=revision).tags or []
    except Exception as problem:
        shutil.rmtree(target, ignore_errors=True)
        raise DataError(f"'{source}' could not be fetched: {problem}".splitlines()[0][:300],
                        f"It was asked for at commit {revision[:12]}; nothing is kept of it.",
                        "Look at the name, the commit and the connection, or copy the folder here.") from None  # fmt: skip
    return target, next((t.partition(":")[2] for t in tags if t.startswith("license:")), "not stated")


def _list() -> Path:
    return home() / "backbones.json"


def _write(entries: list[Added]) -> None:
    _list().parent.mkdir(parents=True, exist_ok=True)
    part = _list().with_suffix(".part")
    part.write_text(json.dumps([one.to_json() for one in entries], indent=1))
    part.replace(_list())
