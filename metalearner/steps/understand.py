"""Stages 1 and 2: from a source and a sentence to a task, with its data cleaned, folded and sealed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import sources
from ..data import Reading, Sealed, prepare, read
from ..data.leaks import ALL
from ..data.prepare import Split
from ..dataset import Dataset
from ..errors import TaskError, unknown
from ..events import Story
from ..plugins import Registry
from ..request import Request
from ..setting import Setting
from ..task import FEWEST_ROWS, FEWEST_UNMEASURED, find_target, formulate

# The share of rows that is sealed when nothing else is said.
TEST_SHARE = 0.2


def prepared(folder: Path) -> bool:
    """Whether an earlier process of this run got as far as prepared data."""
    return (folder / "data" / "dataset.json").exists()


def formulate_and_prepare(
    request: Request, source: sources.Found, reading: Reading | None, registry: Registry, folder: Path, story: Story
) -> tuple[Setting, Sealed | None]:
    """Stages 1 and 2: what is wanted, and the data cleaned, folded and sealed. Without a reading they are there already."""
    data = folder / "data"
    if reading is None:
        return Setting(Dataset.open(data), registry, request.families, request.narrow), Sealed.find(data / "sealed")
    wish = source.wish(request.wish)
    for name in request.keep:
        if name not in (ALL, *reading.schema.names):
            raise TaskError(*unknown("column to keep", name, reading.schema.names))
    target = find_target(reading.schema, wish)
    reading = reading.naming(target[0])
    fewest = FEWEST_UNMEASURED if request.test == "none" else FEWEST_ROWS
    task = formulate(
        wish, reading.schema, target, reading.column(target[0]), registry.outputs, registry.metrics, fewest
    )
    story.tell("formulate", task=task, source=source.name)
    split = Split(_test(request, source.source, reading, registry), request.seed)
    dataset, sealed = prepare(
        task, reading, registry.get("outputs", task.output), split, source.card, data, request.keep
    )
    story.tell("prepare", card=dataset.card, rows=dataset.rows, sealed=sealed.rows if sealed else 0,
               folds=len(dataset.folds), apart=len(dataset.apart), findings=dataset.findings,
               kinds=_kinds(reading))  # fmt: skip
    return Setting(dataset, registry, request.families, request.narrow), sealed


def _test(request: Request, source: Any, reading: Reading, registry: Registry) -> float | Reading | None:
    """The sealed rows as `prepare` takes them; a test file is read by the training data's schema."""
    if request.test == "none":
        return None
    own = reading.schema.options.get("test_file")
    if request.test == "auto" and not own:
        return TEST_SHARE
    if request.test != "auto" and request.fraction is not None:
        return request.fraction
    file = Path(source) / str(own) if request.test == "auto" else Path(request.test)
    return Reading(read(file, registry.modalities).source, reading.modality, reading.schema)


def _kinds(reading: Reading) -> dict[str, Any]:
    """How many columns of each kind, and the views."""
    counted: dict[str, int] = {}
    for column in reading.schema.columns:
        counted[column.kind] = counted.get(column.kind, 0) + 1
    return counted
