"""One run: live while it goes on, then leaderboard, score and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from metalearner.pages import processes
from metalearner.records import Scorecard, plain
from metalearner.sights import look_at
from metalearner.text import prior_lines, scorecard_lines


def progress(events: list[dict[str, Any]]) -> None:
    """Best score so far against time, and the trials as they come."""
    trials = [e["trial"] | {"left": e.get("left")} for e in events if e["stage"] == "search"]
    done = [t for t in trials if t["skill"] is not None]
    if not done:
        st.info("Getting ready: reading the data, looking at it, asking past runs.")
        return
    frame = pd.DataFrame({"seconds": [t["finished"] for t in done], "skill": [t["skill"] for t in done],
                          "score": [t["score"] for t in done], "family": [t["proposal"]["family"] for t in done],
                          "proposed by": [t["proposal"]["arm"] for t in done],
                          "took": [round(t["seconds"], 1) for t in done]}).sort_values("seconds")  # fmt: skip
    best = done[max(range(len(done)), key=lambda i: done[i]["skill"])]
    columns = st.columns(4)
    columns[0].metric("Best score so far", f"{best['score']:.3f}", help="On rows the model had not seen (out of fold).")
    columns[1].metric("Best family", best["proposal"]["family"])
    columns[2].metric(
        "Models tried", len(trials), f"{len(trials) - len(done)} failed" if len(done) < len(trials) else None
    )
    columns[3].metric("Seconds left", f"{max(0.0, trials[-1]['left'] or 0):.0f}")
    figure = go.Figure()
    figure.add_scatter(x=frame["seconds"], y=frame["skill"], mode="markers", text=frame["family"], name="trials")
    figure.add_scatter(x=frame["seconds"], y=frame["skill"].cummax(), mode="lines", line_shape="hv", name="best so far")
    figure.update_layout(height=280, margin={"l": 0, "r": 0, "t": 10, "b": 0}, xaxis_title="seconds",
                         yaxis_title="skill (0 naive, 1 perfect)")  # fmt: skip
    st.plotly_chart(figure, width="stretch")
    st.dataframe(frame.sort_values("skill", ascending=False), hide_index=True, width="stretch")


def outcome(folder: Path, found: dict[str, Any], events: list[dict[str, Any]]) -> None:
    """Score with interval beside the baseline, leaderboard, why."""
    score = found["score"]
    columns = st.columns(4)
    columns[0].metric(score["metric"], f"{score['value']:.3f}", help=f"On {score['rows']} rows: {score['split']}.")
    columns[1].metric("95 % interval", f"{score['low']:.2f} – {score['high']:.2f}")
    columns[2].metric("Naive baseline", f"{score['baseline']:.3f}", help="What one gets without looking at the inputs.")
    columns[3].metric("Best family", found["winner"]["family"])
    for event in events:
        if event["stage"] == "evaluate":
            st.text("\n".join(scorecard_lines(Scorecard.from_json(event["scorecard"]))))
    st.subheader("Leaderboard")
    board = pd.DataFrame(found["leaderboard"]).drop(columns=["config"])
    st.dataframe(board, hide_index=True, width="stretch")
    st.subheader("Why")
    reason = found["reasons"].get(found["winner"]["family"], "")
    st.write(f"**{found['winner']['family']}**: {reason or 'no past runs were used'}. {found['winner']['reason']}.")
    near = pd.DataFrame(found["neighbours"])
    if len(near):
        st.caption("Past data sets that look like this one, and what won there")
        st.dataframe(near[["name", "weight", "best_family", "best_skill"]], hide_index=True, width="stretch")
    st.subheader("Use it")
    st.code(
        f"metalearner predict {folder / 'bundle'} ROWS --out predictions.csv\nmetalearner serve {folder / 'bundle'}"
    )


@st.fragment(run_every=1.0)
def live(folder: Path) -> None:
    """Redraws itself every second until the run ends."""
    events = processes.story(folder)
    if not processes.going_on(folder):
        st.rerun()
    show_plan(events)
    progress(events)


def show_plan(events: list[dict[str, Any]]) -> None:
    """What was understood, and what was proposed."""
    for event in events:
        if event["stage"] == "formulate":
            st.write(
                f"Predicting **{event['task']['target']}** · {event['task']['output']} · scored by {event['task']['metric']}"
            )
        if event["stage"] == "prepare":
            st.caption(
                f"{event['card']['rows']:,} rows, {event['rows']:,} to learn from, {event['sealed']:,} sealed for the end"
            )
        if event["stage"] == "propose":
            with st.expander("What past runs say"):
                st.text("\n".join(prior_lines(event)))


@st.cache_data(show_spinner="Looking at the data …")
def seen(folder: str) -> list[dict[str, Any]]:
    """What the probes have to show of a run's data."""
    return plain(look_at(Path(folder)))


def show_sights(folder: Path) -> None:
    """Pictures of the probes, when somebody wants to see them."""
    with st.expander("What the data look like"):
        if not st.toggle("Show what the probes saw", help="Correlation against lag, and a layout that was recovered."):
            return
        for sight in seen(str(folder)):
            grid = isinstance(sight["values"][0], list | tuple)
            if grid:
                figure = go.Figure(go.Heatmap(z=sight["values"], showscale=False))
                figure.update_yaxes(autorange="reversed", scaleanchor="x")
                figure.update_xaxes(constrain="domain")
            else:
                lags = list(range(sight["first"], sight["first"] + len(sight["values"])))
                figure = go.Figure(go.Scatter(x=lags, y=sight["values"], mode="lines+markers", name="intact"))
                if sight["chance"] is not None:
                    figure.add_hline(sight["chance"], line_dash="dot", annotation_text="shuffled")
            figure.update_layout(height=260, margin={"l": 0, "r": 0, "t": 30, "b": 0}, title=sight["title"],
                                 xaxis_title=sight["axis"])  # fmt: skip
            st.plotly_chart(figure, width="stretch")


found = processes.folders()
if not found:
    st.title("Runs")
    st.info("No run yet. Start one on the page New run.")
    st.stop()
names = [f.name for f in found]
chosen = st.session_state.get("run", names[0])
chosen = st.selectbox("Run", names, index=names.index(chosen) if chosen in names else 0)
st.session_state["run"] = chosen
folder = processes.RUNS / str(chosen)
st.title(str(chosen))
finished = processes.result(folder)
if finished is not None:
    show_plan(processes.story(folder))
    show_sights(folder)
    outcome(folder, finished, processes.story(folder))
elif processes.going_on(folder):
    live(folder)
else:
    st.error(processes.complaint(folder) or f"The run was cut off. Go on with: metalearner resume {folder}")
    show_plan(processes.story(folder))
