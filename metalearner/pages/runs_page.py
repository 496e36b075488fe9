"""All runs of this space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from metalearner import events
from metalearner.pages import context, manners, processes, spaces, tables

# Runs that are listed; older ones are counted.
LISTED = 200


@st.cache_data(show_spinner=False, max_entries=2 * LISTED)
def summary(folder: str, stamp: float) -> dict[str, Any]:
    """What stands in the list, read once for each state of a folder."""
    told = {e["stage"]: e for e in events.read(Path(folder) / "events.jsonl") if e["stage"] != "search"}
    task = told.get("formulate", {}).get("task", {})
    card = told.get("evaluate", {}).get("scorecard", {})
    took = told.get("learned", {}).get("seconds")
    return {"predicts": task.get("target", ""), "score": card.get("value"), "metric": task.get("metric", ""),
            "baseline": card.get("baseline"), "seconds": took, "asked": task.get("sentence", "")}  # fmt: skip


def main() -> None:
    """The newest first; one can be chosen."""
    st.title("Runs")
    found = processes.folders(spaces.current())
    if not found:
        manners.empty("No run yet. Say what you want to know, and start one.", "formulate_page.py", "Formulate")
        if not spaces.owned():
            st.caption("Runs started in a terminal are shown at the address that `metalearner app` printed.")
        return
    rows = [{"run": f.name, "state": processes.state(f), **summary(str(f), f.stat().st_mtime)} for f in found[:LISTED]]
    chosen = tables.show(
        pd.DataFrame(rows), on_select="rerun", selection_mode="single-row", key="runs",
        column_config={
            "score": st.column_config.NumberColumn("score", format="%.3f"),
            "baseline": st.column_config.NumberColumn("baseline", format="%.3f", help="What one gets without looking at the inputs."),
            "seconds": st.column_config.NumberColumn("took", format="%.0f s"),
        },
    )  # fmt: skip
    st.caption(
        "Choose a row to look at a run."
        + (f" {len(found) - LISTED:,} older ones are not listed." if len(found) > LISTED else "")
    )
    if chosen.selection.rows:
        row = rows[chosen.selection.rows[0]]
        context.choose(row["run"])
        context.go("result_page.py" if row["state"] == "finished" else "run_page.py")


main()
