"""The sealed test: rows nobody may look at before the end, and then once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..arrays import Fields
from ..errors import RunError


@dataclass(frozen=True)
class Sealed:
    """Rows put aside on disk. Only `evaluate` opens them, once a run."""

    folder: Path
    rows: int

    @classmethod
    def close(cls, folder: Path, fields: Fields, target: np.ndarray) -> Sealed:
        """Put rows away."""
        fields.save(folder / "fields")
        np.save(folder / "target.npy", target)
        return cls(folder, len(target))

    @classmethod
    def find(cls, folder: Path) -> Sealed | None:
        """What an earlier process put away here, if it did."""
        file = folder / "target.npy"
        return cls(folder, len(np.load(file))) if file.exists() else None

    def open(self) -> tuple[Fields, np.ndarray]:
        """Inputs and encoded target. A second opening is refused: a test looked at twice is no test."""
        seal = self.folder / "opened"
        try:
            seal.touch(exist_ok=False)
        except FileExistsError:
            raise RunError("The sealed test of this run was opened before.", "It can be opened once.") from None
        return Fields.open(self.folder / "fields"), np.load(self.folder / "target.npy")
