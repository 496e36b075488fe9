"""From ONNX to steps: each operation of a graph as views and as few steps as there are numbers to compute.

`graph.py` holds what is known on the way; the other files hold the operations, by kind. Importing them enters them.
"""

from __future__ import annotations

from . import elementwise, products, shapes, sums, windows
from .graph import OPERATIONS, Lowering

__all__ = ["OPERATIONS", "Lowering", "elementwise", "products", "shapes", "sums", "windows"]
