"""The form that a data contract makes: a field for each column, and of what was filled in the JSON row that a client would send."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from metalearner.errors import DataError
from metalearner.pages import figures, manners
from metalearner.pictures import Picture
from metalearner.records import plain
from metalearner.report.examples import Example

# What a field for an array is called and the files it takes, by the form of its cell.
FILES = {
    "picture": ("a picture file", ("png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff")),
    "recording": ("a WAV or FLAC file", ("wav", "flac")),
    "numbers": ("a file of numbers", ("csv", "tsv", "txt", "json")),
}
# Of one file: in base64 it is less than a request to the server may carry.
MEGABYTES = 10
# Boolean columns as people say them.
YES_NO = {"yes": 1, "no": 0}
# How a missing number is written.
MISSING = ("", "nan", "na", "null", "none", "?")


def begin_with(held: Sequence[tuple[Example, dict[str, Any]]]) -> int | None:
    """Which of the held rows the form is filled with; None for none."""
    if not held:
        return None
    return st.selectbox(
        "Begin with", [None, *range(len(held))], index=1,
        format_func=lambda at: "nothing" if at is None else f"row {held[at][0].row + 1:,}, which is {held[at][0].truth}",
        help="Rows that the model was measured on. What is true of them is told beside the prediction.",
    )  # fmt: skip


def form(
    contract: Mapping[str, Any], example: Example | None, sent: Mapping[str, Any], key: str
) -> dict[str, Any] | None:
    """The row once "Predict" is pressed, None before. `example` and the row `sent` for it are what fields begin with.

    Raises DataError where an array is not given, or is no numbers of the shape that is asked for.
    """
    row: dict[str, Any] = {c["name"]: None for c in contract["columns"]}
    shown = [c for c in contract["columns"] if c["used"]]
    arrays = [c for c in shown if c["form"] != "value"]
    texts = [c for c in shown if c["kind"] == "text"]
    others = [c for c in shown if c not in arrays and c not in texts]
    with st.form(f"try-{key}"):
        given = [(c, *_array(c, example, f"{key}-{c['name']}")) for c in arrays]
        for c in texts:
            row[c["name"]] = st.text_area(manners.text(c["name"]), sent.get(c["name"]) or "", key=f"{key}-{c['name']}")
        for place, c in zip(st.columns(4) * len(others), others):
            with place:
                row[c["name"]] = _value(c, sent.get(c["name"]), f"{key}-{c['name']}")
        if not st.form_submit_button("Predict", type="primary"):
            return None
    return row | {c["name"]: _cell(c, file, typed, sent.get(c["name"])) for c, file, typed in given}


def numbers(said: str, shape: Sequence[int | None]) -> list[Any]:
    """Numbers as nested lists of a shape, None where one is missing; with blanks, commas or lines between them, or as JSON.

    Raises DataError when there is something else, or too many or too few.

    >>> numbers("1 2, 3\\n?", (None, 2))
    [[1.0, 2.0], [3.0, None]]
    """
    wanted = f"It takes {_shape(shape)} numbers."
    try:
        if said.lstrip().startswith("["):
            found = np.array(json.loads(said), float)
        else:
            found = np.array([_number(word) for word in re.split(r"\s*[,;\s]\s*", said.strip(" ,;\n"))])
    except (ValueError, TypeError, RecursionError):
        raise DataError("There is something that is no number.", wanted,
                        "Put blanks, commas or lines between them; write nan for a missing one.") from None  # fmt: skip
    try:
        return list(plain(found.reshape([-1 if size is None else size for size in shape])))
    except ValueError:
        raise DataError(f"{found.size:,} numbers were given.", wanted,
                        "Give those of one row, as many as the rows that it learnt from have.") from None  # fmt: skip


def _shape(shape: Sequence[int | None]) -> str:
    """In words; a single channel is not worth one."""
    axes = shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape
    return " x ".join("any number of" if size is None else str(size) for size in axes)


def _number(word: str) -> float:
    return float("nan") if word.lower() in MISSING else float(word)


def _value(column: Mapping[str, Any], value: Any, key: str) -> Any:
    """A field for a plain value, by its kind; None where it is left empty."""
    label, levels = manners.text(column["name"]), list(column["levels"])
    if column["kind"] == "boolean":
        at = None if value is None else list(YES_NO.values()).index(int(value))
        return YES_NO.get(st.selectbox(label, list(YES_NO), at, placeholder="missing", key=key) or "")
    if levels:
        at = levels.index(value) if value in levels else 0 if value is None else None
        return st.selectbox(label, levels, at, placeholder="missing", accept_new_options=True, key=key)
    if column["kind"] == "number":
        return st.number_input(label, value=value, format="%g", placeholder="missing", key=key)
    return st.text_input(label, value or "", placeholder="missing", key=key) or None


def _array(column: Mapping[str, Any], example: Example | None, key: str) -> tuple[Any, str]:
    """(an uploaded file or None, numbers typed in); beside the fields stands what the example holds."""
    name = column["name"]
    called, endings = FILES[column["form"]]
    left, right = st.columns([3, 1])
    typed = ""
    with left:
        file = st.file_uploader(
            f"{manners.text(name)}: {called}", type=list(endings), max_upload_size=MEGABYTES, key=f"{key}-file"
        )
        if column["form"] == "numbers":
            typed = st.text_area(
                f"or {_shape(column['shape'])} numbers pasted here", height=68, placeholder="0.12, 0.15, …", key=key
            )
    if example and (name in example.images or name in example.series):
        with right:
            if name in example.images:
                st.image(example.images[name], width=128)
            else:
                seen = example.series[name]
                figures.show(Picture("", "", seen.x, "", seen.series), f"{key}-seen", 170)
            st.caption("This one, unless another is given.")
    return file, typed


def _cell(column: Mapping[str, Any], file: Any, typed: str, otherwise: Any) -> Any:
    """An array as the server takes it: the file in base64, or nested lists."""
    if file is not None and column["form"] != "numbers":
        return base64.b64encode(file.getvalue()).decode()
    said = file.getvalue().decode("utf-8", "replace") if file is not None else typed
    if said.strip():
        return numbers(said, column["shape"])
    if otherwise is None:
        raise DataError(f"There is nothing for '{column['name']}' yet.", "The model looks at it.",
                        "Upload a file, or begin with a row that it was measured on.")  # fmt: skip
    return otherwise
