"""Every notebook runs from top to bottom. As a program, it also keeps what the cells show:

    python tests/test_notebooks.py                                 all of them
    python tests/test_notebooks.py plugins/modality-text/texts.ipynb

Cells are plain Python: no magics, no display hooks. A cell shows what it prints and what its last line is, as HTML or as a
picture where the object has such a form.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metalearner.errors import DataError
from metalearner.sources import catalogue

pytestmark = pytest.mark.one_home
ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted(ROOT.glob("plugins/*/*.ipynb"))
LARGEST = 200_000  # bytes of a notebook with what its cells show
FORMS = {"image/png": "_repr_png_", "text/html": "_repr_html_"}


def code(notebook: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The code cells, counted from 1."""
    return enumerate((cell for cell in notebook["cells"] if cell["cell_type"] == "code"), 1)


def execute(notebook: dict[str, Any]) -> None:
    """Run every cell in one namespace and put what it shows into its outputs."""
    space: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in code(notebook):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            last = _run("".join(cell["source"]), space, f"cell {number}")
        said = [{"name": "stdout", "output_type": "stream", "text": _lines(printed.getvalue())}]
        shown = [{"data": _forms(last), "execution_count": number, "metadata": {}, "output_type": "execute_result"}]
        cell["outputs"] = (said if printed.getvalue() else []) + (shown if last is not None else [])
        cell["execution_count"] = number


def _run(source: str, space: dict[str, Any], name: str) -> Any:
    """Execute; the value of the last line where that is an expression."""
    body = ast.parse(source, name).body
    last = ast.Expression(body.pop().value) if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), name, "exec"), space)
    return eval(compile(last, name, "eval"), space) if last else None


def _forms(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for form, method in FORMS.items():
        made = getattr(value, method, lambda: None)()
        if made is not None:
            found[form] = base64.b64encode(made).decode() if isinstance(made, bytes) else _lines(made)
    return found | {"text/plain": _lines(repr(value) if not found else f"<{type(value).__name__}>")}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main(files: list[Path]) -> None:
    """Run notebooks and keep what they show."""
    for file in files:
        notebook = json.loads(file.read_text())
        with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
            execute(notebook)
        file.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def test_every_modality_has_one():
    assert {file.parent for file in NOTEBOOKS} == set(ROOT.glob("plugins/modality-*"))


@pytest.mark.filterwarnings("ignore:probe ")  # on a busy machine some are left out, which is said
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_it_runs_from_top_to_bottom_and_was_kept_as_it_ran(file, tmp_path, monkeypatch):
    notebook = json.loads(file.read_text())
    for name in re.findall(r'cards\(\)\["([\w-]+)"\]', file.read_text().replace('\\"', '"')):
        try:
            catalogue.materialise(catalogue.cards()[name])
        except DataError as problem:
            pytest.skip(problem.happened)
    kept = [[_kinds(output) for output in cell["outputs"]] for _, cell in code(notebook)]
    monkeypatch.chdir(tmp_path)
    execute(notebook)
    assert [[_kinds(output) for output in cell["outputs"]] for _, cell in code(notebook)] == kept
    assert file.stat().st_size < LARGEST


def _kinds(output: dict[str, Any]) -> list[str]:
    """What an output is made of, whatever it says."""
    return sorted(output.get("data", {output["output_type"]: ""}))


if __name__ == "__main__":
    main([Path(name).absolute() for name in sys.argv[1:]] or NOTEBOOKS)
