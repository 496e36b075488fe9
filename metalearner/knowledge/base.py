"""The knowledge base: what every run on every data set taught, and what of it bears on a new one."""

from __future__ import annotations

import json
import shutil
import warnings
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..errors import RecordError
from ..home import home as user_home
from ..kinds import Production
from ..records import FULL, DatasetCard, Description, Experience, Recall, Task, canonical, digest
from . import places, text
from .embedder import Embedder
from .growth import growth
from .memory import Archive, Memory, aligned, best, comparable
from .store import Store
from .trust import check_card, check_description, check_experience

SHIPPED = places.shipped()
# The trained Embedder; and the folder, in the user's and in the one that ships, that holds all that was trained.
EMBEDDER, TRAINED = "embedder.npz", "trained"
# What `kb train` found, and on how many data sets.
LEARNT = "learnt.json"
# Which of the records that ship the user's own trained files know.
KNOWS = "knows.txt"


class Base:
    """Shipped records and the user's own, as one."""

    def __init__(
        self, store: Store, own: Path | None, shipped: Path | None, productions: Mapping[str, Production] | None = None
    ) -> None:
        """See `open`; `own` is the file that new records go to, None when there is nowhere to write."""
        self.store, self.own, self.shipped, self.productions = store, own, shipped, productions
        self.archive = Archive(store, productions)  # a new one when records come in
        self._memory: Memory | None = None
        self._embedder: Embedder | None = None
        self._looked = False  # for an embedder

    @classmethod
    def open(
        cls,
        home: Path | None = None,
        shipped: Path | None = SHIPPED,
        productions: Mapping[str, Production] | None = None,
    ) -> Base:
        """Open the base of a user's folder, brought up to date with the text of its records.

        `home` defaults to `$METALEARNER_HOME` or the platform's user data folder; `shipped` is a folder with
        records/*.jsonl, or None for the user's own alone. Whoever is to be told of configs gives the `productions` there
        are, so that old records and new ones name equal configs alike. Where nothing can be written the base lives in
        memory, with a warning. Raises UserError when a newer program wrote the database.
        """
        folder = (home or user_home()) / "knowledge"
        own: Path | None = folder / "records.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "lock").touch()
            store = Store(folder)
        except OSError as problem:
            warnings.warn(f"knowledge base: '{folder}' cannot be written ({problem.strerror}); "
                          "nothing will be kept. Set METALEARNER_HOME to a folder that can be.",
                          RuntimeWarning, stacklevel=2)  # fmt: skip
            own, store = None, Store(None)
        base = cls(store, own, shipped, productions)
        base._sync()
        return base

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self.store.close()

    # -- writing ---------------------------------------------------------------------------------------

    def add(
        self,
        card: DatasetCard,
        description: Description,
        experiences: Sequence[Experience],
        into: Path | None = None,
        productions: Collection[str] | None = None,
    ) -> list[str]:
        """Keep what a run taught; returns why records were refused.

        Records go to the user's own file, or `into` another, `<shipped>/records/*.jsonl` say. With `productions`
        a config may name only these. What the base holds already is not written again.
        """
        refused: list[str] = []
        lines: list[text.Line] = []
        try:
            check_card(card)
            check_description(description)
        except RecordError as problem:
            return [str(problem)]
        for experience in experiences:
            try:
                check_experience(experience, productions)
                if (experience.dataset, experience.data_hash) != (card.id, card.data_hash):
                    raise RecordError("The record is of another data set than its card.", "Such a record is refused.")
                lines.append(text.Line.of(experience))
            except RecordError as problem:
                refused.append(str(problem))
        described = [] if self._holds(description, card) else [text.Line.of(description, card.id)]
        return refused + self._write([text.Line.of(card), *described, *lines], into)

    def merge(self, file: Path) -> list[str]:
        """Take in the records of another base's file: set union by id. Returns what was left out and why."""
        found = text.read(file)
        refused, lines = list(found.notes), []
        for line in found.lines:
            try:
                _check(line)
                lines.append(line)
            except (RecordError, KeyError, TypeError, ValueError, AttributeError) as problem:
                refused.append(f"{file.name}: {line.kind} {line.id[:12]}: {problem}")
        return refused + self._write(lines, None)

    def pack(self) -> list[Path]:
        """Bring the text that ships, with what `kb grow --shipped` added to it, into its packed form; the files written."""
        if self.shipped is None:
            return []
        written = []
        for name in sorted({f.name.partition(".")[0] for f in (self.shipped / "records").glob("*.jsonl*")}):
            plain, packed = (self.shipped / "records" / f"{name}{suffix}" for suffix in (".jsonl", ".jsonl.gz"))
            lines = [line for file in (plain, packed) if file.exists() for line in text.read(file).lines]
            text.pack(packed, lines)
            plain.unlink(missing_ok=True)
            written.append(packed)
        self._sync()
        return written

    def build(self) -> dict[str, int]:
        """Read all text anew and build what is derived from it; returns counts."""
        self.store.sync(self._files(), anew=True)
        self._read_anew()
        if self.trained is not None:
            self.train(self.trained)
        counts = {t: self._count(t) for t in ("datasets", "descriptions", "experiences")}
        indexed = self.archive.taught(None) & self.archive.descriptions().keys()
        return counts | {"groups": len(set(self.groups().values())), "indexed": len(indexed)}

    def train(self, folder: Path) -> Embedder | None:
        """Learn an embedder from the records and keep it there; None where there are too few to begin with."""
        if folder == self.trained and not self._up_to_date:
            shutil.rmtree(folder, ignore_errors=True)  # what else was learnt from those records is of no use, either
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / EMBEDDER
        found = aligned(self.archive, self.cards())
        if folder == self.trained:
            (folder / KNOWS).write_text(self._shipped_now())
        if found is not None:
            found.save(file)
        else:
            file.unlink(missing_ok=True)
        self._looked, self._memory = False, None
        return found

    @property
    def folders(self) -> list[Path]:
        """Where what was trained lies: the user's own, else what ships.

        What the user trained on records that no longer ship is out of date. After a whole `kb train` there is all in the user's
        folder that earned its place.
        """
        shipped = [self.shipped / TRAINED] if self.shipped else []
        if self.trained is None or not self._up_to_date:
            return shipped
        return [self.trained] if (self.trained / LEARNT).exists() else [self.trained, *shipped]

    @property
    def trained(self) -> Path | None:
        """The user's own folder for what is trained; None where there is nowhere to write."""
        return self.store.folder / TRAINED if self.store.folder else None

    @property
    def _up_to_date(self) -> bool:
        """Whether what the user trained knows the records that ship."""
        return (
            self.trained is not None
            and (self.trained / KNOWS).exists()
            and (self.trained / KNOWS).read_text() == self._shipped_now()
        )

    def _shipped_now(self) -> str:
        """The records that ship, as one digest."""
        files = sorted((self.shipped / "records").glob("*.jsonl*")) if self.shipped else []
        return digest([(file.name, file.stat().st_size) for file in files])

    @property
    def embedder(self) -> Embedder | None:
        """The user's own, else the one that ships; None where there is none that can be read."""
        if not self._looked:
            self._looked, self._embedder = True, None
            for folder in self.folders:
                if (folder / EMBEDDER).exists():
                    try:
                        self._embedder = Embedder.load(folder / EMBEDDER)
                        break
                    except (OSError, ValueError, KeyError) as problem:
                        warnings.warn(
                            f"knowledge base: {EMBEDDER} cannot be read ({problem})", RuntimeWarning, stacklevel=3
                        )
        return self._embedder

    # -- reading ---------------------------------------------------------------------------------------

    def cards(self) -> Mapping[str, DatasetCard]:
        """All data sets by id."""
        return self.archive.cards

    def groups(self) -> Mapping[str, str]:
        """The group of each data set by id: same source, same data, or nearly so."""
        return self.archive.groups()

    def experiences(self, dataset: str) -> tuple[Experience, ...]:
        """All that was tried on one data set."""
        return self.archive.experiences([dataset])[dataset]

    def tried(self, data_hash: str) -> set[tuple[str, int]]:
        """(Config.id, seed) of every full fit on these data, whatever came of it."""
        sql = (
            "SELECT config, seed FROM experiences JOIN datasets d ON d.id = dataset WHERE d.data_hash = ? AND rung >= ?"
        )
        return {(row["config"], row["seed"]) for row in self.store.query(sql, [data_hash, FULL])}

    def recall(
        self, description: Description, *, task: Task | None = None, blind: DatasetCard | None = None, k: int = 15
    ) -> Recall:
        """What the base remembers for a description: weighted neighbours and all that was tried on them.

        `blind` names the data set itself: it, its group, and whatever is nearly the same are forgotten. The rest as in
        `Memory.recall`.
        """
        if blind is not None:
            forgotten = self.archive.kin(blind, description)
            rest = self.cards().keys() - forgotten
            embedder = aligned(self.archive, rest) if self.embedder else None
            return Memory(self.archive, forgotten, embedder).recall(description, task, k)
        if self._memory is None:
            self._memory = Memory(self.archive, embedder=self.embedder)
        return self._memory.recall(description, task, k)

    def stats(self) -> dict[str, Any]:
        """Counts of records, data sets and groups, by modality and over time; which families win; failures; seconds."""
        groups, modalities = self.groups(), {i: c.modality for i, c in self.cards().items()}
        everything = self.archive.experiences(list(modalities))
        by: dict[str, dict[str, Any]] = {}
        for modality in sorted(set(modalities.values())):
            ids = [i for i, m in modalities.items() if m == modality]
            winners = Counter(best(comparable(everything[i], 0, None))[0] for i in ids)
            del winners[""]
            by[modality] = {
                "data_sets": len(ids),
                "groups": len({groups[i] for i in ids}),
                "records": sum(len(everything[i]) for i in ids),
                "winners": dict(winners.most_common()),
            }
        outcomes = self.store.query("SELECT outcome, COUNT(*) n FROM experiences GROUP BY outcome ORDER BY outcome")
        seconds = next(iter(self.store.query("SELECT COALESCE(SUM(seconds), 0) s FROM experiences")))["s"]
        return {
            "records": self._count("experiences"),
            "data_sets": len(modalities),
            "groups": len(set(groups.values())),
            "by_modality": by,
            "growth": growth(self.store, groups),
            "learnt": self.learnt(),
            "failures": {row["outcome"]: row["n"] for row in outcomes if row["outcome"] != "ok"},
            "seconds": seconds,
        }

    def learnt(self) -> dict[str, Any]:
        """What `kb train` found, on how many data sets, and how many came since; empty where it never ran."""
        for file in (folder / LEARNT for folder in self.folders):
            if file.exists():
                try:
                    found = json.loads(file.read_text())
                    return {**found, "since": max(0, len(self.cards()) - int(found["data_sets"]))}
                except (OSError, ValueError, KeyError, TypeError) as problem:
                    warnings.warn(f"knowledge base: {LEARNT} cannot be read ({problem})", RuntimeWarning, stacklevel=3)
        return {}

    def verify_sample(self, n: int, rng: np.random.Generator) -> list[tuple[Experience, DatasetCard]]:
        """At most n full fits that went well, drawn by chance, to be run again and compared by the caller."""
        good = "outcome = 'ok' AND rung >= ? AND dataset IN (SELECT id FROM datasets)"
        ids = [r["id"] for r in self.store.query(f"SELECT id FROM experiences WHERE {good} ORDER BY id", [FULL])]
        rows = [self.store.db.table("experiences").get(ids[int(i)]) for i in rng.permutation(len(ids))[:n]]
        return [(e, self.cards()[e.dataset]) for e in (_experience(row) for row in rows)]

    # -- the inside ------------------------------------------------------------------------------------

    def _holds(self, description: Description, card: DatasetCard) -> bool:
        """Whether the same measurements are here already; the seconds they took differ every time."""
        rows = self.store.query("SELECT record FROM descriptions WHERE dataset = ?", [card.id])
        known = [Description.from_json(json.loads(row["record"])) for row in rows]
        asked = Description.from_json(description.to_json())  # NaN becomes None
        return any(replace(d, seconds=0.0) == replace(asked, seconds=0.0) for d in known)

    def _write(self, lines: Sequence[text.Line], into: Path | None) -> list[str]:
        file = into or self.own
        if file is None:
            return [f"{len(lines)} records were not kept: the knowledge base cannot be written here."]
        known = self.store.known(lines)
        today = datetime.now(UTC).date().isoformat()
        dated = [line if line.day else replace(line, day=today) for line in lines]
        new = list({(line.id, line.dataset): line for line in dated if (line.id, line.dataset) not in known}.values())
        if new:
            try:
                text.append(file, new)
            except OSError as problem:
                return [f"{len(new)} records were not kept: {file.name} cannot be written ({problem.strerror})."]
            self._sync()
        return []

    def _sync(self) -> None:
        self.store.sync(self._files())
        self._read_anew()

    def _files(self) -> list[Path]:
        records = sorted((self.shipped / "records").glob("*.jsonl*")) if self.shipped else []
        return records + ([self.own] if self.own and self.own.exists() else [])

    def _read_anew(self) -> None:
        self.archive, self._memory = Archive(self.store, self.productions), None

    def _count(self, table: str) -> int:
        return self.store.db.table(table).count


def _experience(row: Mapping[str, Any]) -> Experience:
    return Experience.from_json(json.loads(row["record"]))


def _check(line: text.Line) -> None:
    if canonical(line.record) != line.body:
        raise RecordError(
            "The record is not in canonical JSON.", "It could come again under another id, and count twice."
        )
    if line.kind == "dataset":
        check_card(DatasetCard.from_json(line.record))
    elif line.kind == "description":
        check_description(Description.from_json(line.record))
    else:
        check_experience(Experience.from_json(line.record))
