"""Pictures as inline SVG: a few kilobytes each, no script, nothing to load. Colours come from the page's own style."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from ..pictures import Picture, Series, ticks

WIDE, HIGH = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 10, 44
# Letters of a name beside an axis.
LETTERS = 16
# The share of a name's place that its bars take, and pixels of a bar that its value is written on.
GROUP, ROOM = 0.7, 28
# Looks of the first, second ... line.
TONES = 6


def svg(picture: Picture) -> str:
    """One <svg> element; what is in the picture is escaped, whoever named it."""
    if picture.grid:
        return _grid(picture)
    return _bars(picture) if any(s.style == "bars" for s in picture.series) else _axes(picture)


def _axes(p: Picture) -> str:
    xs = [float(v) for s in p.series for v in s.x if isinstance(v, int | float)]
    ys = [float(v) for s in p.series for v in s.y if v is not None] + list(p.band[:2] if p.band else ())
    if not xs or not ys:
        return ""
    place = _Place(*_span(xs, 0.02), *_span(ys, 0.06))
    parts = [*_frame(p, place, [(tick, f"{tick:.6g}") for tick in ticks(place.x0, place.x1, 6)])]
    if p.band:
        top, low = place.y(max(p.band[:2])), place.y(min(p.band[:2]))
        parts.append(
            f'<rect class="band" x="{LEFT}" y="{top:.1f}" width="{WIDE - LEFT - RIGHT}" height="{max(1.0, low - top):.1f}"/>'
        )
        parts.append(
            f'<text class="note" x="{WIDE - RIGHT - 4}" y="{top + 12:.1f}" text-anchor="end">{escape(p.band[2])}</text>'
        )
    for number, series in enumerate(p.series):
        parts += _series(series, place, number % TONES)
    return _element(p, parts, WIDE, HIGH)


def _bars(p: Picture) -> str:
    """From zero up or down, the bars of a name side by side and the later series paler; their values where there is room."""
    names = list(dict.fromkeys(str(name) for s in p.series for name in s.x))
    place = _Place(0, len(names), *_span([0.0, *(float(v) for s in p.series for v in s.y if v is not None)], 0.08))
    parts = [*_frame(p, place, [(i + 0.5, _short(name)) for i, name in enumerate(names)])]
    wide = GROUP / len(p.series)
    for number, series in enumerate(p.series):
        shade = f'class="cell" fill-opacity="{1 / (1 + 2 * number):.2f}"'
        for i, (name, value) in enumerate(zip(series.x, series.y)):
            if value is None:
                continue
            left = place.x(names.index(str(name)) + (1 - GROUP) / 2 + number * wide)
            right, top, low = left + wide * place.unit, place.y(max(value, 0.0)), place.y(min(value, 0.0))
            note = f": {series.notes[i]}" if i < len(series.notes) else ""
            parts.append(
                f'<rect {shade} x="{left:.1f}" y="{top:.1f}" width="{right - left - 2:.1f}" height="{max(1.0, low - top):.1f}">'
                f"<title>{escape(series.name + note)}</title></rect>"
            )
            if right - left >= ROOM:
                parts.append(
                    f'<text x="{(left + right) / 2:.1f}" y="{top - 5:.1f}" text-anchor="middle">{value:.2f}</text>'
                )
        if len(p.series) > 1:
            at = LEFT + 100 * number
            parts.append(f'<rect {shade} x="{at}" y="{HIGH - 15}" width="10" height="10"/>')
            parts.append(f'<text class="note" x="{at + 15}" y="{HIGH - 6}">{escape(_short(series.name))}</text>')
    return _element(p, parts, WIDE, HIGH)


class _Place:
    """From values to places."""

    def __init__(self, x0: float, x1: float, y0: float, y1: float) -> None:
        self.x0, self.x1, self.y0, self.y1 = x0, x1, y0, y1

    def x(self, value: float) -> float:
        return LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDE - LEFT - RIGHT)

    @property
    def unit(self) -> float:
        """How wide 1 is."""
        return self.x(1.0) - self.x(0.0)

    def y(self, value: float) -> float:
        return HIGH - BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (HIGH - TOP - BOTTOM)


def _span(values: Sequence[float], room: float) -> tuple[float, float]:
    finite = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    room = (high - low) * room or max(abs(low), 1.0) * 0.05
    return low - room, high + room


def _frame(p: Picture, place: _Place, across: Sequence[tuple[float, str]]) -> Iterator[str]:
    """Thin lines at round numbers, what stands where `across`, and what the axes are."""
    for tick in ticks(place.y0, place.y1):
        y = place.y(tick)
        yield f'<line class="rule" x1="{LEFT}" x2="{WIDE - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{tick:.6g}</text>'
    for at, word in across:
        yield f'<text class="tick" x="{place.x(at):.1f}" y="{HIGH - BOTTOM + 17}" text-anchor="middle">{escape(word)}</text>'
    yield f'<text class="axis" x="{(LEFT + WIDE - RIGHT) / 2}" y="{HIGH - 6}" text-anchor="middle">{escape(p.x)}</text>'
    middle = (TOP + HIGH - BOTTOM) / 2
    yield f'<text class="axis" x="13" y="{middle}" text-anchor="middle" transform="rotate(-90 13 {middle})">{escape(p.y)}</text>'


def _series(s: Series, place: _Place, tone: int) -> Iterator[str]:
    points = [(place.x(float(x)), place.y(float(y))) for x, y in zip(s.x, s.y) if y is not None and math.isfinite(y)]
    if s.style == "points":
        for i, (x, y) in enumerate(points):
            note = f"<title>{escape(s.notes[i])}</title>" if i < len(s.notes) else ""
            yield f'<circle class="tone{tone}" cx="{x:.1f}" cy="{y:.1f}" r="3.2">{note}</circle>'
        return
    if s.style == "steps":
        points = [q for i, (x, y) in enumerate(points) for q in ([(x, points[i - 1][1])] if i else []) + [(x, y)]]
    style = "reference" if s.style == "reference" else "best" if s.style == "steps" else f"line tone{tone}"
    yield f'<polyline class="{style}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"><title>{escape(s.name)}</title></polyline>'


def _grid(p: Picture) -> str:
    """Cells shaded by their value; named rows and columns where there are names."""
    rows, columns = len(p.grid), len(p.grid[0])
    left, top = (120, 36) if p.rows else (14, 10)
    side = max(4.0, min(64.0, 380 / max(rows, columns)))
    values = [v for row in p.grid for v in row if v is not None]
    high = max(values, default=0) or 1
    parts = []
    for i, row in enumerate(p.grid):
        y = top + i * side
        if p.rows:
            parts.append(
                f'<text class="tick" x="{left - 8}" y="{y + side / 2 + 4:.1f}" text-anchor="end">{escape(_short(p.rows[i]))}</text>'
            )
        for j, value in enumerate(row):
            shade = 0.0 if value is None else max(0.0, float(value) / high)
            x = left + j * side
            parts.append(
                f'<rect class="cell" x="{x:.1f}" y="{y:.1f}" width="{side - 1:.1f}" height="{side - 1:.1f}" fill-opacity="{shade:.2f}"/>'
            )
            if p.rows and side >= 24 and value:
                dark = " over" if shade > 0.55 else ""
                parts.append(
                    f'<text class="count{dark}" x="{x + side / 2:.1f}" y="{y + side / 2 + 4:.1f}" text-anchor="middle">{value:g}</text>'
                )
    bottom = top + rows * side
    for j, name in enumerate(p.columns):
        x = left + (j + 0.5) * side
        turn = f' transform="rotate(-40 {x:.1f} {bottom + 14:.1f})"' if columns > 4 else ""
        anchor = "end" if columns > 4 else "middle"
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{bottom + 14:.1f}" text-anchor="{anchor}"{turn}>{escape(_short(name))}</text>'
        )
    if p.rows:
        parts.append(f'<text class="axis" x="{left - 8}" y="{top - 12}" text-anchor="end">{escape(p.y)} ↓</text>')
        parts.append(f'<text class="axis" x="{left}" y="{top - 12}">{escape(p.x)} →</text>')
    foot = (70 if columns > 4 else 26) if p.columns else 10
    return _element(p, parts, left + columns * side + 20, bottom + foot)


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"


def _element(p: Picture, parts: Sequence[str], wide: float, high: float) -> str:
    return (
        f'<svg viewBox="0 0 {wide:.0f} {high:.0f}" role="img" aria-label="{escape(p.title, quote=True)}" '
        f'style="max-width:{wide:.0f}px">{"".join(parts)}</svg>'
    )
