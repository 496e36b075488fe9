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

    @property
    def opened(self) -> bool:
        """Whether it was opened before, by a process that was cut off before it could finish."""
        return (self.folder / "opened").exists()

    def open(self, again: bool = False) -> tuple[Fields, np.ndarray]:
        """Inputs and encoded target. A second opening is refused: a test looked at twice is no test.

        `again` is for a run that was cut off after its first look, and has tried nothing since.
        """
        if self.opened and not again:
            raise RunError("The sealed test of this run was opened before.", "It can be opened once.")
        (self.folder / "opened").touch()
        return Fields.open(self.folder / "fields"), np.load(self.folder / "target.npy")
