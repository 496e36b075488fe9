"""Pieces of HTML, and what is shown of an object in a notebook. Every word that goes in is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from .report_style import CARD


def card(title: str, *parts: str) -> str:
    """An object in a notebook: one element with a style of its own, which touches nothing else on the page."""
    return f'<div class="metalearner"><style>{CARD}</style><h3>{escape(title)}</h3>{"".join(parts)}</div>'


def amounts(found: Iterable[tuple[str, str, str]]) -> str:
    """Large figures side by side: (value, what it is, more about it)."""
    cells = "".join(
        f"<div><b>{escape(v)}</b><span>{escape(n)}</span><small>{escape(x)}</small></div>" for v, n, x in found
    )
    return f'<div class="figures">{cells}</div>'


def words(text: str) -> str:
    """A paragraph; nothing without a text."""
    return f"<p>{escape(text)}</p>" if text else ""


def items(lines: Iterable[str]) -> str:
    """A list; nothing without lines."""
    found = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{found}</ul>" if found else ""


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Sequence[int] = ()) -> str:
    """A table, the columns at the places `numbers` to the right; nothing without rows."""

    def line(tag: str, cells: Sequence[Any]) -> str:
        right = [' class="number"' if i in numbers else "" for i in range(len(cells))]
        return "<tr>" + "".join(f"<{tag}{r}>{escape(str(c))}</{tag}>" for r, c in zip(right, cells)) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    top = f"<thead>{line('th', head)}</thead>" if any(head) else ""
    return f'<div class="scroll"><table>{top}<tbody>{body}</tbody></table></div>' if body else ""


def cell(value: Any) -> str:
    """A value of a row, as it is read."""
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def number(value: float | None) -> str:
    """A score, as it is read."""
    return "–" if value is None else f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
