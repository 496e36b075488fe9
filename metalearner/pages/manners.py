"""How every page speaks: problems in three parts, empty states that say what to do, words that explain themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from metalearner.glossary import meaning

from . import questions

# Letters of Markdown that data must not be able to use.
MARKUP = "\\`*_{}[]()<>#+!|$:~-"


def text(said: str) -> str:
    """Words from data as Markdown that shows them as they are.

    >>> text("<b>a_b</b>")
    '\\\\<b\\\\>a\\\\_b\\\\</b\\\\>'
    """
    return "".join(f"\\{c}" if c in MARKUP else c for c in str(said)).replace("\n", " ")


def number(value: float | None) -> str:
    """Four digits are enough to look at."""
    return "–" if value is None else f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def problem(said: str) -> None:
    """What happened, what holds, what to try: the first line stands out."""
    first, *rest = [line for line in said.strip().splitlines() if line.strip()] or ["Something went wrong."]
    st.error("  \n".join([f"**{text(first)}**", *map(text, rest)]), icon=":material/error:")


def empty(said: str, page: str, label: str) -> None:
    """There is nothing here yet, and this is where it comes from."""
    st.info(said, icon=":material/arrow_forward:")
    link(page, label)


def link(page: str, label: str, icon: str | None = None) -> None:
    """A way to another page; nothing where a page stands alone, as in a test."""
    try:
        st.page_link(str(Path(__file__).with_name(page)), label=label, icon=icon)
    except Exception:  # streamlit raises what it does not export when no navigation was set up
        st.caption(label)


def figures(shown: Sequence[tuple[str, str, str]]) -> None:
    """Numbers side by side: (label, value, what it means); a word known to the glossary needs no meaning given."""
    for column, (label, value, help_) in zip(st.columns(len(shown)), shown):
        column.metric(label, value, help=help_ or meaning(label) or None)


def answered(ask: Callable[[], questions.Reply], saying: str) -> questions.Reply | None:
    """What was asked for, once it has come; until then None, and the page shows why: it is on its way, or it failed."""
    reply = ask()
    if reply.problem:
        failed(reply)
        return None
    if reply.waiting:
        wait(reply, saying, ask)
        return None
    return reply


def wait(reply: questions.Reply, saying: str, again: Callable[[], questions.Reply]) -> None:
    """Show that an answer is on its way, and draw the page anew when it has come."""
    _waiting(saying, again)


@st.fragment(run_every=0.5)
def _waiting(saying: str, again: Callable[[], questions.Reply]) -> None:
    if not again().waiting:
        st.rerun()
    st.markdown(f":material/hourglass_empty: {saying}")


def failed(reply: questions.Reply) -> None:
    """Why there is no answer, and another try."""
    problem(reply.problem)
    if st.button("Try again"):
        questions.forget(reply)
        st.rerun()
