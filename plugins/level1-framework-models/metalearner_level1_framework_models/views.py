"""What a view is to a network: which axes make an image, which one is an order, which one is a set."""

from __future__ import annotations

import math
from dataclasses import replace

from metalearner.records import View

# Axes along which neighbours belong together.
ORDERED = ("time", "space", "tokens")


def is_table(view: View) -> bool:
    """One axis of columns, nothing else.

    >>> from metalearner.records import Axis
    >>> is_table(View((Axis("columns", 4),), 1))
    True
    """
    return view.kinds == ("columns",)


def image_axes(view: View) -> tuple[int, int] | None:
    """Positions of the two space axes (rows, columns), None unless there are exactly two."""
    found = [i for i, kind in enumerate(view.kinds) if kind == "space"]
    return (found[0], found[1]) if len(found) == 2 else None


def ordered_axes(view: View) -> tuple[int, ...]:
    """Positions of the axes along which there is an order."""
    return tuple(i for i, kind in enumerate(view.kinds) if kind in ORDERED)


def sequence_axis(view: View) -> int | None:
    """Position of the ordered axis: the only time, or without time the only one of tokens or space.

    >>> from metalearner.records import Axis
    >>> sequence_axis(View((Axis("set", 3), Axis("time", 40)), 5))
    1
    """
    time = [i for i, kind in enumerate(view.kinds) if kind == "time"]
    if time:
        return time[0] if len(time) == 1 else None
    ordered = [i for i, kind in enumerate(view.kinds) if kind in ("tokens", "space")]
    return ordered[0] if len(ordered) == 1 else None


def set_axis(view: View) -> int | None:
    """Position of the set axis, None unless there is exactly one."""
    found = [i for i, kind in enumerate(view.kinds) if kind == "set"]
    return found[0] if len(found) == 1 else None


def ragged_axis(view: View) -> int | None:
    """Position of the axis the mask speaks of, None when all samples are alike."""
    return next((i for i, axis in enumerate(view.axes) if axis.ragged), None)


def size(view: View) -> int:
    """Numbers in one sample."""
    return math.prod(view.shape)


def positions(view: View) -> int:
    """Places in one sample, each with its channels; 1 for a vector."""
    return math.prod(axis.size for axis in view.axes)


def folded(view: View, lead: tuple[int, ...]) -> int:
    """Channels once all axes but the leading ones are folded into them.

    >>> from metalearner.records import Axis
    >>> folded(View((Axis("set", 3), Axis("time", 40)), 5), (1,))
    15
    """
    return view.channels * math.prod(axis.size for i, axis in enumerate(view.axes) if i not in lead)


def resized(view: View, sizes: tuple[int, ...], channels: int) -> View:
    """The same axes at other sizes, with other channels, without codes."""
    return View(tuple(replace(axis, size=s) for axis, s in zip(view.axes, sizes, strict=True)), channels)
