"""The search space as sliders: what is left of each number, which the run obeys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from metalearner.glossary import meaning
from metalearner.grammar import word
from metalearner.pages import manners
from metalearner.pages.draft import Draft

# Steps of a slider between its ends, and widgets in a row.
STEPS, ROW = 24, 3
AGAIN = "searched again"


def narrowing(draft: Draft, families: Sequence[str], look: Mapping[str, Any]) -> Draft:
    """Sliders for the numbers of one of these families at a time; the draft with what is left."""
    space = look["space"]
    st.subheader("What is searched", help=meaning("search space"))
    family = st.selectbox("Of the family", families, help=meaning("family"))
    st.caption(manners.text(look["summaries"][family]))
    for name in dict.fromkeys(place.rpartition(".")[0] for place in space[family]):
        own = {p: told for p, told in space[family].items() if p.rpartition(".")[0] == name and _wide(told)}
        if own:
            others = [f for f in families if f != family and any(p in space[f] for p in own)]
            shared = f" · shared with {manners.text(', '.join(others))}" if others else ""
            st.markdown(f"**{manners.text(name)}**{shared}")
        for column, (place, told) in zip(st.columns(ROW) * len(own), own.items()):
            with column:
                draft = draft.narrowed(place, _widget(place, told, draft.values(place)))
    if draft.narrow:
        left, right = st.columns([4, 1], vertical_alignment="center")
        left.caption("Searched alone: " + ", ".join(f"{manners.text(one)}" for one in draft.narrow))
        if right.button("Search all again", width="stretch"):
            st.session_state[AGAIN] = _again() + 1
            draft = draft.having(narrow=())
    return draft


def _again() -> int:
    """How often all was put back: a browser remembers what a slider of the same key had."""
    return int(st.session_state.get(AGAIN, 0))


def _wide(told: Mapping[str, Any]) -> bool:
    """Whether there is anything to choose from."""
    return len(told["options"]) > 1 if "options" in told else told["low"] < told["high"]


def _widget(place: str, told: Mapping[str, Any], kept: str) -> str:
    """A slider with two handles, or a choice of several; what is left as `--narrow` takes it, empty for all."""
    number = place.rpartition(".")[2]
    label, help_ = number.replace("_", " "), " ".join(filter(None, (meaning(number), _well(told["well"])))) or None
    if "options" in told:
        options = told["options"]
        default = [o for o in kept.split(",") if o in options]
        chosen = st.multiselect(label, options, default, placeholder="all", help=help_, key=f"{place} {_again()}")
        return ",".join(chosen) if 0 < len(chosen) < len(options) else ""
    read = int if told["whole"] else float
    ends = [read(end) for end in (kept.split("..") * 2)[:2]] if kept else [told["low"], told["high"]]
    stops = sorted({*_stops(told), *ends})
    low, high = st.select_slider(label, stops, (ends[0], ends[1]), word, key=f"{place} {_again()}", help=help_)
    return "" if (low, high) == (told["low"], told["high"]) else f"{word(low)}..{word(high)}"


def _stops(told: Mapping[str, Any]) -> list[Any]:
    """Some round values from the lower end to the upper one, as far apart as they matter."""
    low, high = told["low"], told["high"]
    inner = []
    for step in range(1, STEPS):
        share = step / STEPS
        value = low * (high / low) ** share if told["log"] else low + share * (high - low)
        inner.append(round(value) if told["whole"] else float(f"{value:.2g}"))
    return [low, *(value for value in inner if low < value < high), high]


def _well(well: Mapping[str, float] | Sequence[float] | None) -> str:
    """Where past runs on similar data did well."""
    if not well:
        return ""
    if isinstance(well, Mapping):
        return (
            "Did well on similar data: " + ", ".join(f"{option} ({share:.0%})" for option, share in well.items()) + "."
        )
    return f"Did well on similar data: {well[0]:.3g} to {well[1]:.3g}."
