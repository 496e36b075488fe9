"""What visitors upload: checked here, whatever their browser was told, and kept under names of ours."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from metalearner.errors import DataError
from metalearner.home import home
from metalearner.sources import unpack

ENDINGS = ("csv", "tsv", "parquet", "jsonl", "db", "sqlite", "npz", "ts", "zip")
# Archives under another name: looked through as well.
ARCHIVES = (".zip", ".npz")
MEGABYTES = 200


def keep(name: str, data: bytes, private: bool = False) -> Path:
    """Store an upload and return what a run can read: the file, or of a ZIP what was in it. Raises DataError for what is refused.

    What is `private` loses its name: the knowledge base remembers what data sets were called, and others may see that.
    """
    ending = Path(name).suffix.lower()
    if ending.lstrip(".") not in ENDINGS:
        raise DataError(f"A file that ends in '{ending[:20]}' cannot be read.", f"Files end in {', '.join(ENDINGS)}.",
                        "Save it as CSV, or pack a folder of pictures, texts or recordings as ZIP.")  # fmt: skip
    if not data:
        raise DataError("The file is empty.", "It needs rows to learn from.", "Upload it again.")
    if len(data) > MEGABYTES * 2**20:
        raise DataError(f"The file has {len(data) / 2**20:.0f} MB.", f"At most {MEGABYTES} are taken.",
                        "Start the run in a terminal: metalearner run FILE")  # fmt: skip
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(name).stem).strip("-")[:40] or "upload"
    stem = "upload" if private else stem
    folder = home() / "uploads" / hashlib.sha256(data).hexdigest()[:24]
    file = folder / f"{stem}{ending}"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{stem}{ending}"
        part.write_bytes(data)
        try:
            if ending in ARCHIVES:
                unpack.check(part)
        except DataError:
            shutil.rmtree(folder)
            raise
        part.replace(file)
    if ending != ".zip":
        return file
    try:
        return _unpacked(file, folder / stem)
    except DataError:
        shutil.rmtree(folder)
        raise


def _unpacked(file: Path, into: Path) -> Path:
    """Below the folder that a ZIP was unpacked to; once."""
    return unpack.heart(into) if into.exists() else unpack.unpack(file, into)
