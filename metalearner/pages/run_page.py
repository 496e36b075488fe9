"""Stage 4: the search as it goes on. The run is a process of its own; this page reads its event file."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from metalearner.glossary import meaning
from metalearner.pages import children, context, figures, manners, processes
from metalearner.pages.tables import failures, leaderboard
from metalearner.report.account import Account

STEPS = (("formulate", "reading the task"), ("prepare", "preparing the data"), ("describe", "measuring the data"),
         ("propose", "asking past runs"), ("search", "searching"), ("train", "joining the best"), ("evaluate", "measuring"),
         ("deploy", "packaging"), ("learned", "done"))  # fmt: skip


def progress(account: Account) -> None:
    """Where it stands, in four numbers, two pictures and a table."""
    best, left = account.best, account.left
    families = account.families()
    manners.figures([
        ("Best so far", manners.number(best["score"]) if best else "–", "On rows held out of learning, not the sealed test."),
        ("By", best["proposal"]["family"] if best else "–", meaning("family")),
        ("Fits", f"{len(account.trials):,}", meaning("trial")),
        ("Left to search", "–" if left is None else f"{left:.0f} s", meaning("budget")),
    ])  # fmt: skip
    shown = [p for p in (account.progress(), account.curves()) if p is not None]
    for column, (i, picture) in zip(st.columns(max(1, len(shown))), enumerate(shown)):
        with column:
            figures.show(picture, f"progress-{i}")
    leaderboard(families, "board")
    failures(account)


def controls(folder: Path, state: str) -> None:
    """Stop, pause, go on."""
    left, right, _ = st.columns([1, 1, 4])
    if state in ("running", "starting"):
        early = state == "starting"  # it would end before it knows what it has
        says = "End now, and package the best so far."
        if left.button("Stop", icon=":material/stop:", width="stretch", help=says, disabled=early):
            processes.stop(folder)
        if right.button(
            "Pause",
            icon=":material/pause:",
            width="stretch",
            help="End now and go on later; nothing that was finished is lost.",
        ):
            processes.pause(folder)
            st.rerun()
    elif state in ("paused", "cut off") and left.button(
        "Go on", icon=":material/play_arrow:", type="primary", width="stretch"
    ):
        processes.go_on(folder)
        st.rerun()


@st.fragment(run_every=1.0)
def live(folder: Path, told: tuple[str, bool]) -> None:
    """Draws itself anew every second, and the page when its head, as it was `told`, has changed or the run has ended."""
    account, state = processes.account(folder), processes.state(folder)
    if (state, bool(account and account.task)) != told:
        st.rerun()
    reached = [name for name, _ in STEPS if account and account.told(name)]
    at = dict(STEPS)[reached[-1]] if reached else "starting"
    after = {"propose": "searching"}.get(reached[-1] if reached else "", at)
    st.markdown(f":material/hourglass_empty: {after} …")
    if account and account.trials:
        progress(account)


def main() -> None:
    """The chosen run."""
    folder = context.run()
    if folder is None:
        st.title("Run")
        manners.empty("No run yet. Say what you want to know, and start one.", "formulate_page.py", "Formulate")
        return
    state, account = processes.state(folder), processes.account(folder)
    st.title(f"Predicting {manners.text(account.task.target)}" if account and account.task else "Run")
    st.caption(
        f"{folder.name} · {state}"
        + (f" · {manners.text(account.task.sentence)}" if account and account.task and account.task.sentence else "")
    )
    controls(folder, state)
    if state in ("running", "starting"):
        live(folder, (state, bool(account and account.task)))
        return
    if state == "failed":
        manners.problem(children.said(folder) or "The run ended without a model.\n\nStart it again.")
    if state == "paused":
        st.info("Paused. What was finished is kept; it goes on where it was.", icon=":material/pause:")
    if state == "cut off":
        st.warning(
            "The run was cut off. What was finished is kept; it goes on where it was.", icon=":material/power_off:"
        )
    if state == "finished":
        manners.link("result_page.py", "How good it is", ":material/insights:")
    if account and account.trials:
        progress(account)


main()
