"""Typed columns: pandas DataFrames and Parquet files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from .cells import Cells
from .table import CHUNK, Table, column_names

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".parquet", ".pq")


def is_frame(source: Any) -> bool:
    """Whether it is a DataFrame, without importing pandas: who has none has no DataFrame."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(source, getattr(pandas, "DataFrame", ()))


def table(frame: pd.DataFrame) -> Table:
    """Open a DataFrame; its index is no column."""
    import pandas as pd

    names = column_names(frame.columns, "DataFrame")

    def read(wanted: Sequence[str]) -> Iterator[dict[str, Cells]]:
        for start in range(0, len(frame), CHUNK):
            part = frame.iloc[start : start + CHUNK]
            columns = dict(zip(names, (column for _, column in part.items())))
            yield {name: _cells(columns[name]) for name in wanted}

    categories = (name for name, kind in zip(names, frame.dtypes) if isinstance(kind, pd.CategoricalDtype))
    return Table("DataFrame", names, read, {"form": "frame"}, frozenset(categories))


def parquet(path: Path) -> Table:
    """Open a Parquet file; DataError when it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from None
    names = column_names(schema.names, path.name)
    stored = dict(zip(names, schema.names))

    def read(wanted: Sequence[str]) -> Iterator[dict[str, Cells]]:
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(CHUNK, columns=[stored[name] for name in wanted]):
                    part = batch.to_pandas(ignore_metadata=True)
                    yield {name: _cells(part[stored[name]]) for name in wanted}
        except (pa.ArrowException, OSError) as error:
            raise _broken(path, error) from None

    categories = (name for name, field in zip(names, schema) if pa.types.is_dictionary(field.type))
    return Table(path.name, names, read, {"form": "parquet"}, frozenset(categories))


def _cells(column: pd.Series) -> Cells:
    """A typed array where NumPy has the type, else a list."""
    import pandas as pd

    kind = column.dtype
    if isinstance(kind, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        kind = column.dtype
    if isinstance(kind, np.dtype) and kind.kind == "m":
        return column.to_numpy() / np.timedelta64(1, "D")
    if isinstance(kind, np.dtype) and kind.kind in "fiubM":
        return column.to_numpy()
    return [None if cell is pd.NA or cell is pd.NaT else cell for cell in column.tolist()]


def _broken(path: Path, error: Exception) -> DataError:
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(f"{path.name} cannot be read as Parquet: {why}", "", "Write it again, or give a CSV.")
