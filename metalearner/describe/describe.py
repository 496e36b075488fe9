"""Run every probe on a sample, in a few seconds, and put what they found side by side."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from ..dataset import Dataset
from ..kinds import Output, Probe, Transform
from ..records import Description

VERSION = "1"
SAMPLE = 1000
# Elements of a sample; larger samples are cut to fewer rows, so that a description stays under five seconds.
ELEMENTS = 1_000_000
SECONDS = 5.0


def describe(
    dataset: Dataset,
    transform: Transform,
    output: Output,
    probes: Iterable[Probe],
    embed: Callable[[str], Sequence[float]] | None,
) -> Description:
    """Named numbers in one fixed order, beside the embedded task sentence.

    At most 1,000 training rows are looked at. A probe that fails, or whose turn comes after five seconds, leaves None.
    """
    start = time.monotonic()
    rows = min(SAMPLE, max(100, int(ELEMENTS / max(1, _row_size(dataset, transform)))))
    tensors, views, target = dataset.sample(rows, transform)
    numbers: dict[str, float | None] = {}
    names = []
    for probe in probes:
        names.append(f"{probe.name} {probe.version}")
        explained = getattr(probe, "explains", {})
        found: Mapping[str, float | None] = {}
        if time.monotonic() - start < SECONDS:
            try:
                found = probe.measure(tensors, views, target, output, np.random.default_rng(0))
            except Exception as problem:  # one probe that fails costs its own numbers only
                warnings.warn(f"probe '{probe.name}' failed: {type(problem).__name__}: {problem}", stacklevel=2)
        numbers |= {f"{probe.name}.{k}": _number(found.get(k)) for k in (explained or found)}
    numbers["size.rows"] = float(np.log10(dataset.rows))  # of all training rows, not of the sample
    seconds = time.monotonic() - start
    sentence = tuple(float(v) for v in embed(dataset.task.sentence)) if embed and dataset.task.sentence else ()
    return Description(f"{VERSION}: {', '.join(names)}", numbers, sentence, seconds)


def explain(description: Description, probes: Iterable[Probe]) -> list[tuple[str, float | None, str, str]]:
    """(name, value, unit, sentence) of every number."""
    known = {f"{p.name}.{k}": v for p in probes for k, v in getattr(p, "explains", {}).items()}
    return [(name, value, *known.get(name, ("", ""))) for name, value in description.numbers.items()]


def _row_size(dataset: Dataset, transform: Transform) -> int:
    _, views, _ = dataset.sample(min(50, dataset.rows), transform)
    return sum(int(np.prod(v.shape)) + len(v.cardinalities) for v in views.values())


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
