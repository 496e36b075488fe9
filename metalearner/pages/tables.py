"""Tables that several pages show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from metalearner.account import Account

BOARD = {
    "score": st.column_config.NumberColumn("score", format="%.4g", help="On rows held out of learning."),
    "share": st.column_config.TextColumn("share", help="Of the model that is packaged."),
    "took": st.column_config.NumberColumn("took", format="%.1f s"),
    "fitted": st.column_config.NumberColumn(
        "fitted", format="percent", help="Fits begin cheap; the best are gone on with."
    ),
    "because": st.column_config.TextColumn("because", width="large"),
}


def leaderboard(rows: Sequence[dict[str, Any]], key: str) -> None:
    """Configs, best first."""
    shares = [f"{r['share']:.0%}" if r["share"] else "" for r in rows]
    listed = [{"family": r["family"], "score": r["score"], "share": share, "took": r["seconds"], "fitted": r["fitted"],
               "because": r["why"]} for r, share in zip(rows, shares)]  # fmt: skip
    if listed:
        st.dataframe(pd.DataFrame(listed), hide_index=True, width="stretch", column_config=BOARD, key=key)


def failures(account: Account) -> None:
    """What went wrong and why; the run goes on regardless."""
    found = account.failures()
    if found:
        with st.expander(f"{sum(f['times'] for f in found)} fits did not work out"):
            st.dataframe(pd.DataFrame(found), hide_index=True, width="stretch")
