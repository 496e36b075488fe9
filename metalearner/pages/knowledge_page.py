"""What the knowledge base holds."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from metalearner.knowledge import Base

st.title("Knowledge")
st.caption("Every run adds what it tried. New runs start from what worked on similar data.")
stats = Base.open().stats()
columns = st.columns(3)
columns[0].metric("Trials", stats["records"])
columns[1].metric("Data sets", stats["data_sets"])
columns[2].metric("Groups", stats["groups"], help="Variants of one source count once.")
if not stats["by_modality"]:
    st.info("The base is empty. metalearner kb grow fills it from the data sets that come along.")
for modality, facts in stats["by_modality"].items():
    st.subheader(modality)
    st.caption(f"{facts['records']} trials on {facts['data_sets']} data sets in {facts['groups']} groups")
    if facts["winners"]:
        st.bar_chart(
            pd.Series(facts["winners"], name="data sets it won on"),
            horizontal=True,
            height=90 + 30 * len(facts["winners"]),
        )
