"""Where the knowledge that ships lies on this machine."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped() -> Path | None:
    """The folder of shared knowledge: beside an editable checkout's package, inside an installed one, else None."""
    for folder in (_PACKAGE / "_knowledge_base", _PACKAGE.parent / "knowledge_base"):
        if (folder / "records").is_dir():
            return folder
    return None
