"""Pick data, say what is wanted, press run."""

from __future__ import annotations

import streamlit as st

from metalearner import catalogue
from metalearner.pages import processes

ENDINGS = ["csv", "tsv", "parquet", "jsonl", "db", "sqlite", "npz", "ts"]
BUDGETS = {"30 seconds": "30s", "1 minute": "60s", "2 minutes": "2m", "5 minutes": "5m", "15 minutes": "15m"}

st.title("From data to a model")
st.caption("Give a labelled file and say what you want to know. Everything else is decided for you, and explained.")

left, right = st.columns([3, 2], gap="large")
with left:
    cards = catalogue.cards()
    where = st.segmented_control("Data", ["Upload a file", "Pick a data set"], default="Pick a data set")
    source, sentence = "", ""
    if where == "Upload a file":
        upload = st.file_uploader("A table, an NPZ or a .ts file", type=ENDINGS)
        if upload is not None:
            key = f"{upload.file_id}"
            if st.session_state.get("upload_key") != key:
                st.session_state["upload_key"] = key
                st.session_state["upload_path"] = str(processes.keep_upload(upload.name, upload.getvalue()))
            source = st.session_state["upload_path"]
    else:
        name = st.selectbox("Data set", sorted(cards), index=sorted(cards).index("penguins") if "penguins" in cards else 0,
                            format_func=lambda n: f"{n} · {cards[n].modality}")  # fmt: skip
        if name:
            source, sentence = name, cards[name].sentence
            st.caption(f"{cards[name].title}. Licence: {cards[name].licence}")
    wanted = st.text_input("What is wanted", value=sentence, placeholder="which patients come back within 30 days?")
with right:
    budget = st.select_slider("Time", list(BUDGETS), value="1 minute", help="The run ends within this time.")
    target = st.text_input("Column to predict", placeholder="found from your sentence",
                           help="Leave it empty, and it is found from your sentence.")  # fmt: skip
    goal = st.text_input("Goal", placeholder="none, or for example: accuracy 0.9",
                         help="The run says whether it was met, and why not if it was missed.")  # fmt: skip
    pressed = st.button("Run", type="primary", disabled=not source, width="stretch")
    if not source:
        st.info("Upload a file or pick a data set first.")

if pressed:
    folder = processes.start(source, wanted, target.strip(), BUDGETS[budget], goal.strip())
    st.session_state["run"] = folder.name
    st.switch_page(st.Page("run_page.py", url_path="runs"))
