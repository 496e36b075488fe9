"""A run as tables of SQLite, and a copy of the knowledge base that stays as it is: what Datasette reads."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlite_utils

from .. import grammar
from ..home import home
from ..knowledge import Base
from ..plugins import Registry
from ..records import FULL, Config
from ..report.account import Account

FILE, KNOWLEDGE = "run.db", "knowledge-copy.db"
BOARD = f"""
    SELECT number, family, score, skill, share, seconds, fitted, "by", why FROM trials
    WHERE outcome = 'ok' ORDER BY fitted < {FULL}, skill DESC
"""


def write(account: Account, registry: Registry) -> Path:
    """run.db in the run's folder: the run, its trials with their numbers and curves, what past runs said, what was decided."""
    file = account.folder / FILE
    with _anew(file) as db:
        db.table("run").insert(_run(account))
        db.table("trials").insert_all((_trial(t, account.weights) for t in account.trials), pk="number", alter=True)
        if account.trials:
            db.create_view("leaderboard", BOARD)
        beside = {"numbers": _numbers(account), "curves": _curves(account), "facts": _facts(account)}
        # As a number a value is one, as a word it is kept as it is: SQLite allows both.
        for name, rows in beside.items():
            db.table(name).insert_all(rows, foreign_keys=[("trial", "trials", "number")], columns={"value": float})
        prior = account.told("propose")
        db.table("neighbours").insert_all(_scalars(n) for n in prior.get("neighbours", ()))
        odds, reasons = prior.get("odds", {}), prior.get("reasons", {})
        db.table("odds").insert_all(
            {"family": name, "odds": share, "because": reasons.get(name, "")} for name, share in odds.items()
        )
        db.table("decisions").insert_all({"stage": s, "what": what, "why": why} for s, what, why in account.decisions())
    return file


def knowledge() -> Path:
    """A copy of the knowledge base as it is now: other runs go on adding to the original."""
    file = home() / KNOWLEDGE
    with Base.open() as base, _anew(file) as db:
        base.store.db.conn.backup(db.conn)
        db.conn.execute("PRAGMA journal_mode = DELETE")  # no file beside it: it will not be written to again
    return file


@contextmanager
def _anew(file: Path) -> Iterator[sqlite_utils.Database]:
    """A database that takes its place when it is whole: who has the one before it open keeps that."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(part)) as connection:
        yield sqlite_utils.Database(connection)
        connection.commit()
    part.replace(file)


def _run(account: Account) -> dict[str, Any]:
    task, score, cost = account.task, account.score, account.cost()
    row: dict[str, Any] = {"name": account.name, "state": account.state, "source": account.request.get("source", "")}
    if task is not None:
        row |= {
            "sentence": task.sentence,
            "target": task.target,
            "output": task.output,
            "metric": task.metric,
            "goal": task.goal,
        }
    if score is not None:
        row |= {
            name: getattr(score, name) for name in ("value", "low", "high", "baseline", "rows", "split", "goal_met")
        }
    return row | (cost or {}) | {"again": account.reproduce()}


def _trial(trial: Mapping[str, Any], weights: Mapping[int, float]) -> dict[str, Any]:
    proposal = trial["proposal"]
    return {
        "number": trial["number"],
        "family": proposal["family"],
        "outcome": trial["outcome"],
        "score": trial["score"],
        "skill": trial["skill"],
        "share": weights.get(trial["number"], 0.0),
        "seconds": trial["seconds"],
        "finished": trial["finished"],
        "fitted": trial["rung"],
        "by": proposal["arm"],
        "why": proposal["reason"],
        "error": trial["error"],
        "config": json.dumps(proposal["config"]),
    }


def _numbers(account: Account) -> Iterator[dict[str, Any]]:
    """Every number of every config, a row each."""
    for trial in account.trials:
        for path, node in Config.from_json(trial["proposal"]["config"]).walk():
            for name, value in node.numbers.items():
                yield {"trial": trial["number"], "place": path, "production": node.production, "number": name,
                       "address": grammar.address(path, name), "value": value}  # fmt: skip


def _curves(account: Account) -> Iterator[dict[str, Any]]:
    """The loss on held-out rows while a config learnt, as far as it was kept."""
    for trial in account.trials:
        for step, loss in enumerate(trial["facts"].get("curve") or ()):
            yield {"trial": trial["number"], "step": step, "value": loss}


def _facts(account: Account) -> Iterator[dict[str, Any]]:
    """What else was measured of a trial, a row each."""
    for trial in account.trials:
        yield from ({"trial": trial["number"], "fact": k, "value": v} for k, v in _scalars(trial["facts"]).items())


def _scalars(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in facts.items() if v is None or isinstance(v, bool | int | float | str)}
