"""Sizes that productions agree on, so that whatever is derived stays affordable. No torch.

A number never makes a derivation misfit: what is too large is clipped, by these functions and nowhere else.
"""

from __future__ import annotations

import math

from metalearner.records import View

from ..views import ordered_axes, positions, resized

# Multiplications a row of one dense layer over all positions: 28 x 28 positions of 103 channels.
WORK = 1 << 23
LEAST, MOST = 8, 512  # channels
# Positions where each meets each other: 256, and half as many again, as `strides` lets through.
TOGETHER = 402
# Positions that features inside a network may have.
PLACES = 1664
# Axes are not halved below this: 3 x 3 kernels see all of it.
SMALL = 4


def channels(wanted: float, places: int) -> int:
    """As many channels as wanted, within what so many positions allow.

    >>> channels(24, 196), channels(2.2, 10), channels(512, 1024)
    (24, 8, 90)
    """
    return max(LEAST, min(round(wanted), MOST, math.isqrt(WORK // max(1, places))))


def halved(view: View, widen: float, halve: bool = True) -> View:
    """Every ordered axis of more than 4 halved (rounded up), the channels times `widen`.

    >>> from metalearner.records import Axis
    >>> halved(View((Axis("space", 9), Axis("space", 3)), 16), 2.0).shape
    (5, 3, 32)
    """
    ordered = ordered_axes(view) if halve else ()
    sizes = tuple(-(-a.size // 2) if i in ordered and a.size > SMALL else a.size for i, a in enumerate(view.axes))
    places = positions(resized(view, sizes, 1))
    return resized(view, sizes, channels(view.channels * widen, places))


def strides(view: View, most: int) -> tuple[int, ...]:
    """The stride of each axis, powers of two, all equal where sizes allow, so that about `most` positions are left.

    Half as many again still pass: 20 x 20 is near enough to 256.

    >>> from metalearner.records import Axis
    >>> strides(View((Axis("space", 28), Axis("space", 28)), 1), 256)
    (2, 2)
    """
    steps = [1] * len(view.axes)
    while positions_after(view, tuple(steps)) > most * 1.57:
        left = [-(-a.size // s) for a, s in zip(view.axes, steps)]
        # The longest axes first: a spectrogram of 400 x 20 becomes 25 x 20 before its 20 bands are touched.
        steps = [s * 2 if n * 2 > max(left) else s for s, n in zip(steps, left)]
    return tuple(steps)


def positions_after(view: View, steps: tuple[int, ...]) -> int:
    """Positions left by these strides."""
    return math.prod(-(-a.size // s) for a, s in zip(view.axes, steps))


def shortening(length: int, longest: int) -> tuple[int, ...]:
    """Strides, one after the other, until at most `longest` steps are left.

    The first goes up to 16, a bank of filters over raw samples; those after it up to 4. A short series gets one of 1.

    >>> shortening(6000, 128), shortening(24, 128)
    ((16, 4), (1,))
    """
    found: list[int] = []
    while length > longest:
        stride = 2
        while stride < (4 if found else 16) and length > stride * longest:
            stride *= 2
        found.append(stride)
        length = -(-length // stride)
    return tuple(found) or (1,)


def shortened(length: int, longest: int) -> int:
    """Steps left after `shortening`."""
    for stride in shortening(length, longest):
        length = -(-length // stride)
    return length


def odd(kernel: int) -> int:
    """The odd number at or above: only those keep a length."""
    return kernel // 2 * 2 + 1


def eight(width: float) -> int:
    """The nearest multiple of 8, at least 8: widths that vector units like.

    >>> [eight(w) for w in (3, 11.9, 12.1, 40)]
    [8, 8, 16, 40]
    """
    return max(8, 8 * round(width / 8))
