"""Stage 4's end: how good the model is, where it errs, what it is made of."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pandas as pd
import streamlit as st

from metalearner import grammar
from metalearner.glossary import meaning
from metalearner.pages import context, figures, manners, processes, questions, tables
from metalearner.pages.tables import failures, leaderboard
from metalearner.pictures import Picture, Series
from metalearner.records import Config
from metalearner.report.account import WATTS, Account
from metalearner.report.diagram import diagram
from metalearner.report.examples import Example, denied, outcome, worst
from metalearner.report.page import report
from metalearner.report.text import limit_lines


@st.cache_data(show_spinner=False, max_entries=8)
def seen(folder: str, stamp: float) -> tuple[list[Picture], list[Example], list[Example]]:
    """Pictures of right and wrong, the worst errors, and rows whose target may be wrong."""
    registry, run = context.registry(), Path(folder)
    return outcome(run, registry), worst(run, registry), denied(run, registry)


def score(account: Account) -> None:
    """The score with its interval beside what one gets without looking, and the goal."""
    s = account.score
    assert s is not None
    shown = [
        (s.metric, manners.number(s.value), meaning(s.metric)),
        ("95 % interval", f"{s.low:.3g} – {s.high:.3g}", meaning("interval")),
        ("Naive baseline", manners.number(s.baseline), meaning("baseline")),
        ("Measured on", f"{s.rows:,} rows", meaning(s.split) or s.split),
    ]
    manners.figures(shown)
    if s.goal is not None:
        said = f"The goal of {s.goal:g} was {'met' if s.goal_met else 'missed'}."
        (st.success if s.goal_met else st.warning)(said, icon=":material/flag:")
    for cause in s.diagnosis:
        st.markdown(f"- {manners.text(str(cause))}")
    for line in limit_lines((account.result or {}).get("limits") or {}):
        st.caption(line)
    if s.others:
        st.caption(" · ".join(f"{name} {manners.number(value)}" for name, value in s.others.items()))


def errors(found: list[Example], doubted: list[Example]) -> None:
    """The rows that it got most wrong, and those whose target it doubts, as they are."""
    st.subheader("The worst errors")
    if not found:
        st.caption("None: every row of the test was right, or the run kept no single predictions.")
    shown(found, "worst")
    if doubted:
        st.subheader("Is this right?", help=meaning("wrong labels"))
        st.caption("Models that had not seen these rows are sure that something else is true of them.")
        shown(doubted, "doubted")


def shown(found: list[Example], key: str) -> None:
    """Rows with what was said of them and what is true: pictures and series beside each other, values in a table."""
    if any(e.images or e.series for e in found):
        for column, (i, e) in zip(st.columns(4) * 2, enumerate(found)):
            with column:
                st.markdown(f"said **{manners.text(e.said)}**, is **{manners.text(e.truth)}**")
                for uri in e.images.values():
                    st.image(uri, width=120)
                for name, picture in e.series.items():
                    figures.show(Picture("", "", picture.x, picture.y, picture.series), f"{key}-{i}-{name}", 160)
    values = pd.DataFrame([{"said": e.said, "is": e.truth, **e.values} for e in found])
    if len(values.columns) > 2:
        tables.show(values)


def relied_on(folder: Path, account: Account) -> None:
    """What the model relies on; measured by a process of its own, for it needs the model."""
    st.subheader("What it relies on", help=meaning("permutation importance"))
    arguments = ["importance", "--json", "--", str(folder)]
    stamp = (folder / "run.json").stat().st_mtime
    reply = questions.ask("importance", arguments, stamp)
    if reply.waiting:
        manners.wait(
            reply, "Shuffling one column after the other …", lambda: questions.ask("importance", arguments, stamp)
        )
    elif reply.problem:
        manners.failed(reply)
    elif len(reply.answer) < 2:
        st.caption("There is one column alone.")
    else:
        found = reply.answer[:15]
        bars = Series("drop", tuple(o["column"] for o in found), tuple(o["drop"] for o in found), "bars")
        says = "How much worse the score is when a column is shuffled: what is near zero could be left out."
        metric = account.task.metric if account.task else "score"
        figures.show(Picture("", says, "", f"{metric} lost", (bars,)), "importance", 260)


def made_of(account: Account) -> None:
    """The members of the ensemble, each drawn."""
    st.subheader("What it is made of", help=meaning("ensemble"))
    productions, views = context.registry().productions, account.views(context.registry())
    for share, proposal in account.members():
        with st.expander(f"{share:.0%} {proposal['family']}"):
            config = Config.from_json(proposal["config"])
            st.caption(manners.text(proposal["reason"]))
            figures.inline(diagram(config, productions, views))
            st.code(grammar.outline(config, productions), language=None)


def why(account: Account) -> None:
    """Every decision with its reason."""
    with st.expander("What was decided, and why"):
        tables.show(pd.DataFrame(account.decisions(), columns=["stage", "decided", "because"]))
    with st.expander("All that was tried"):
        leaderboard(account.board()[:200], "all")
        failures(account)


@st.cache_resource(show_spinner=False, max_entries=4)
def files(folder: str, stamp: float) -> tuple[bytes, bytes, bytes]:
    """The bundle as one ZIP, the report, the card."""
    run, out = Path(folder), io.BytesIO()
    bundle = run / "bundle"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(bundle.rglob("*")):
            if file.is_file():
                archive.write(file, Path(run.name) / file.relative_to(bundle))
    return out.getvalue(), report(run, context.registry()).encode(), (bundle / "README.md").read_bytes()


def downloads(folder: Path) -> None:
    """Bundle, report and card.

    They are there when their buttons are: a file that Streamlit has made on a click never comes where the page is drawn
    anew at that moment, as it is when what the model relies on has been measured.
    """
    bundle, page, card = files(str(folder), (folder / "run.json").stat().st_mtime)
    one, two, three, _ = st.columns([1, 1, 1, 2])
    one.download_button("Bundle", bundle, f"{folder.name}.zip", "application/zip", type="primary", on_click="ignore",
                        icon=":material/download:", width="stretch", help=meaning("bundle"))  # fmt: skip
    two.download_button("Report", page, f"{folder.name}.html", "text/html", on_click="ignore",
                        icon=":material/description:", width="stretch", help="The whole run in one file, without network.")  # fmt: skip
    three.download_button("Card", card, f"{folder.name}.md", "text/markdown", on_click="ignore",
                          icon=":material/id_card:", width="stretch", help="What the model is, for whoever finds it.")  # fmt: skip


def main() -> None:
    """The chosen run's result."""
    folder = context.run()
    account = processes.account(folder) if folder else None
    if folder is None or account is None or account.score is None or account.task is None:
        st.title("Result")
        here = (
            "The run has no result yet; watch it on its page."
            if folder
            else "No run yet. Say what you want to know, and start one."
        )
        manners.empty(here, "run_page.py" if folder else "formulate_page.py", "Run" if folder else "Formulate")
        return
    st.title(f"Predicting {manners.text(account.task.target)}")
    st.caption(" · ".join(filter(None, (folder.name, manners.text(account.task.sentence)))))
    score(account)
    place = st.container()  # of what takes a moment to be made, when all else is there
    pictures, rows, doubted = seen(str(folder), (folder / "request.json").stat().st_mtime)
    for column, (i, picture) in zip(st.columns(2) * 4, enumerate(pictures)):
        with column:
            figures.show(picture, f"outcome-{i}", 340)
    errors(rows, doubted)
    if account.state == "finished":
        relied_on(folder, account)
    made_of(account)
    why(account)
    cost = account.cost()
    if cost:
        energy = f"about {cost['watt_hours']:.2f} Wh at {WATTS:.0f} W a busy core"
        st.caption(f"{cost['seconds']:.0f} s, {cost['cpu_hours']:.3f} core-hours, {energy}. The same again:")
        st.code(account.reproduce(), language=None)
    manners.link("deploy_page.py", "Use it", ":material/rocket_launch:")
    if account.state == "finished":
        with place:
            downloads(folder)


main()
