"""Stage 6: a file of new rows beside those that the model learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from metalearner.errors import UserError
from metalearner.glossary import meaning
from metalearner.pages import manners, questions, spaces, tables, uploads


def watch(bundle: Path) -> None:
    """Ask for new rows; say whether they have shifted, and of labelled ones how well they are predicted and covered."""
    given = st.file_uploader("New rows", type=list(uploads.ENDINGS), key="rows",
                             help="With the target where it is known: then it is measured, too, how well the model does.")  # fmt: skip
    if given is None:
        return
    try:
        rows = uploads.keep(given.name, given.getvalue(), not spaces.owned())
    except UserError as refused:
        manners.problem(str(refused))
        return
    arguments = ["monitor", "--json", "--", str(bundle), str(rows)]
    reply = manners.answered(lambda: questions.ask("monitor", arguments), "Comparing with what the model learnt from …")
    if reply is not None:
        verdict(reply.answer)


def verdict(found: Mapping[str, Any]) -> None:
    """Shifted or not and by how much, then what rows with a known answer tell."""
    shifted, rows = found["shifted"], found["rows"]
    if found["verdict"] == "too few rows":
        st.info(f"Nothing can be told from {rows:,} rows; it takes {found['least']}.")
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
    labelled(found["performance"], found["coverage"])
    tables.show(listed(found["shifts"]))


def labelled(performance: Mapping[str, Any] | None, covered: Mapping[str, Any] | None) -> None:
    """The score beside what it was when packaged, and the share of regions that hold the truth beside what was promised."""
    shown, said = [], []
    if performance:
        name = performance["metric"]
        shown += [(name, manners.number(performance["value"]), f"95 % interval {interval(performance)}. {meaning(name)}"),
                  ("When packaged", manners.number(performance["before"]), "")]  # fmt: skip
        said.append(f"The model does {'worse than' if performance['worse'] else 'as well as'} when it was packaged.")
    if covered:
        shown += [("Coverage", f"{covered['share']:.1%}", f"95 % interval {interval(covered)}. {meaning('coverage')}"),
                  ("Promised", f"{covered['promised']:.0%}", "")]  # fmt: skip
        often = "less often than" if covered["less"] else "about as often as"
        said.append(f"Its sets or intervals hold the truth {often} promised.")
    if not shown:
        st.caption("Where enough rows have the target filled in, it is measured too how well the model does.")
        return
    manners.figures(shown)
    known = (performance or covered or {})["rows"]
    bad = (performance and performance["worse"]) or (covered and covered["less"])
    (st.warning if bad else st.success)(f"{' '.join(said)} Told from {known:,} rows with a known answer.")


def interval(measured: Mapping[str, Any]) -> str:
    """The two ends."""
    return f"{measured['low']:.3g} – {measured['high']:.3g}"


def listed(shifts: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Every comparison, the surest shift first."""
    return pd.DataFrame([{"column": s["name"], "of": s["what"], "shifted": s["shifted"], "by": round(s["effect"], 3), "was": s["before"],
                          "is": s["now"]} for s in shifts])  # fmt: skip
