"""Columns laid out as a picture: those that resemble each other side by side.

Columns that resemble each other are taken for neighbours, the graph of neighbours is laid out flat (Isomap, Tenenbaum et al.
2000), and each column is assigned to a cell of a grid. No labels are needed, and no torch.
"""

from __future__ import annotations

import numpy as np

NEIGHBOURS = 6


def resemblance(x: np.ndarray) -> np.ndarray:
    """|correlation| (p, p) of columns (n, p); what is missing (NaN) counts as the mean."""
    known = np.isfinite(x)
    mean = np.where(known, x, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, x - mean, 0.0)
    centred = centred / (centred.std(axis=0) + 1e-9)
    return np.abs(centred.T @ centred / len(x))


def layout(correlation: np.ndarray) -> np.ndarray:
    """The cell (p,) of each column on a grid `width(p)` cells wide, read row by row, from |correlation| (p, p).

    Columns that never vary resemble nothing, themselves neither: they take the cells that the others leave.
    """
    from scipy.optimize import linear_sum_assignment

    p, vary = len(correlation), varying(correlation)
    if vary.sum() < 2:
        return np.arange(p)
    # (varying, 2); rounding may have gone beyond 1
    places = _flattened(_apart(1 - np.minimum(correlation[np.ix_(vary, vary)], 1.0)))
    across = width(p)
    cells = np.stack(np.divmod(np.arange(-(-p // across) * across), across), axis=1).astype(float)
    cells, places = (v - v.mean(axis=0) for v in (cells, places))
    # The cloud is brought to the grid's size along its own axes; which of its two axes lies across does not matter.
    places = places / (places.std(axis=0) + 1e-9) * cells.std(axis=0)
    cost = np.zeros((p, len(cells)))
    cost[vary] = ((places[:, None] - cells) ** 2).sum(axis=2)
    return np.asarray(linear_sum_assignment(cost)[1])


def varying(correlation: np.ndarray) -> np.ndarray:
    """Which columns (p,) vary, by their |correlation| (p, p) with themselves."""
    return np.diagonal(correlation) > 0


def width(columns: int) -> int:
    """Cells of a row of the grid that so many columns are laid out on.

    >>> width(64), width(60)
    (8, 8)
    """
    return int(np.ceil(np.sqrt(columns)))


def laid_out(x: np.ndarray, cells: np.ndarray, across: int = 0) -> np.ndarray:
    """Columns (n, p, c) in their cells: (n, h, w, c), 0 in cells of no column; `across` cells wide, `width(p)` if 0."""
    across = across or width(len(cells))
    down = -(-len(cells) // across)
    found = np.zeros((len(x), down * across, x.shape[2]), np.float32)
    found[:, cells] = x
    return found.reshape(len(x), down, across, x.shape[2])


def _apart(distance: np.ndarray) -> np.ndarray:
    """Shortest ways (p, p) over each column's nearest neighbours; what is not reached is as far as the farthest."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import shortest_path

    distance = distance.copy()
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1)[:, : min(NEIGHBOURS, len(distance) - 1)]
    rows = np.repeat(np.arange(len(distance)), nearest.shape[1])
    edges = csr_array((distance[rows, nearest.ravel()] + 1e-6, (rows, nearest.ravel())), shape=distance.shape)
    ways = shortest_path(edges, directed=False)
    reached = np.isfinite(ways)
    return np.where(reached, ways, 1.5 * ways[reached].max())


def _flattened(ways: np.ndarray) -> np.ndarray:
    """Classical scaling of distances (p, p) to two axes (p, 2)."""
    centred = -0.5 * (ways**2)
    centred = centred - centred.mean(axis=0) - centred.mean(axis=1, keepdims=True) + centred.mean()
    eigenvalues, vectors = np.linalg.eigh(centred)
    return vectors[:, -2:][:, ::-1] * np.sqrt(np.maximum(eigenvalues[-2:][::-1], 1e-12))
