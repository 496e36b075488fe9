"""Which pages there are."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent


def show() -> None:
    """Draw the navigation and the chosen page."""
    st.set_page_config(page_title="metalearner", page_icon="◆", layout="wide")
    pages = [
        st.Page(HERE / "new_run.py", title="New run", icon=":material/play_arrow:", default=True),
        st.Page(HERE / "run_page.py", title="Runs", icon=":material/leaderboard:", url_path="runs"),
        st.Page(HERE / "knowledge_page.py", title="Knowledge", icon=":material/hub:", url_path="knowledge"),
        st.Page(HERE / "plugin_page.py", title="Plugins", icon=":material/extension:", url_path="plugins"),
    ]
    st.navigation(pages).run()


if __name__ == "__main__":
    show()
