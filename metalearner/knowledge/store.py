"""The working copy of the records in SQLite: derived from the text, brought up to date when the text grew."""

from __future__ import annotations

import fcntl
import json
import sqlite3
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlite_utils

from ..errors import RecordError, UserError
from ..records import DatasetCard, Description, Experience, digest
from . import text
from .trust import check_card, check_description, check_experience

# Lines that are read before they are written: a large base does not have to fit into memory.
AT_ONCE = 20_000
TABLES = ("datasets", "descriptions", "experiences", "sources")


def m001_records(db: sqlite_utils.Database) -> None:
    """The three kinds of records, and how far each file of text has been read."""
    db.table("datasets").create(
        {"id": str, "name": str, "modality": str, "rows": int, "data_hash": str, "record": str}, pk="id"
    )
    db.table("descriptions").create({"id": str, "dataset": str, "version": str, "record": str}, pk=("id", "dataset"))
    numbers = {"seed": int, "rung": float, "score": float, "skill": float, "seconds": float}
    words = {"id": str, "dataset": str, "family": str, "metric": str, "output": str, "outcome": str, "config": str}
    db.table("experiences").create({**words, **numbers, "record": str}, pk="id")
    db.table("experiences").create_index(["dataset"])
    db.table("sources").create({"path": str, "size": int, "mtime": int, "known": int, "digest": str}, pk="path")


def m002_days(db: sqlite_utils.Database) -> None:
    """The day on which what was tried came in; empty where nobody noted it."""
    db.table("experiences").add_column("day", str, not_null_default="")


MIGRATIONS: tuple[Callable[[sqlite_utils.Database], None], ...] = (m001_records, m002_days)


