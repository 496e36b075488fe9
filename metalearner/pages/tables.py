"""Tables that several pages show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from metalearner.report.account import Account

BOARD = {
    "score": st.column_config.NumberColumn("score", format="%.4g", help="On rows held out of learning."),
    "share": st.column_config.TextColumn("share", help="Of the model that is packaged."),
    "took": st.column_config.NumberColumn("took", format="%.1f s"),
    "fitted": st.column_config.NumberColumn(
        "fitted", format="percent", help="Fits begin cheap; the best are gone on with."
    ),
    "because": st.column_config.TextColumn("because", width="large"),
}


# What a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def show(frame: pd.DataFrame, **keywords: Any) -> Any:
    """A table as wide as the page. Visitors can save it as CSV, so it holds nothing that a spreadsheet would calculate."""
    return st.dataframe(guarded(frame), **{"hide_index": True, "width": "stretch", **keywords})


def guarded(frame: pd.DataFrame) -> pd.DataFrame:
    """The same with an apostrophe before words, in cells and headings, that begin like a formula; numbers stay numbers.

    >>> guarded(pd.DataFrame({"=a": ["=1+1", "-5.2", "-"], "b": [-1, 2, 3]})).to_dict("list")
    {"'=a": ["'=1+1", '-5.2', '-'], 'b': [-1, 2, 3]}
    """
    return frame.rename(columns=_guard).map(_guard)


def _guard(value: Any) -> Any:
    if not isinstance(value, str) or len(value) < 2 or not value.startswith(FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def leaderboard(rows: Sequence[dict[str, Any]], key: str) -> None:
    """Configs, best first."""
    shares = [f"{r['share']:.0%}" if r["share"] else "" for r in rows]
    listed = [{"family": r["family"], "score": r["score"], "share": share, "took": r["seconds"], "fitted": r["fitted"],
               "because": r["why"]} for r, share in zip(rows, shares)]  # fmt: skip
    if listed:
        show(pd.DataFrame(listed), column_config=BOARD, key=key)


def failures(account: Account) -> None:
    """What went wrong and why; the run goes on regardless."""
    found = account.failures()
    if found:
        with st.expander(f"{sum(f['times'] for f in found)} fits did not work out"):
            show(pd.DataFrame(found))
