"""The manifest of a bundle: every file with its size and SHA-256, so that what is opened is what was written.

It says that a bundle is whole, not who made it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import BundleError, PluginError
from ..records import digest, plain

FORMAT = 1
MANIFEST = "manifest.json"
# Endings of what Python unpickles. Nothing in a bundle has one, listed or not.
PICKLED = frozenset({".pkl", ".pickle", ".pt", ".pth", ".joblib", ".dill", ".cloudpickle"})
WHOLE = "A bundle is opened only as it was written."
AGAIN = "Copy it again from where it came, or package the run anew."


def seal(folder: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Write the manifest over all files in `folder` and return it."""
    files = {}
    for name, file in _walk(folder):
        if file.suffix.lower() in PICKLED or not inside(name):
            raise PluginError(f"A model was saved as '{name}'.",
                              "Model.save writes safetensors, JSON or text, under names of letters, digits and _.+-.")  # fmt: skip
        files[name] = {"size": file.stat().st_size, "sha256": sha256(file)}
    manifest = plain({"format": FORMAT, **about, "files": files})
    manifest["id"] = digest(manifest)
    (folder / MANIFEST).write_text(_text(manifest))
    return manifest


def verify(folder: Path) -> dict[str, Any]:
    """Read the manifest and hold every file against it. Raises BundleError at the first difference."""
    manifest = _read(folder)
    found = dict(_walk(folder))
    found.pop(MANIFEST, None)
    listed = manifest["files"]
    for name in sorted(set(listed) | set(found)):
        if PurePosixPath(name).suffix.lower() in PICKLED:
            raise BundleError(f"'{name}' in '{folder}' may hold a pickle.", "Reading one can run any code; bundles hold none.",
                              "Do not open bundles from people you do not know.")  # fmt: skip
        if name not in listed:
            raise BundleError(
                f"'{name}' in '{folder}' is not in the manifest.", WHOLE, f"Move it elsewhere, or: {AGAIN}"
            )
        if name not in found:
            raise BundleError(f"'{name}' is missing from '{folder}'.", WHOLE, AGAIN)
        size, expected = found[name].stat().st_size, listed[name]
        if size != expected["size"]:
            raise BundleError(
                f"'{name}' in '{folder}' has {size} bytes, {expected['size']} were written.", WHOLE, AGAIN
            )
        if sha256(found[name]) != expected["sha256"]:
            raise BundleError(f"'{name}' in '{folder}' has changed: its SHA-256 is another.", WHOLE, AGAIN)
    return manifest


def inside(name: str) -> bool:
    """Whether a relative path from JSON stays inside its folder.

    >>> [inside(n) for n in ("members/00003/0", "../x", "/etc/passwd", "a//b", "a/./b", "c:\\\\x")]
    [True, False, False, False, False, False]
    """
    return isinstance(name, str) and all(
        re.fullmatch(r"[A-Za-z0-9_. +-]+", part) and set(part) != {"."} for part in name.split("/")
    )


def sha256(file: Path) -> str:
    """Of the content, hex."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _read(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    if not file.is_file() or file.is_symlink():
        raise BundleError(f"'{folder}' is not a bundle: it holds no {MANIFEST}.",
                          "A run leaves its bundle in DIR/bundle.", "Check the path.")  # fmt: skip
    text = file.read_bytes()
    try:
        manifest = json.loads(text)
        form = manifest["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BundleError(f"{MANIFEST} in '{folder}' cannot be read.", WHOLE, AGAIN) from None
    if form != FORMAT:
        raise BundleError(f"'{folder}' has bundle format {form}.", f"This version reads format {FORMAT}.",
                          "Install the version of metalearner that wrote it.")  # fmt: skip
    content = {k: v for k, v in manifest.items() if k != "id"}
    # Byte for byte: the manifest cannot list its own hash, but it has only one way to be written.
    if text != _text(manifest).encode() or manifest.get("id") != digest(content) or not _well_formed(manifest):
        raise BundleError(f"{MANIFEST} in '{folder}' has changed since it was written.", WHOLE, AGAIN)
    return manifest


def _well_formed(manifest: Mapping[str, Any]) -> bool:
    files = manifest.get("files")
    return isinstance(files, dict) and all(
        inside(name) and isinstance(entry, dict) and {"size", "sha256"} <= set(entry) for name, entry in files.items()
    )


def _walk(folder: Path) -> list[tuple[str, Path]]:
    """Every file by its path inside the folder. Raises BundleError at links and whatever else is no file."""
    found = []
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(place) / name
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise BundleError(f"'{path.relative_to(folder)}' in '{folder}' is a link or no plain file.",
                                  "A bundle holds files and folders alone.", AGAIN)  # fmt: skip
        found += [((Path(place) / name).relative_to(folder).as_posix(), Path(place) / name) for name in files]
    return sorted(found)


def _text(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, indent=1, sort_keys=True) + "\n"
