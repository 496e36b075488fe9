"""Stages 5 and 6: the model in use, and whether what comes in still looks like what it learnt from."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from metalearner.errors import DataError
from metalearner.glossary import meaning
from metalearner.pages import children, context, figures, manners, processes
from metalearner.pages.contract import begin_with, form
from metalearner.pages.watch import watch
from metalearner.pictures import Picture, Series
from metalearner.report import examples
from metalearner.report.examples import Example

# Seconds that the server may take to tell of itself, and to predict: the first time it may have to load what is large.
PATIENCE, PREDICTING = 5.0, 60.0


def asked(url: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The JSON that the server on this machine answers; its own words where it refuses."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE if body is None else PREDICTING) as answer:
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


@st.cache_data(show_spinner=False, max_entries=8)
def held(folder: str, stamp: float) -> list[tuple[Example, dict[str, Any]]]:
    """Rows that the model was measured on, to begin with."""
    return examples.held(Path(folder), context.registry())


def trial(folder: Path, address: str) -> None:
    """Try a prediction: a field for each column of the data contract."""
    contract = asked(f"{address}schema")
    if "error" in contract:
        manners.problem(contract["error"])
        return
    rows = held(str(folder), (folder / "run.json").stat().st_mtime)
    at = begin_with(rows)
    example, sent = (None, {}) if at is None else rows[at]
    try:
        row = form(contract, example, sent, f"{folder.name}-{at}")
    except DataError as lacking:
        manners.problem(str(lacking))
        return
    if row is not None:
        told(contract, asked(f"{address}predict", {"rows": [row]}), example.truth if example else "")


def told(contract: Mapping[str, Any], answer: Mapping[str, Any], truth: str) -> None:
    """One prediction with its probabilities and, in words, its region."""
    if "error" in answer:
        manners.problem(str(answer["error"]))
        return
    one = answer["predictions"][0]
    value = one["value"]
    shown = [(manners.text(contract["target"]), value if isinstance(value, str) else manners.number(value), "")]
    if "probabilities" in one:
        shown.append(("Probability", f"{one['probabilities'].get(value, 0):.1%}", meaning("calibration")))
    if truth:
        shown.append(
            ("In truth", truth, "What stands in the row that the form was filled with, before anything was changed.")
        )
    manners.figures(shown)
    if "region" in one:
        st.markdown(region(one["region"], contract["covers"]))
    if "probabilities" in one:
        likely = sorted(one["probabilities"].items(), key=lambda item: -item[1])[:20]
        names, shares = zip(*likely)
        bars = Series("probability", names, shares, "bars")
        figures.show(Picture("", "", "", "probability", (bars,)), "likely", 220)


def region(found: Sequence[Any], level: float) -> str:
    """A conformal set or interval in words."""
    if found and not isinstance(found[0], str):
        low, high = map(manners.number, found)
        return f"The answer lies between **{low}** and **{high}**; intervals like this hold the truth of {level:.0%} of rows."
    *others, last = [f"**{manners.text(c)}**" for c in found]
    told = f"{', '.join(others)} or {last}: one alone cannot be told" if others else f"{last}, the rest is ruled out"
    return f"The answer is {told}; sets like this hold the truth of {level:.0%} of rows."


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
        trial(folder, address)
        st.subheader("In use")
        live(folder, address)
    st.subheader("Do new rows still look the same?", help=meaning("shift"))
    watch(folder / "bundle")


main()
