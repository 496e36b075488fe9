"""Run every probe on a sample, in a few seconds, and put what they found side by side."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

import numpy as np

from ..dataset import Dataset
from ..kinds import Output, Probe, Sight, Transform
from ..records import Description

VERSION = "1"
SAMPLE = 1000
# Numbers in a sample; of larger rows fewer are taken, so that a description stays under five seconds.
ELEMENTS = 8_000_000
SECONDS = 5.0


def describe(
    dataset: Dataset,
    transform: Transform,
    output: Output,
    probes: Iterable[Probe],
    embed: Callable[[str], Sequence[float]] | None,
) -> Description:
    """Named numbers in one fixed order, beside the embedded task sentence.

    At most 1,000 training rows are looked at. A probe that fails, or whose turn comes after five seconds, leaves None
    and a warning that names it.
    """
    start = time.monotonic()
    numbers: dict[str, float | None] = {}
    versions, used = [VERSION], {}
    with _one_core():
        tensors, views, target = dataset.sample(_rows(dataset, transform), transform)
        for probe in probes:
            found: Mapping[str, float | None] = {}
            if time.monotonic() - start > SECONDS:
                warnings.warn(
                    f"probe '{probe.name}' was left out: {SECONDS:g} s were over before its turn", stacklevel=2
                )
            else:
                try:
                    found = probe.measure(tensors, views, target, output, np.random.default_rng(0))
                except Exception as problem:  # one probe that fails costs its own numbers only
                    warnings.warn(f"probe '{probe.name}' failed: {type(problem).__name__}: {problem}", stacklevel=2)
            explained = getattr(probe, "explains", {}) or found
            numbers |= {f"{probe.name}.{k}": _number(found.get(k)) for k in explained}
            versions.append(str(probe.version))
            used[probe.name] = probe.version
    _count_all_rows(numbers, dataset.rows, len(target))
    seconds = time.monotonic() - start
    sentence = _words(dataset.task.sentence, embed)
    # Numbers of different probes, or of other versions of them, are never compared.
    return Description(".".join(versions), numbers, sentence, seconds, views, used)


def sights(dataset: Dataset, transform: Transform, probes: Iterable[Probe]) -> list[Sight]:
    """What probes have to show of the sample that is described; one that fails, or comes after five seconds, shows nothing."""
    start = time.monotonic()
    tensors, views, _ = dataset.sample(_rows(dataset, transform), transform)
    found: list[Sight] = []
    with _one_core():
        for probe in probes:
            if time.monotonic() - start > SECONDS:
                break
            try:
                found += probe.sights(tensors, views, np.random.default_rng(0))
            except Exception as problem:  # a picture is not worth a failure
                warnings.warn(f"probe '{probe.name}' shows nothing: {type(problem).__name__}: {problem}", stacklevel=2)
    return found


def _rows(dataset: Dataset, transform: Transform) -> int:
    """How many rows are looked at."""
    return min(SAMPLE, max(100, int(ELEMENTS / max(1, _row_size(dataset, transform)))))


def _one_core() -> AbstractContextManager[object]:
    """Linear algebra on one thread: several, on cores that others use, wait for one another far longer than they work."""
    import scipy.linalg  # noqa: F401  brings a BLAS of its own, which has to be loaded to be limited
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def _count_all_rows(numbers: dict[str, float | None], rows: int, sampled: int) -> None:
    """Numbers that count rows, of all training rows instead of the sample (logarithms, so a difference)."""
    for name in ("size.rows", "size.rows_per_element"):
        value = numbers.get(name)
        if value is not None:
            numbers[name] = value + float(np.log10(rows / sampled))


def _words(sentence: str, embed: Callable[[str], Sequence[float]] | None) -> tuple[float, ...]:
    """The embedded sentence; empty, with a warning, where embedding fails."""
    if embed is None or not sentence:
        return ()
    try:
        return tuple(float(v) for v in embed(sentence))
    except Exception as problem:  # a broken encoder costs the sentence, not the run
        warnings.warn(f"the task sentence was not embedded: {type(problem).__name__}: {problem}", stacklevel=3)
        return ()


def explain(description: Description, probes: Iterable[Probe]) -> list[tuple[str, float | None, str, str]]:
    """(name, value, unit, sentence) of every number."""
    known = {f"{p.name}.{k}": v for p in probes for k, v in getattr(p, "explains", {}).items()}
    return [(name, value, *known.get(name, ("", ""))) for name, value in description.numbers.items()]


def _row_size(dataset: Dataset, transform: Transform) -> int:
    """Numbers and categories in one row."""
    _, views, _ = dataset.sample(min(50, dataset.rows), transform)
    return sum(int(np.prod(v.shape)) + len(v.cardinalities) for v in views.values())


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
