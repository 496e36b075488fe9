"""Text columns as categories of the training rows, for libraries that take categories but not text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Columns:
    """The columns there are, and the categories of each text column; a value not seen in training becomes missing."""

    names: list[str]
    levels: dict[str, pd.CategoricalDtype]
    most: float  # categories of a column; with more, their number in alphabetical order stands for them

    @classmethod
    def of(cls, rows: pd.DataFrame, most: float = float("inf")) -> Columns:
        """Learn the categories."""
        words = [c for c in rows if not pd.api.types.is_numeric_dtype(rows[c])]
        levels = {c: pd.CategoricalDtype(sorted(rows[c].dropna().astype(str).unique())) for c in words}
        return cls(list(rows), levels, most)

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Numbers as floats, text as categories, names without signs that LightGBM refuses."""
        made = {
            c: self._words(rows[c]) if c in self.levels else pd.to_numeric(rows[c]).astype(float) for c in self.names
        }
        return pd.DataFrame({f"x{i}": values for i, values in enumerate(made.values())}, index=rows.index)

    def _words(self, column: pd.Series) -> pd.Categorical | np.ndarray:
        text = column.astype("string").astype(object).where(column.notna(), None)
        known = pd.Categorical(text, dtype=self.levels[str(column.name)])
        if len(known.categories) <= self.most:
            return known
        return np.where(known.codes < 0, np.nan, known.codes)
