"""Stage 3: what past runs say of data like these, and what of it may be overruled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from metalearner.glossary import meaning
from metalearner.kinds import Sight
from metalearner.pages import context, figures, manners, processes, tables
from metalearner.pages.draft import Draft
from metalearner.pages.narrowing import narrowing
from metalearner.records import Config, View
from metalearner.report.diagram import diagram
from metalearner.report.interactive import TONES
from metalearner.report.sights import paired, pictured
from metalearner.report.text import left_out
from metalearner.setting import INVENTED

LEVELS = {0: "custom operations", 1: "catalogue", 2: "pretrained", 3: "searched"}


def families(look: Mapping[str, Any]) -> None:
    """Odds with their reasons."""
    odds = sorted(look["odds"].items(), key=lambda item: -item[1])
    rows = [{"family": name, "odds": share, "level": LEVELS.get(look["families"].get(name, 1), ""),
             "because": look["reasons"].get(name, "").partition(": ")[2]} for name, share in odds]  # fmt: skip
    tables.show(pd.DataFrame(rows), column_config={
        "odds": st.column_config.ProgressColumn("odds", format="percent", min_value=0, max_value=max(look["odds"].values(), default=1),
                                                help=meaning("odds")),
        "family": st.column_config.TextColumn("family", help=meaning("family")),
        "because": st.column_config.TextColumn("because", width="large"),
    })  # fmt: skip
    for told in left_out(look):
        st.caption(manners.text(f"{told}."))


def overruled(root: Path, draft: Draft, look: Mapping[str, Any]) -> Draft:
    """Families that alone may be used, or that may not; the run obeys."""
    known = [*sorted(look["odds"], key=lambda n: -look["odds"][n]), INVENTED]
    left, right = st.columns(2)
    pinned = left.multiselect("Use these alone", known, [n for n in draft.pinned if n in known], placeholder="all",
                              help="The run tries nothing else.")  # fmt: skip
    vetoed = right.multiselect("Never use these", known, [n for n in draft.vetoed if n in known], placeholder="none",
                               help=f"The run leaves them out. '{INVENTED}' is what search composes by itself.")  # fmt: skip
    changed = draft.ruling(known, pinned, vetoed)
    if (pinned or vetoed) and not changed.families:
        manners.problem("Nothing is left to try.\nAt least one family must be allowed.\nTake one back.")
    elif changed != draft:
        changed.keep(root)
        st.rerun()
    return draft


def searched(root: Path, draft: Draft, look: Mapping[str, Any]) -> None:
    """What is left of the numbers of the families that may be used; the run obeys."""
    allowed = [
        name
        for name in sorted(look["odds"], key=lambda n: -look["odds"][n])
        if name in (draft.families or look["odds"])
    ]
    if allowed:
        changed = narrowing(draft, allowed, look)
        if changed != draft:
            changed.keep(root)
            st.rerun()


def plane(look: Mapping[str, Any]) -> None:
    """Past data sets as points, this one as a star."""
    points, here = look["plane"]["points"], look["plane"]["here"]
    near = {n["dataset"] for n in look["neighbours"]}
    shown = go.Figure()
    for number, kind in enumerate(sorted({p["modality"] for p in points})):
        some = [p for p in points if p["modality"] == kind]
        sizes, shades = zip(*((11, 0.95) if p["id"] in near else (6, 0.35) for p in some))
        look_of = {"size": sizes, "opacity": shades, "color": TONES[number % len(TONES)]}
        shown.add_scatter(x=[p["x"] for p in some], y=[p["y"] for p in some], mode="markers", name=kind, marker=look_of,
                          hovertext=[p["name"] for p in some], hoverinfo="text")  # fmt: skip
    if here:
        shown.add_scatter(x=[here[0]], y=[here[1]], mode="markers", name="this one", hoverinfo="name",
                          marker={"symbol": "star", "size": 20, "color": "#e0a100", "line": {"width": 1, "color": "#6b4e00"}})  # fmt: skip
    shown.update_layout(height=380, margin={"l": 0, "r": 0, "t": 8, "b": 0}, legend={"orientation": "h"})
    shown.update_xaxes(visible=False)
    shown.update_yaxes(visible=False)
    st.plotly_chart(shown, width="stretch", key="plane", config={"displayModeBar": False})
    st.caption(
        "Data sets close together were won by the same models. Large points are the ones asked; the star is yours."
    )


def neighbours(look: Mapping[str, Any]) -> None:
    """The ones that were asked, and what won there."""
    rows = [{"data set": n["name"], "weight": n["weight"], "won there": n["best_family"], "skill": n["best_skill"],
             "alike in": ", ".join(n["shared"])} for n in look["neighbours"]]  # fmt: skip
    if not rows:
        st.info("No past data set is near. The run begins from what does well anywhere.")
        return
    tables.show(pd.DataFrame(rows), height=380, column_config={
        "weight": st.column_config.NumberColumn("weight", format="percent", help="How much it counts."),
        "skill": st.column_config.NumberColumn("skill", format="%.2f", help=meaning("skill")),
    })  # fmt: skip
    st.caption(f"{look['nothing_like_it']:.0%} is kept for data like none of them.")


def main() -> None:
    """Before anything is trained."""
    st.title("Propose")
    root, draft = context.draft()
    if not draft.source:
        manners.empty(
            "Choose data first; here you will see what past runs say of data like them.",
            "formulate_page.py",
            "Formulate",
        )
        return
    reply = manners.answered(lambda: context.look(draft), "Measuring the data, asking past runs …")
    if reply is None:
        return
    look = reply.answer
    st.caption("What would be tried first, and why. Nothing is trained yet, and you may overrule it.")
    families(look)
    draft = overruled(root, draft, look)
    searched(root, draft, look)
    st.subheader("Past data sets like this one", help=meaning("neighbour"))
    left, right = st.columns(2, gap="large")
    with left:
        plane(look)
    with right:
        neighbours(look)
    sights(look)
    first(draft, look)
    draft = told(root, draft)
    if st.button("Start the run", type="primary"):
        folder = processes.start(root, draft)
        context.choose(folder.name)
        context.go("run_page.py")


def sights(look: Mapping[str, Any]) -> None:
    """What probes saw, and what the landmarkers confirm of it."""
    found = [pictured(Sight(**one)) for one in look["sights"]] + paired(look["description"]["numbers"])
    if found:
        st.subheader("What probes saw", help=meaning("probe"))
    for column, (i, one) in zip(st.columns(2) * len(found), enumerate(found)):
        with column:
            figures.show(one, f"sight-{i}", 240)


def told(root: Path, draft: Draft) -> Draft:
    """Which other programs are told what happens in the run."""
    known = sorted(context.registry().callbacks)
    if not known:
        return draft
    chosen = st.multiselect("Keep the run in these too", known, [n for n in draft.callbacks if n in known], placeholder="none",
                            help="They are told on this machine while the run goes on, and cost it no time.")  # fmt: skip
    changed = replace(draft, callbacks=tuple(chosen))
    return changed.keep(root) if changed != draft else draft


def first(draft: Draft, look: Mapping[str, Any]) -> None:
    """The configurations that come first, drawn."""
    productions = context.registry().productions
    views = {name: View.from_json(view) for name, view in look["views"].items()}
    with st.expander("The first to be tried, and the blocks believed in"):
        if draft.families or draft.narrow:
            st.caption("As it was before you ruled anything out.")
        for one in look["proposals"]:
            st.markdown(f"**{manners.text(one['family'])}** · {manners.text(one['reason'])}")
            figures.inline(diagram(Config.from_json(one["config"]), productions, views))
        for said in list(look["leanings"].values())[:8]:
            st.caption(manners.text(said))


main()
