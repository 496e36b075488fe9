"""A derivation drawn: boxes in the order in which data flow, what they hold inside them, the shape of what passes between.

Inline SVG without script, like `svg`; everything is the colour of the text around it, so that it suits any page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any

from . import grammar
from .errors import PluginError
from .grammar import Productions
from .grammar.types import Typed, rooted
from .records import Config, View

ACCENT = "#14a394"
# Pixels: a letter of a name and of its numbers, lines, room around, between boxes, and the widest that flows to the right.
LETTER, SMALL, LINE, ROOM, GAP, WIDEST = 7.8, 5.9, 15, 10, 22, 1200
# Letters of a line of numbers.
LONGEST = 22
# The slots of what makes features of a view, and of what trains a network: no data flow through that.
ENCODER, RECIPE = "encoder", "recipe"


def diagram(config: Config, productions: Productions, views: Mapping[str, View] | None = None) -> str:
    """One <svg> element. Where the `views` of the data are known, names are unfolded and shapes written beside arrows.

    Flows to the right, or downwards where that would be too wide. Raises PluginError for what nobody brings.
    """
    node = _read(config, productions, views or {})
    drawn = _root(node, views or {}, across=True)
    if drawn.wide > WIDEST:
        drawn = _root(node, views or {}, across=False)
    label = escape(grammar.sketch(config), quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 {drawn.wide + 2:.0f} {drawn.high + 2:.0f}" width="{drawn.wide + 2:.0f}" '
        f'height="{drawn.high + 2:.0f}" font-family="system-ui, sans-serif" role="img" aria-label="{label}" '
        f'style="max-width:{drawn.wide + 2:.0f}px">{drawn.text}</svg>'
    )


@dataclass(frozen=True)
class Node:
    """A part of a network as it is drawn."""

    name: str
    numbers: tuple[str, ...]
    gives: str = ""  # the shape of what comes out, where it is known
    flow: str = "series"
    parts: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Drawn:
    """Some SVG with its upper left corner at 0, 0."""

    wide: float
    high: float
    text: str

    def at(self, x: float, y: float) -> str:
        """The same elsewhere."""
        return f'<g transform="translate({x:.1f} {y:.1f})">{self.text}</g>'


def _read(config: Config, productions: Productions, views: Mapping[str, View]) -> Node:
    """With types where the views are known and the whole fits them; some learners know their views in a fit alone."""
    if views:
        try:
            return _of_typed(rooted(config, views, productions))
        except PluginError:
            pass
    return _of_config(config, productions)


def _of_typed(found: Typed, inside: bool = False) -> Node:
    """Shapes are those of tensors inside encoders; what passes between other learners' parts is none of the grammar's."""
    names = dict.fromkeys((found.said.production, found.meant.production))
    parts = tuple(_of_typed(part, inside or slot == ENCODER) for slot, part in found.parts if slot != RECIPE)
    gives = _shape(found.gives) if inside else ""
    return Node(" = ".join(names), _said(found.numbers), gives, found.production.flow, parts)


def _of_config(config: Config, productions: Productions) -> Node:
    found = grammar.production(config, productions)
    parts = [part for slot in found.parts if slot != RECIPE for part in config.parts.get(slot, ())]
    return Node(
        config.production, _said(config.numbers), "", found.flow, tuple(_of_config(p, productions) for p in parts)
    )


def _said(numbers: Mapping[str, Any]) -> tuple[str, ...]:
    """Numbers as short lines; what is off is left out."""
    lines: list[str] = []
    for name, value in numbers.items():
        if value is False or value == "none" or (value == 0 and name.startswith("drop")):
            continue
        said = name.replace("_", " ") if value is True else f"{name.replace('_', ' ')} {grammar.word(_short(value))}"
        if lines and len(lines[-1]) + len(said) + 2 <= LONGEST:
            lines[-1] += f", {said}"
        else:
            lines.append(said)
    return tuple(lines)


def _short(value: Any) -> Any:
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _shape(view: View) -> str:
    """
    >>> from metalearner.records import Axis
    >>> _shape(View((Axis("time", 40, True),), 3))
    '≤40×3'
    """
    return "×".join([*(f"{'≤' if axis.ragged else ''}{axis.size}" for axis in view.axes), str(view.channels)])


# -- layout ----------------------------------------------------------------------------------------------


def _root(node: Node, views: Mapping[str, View], across: bool) -> Drawn:
    """What goes in, the encoders beside each other, what joins them, the answer."""
    begin = [_leaf(name, (_shape(view),), given=True) for name, view in views.items()]
    answer = _leaf("answer", (), given=True)
    if node.flow != "parallel" or not node.parts:
        inputs = [_beside(begin, not across)] if begin else []
        return _chain([*inputs, _box(node, across), answer], across)
    rows = [
        _chain([*begin[i : i + 1], _box(part, across)], across, ("", part.gives)) for i, part in enumerate(node.parts)
    ]
    together = [] if len(begin) in (0, len(node.parts)) else [rows.pop()]  # the last part is what fuses the others
    return _chain([_beside(rows, not across), *together, answer], across, ("",) * (1 + len(together)))


def _box(node: Node, across: bool = False) -> Drawn:
    """A part with what it holds; equal ones in a row once."""
    if not node.parts:
        return _leaf(node.name, node.numbers)
    inside: list[Drawn] = []
    gives: list[str] = []
    for part, alike in groupby(node.parts):
        times = len(list(alike))
        named = Node(f"{part.name} ×{times}", part.numbers, part.gives, part.flow, part.parts) if times > 1 else part
        inside.append(_box(named))
        gives.append(part.gives)
    held = _beside(inside, across=True) if node.flow == "parallel" else _chain(inside, across, gives)
    return _framed(node.name, node.numbers, held)


def _leaf(name: str, numbers: Sequence[str], given: bool = False) -> Drawn:
    """A box with a name and its numbers; what is given, and the answer, without a filling."""
    wide = 2 * ROOM + max([len(name) * LETTER, *(len(line) * SMALL for line in numbers)])
    high = 2 * ROOM + LINE * (1 + len(numbers)) - 4
    filling = "none" if given else ACCENT
    return Drawn(wide, high, _rect(wide, high, filling, 0.16) + _words(name, numbers, wide / 2, "middle"))


def _framed(name: str, numbers: Sequence[str], held: Drawn) -> Drawn:
    """A frame with a heading around what it holds."""
    line = ", ".join(numbers)
    beside = len(line) * SMALL <= max(held.wide, 160)
    lines = [line] if line and beside else list(numbers)
    head = LINE * (1 + len(lines)) + 4
    wide = 2 * ROOM + max(held.wide, len(name) * LETTER, *(len(text) * SMALL for text in ["", *lines]))
    high = ROOM + head + held.high + ROOM
    inside = held.at((wide - held.wide) / 2, ROOM + head)
    return Drawn(wide, high, _rect(wide, high, "currentColor", 0.03) + _words(name, lines, ROOM, "start") + inside)


def _chain(boxes: Sequence[Drawn], across: bool, gives: Sequence[str] = ()) -> Drawn:
    """One after the other with arrows between, the shapes of what passes beside these."""
    along, most = 0.0, max(box.wide if not across else box.high for box in boxes)
    parts = []
    for i, box in enumerate(boxes):
        parts.append(box.at(along, (most - box.high) / 2) if across else box.at((most - box.wide) / 2, along))
        along += box.wide if across else box.high
        if i < len(boxes) - 1:
            said = gives[i] if i < len(gives) else ""
            gap = max(GAP, len(said) * SMALL + 12) if across else GAP
            parts.append(
                _arrow(along, most / 2, gap, said) if across else _arrow(along, most / 2, gap, said, down=True)
            )
            along += gap
    return Drawn(along, most, "".join(parts)) if across else Drawn(most, along, "".join(parts))


def _beside(boxes: Sequence[Drawn], across: bool) -> Drawn:
    """Beside each other, without arrows."""
    along, parts = 0.0, []
    most = max(box.high if across else box.wide for box in boxes)
    for box in boxes:
        parts.append(box.at(along, (most - box.high) / 2) if across else box.at((most - box.wide) / 2, along))
        along += (box.wide if across else box.high) + ROOM
    return Drawn(along - ROOM, most, "".join(parts)) if across else Drawn(most, along - ROOM, "".join(parts))


def _rect(wide: float, high: float, filling: str, shade: float) -> str:
    return (
        f'<rect width="{wide:.1f}" height="{high:.1f}" rx="6" fill="{filling}" fill-opacity="{shade}" '
        f'stroke="currentColor" stroke-opacity=".3"/>'
    )


def _words(name: str, lines: Sequence[str], x: float, anchor: str) -> str:
    y = ROOM + 10
    said = [_text(name, x, y, anchor, "font-size:13px;font-weight:600")]
    said += [
        _text(line, x, y + LINE * (i + 1), anchor, "font-size:11px;fill-opacity:.7") for i, line in enumerate(lines)
    ]
    return "".join(said)


def _text(said: str, x: float, y: float, anchor: str, style: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="fill:currentColor;{style}">{escape(said)}</text>'
    )


def _arrow(along: float, middle: float, gap: float, said: str, down: bool = False) -> str:
    """From one box to the next, with what passes written above or beside it."""
    end = along + gap
    if down:
        line, head = f"M{middle:.1f} {along + 3:.1f}V{end - 4:.1f}", f"M{middle - 4:.1f} {end - 9:.1f}l4 6l4 -6"
        word = _text(said, middle + 7, along + gap / 2 + 3, "start", "font-size:10px;fill-opacity:.7") if said else ""
    else:
        line, head = f"M{along + 3:.1f} {middle:.1f}H{end - 4:.1f}", f"M{end - 9:.1f} {middle - 4:.1f}l6 4l-6 4"
        word = _text(said, along + gap / 2 - 2, middle - 6, "middle", "font-size:10px;fill-opacity:.7") if said else ""
    return f'<path d="{line}{head}" fill="none" stroke="currentColor" stroke-opacity=".55"/>{word}'
