"""Which pages there are: the article's six stages, then what lies beside them."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
STAGES = (
    ("formulate_page.py", "Formulate", ":material/edit_note:", ""),
    ("prepare_page.py", "Prepare", ":material/table_view:", "prepare"),
    ("propose_page.py", "Propose", ":material/lightbulb:", "propose"),
    ("run_page.py", "Run", ":material/play_arrow:", "run"),
    ("result_page.py", "Result", ":material/insights:", "result"),
    ("deploy_page.py", "Deploy and monitor", ":material/rocket_launch:", "deploy"),
)
BESIDE = (
    ("runs_page.py", "Runs", ":material/history:", "runs"),
    ("knowledge_page.py", "Knowledge", ":material/hub:", "knowledge"),
    ("plugin_page.py", "Plugins", ":material/extension:", "plugins"),
)


def show() -> None:
    """Draw the navigation and the chosen page."""
    st.set_page_config(page_title="metalearner", page_icon="◆", layout="wide")
    st.navigation({"One model, step by step": _pages(STAGES), "Beside them": _pages(BESIDE)}).run()


def _pages(listed: tuple[tuple[str, str, str, str], ...]) -> list[st.Page]:
    return [
        st.Page(HERE / file, title=title, icon=icon, url_path=path or None, default=not path)
        for file, title, icon, path in listed
    ]


if __name__ == "__main__":
    show()
