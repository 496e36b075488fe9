"""Stage 2: what the data are like, what was done about it, and how they are split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from metalearner.dataset import Dataset
from metalearner.examples import Example, examples
from metalearner.glossary import meaning
from metalearner.overview import balance, columns
from metalearner.pages import context, figures, manners, questions, tables
from metalearner.pictures import Picture

# Rows that are shown.
SHOWN = 12
# Rows that augmentations are shown on, side by side.
ACROSS = 5


@st.cache_data(show_spinner=False, max_entries=8)
def about(folder: str) -> tuple[list[dict[str, Any]], list[Example], Picture | None]:
    """Columns, some rows as they are, and the balance of the target."""
    dataset = Dataset.open(Path(folder))
    output = context.registry().get("outputs", dataset.task.output)
    step = max(1, dataset.rows // SHOWN)
    return columns(dataset), examples(dataset.fields, range(0, dataset.rows, step)[:SHOWN]), balance(dataset, output)


def splits(told: Mapping[str, Any]) -> None:
    """How many rows go where."""
    manners.figures([
        ("Rows", f"{told['card']['rows']:,}", "With a known target."),
        ("To learn from", f"{told['rows']:,}", "Models learn from these alone."),
        ("Sealed test", f"{told['sealed']:,}", ""),
        ("Folds", str(told["folds"]), meaning("fold")),
    ])  # fmt: skip


def columns_of(listed: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The columns as a table, without notes where there are none."""
    table = pd.DataFrame(listed)
    if "far out" in table:
        table["far out"] = ["" if pd.isna(v) else f"{int(v)}" for v in table["far out"]]
    return table if any(table["note"]) else table.drop(columns="note")


def findings(found: Sequence[Mapping[str, str]]) -> None:
    """What was noticed, and what was done."""
    if not found:
        st.success(
            "Nothing had to be mended: no missing targets, no columns left out, no rows twice.", icon=":material/check:"
        )
    for one in found:
        undo = f" To undo it: {manners.text(one['undo'])}" if one["undo"] else ""
        done = f": **{manners.text(one['done'])}**" if one["done"] else ""
        st.markdown(f":material/flag: {manners.text(one['what'])}{done}{undo}")


def gallery(shown: Sequence[Example]) -> None:
    """Rows as they are: pictures beside each other, series drawn, values in a table."""
    pictures = [(e.row, uri) for e in shown for uri in e.images.values()]
    if pictures:
        for column, (_, uri) in zip(st.columns(6) * 2, pictures):
            column.image(uri, width=110)
    series = [(e.row, name, p) for e in shown for name, p in e.series.items()][:6]
    for column, (row, name, picture) in zip(st.columns(3) * 2, series):
        with column:
            figures.show(
                Picture(f"row {row} · {name}", "", picture.x, picture.y, picture.series), f"series-{row}-{name}", 180
            )
    values = pd.DataFrame([e.values for e in shown])
    if len(values.columns):
        tables.show(values)


def augmented(folder: Path, views: Mapping[str, Any]) -> None:
    """The same few rows under each augmentation that search may choose; a process of its own calls what training calls."""
    st.subheader("As training may change them", help=meaning("augmentation"))
    if all(axis["kind"] == "columns" for view in views.values() for axis in view["axes"]):
        st.caption(
            "Rows of a table are not augmented: noise gained nothing. Networks may mix two rows (mixup), if that helps."
        )
        return
    reply = manners.answered(
        lambda: questions.ask("augmentations", ["augmentations", "--json", "--", str(folder)]), "Changing a few rows …"
    )
    if reply is None:
        return
    st.caption("Networks may learn from rows changed anew each time, and search finds out which ways help. Each is shown at its "
               "strongest. Rows held out are never changed, and other models learn from rows as they are.")  # fmt: skip
    for view, found in groupby(reply.answer, key=lambda way: way["view"]):
        if len(views) > 1:
            st.markdown(f"**{manners.text(view)}**")
        ways = list(found)
        for way in ways:
            label, *cells = st.columns([2] + [1] * ACROSS, vertical_alignment="center")
            label.markdown(f"**{way['name'].replace(' ', ' + ') or way['says']}**", help=meaning(way["name"]) or None)
            label.caption(way["says"] if way["name"] else "What training begins with.")
            for i, cell in enumerate(cells):
                with cell:
                    one(way, ways[0], i)


def one(way: Mapping[str, Any], asis: Mapping[str, Any], i: int) -> None:
    """One row as a way has changed it: a picture, or its line over that of the row as it is."""
    if i < len(way["images"]):
        st.image(way["images"][i], width="stretch")
    elif i < len(way["series"]):
        before, after = (Picture.from_json(found["series"][i]).series[0] for found in (asis, way))
        lines = (after, replace(before, style="reference")) if way["name"] else (after,)
        figures.show(Picture("", "", series=lines), f"{way['view']} {way['name']} {i}", 90, bare=True)
    if i < len(way["notes"]):
        st.caption(manners.text(way["notes"][i]))


def main() -> None:
    """The data of what is being asked."""
    st.title("Prepare")
    _, draft = context.draft()
    if not draft.source:
        manners.empty("Choose data first; here you will see what they are like.", "formulate_page.py", "Formulate")
        return
    reply = manners.answered(lambda: context.look(draft), "Reading the data …")
    if reply is None:
        return
    told = reply.answer["prepared"]
    st.caption(f"{manners.text(draft.name)}: what was found, what was done about it, and how the rows are split.")
    splits(told)
    st.subheader("What was noticed")
    findings(told["findings"])
    listed, shown, spread = about(str(reply.folder / "kept" / "data"))
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("Columns")
        tables.show(columns_of(listed), column_config={
            "missing": st.column_config.ProgressColumn("missing", format="percent", min_value=0, max_value=1),
            "far out": st.column_config.TextColumn("far out", help="Values far outside of what is usual for the column. They are kept."),
        })  # fmt: skip
    with right:
        if spread:
            figures.show(spread, "balance", 320)
    st.subheader("Some rows as they are")
    gallery(shown)
    augmented(reply.folder / "kept", reply.answer["views"])
    manners.link("propose_page.py", "What would be tried", ":material/lightbulb:")


main()
