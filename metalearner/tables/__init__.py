"""Tables, whatever form they have: delimited text, Parquet, SQLite, JSON lines, DataFrames, lists of rows; and what cells mean.

Modalities open here what they read as a table, or what names the files that they read.
"""

from . import cells, labels
from .cells import Cells
from .opening import is_frame, open_table
from .table import Chunk, Table, empty

__all__ = ["Cells", "Chunk", "Table", "cells", "empty", "is_frame", "labels", "open_table"]
