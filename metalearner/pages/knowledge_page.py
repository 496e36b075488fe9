"""What the knowledge base holds, how it grows, and which families win where."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from metalearner.glossary import meaning
from metalearner.knowledge.growth import UNDATED
from metalearner.pages import figures, manners, questions, spaces, tables
from metalearner.pictures import Picture, Series
from metalearner.setting import INVENTED


def ask() -> questions.Reply:
    """Counting ten thousands of records takes seconds, so a process of its own does, once for each state of the base."""
    return questions.ask("knowledge", ["kb", "stats", "--json"], questions.knowledge_stamp())


def winners(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Families against kinds of data: on how many data sets each won."""
    table = pd.DataFrame({kind: pd.Series(facts["winners"]) for kind, facts in found.items()}).fillna(0).astype(int)
    table = table.groupby(lambda name: INVENTED if name.startswith(f"{INVENTED}-") else name).sum()
    table = table.loc[table.sum(axis=1).sort_values(ascending=False).index]
    tables.show(table.astype(str).replace("0", ""), hide_index=False, height=min(640, 40 + 35 * len(table)))


def grown(days: Mapping[str, Mapping[str, int]]) -> None:
    """Fits and groups of data sets against time; what carries no day is where the lines begin."""
    st.subheader("How it grew")
    dated = {day: held for day, held in days.items() if day != UNDATED}
    before = days.get(UNDATED, {"records": 0, "groups": 0})
    if dated:
        eve = (date.fromisoformat(min(dated)) - timedelta(days=1)).isoformat()
        shown = {eve: before, **dated}
        lines = {"Fits": "records", "Groups of data sets": "groups"}
        for column, (name, what) in zip(st.columns(2, gap="large"), lines.items()):
            line = Series(name, tuple(shown), tuple(held[what] for held in shown.values()), "steps")
            with column:
                figures.show(Picture(name, "", series=(line,)), f"growth-{what}", 240)
    if before["records"]:
        since = "the lines begin with them" if dated else "your next run begins the line"
        st.caption(f"{before['records']:,} fits carry no day, for none was noted when they came; {since}.")


def main() -> None:
    """Counts, then who wins where."""
    st.title("Knowledge")
    st.caption("Every run adds what it tried, never a row of data. New runs begin with what worked on similar data.")
    spaces.current()
    reply = ask()
    if reply.problem:
        manners.failed(reply)
        return
    if reply.waiting:
        manners.wait(reply, "Counting …", ask)
        return
    stats = reply.answer
    learnt = stats["learnt"]
    manners.figures([
        ("Fits", f"{stats['records']:,}", meaning("trial")),
        ("Data sets", f"{stats['data_sets']:,}", "Without any of their rows."),
        ("Groups", f"{stats['groups']:,}", "Variants of one source count once."),
        ("Hours of computing", f"{stats['seconds'] / 3600:,.0f}", "What it took to learn all this, on a core."),
    ])  # fmt: skip
    if not stats["records"]:
        st.info("The base is empty. In a terminal, metalearner kb grow fills it from the data sets that come along.")
        return
    st.subheader("Which families win where", help=meaning("family"))
    winners(stats["by_modality"])
    st.caption(
        f"Data sets of each kind on which a family had the best configuration; '{INVENTED}' is what search composed."
    )
    grown(stats["growth"])
    st.subheader("Kinds of data")
    kinds = [
        {"kind": k, "data sets": f["data_sets"], "groups": f["groups"], "fits": f["records"]}
        for k, f in stats["by_modality"].items()
    ]
    tables.show(pd.DataFrame(kinds))
    if learnt.get("since"):
        st.info(
            f"{learnt['since']} data sets came since what proposes was trained. In a terminal: metalearner kb train"
        )
    if stats["failures"]:
        st.caption(
            "Failures are knowledge, too: " + ", ".join(f"{n:,} {name}" for name, n in stats["failures"].items())
        )


main()
