"""Text columns as categories of the training rows, for libraries that take categories but not text."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Columns:
    """The categories of each text column; a value not seen in training becomes missing."""

    levels: dict[str, pd.CategoricalDtype]

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Columns:
        """Learn the categories."""
        words = [c for c in rows if not pd.api.types.is_numeric_dtype(rows[c])]
        return cls({c: pd.CategoricalDtype(sorted(rows[c].dropna().astype(str).unique())) for c in words})

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Numbers as floats, text as categories, names without signs that LightGBM refuses."""
        made = {c: pd.Categorical(rows[c].astype("string").astype(object).where(rows[c].notna(), None), dtype=self.levels[c])
                if c in self.levels else pd.to_numeric(rows[c]).astype(float) for c in rows}  # fmt: skip
        return pd.DataFrame({f"x{i}": values for i, values in enumerate(made.values())}, index=rows.index)
