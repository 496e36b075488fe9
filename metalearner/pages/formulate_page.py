"""Stage 1: data, a sentence, and the task that they make."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from metalearner.errors import UserError
from metalearner.glossary import meaning
from metalearner.pages import context, manners, processes, spaces, uploads
from metalearner.pages.draft import Draft
from metalearner.sources import catalogue

BUDGETS = {"15s": "15 seconds", "30s": "30 seconds", "60s": "1 minute", "2m": "2 minutes", "5m": "5 minutes",
           "15m": "15 minutes", "1h": "1 hour"}  # fmt: skip
FOUND = "found by itself"


def source(root: Path, draft: Draft) -> Draft:
    """A file or a zip, or one of the data sets that come along."""
    ways = ["Upload", "Examples"]
    usual = "Examples" if draft.source in catalogue.cards() else "Upload"
    way = st.segmented_control("Data", ways, default=usual, key="way", required=True)
    if way == "Examples":
        return example(draft)
    given = st.file_uploader(
        "A table, an NPZ, a .ts file, or a ZIP of class folders", type=list(uploads.ENDINGS),
        help="Tables are CSV, TSV, Parquet, JSONL or SQLite. A ZIP holds a folder for each class, with pictures, texts or "
             f"recordings. At most {uploads.MEGABYTES} MB.",
    )  # fmt: skip
    if given is not None and st.session_state.get("uploaded") != given.file_id:
        try:
            place = uploads.keep(given.name, given.getvalue(), not spaces.owned())
        except UserError as refused:
            manners.problem(str(refused))
            return draft
        st.session_state["uploaded"] = given.file_id
        # What was said of other data does not hold for these; what was said before there were any does.
        sentence = "" if draft.source else draft.sentence
        return draft.having(source=str(place), name=given.name, sentence=sentence)
    if draft.source and draft.source not in catalogue.cards():
        st.caption(f"Now: {manners.text(draft.name)}")
    return draft


def example(draft: Draft) -> Draft:
    """One of the data sets that come along, with its sentence."""
    cards = {name: card for name, card in catalogue.cards().items() if not card.synthetic}
    names = sorted(cards)
    at = names.index(draft.source) if draft.source in names else None
    name = st.selectbox(
        "Data set", names, index=at, placeholder="choose one", format_func=lambda n: f"{n} · {cards[n].modality}"
    )
    if name is None or name == draft.source:
        return draft
    return draft.having(source=name, name=name, sentence=cards[name].sentence)


def wish(draft: Draft) -> Draft:
    """The sentence, and how long it may take."""
    sentence = st.text_area("What do you want to know?", draft.sentence, height=80, max_chars=500,
                            placeholder="which patients come back within 30 days? missing one is worse than a false alarm",
                            help="In your own words. The column to predict and how to score are read from it.")  # fmt: skip
    budget = st.select_slider("Time", list(BUDGETS), value=draft.budget if draft.budget in BUDGETS else "60s",
                              format_func=BUDGETS.__getitem__, help=meaning("budget"))  # fmt: skip
    return draft.having(sentence=sentence.strip(), budget=budget)


def card(draft: Draft, look: Mapping[str, Any]) -> Draft:
    """The task as it was understood, and what may be changed about it."""
    task, told = look["task"], look["prepared"]
    with st.container(border=True):
        st.subheader(manners.text(task["target"]), help=meaning("target"))
        st.markdown(f"{task['output']} · scored by **{task['metric']}** · {told['card']['rows']:,} rows")
        st.caption("  \n".join(map(manners.text, task["reasons"])))
        with st.expander("Change the task"):
            return changed(draft, look)


def changed(draft: Draft, look: Mapping[str, Any]) -> Draft:
    """Target, metric, goal and groups by hand; what is left alone is found from sentence and data."""
    names = [c["name"] for c in look["columns"] if c["kind"] != "array"]

    def choice(label: str, options: list[str], now: str, help_: str) -> str:
        listed = ["", *options]
        return st.selectbox(label, listed, index=listed.index(now) if now in listed else 0,
                            format_func=lambda v: v or FOUND, help=help_) or ""  # fmt: skip

    target = choice("Column to predict", names, draft.target, meaning("target"))
    metric = choice("Scored by", list(look["metrics"]), draft.metric, meaning("metric"))
    group = choice("What belongs together", [n for n in names if n != target], draft.group_by,
                   "Rows with the same value here (a patient, a photograph) stay on one side of every split.")  # fmt: skip
    undone = [shlex.split(f["undo"]) for f in look["prepared"]["findings"]]
    leaking = [words[1] for words in undone if words[:1] == ["--keep"]]
    listed = list(dict.fromkeys([*draft.trusted, *leaking]))
    told = "They give the answer away, which is no use if they are not known yet when you predict."
    trusted = st.multiselect("Learn from these columns, too", listed, draft.trusted, help=told) if listed else []
    goal = st.text_input("Goal", draft.goal, placeholder="none, or for example: accuracy 0.9", max_chars=60,
                         help="The run stops when it is met, and says why when it is missed.")  # fmt: skip
    return draft.having(
        target=target,
        metric=metric if target == draft.target else "",
        group_by=group,
        goal=goal.strip(),
        trusted=tuple(trusted),
    )


def forecast(look: Mapping[str, Any], budget: str) -> None:
    """What past runs let expect of this one."""
    found = look["forecast"]
    if found["value"] is None:
        st.caption(f"No forecast: {manners.text(found['reason'])}")
        return
    low, high = f"{found['low']:.3g}", f"{found['high']:.3g}"
    st.metric(f"Likely {found['metric']} in {BUDGETS[budget]}", f"{found['value']:.3g}",
              help=f"{meaning('forecast')} {found['reason'].capitalize()}.")  # fmt: skip
    st.caption(
        f"between {low} and {high} in {found['level']:.0%} of cases, told from {len(look['neighbours'])} similar data sets"
    )


def main() -> None:
    """Data on the left, what was understood on the right."""
    root, before = context.draft()
    st.title("From data to a model in use")
    st.caption(
        "Give labelled data and say what you want to know. Everything else is decided for you, explained, and yours to change."
    )
    left, right = st.columns(2, gap="large")
    with left:
        draft = wish(source(root, before))
    with right:
        draft = understood(draft)
    if draft != before:
        draft.keep(root)
        st.rerun()


def understood(draft: Draft) -> Draft:
    """The task, the forecast and the button; or what is missing for them."""
    if not draft.source:
        st.info(
            "Upload a file or choose an example first. What was understood of it will stand here.",
            icon=":material/arrow_back:",
        )
        return draft
    reply = context.look(draft)
    if reply.problem:
        manners.failed(reply)
        return draft
    if reply.waiting:
        manners.wait(reply, "Reading the data, asking past runs …", lambda: context.look(draft))
        return draft
    found = card(draft, reply.answer)
    forecast(reply.answer, draft.budget)
    if st.button("Start the run", type="primary", width="stretch", disabled=found != draft):
        folder = processes.start(context.draft()[0], draft)
        context.choose(folder.name)
        context.go("run_page.py")
    manners.link("prepare_page.py", "Look at the data first", ":material/table_view:")
    return found


main()
