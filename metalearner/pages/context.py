"""What pages share: whose space it is, what is being asked, which run is looked at, what is known of the data."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from metalearner import plugins
from metalearner.plugins import Registry

from . import processes, questions, spaces
from .draft import Draft


def draft() -> tuple[Path, Draft]:
    """This visitor's folder, and what is about to be asked there."""
    root = spaces.current()
    return root, Draft.open(root)


def look(asked: Draft) -> questions.Reply:
    """What is known of the data before anything is trained; asked once for the same data, wish and knowledge."""
    arguments = ["propose", *asked.options(), "--budget", asked.budget, "--json"]
    return questions.ask("look", [*arguments, *asked.asked()], questions.knowledge_stamp(), keep="--into")


def run() -> Path | None:
    """The run that is looked at: the one in the address or chosen before, else the newest; None where there is none."""
    root = spaces.current()
    found = {f.name: f for f in processes.folders(root)}
    name = st.session_state.get("run") or st.query_params.get("run", "")
    if name not in found:  # whatever the address says, only a run of this space is shown
        name = next(iter(found), "")
    if name:
        choose(name)
    return found.get(name)


def choose(name: str) -> None:
    """Look at this run from now on, after a reload too."""
    st.session_state["run"] = name
    if st.query_params.get("run") != name:
        st.query_params["run"] = name


@st.cache_resource(show_spinner=False)
def registry() -> Registry:
    """Everything that is installed, loaded once for all visitors."""
    return plugins.load()


def go(page: str) -> None:
    """To another page; where there are none, as in a test, this one is drawn again."""
    try:
        st.switch_page(str(Path(__file__).with_name(page)))
    except st.errors.StreamlitAPIException:
        st.rerun()
