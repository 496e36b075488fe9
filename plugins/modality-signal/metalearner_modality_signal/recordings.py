"""Sets of WAV and FLAC recordings: class folders, flat files that begin with their label, or a table of paths."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from metalearner.arrays import Ragged
from metalearner.errors import DataError
from metalearner.tables import Table, open_table
from metalearner.tables.cells import word

from . import heard, logmel, sound, speech, wave
from .labels import kind_of_texts
from .layout import common_length
from .samples import LABEL_NAMES, Samples

PARTS = {"train", "training", "test", "testing", "val", "valid", "validation"}
PREFIX = re.compile(r"([^_]+)_.")
BROKEN = 0.05  # share of unreadable recordings that is skipped
CHUNK = 256
# Samples of recordings that are in memory at once.
AT_ONCE = 1 << 23
# Recordings in which speech is looked for to decide about all, and seconds of silence that may come before it.
LISTENED, SEARCHED = 64, 10.0
LOOKED_AT, NAMES_RECORDINGS = 50, 0.95  # rows of a table, and the share of them


@dataclass(frozen=True)
class Listing:
    """The recordings of a source in order, each with its name and label."""

    where: str
    files: tuple[Path, ...]
    names: tuple[str, ...]
    labels: np.ndarray | None
    label_name: str = "label"
    label_kind: str = "category"
    about: dict[str, Any] = field(default_factory=dict)
    why: str = ""  # why there are no labels


def listing(path: Any, path_column: str = "", label_column: str = "") -> Listing | None:
    """The recordings of a folder, a table, a DataFrame or a single file; None when it holds none."""
    if not isinstance(path, Path):
        return _table(path, path_column, label_column)
    if path.is_dir():
        return _folder(path)
    if path.suffix.lower() in wave.SUFFIXES:
        return Listing(path.name, (path,), (path.name,), None, why="a single recording has none")
    return _table(path, path_column, label_column)


def _folder(path: Path) -> Listing | None:
    root, about = path, dict[str, Any]()
    while not _wavs(root, deep=False) and len(inside := _folders(root)) == 1:
        root = inside[0]
    inside = _folders(root)
    if inside and {p.name.lower() for p in inside} <= PARTS and not _wavs(root, deep=False):
        train = next((p for p in inside if p.name.lower().startswith("train")), inside[0])
        test = next((p.name for p in inside if p.name.lower().startswith("test") and p != train), "")
        # the test part as a path from the folder that was given
        about = {"part": train.name} | ({"test_file": (root / test).relative_to(path).as_posix()} if test else {})
        root = train
    files = _wavs(root, deep=True)
    if not files:
        return None
    names = tuple(f.relative_to(root).as_posix() for f in files)
    folders = [name.partition("/")[0] if "/" in name else "" for name in names]
    prefixes = [m[1] if (m := PREFIX.match(f.stem)) else "" for f in files]
    if all(folders):
        labels, why = folders, ""
    elif any(folders):
        odd = names[folders.index("")]
        labels, why = [], f"{odd} lies beside the class folders"
    else:
        fits = all(prefixes) and 2 <= len(set(prefixes)) <= 100
        labels, why = (
            prefixes if fits else [],
            "" if fits else "no class folders, and names that do not begin with a label",
        )
    return Listing(
        root.name, tuple(files), names, np.array(labels, dtype=str) if labels else None, about=about, why=why
    )


def _wavs(folder: Path, deep: bool) -> list[Path]:
    found = folder.rglob("*") if deep else folder.iterdir()
    wavs = [p for p in found if p.suffix.lower() in wave.SUFFIXES and not p.name.startswith(".")]
    return sorted(wavs, key=lambda p: p.relative_to(folder).as_posix())


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def _table(source: Any, path_column: str, label_column: str) -> Listing | None:
    """A table with a column of paths to recordings, relative to where it lies; one that is broken is left to others."""
    base = source.parent if isinstance(source, Path) else Path()
    try:
        table = open_table(source)
        column = path_column or (_named(base, table) if table else "")
        parts = list(table.read(table.names)) if table and column else []
    except DataError:
        if path_column:
            raise
        return None
    if table is None or not parts:
        return None
    columns = {name: [word(cell) for part in parts for cell in part[name]] for name in table.names}
    if column not in columns:
        raise DataError(
            f"{table.source} has no column '{column}'.",
            f"It has {', '.join(columns)}.",
            "It holds the paths to recordings.",
        )
    others = [c for c in columns if c != column]
    label = label_column or next((c for n in LABEL_NAMES for c in others if c.lower() == n), "")
    label = label or (others[0] if len(others) == 1 else "")
    labels = np.array(columns[label], dtype=str) if label in columns else None
    why = (
        ""
        if labels is not None
        else f"which of {', '.join(others)} is the label?"
        if others
        else "no column beside the paths"
    )
    texts = tuple(columns[column])
    files = tuple(base / t for t in texts)
    kind = "category" if labels is None else kind_of_texts(labels.tolist())
    return Listing(table.source, files, texts, labels, label or "label", kind, {"path_column": column}, why)


def _named(base: Path, table: Table) -> str:
    """The column whose first cells name recordings that are there; "" when there is none."""
    for name, cells in next(iter(table.read(table.names)), {}).items():
        first = [str(cell) for cell in cells[:LOOKED_AT]]
        good = [c for c in first if c.lower().endswith(wave.SUFFIXES) and (base / c).is_file()]
        if first and len(good) >= NAMES_RECORDINGS * len(first):
            return name
    return ""


def headers(found: Listing, skipping: bool) -> tuple[list[int], list[wave.Header], list[str]]:
    """Rows that can be read with their headers, and what is wrong with the others.

    Raises DataError when over 5 % cannot be read, or, unless `skipping`, any.
    """
    rows, heads, broken = [], [], []
    for i, file in enumerate(found.files):
        try:
            with file.open("rb") as opened:
                heads.append(wave.header(opened))
            rows.append(i)
        except wave.Unreadable as reason:
            broken.append(f"{found.names[i]}: {reason}")
        except OSError as reason:
            broken.append(f"{found.names[i]}: {reason.strerror or reason}")
    if broken and not skipping:
        raise DataError(
            f"The recording {broken[0]}.", "Each row to predict needs a recording.", "Repair it or leave it out."
        )
    if len(broken) > BROKEN * len(found.files) or not rows:
        raise DataError(
            f"{len(broken)} of {len(found.files)} recordings in {found.where} cannot be read: {broken[0]}.",
            f"At most {BROKEN:.0%} are skipped.",
            "Repair or remove them.",
        )
    return rows, heads, broken


def measure(found: Listing) -> tuple[list[int], dict[str, Any], str]:
    """Readable rows, schema options of their spectrograms, and a note for people."""
    rows, heads, broken = headers(found, skipping=True)
    rate = Counter(h.rate for h in heads).most_common(1)[0][0]
    kept, trim, told = _kept([found.files[i] for i in rows], heads)
    lengths = np.array([h.frames * rate / h.rate for h in heads]) * kept
    options: dict[str, Any] = {**logmel.choose(rate, float(np.median(lengths))), **trim}
    counts = np.array([logmel.frames(length, options) for length in lengths])
    notes = [f"log-mel spectrograms of {options['bands']} bands from recordings at {rate} Hz", *told]
    if resampled := sum(h.rate != rate for h in heads):
        notes.append(f"{resampled} of another rate are resampled")
    if cut := int((counts > logmel.CAP).sum()):
        seconds = logmel.CAP * options["hop"] / rate
        notes.append(f"{cut} are longer than {seconds:.1f} s, of these the beginning is used")
    if "part" in found.about:
        notes.append(f"of the parts of the folder '{found.about['part']}' is read")
    if broken:
        options["skipped"] = len(broken)
        notes.append(f"{len(broken)} unreadable recordings are skipped, the first is {broken[0]}")
    beside, note = heard.options([h.frames * kept / h.rate for h in heads], rate)
    options |= beside
    notes += [note] if note else []
    size = common_length(np.minimum(counts, logmel.CAP))
    options |= {"ragged": True, "channels": options["bands"], "axes": [{"kind": "time", "size": size}], "pool": 1}
    return rows, options | found.about, "; ".join(notes)


def _kept(files: Sequence[Path], heads: Sequence[wave.Header]) -> tuple[float, dict[str, Any], list[str]]:
    """What share of a recording is left in the middle when silence is cut off, the option that says so, and what to tell."""
    if sound.SPEECH not in sound.asked():
        return 1.0, {}, []
    if why := speech.missing():
        return 1.0, {}, [f"silence is left in, for {why}"]
    some = np.unique(np.linspace(0, len(files) - 1, min(LISTENED, len(files))).astype(int))
    shares: list[float] = []
    for group in _together([int(SEARCHED * heads[i].rate) for i in some]):
        chosen = [heads[some[j]] for j in group]
        given = [_samples(files[some[j]], head, int(SEARCHED * head.rate)) for j, head in zip(group, chosen)]
        spans = speech.spoken(given, [head.rate for head in chosen])
        shares += [
            min(1.0, (span[1] - span[0]) * head.rate / max(1, len(own)))
            for span, head, own in zip(spans, chosen, given)
            if span
        ]
    told = f"speech is heard in {len(shares)} of {len(some)} recordings"
    if len(shares) < speech.MOST * len(some):
        return 1.0, {}, [f"silence is left in, for {told}"]
    return float(np.median(shares)), {"trimmed": "silero-vad"}, [f"silence around speech is cut off, for {told}"]


def read(found: Listing, options: Mapping[str, Any], skipping: bool) -> Iterator[Samples]:
    """Spectrograms in chunks, in order."""
    rows, heads, _ = headers(found, skipping)
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        chosen = heads[start : start + CHUNK]
        needed = [needed_of(head.rate, options) for head in chosen]
        made = []
        for group in _together(needed) if "trimmed" in options else [[j] for j in range(len(part))]:
            given = [(_samples(found.files[part[j]], chosen[j], needed[j]), chosen[j].rate) for j in group]
            made += both(given, options)
        spectra = Ragged.pack([spectrum for spectrum, _ in made])
        listened = Ragged.pack([own for _, own in made if own is not None]) if heard.COLUMN in options else None
        yield Samples(spectra, None if found.labels is None else found.labels[part], heard=listened)


def _together(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Positions, in order, of recordings of these sizes (samples) that may be in memory at once."""
    group: list[int] = []
    for i, _ in enumerate(sizes):
        if group and sum(sizes[j] for j in group) + sizes[i] > AT_ONCE:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def _samples(file: Path, head: wave.Header, most: int) -> np.ndarray:
    with file.open("rb") as opened:
        return wave.samples(opened, head, most)


def needed_of(rate: int, options: Mapping[str, Any]) -> int:
    """Samples at `rate` of which anything can be used."""
    about = options.get(heard.COLUMN)
    needed = logmel.samples_needed(rate, options)
    if about:
        needed = max(needed, int(np.ceil(about["samples"] * rate / about["rate"])) + 1)
    return needed + int(SEARCHED * rate) if "trimmed" in options else needed


def both(
    recordings: Sequence[tuple[np.ndarray, int]], options: Mapping[str, Any]
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Of recordings (samples,), each with its rate, the spectrogram, and the recording itself where it is wanted."""
    about = options.get(heard.COLUMN)
    rates = [rate for _, rate in recordings]
    waves = [samples for samples, _ in recordings]
    if "trimmed" in options and waves:
        waves = speech.trimmed(waves, rates)
    return [
        (
            logmel.log_mel(logmel.resample(own, rate, options["rate"]), options),
            heard.listened(own, rate, about) if about else None,
        )
        for own, rate in zip(waves, rates)
    ]
