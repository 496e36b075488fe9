"""What the knowledge base holds, how it grows, and which families win where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from metalearner.glossary import meaning
from metalearner.pages import manners, questions, spaces, tables


def ask() -> questions.Reply:
    """Counting ten thousands of records takes seconds, so a process of its own does, once for each state of the base."""
    return questions.ask("knowledge", ["kb", "stats", "--json"], questions.knowledge_stamp())


def winners(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Families against kinds of data: on how many data sets each won."""
    table = pd.DataFrame({kind: pd.Series(facts["winners"]) for kind, facts in found.items()}).fillna(0).astype(int)
    table = table.loc[table.sum(axis=1).sort_values(ascending=False).index]
    tables.show(table.astype(str).replace("0", ""), hide_index=False, height=min(640, 40 + 35 * len(table)))


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
    st.caption("Data sets of each kind on which a family had the best configuration.")
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
