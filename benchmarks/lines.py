"""Lines over named places as an SVG that stands alone in a page of Markdown, light or dark as the reader has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from metalearner.pictures import ticks

WIDE, HIGH, LEFT, TOP, BOTTOM = 400, 300, 46, 34, 40
# Of the first, second ... line; told apart by those who see few colours, too (Okabe and Ito, 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#57606a}.title{font-weight:600;fill:#1f2328}.rule{stroke:#d0d7de}"
    "@media(prefers-color-scheme:dark){text{fill:#9198a1}.title{fill:#f0f6fc}.rule{stroke:#3d444d}}"
)


@dataclass(frozen=True)
class Panel:
    """Named lines over shared places; None where nothing was measured."""

    title: str
    places: Sequence[str]
    lines: Mapping[str, Sequence[float | None]]


def drawn(panels: Sequence[Panel], x: str) -> str:
    """The panels side by side, `x` said below each, the lines' names once below all."""
    names = list(panels[0].lines)
    high = HIGH + 22
    parts = [part for i, panel in enumerate(panels) for part in _panel(panel, i * WIDE, x)]
    for i, name in enumerate(names):
        left = LEFT + i * 150
        parts.append(
            f'<line x1="{left}" x2="{left + 22}" y1="{high - 10}" y2="{high - 10}" stroke="{COLOURS[i]}" stroke-width="2.4"/>'
        )
        parts.append(f'<text x="{left + 28}" y="{high - 6}">{escape(name)}</text>')
    wide = len(panels) * WIDE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}">'
        f"<style>{STYLE}</style>{''.join(parts)}</svg>\n"
    )


def _panel(panel: Panel, left: float, x: str) -> list[str]:
    known = [v for values in panel.lines.values() for v in values if v is not None]
    low, most = min(known) - 0.02, max(known) + 0.02
    bottom, right, first = HIGH - BOTTOM, left + WIDE - 12, left + LEFT
    step = (right - first - 40) / max(1, len(panel.places) - 1)

    def across(i: int) -> float:
        return first + 20 + i * step

    def up(value: float) -> float:
        return bottom - (value - low) / (most - low) * (bottom - TOP)

    parts = [f'<text class="title" x="{first}" y="18">{escape(panel.title)}</text>']
    for tick in ticks(low, most):
        parts.append(f'<line class="rule" x1="{first}" x2="{right}" y1="{up(tick):.1f}" y2="{up(tick):.1f}"/>')
        parts.append(f'<text x="{first - 6}" y="{up(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for i, place in enumerate(panel.places):
        parts.append(f'<text x="{across(i):.1f}" y="{bottom + 16}" text-anchor="middle">{escape(place)}</text>')
    parts.append(f'<text x="{(first + right) / 2:.1f}" y="{bottom + 33}" text-anchor="middle">{escape(x)}</text>')
    for colour, (name, values) in zip(COLOURS, panel.lines.items()):
        points = [(across(i), up(v), v) for i, v in enumerate(values) if v is not None]
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b, _ in points)}"/>'
        )
        parts += [
            f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.4" fill="{colour}"><title>{escape(name)} {v:.3f}</title></circle>'
            for a, b, v in points
        ]
    return parts