class Store:
    """One SQLite file that mirrors files of text. Everything in it can be made again."""

    def __init__(self, folder: Path | None) -> None:
        """Open `folder`/knowledge.db, in memory when None. Raises UserError when a newer program wrote it."""
        self.folder = folder
        self.file = folder / "knowledge.db" if folder else None
        with self._owned():
            try:
                self.db = self._open()
            except sqlite3.DatabaseError as problem:
                if not _is_corrupt(problem):
                    raise
                self._set_aside(problem)
                self.db = self._open()

    def close(self) -> None:
        """Let go of the file."""
        self.db.close()

    # -- writing ---------------------------------------------------------------------------------------

    def sync(self, files: Sequence[Path], anew: bool = False) -> None:
        """Read what is new in these files; all of them anew when one was rewritten or is gone, or when asked."""
        with self._owned():
            try:
                self._sync(files, anew)
            except sqlite3.DatabaseError as problem:
                if not _is_corrupt(problem):
                    raise
                self.db.close()
                self._set_aside(problem)
                self.db = self._open()
                self._sync(files, anew=True)

    def _sync(self, files: Sequence[Path], anew: bool) -> None:
        now = {str(f): (s.st_size, s.st_mtime_ns) for f in files for s in [f.stat()]}
        before = {row["path"]: row for row in self.db.table("sources").rows}
        if not anew and now == {path: (row["size"], row["mtime"]) for path, row in before.items()}:
            return
        anew = anew or any(
            p not in now or not text.begins_with(Path(p), r["known"], r["digest"]) for p, r in before.items()
        )
        notes: list[str] = []
        self.db.conn.execute("BEGIN IMMEDIATE")
        try:
            if anew:
                before = {}
                for table in TABLES:
                    self.db.conn.execute(f"DELETE FROM {table}")
            for path, (size, mtime) in now.items():
                known, whole = before[path]["known"] if path in before else 0, True
                while whole:
                    found = text.read(Path(path), known, AT_ONCE)
                    notes += [*found.notes, *self._insert(found.lines, Path(path).name)]
                    known, whole = found.known, len(found.lines) == AT_ONCE
                seen = {"path": path, "size": size, "mtime": mtime, "known": found.known, "digest": found.digest}
                self.db.table("sources").insert(seen, replace=True)
            self.db.conn.commit()
        except BaseException:
            self.db.conn.rollback()
            raise
        for note in notes[:10]:
            warnings.warn(f"knowledge base: {note}", RuntimeWarning, stacklevel=4)
        if len(notes) > 10:
            warnings.warn(f"knowledge base: {len(notes) - 10} more lines were left out", RuntimeWarning, stacklevel=4)

    def _insert(self, lines: Sequence[text.Line], source: str) -> list[str]:
        """Put lines into their tables; those that must not be trusted are left out, with the reason."""
        rows: dict[str, list[dict[str, Any]]] = {"datasets": [], "descriptions": [], "experiences": []}
        refused = []
        for line in lines:
            try:
                rows[line.kind + "s"].append(_row(line))
            except RecordError as problem:
                refused.append(f"{source}: {line.kind} {line.id[:12]} left out. {problem.happened}")
            except (KeyError, TypeError, ValueError, AttributeError) as problem:
                refused.append(f"{source}: {line.kind} {line.id[:12]} left out, malformed ({type(problem).__name__})")
        for table, found in rows.items():
            if found:  # one statement for thousands of rows, which sqlite-utils writes out in pieces
                names = list(found[0])
                values = ", ".join(f":{name}" for name in names)
                self.db.conn.executemany(f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({values})", found)
        return refused

    # -- reading ---------------------------------------------------------------------------------------

    def cards(self) -> dict[str, DatasetCard]:
        """All data sets by id."""
        rows = self.db.query("SELECT id, record FROM datasets ORDER BY id")
        return {row["id"]: DatasetCard.from_json(json.loads(row["record"])) for row in rows}

    def descriptions(self, version: str | None = None) -> dict[str, Description]:
        """One description a data set: the latest of this version, else the latest of any."""
        order = "SELECT dataset, record FROM descriptions ORDER BY version IS ?, rowid"
        rows = self.db.query(order, [version])
        return {
            d: Description.from_json(json.loads(r)) for d, r in {row["dataset"]: row["record"] for row in rows}.items()
        }

    def experiences(self, datasets: Collection[str]) -> dict[str, list[Experience]]:
        """All that was tried on these data sets."""
        marks = ",".join("?" * len(datasets))
        sql = f"SELECT dataset, record FROM experiences WHERE dataset IN ({marks}) ORDER BY rowid"
        found: dict[str, list[Experience]] = {d: [] for d in datasets}
        for row in self.db.query(sql, list(datasets)):
            found[row["dataset"]].append(Experience.from_json(json.loads(row["record"])))
        return found

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Mapping[str, Any]]:
        """Rows of a query over the tables."""
        return self.db.query(sql, list(parameters))

    def known(self, lines: Sequence[text.Line]) -> set[tuple[str, str]]:
        """Which of these lines are here already, as (id, data set of a description)."""
        here = {(row["id"], "") for t in ("datasets", "experiences") for row in self.db.query(f"SELECT id FROM {t}")}
        here |= {(row["id"], row["dataset"]) for row in self.db.query("SELECT id, dataset FROM descriptions")}
        return here & {(line.id, line.dataset) for line in lines}

    # -- the file --------------------------------------------------------------------------------------

    def _open(self) -> sqlite_utils.Database:
        if self.file is None:
            db = sqlite_utils.Database(sqlite3.connect(":memory:", check_same_thread=False))
        else:
            db = sqlite_utils.Database(sqlite3.connect(self.file, timeout=30, check_same_thread=False))
        try:
            applied = _applied(db)  # before anything is written
            known = {migration.__name__ for migration in MIGRATIONS}
            if applied - known:
                raise UserError(
                    f"The knowledge base '{self.file}' has the schema '{max(applied - known)}' of a newer metalearner.",
                    f"This one knows {max(known)}; nothing was changed.",
                    "Update metalearner, or set METALEARNER_HOME to another folder.",
                )
            db.execute("PRAGMA busy_timeout = 30000")
            if self.file is not None and db.journal_mode != "wal":
                db.enable_wal()
            if self.file is not None and (damage := next(db.query("PRAGMA quick_check(1)"))["quick_check"]) != "ok":
                raise _Corrupt(damage)
            for migration in MIGRATIONS:
                if migration.__name__ not in applied:
                    with db.atomic():
                        migration(db)
                        done = {
                            "name": migration.__name__,
                            "applied": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                        }
                        db.table("migrations").insert(done, pk="name")
        except BaseException:
            db.close()
            raise
        return db

    def _set_aside(self, problem: Exception) -> None:
        assert self.file is not None
        aside = self.file.with_name(f"{self.file.name}.corrupt-{time.time_ns()}")
        self.file.rename(aside)
        for suffix in ("-wal", "-shm"):
            self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)
        warnings.warn(
            f"knowledge base: {problem}; kept as {aside.name} and rebuilt from the records",
            RuntimeWarning,
            stacklevel=5,
        )

    @contextmanager
    def _owned(self) -> Iterator[None]:
        """One process at a time opens, repairs and writes; the kernel frees the lock of a killed one."""
        if self.folder is None:
            yield
            return
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class _Corrupt(sqlite3.DatabaseError):
    """What quick_check found."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def _is_corrupt(problem: sqlite3.DatabaseError) -> bool:
    code = getattr(problem, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _applied(db: sqlite_utils.Database) -> set[str]:
    return {row["name"] for row in db.table("migrations").rows} if "migrations" in db.table_names() else set()


def _row(line: text.Line) -> dict[str, Any]:
    """A line as a row of its table. Raises RecordError when it must not be kept."""
    record = line.body
    if line.kind == "dataset":
        card = DatasetCard.from_json(line.record)
        check_card(card)
        named = {"name": card.name, "modality": card.modality, "rows": card.rows, "data_hash": card.data_hash}
        return {"id": line.id, **named, "record": record}
    if line.kind == "description":
        description = Description.from_json(line.record)
        check_description(description)
        return {"id": line.id, "dataset": line.dataset, "version": description.version, "record": record}
    e = Experience.from_json(line.record)
    check_experience(e)
    found = {
        n: getattr(e, n)
        for n in ("dataset", "family", "metric", "outcome", "seed", "rung", "score", "skill", "seconds")
    }
    return {
        "id": line.id,
        **found,
        "output": e.task.get("output", ""),
        "config": digest(line.record["config"]),
        "day": line.day,
        "record": record,
    }
