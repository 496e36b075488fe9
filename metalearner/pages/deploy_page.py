"""Stages 5 and 6: the model in use, and whether what comes in still looks like what it learnt from."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from metalearner.errors import UserError
from metalearner.glossary import meaning
from metalearner.pages import children, context, figures, manners, processes, questions, spaces, uploads
from metalearner.pictures import Picture, Series

# Seconds that an answer of the server may take.
PATIENCE = 5.0


def asked(url: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The JSON that the server on this machine answers; its own words where it refuses."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as refused:
        return dict(json.load(refused))
    except OSError:
        return {"error": "The server does not answer.\nIt may still be starting, or was stopped.\nStart it again."}


def server(folder: Path) -> str | None:
    """Start and stop; where it listens, None when it does not."""
    address = processes.address(folder)
    if address is None:
        st.caption("The server answers JSON rows over HTTP, on this machine alone.")
        said = children.said(folder / processes.SERVER)
        if said:
            manners.problem(said)
        if st.button("Start the server", type="primary", icon=":material/play_arrow:"):
            processes.serve(folder)
            st.rerun()
        return None
    if not address:
        starting(folder)
        return None
    left, right = st.columns([1, 4])
    if left.button("Stop the server", icon=":material/stop:", width="stretch"):
        processes.end_server(folder)
        st.rerun()
    right.code(f"curl {address}predict -H 'Content-Type: application/json' -d '{{\"rows\": [...]}}'", language=None)
    return address


@st.fragment(run_every=0.5)
def starting(folder: Path) -> None:
    """Until it listens."""
    if processes.address(folder) != "":
        st.rerun()
    st.markdown(":material/hourglass_empty: The server is starting …")


def field(column: Mapping[str, Any], example: Any) -> Any:
    """A widget for a column, by its kind."""
    name, levels = column["name"], column["levels"]
    label = manners.text(name)
    if levels:
        return st.selectbox(label, levels, key=f"field-{name}")
    if column["kind"] == "number":
        return st.number_input(label, value=None, placeholder="missing", key=f"field-{name}")
    return st.text_input(label, str(example), key=f"field-{name}") or None


def form(address: str) -> None:
    """Try a prediction: a field for each column of the data contract."""
    contract = asked(f"{address}schema")
    if "error" in contract:
        manners.problem(contract["error"])
        return
    example = contract["example"]["rows"][0]
    if any(c["kind"] == "array" for c in contract["columns"]):
        st.caption("These data are not typed in by hand: upload a file of them below.")
        return
    with st.form("try"):
        row = {}
        for column, one in zip(st.columns(4) * len(contract["columns"]), contract["columns"]):
            with column:
                row[one["name"]] = field(one, example[one["name"]])
        pressed = st.form_submit_button("Predict", type="primary")
    if pressed:
        told(contract["target"], asked(f"{address}predict", {"rows": [row]}))


def told(target: str, answer: Mapping[str, Any]) -> None:
    """One prediction with its probabilities and its region."""
    if "error" in answer:
        manners.problem(str(answer["error"]))
        return
    one = answer["predictions"][0]
    value = one["value"]
    shown = [(manners.text(target), value if isinstance(value, str) else manners.number(value), "")]
    if "region" in one:
        region = one["region"]
        said = (
            " or ".join(map(str, region))
            if region and isinstance(region[0], str)
            else " to ".join(manners.number(v) for v in region)
        )
        shown.append(("Nine times in ten it is", said, meaning("coverage")))
    manners.figures(shown)
    if "probabilities" in one:
        likely = sorted(one["probabilities"].items(), key=lambda item: -item[1])[:20]
        names, shares = zip(*likely)
        bars = Series("probability", names, shares, "bars")
        figures.show(Picture("", "", "", "probability", (bars,)), "likely", 220)


@st.fragment(run_every=2.0)
def live(folder: Path, address: str) -> None:
    """How much the server is used; the page is drawn anew when it has ended."""
    if processes.address(folder) != address:
        st.rerun()
    found = asked(f"{address}metrics")
    if "error" in found:
        return
    p50 = found["latency_ms"]["p50"]
    manners.figures([
        ("Requests", f"{found['requests']:,}", f"{found['refused']:,} refused for what they were, {found['errors']:,} failed."),
        ("Rows", f"{found['rows']:,}", "Rows that were predicted."),
        ("Half answer within", "–" if p50 is None else f"{p50:.1f} ms", "The median of the last thousand answers."),
        ("Busy", f"{found['utilisation']:.1%}", "The share of its time that it spends predicting."),
    ])  # fmt: skip


def watch(folder: Path) -> None:
    """A file of new rows: their predictions, and whether they have shifted."""
    given = st.file_uploader("New rows", type=list(uploads.ENDINGS), key="rows",
                             help="With the target where it is known: then it is measured, too, how well the model does.")  # fmt: skip
    if given is None:
        return
    try:
        rows = uploads.keep(given.name, given.getvalue(), not spaces.owned())
    except UserError as refused:
        manners.problem(str(refused))
        return
    arguments = ["monitor", str(folder / "bundle"), str(rows), "--json"]
    reply = questions.ask("monitor", arguments)
    if reply.problem:
        manners.failed(reply)
    elif reply.waiting:
        manners.wait(reply, "Comparing with what the model learnt from …", lambda: questions.ask("monitor", arguments))
    else:
        verdict(reply.answer)


def verdict(found: Mapping[str, Any]) -> None:
    """Shifted or not, by how much, and how well labelled rows are predicted."""
    shifted, rows = found["shifted"], found["rows"]
    if found["verdict"] == "too few rows":
        st.info(f"Nothing can be told from {rows:,} rows.")
        return
    if shifted:
        st.warning(
            f"{len(shifted)} columns have shifted in {rows:,} rows: {', '.join(map(manners.text, shifted))}",
            icon=":material/trending_up:",
        )
    else:
        st.success(
            f"{rows:,} rows look like those learnt from; a false alarm comes in at most {found['alpha']:.0%} of such files.",
            icon=":material/check:",
        )
    performance = found.get("performance")
    if performance:
        worse = "worse than" if performance["worse"] else "in line with"
        manners.figures([
            (performance["metric"], manners.number(performance["value"]), meaning(performance["metric"])),
            ("when packaged", manners.number(performance["before"]), f"It is {worse} what it was."),
        ])  # fmt: skip
    st.dataframe(listed(found["shifts"]), hide_index=True, width="stretch")


def listed(shifts: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Every comparison, the surest shift first."""
    return pd.DataFrame([{"column": s["name"], "of": s["what"], "shifted": s["shifted"], "by": round(s["effect"], 3), "was": s["before"],
                          "is": s["now"]} for s in shifts])  # fmt: skip


def main() -> None:
    """The chosen run's model in use."""
    st.title("Deploy and monitor")
    folder = context.run()
    if folder is None or processes.state(folder) != "finished":
        here = (
            "The run is not finished; its model can be used then."
            if folder
            else "No model yet. Say what you want to know, and start a run."
        )
        manners.empty(here, "run_page.py" if folder else "formulate_page.py", "Run" if folder else "Formulate")
        return
    st.caption(f"The model of {folder.name}.")
    address = server(folder)
    if address:
        st.subheader("Try it")
        form(address)
        st.subheader("In use")
        live(folder, address)
    st.subheader("Do new rows still look the same?", help=meaning("shift"))
    watch(folder)


main()
