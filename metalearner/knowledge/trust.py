"""What makes a record worth keeping: measured, finite, in range, and free of anything that is the user's own."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from ..errors import RecordError
from ..records import OUTCOMES, Config, DatasetCard, Description, Experience

# No measurement of ours comes near this.
LARGEST = 1e12
# Names may look like this, strings among the facts of a fit only like that: no sentences, no lists of levels.
WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ .:/+()-]{0,127}")
FLAG = re.compile(r"[a-z0-9.-]{0,24}")
TASK_KEYS = frozenset({"output", "metric", "sentence"})
DEEPEST, LONGEST = 12, 2000  # nesting of a config, characters of free text or items of a list


def check_experience(experience: Experience, known_productions: Collection[str] | None = None) -> None:
    """Raise RecordError unless the record is complete, finite and data only.

    `known_productions` are the names its config may use; None accepts any.
    """
    e = experience
    _need(_word(e.dataset), "a data set id", e.dataset)
    _need(_word(e.data_hash), "the hash of its data", e.data_hash)
    _need(type(e.seed) is int and abs(e.seed) < LARGEST, "a whole number as seed", e.seed)
    _need(_number(e.seconds) and e.seconds > 0, "measured seconds above 0", e.seconds)
    _need(_number(e.rung) and 0 < e.rung <= 1, "a rung above 0 and up to 1", e.rung)
    _need(e.outcome in OUTCOMES, f"an outcome out of {', '.join(OUTCOMES)}", e.outcome)
    _need(_word(e.family) and _word(e.metric), "names for family and metric", (e.family, e.metric))
    _check_scores(e)
    _check_config(e.config, known_productions, 0)
    _need(isinstance(e.task, Mapping) and set(e.task) <= TASK_KEYS, f"a task of {', '.join(sorted(TASK_KEYS))}", e.task)
    _need(all(isinstance(v, str) and len(v) <= LONGEST for v in e.task.values()), "words in its task", e.task)
    _need(isinstance(e.facts, Mapping) and all(_word(k) and _plain(v) for k, v in e.facts.items()),
          "facts that are numbers or short words", e.facts)  # fmt: skip
    versions = isinstance(e.versions, Mapping) and all(_word(k) and _word(v) for k, v in e.versions.items())
    _need(versions, "versions by name", e.versions)
    _need(e.hardware == "" or _word(e.hardware), "a class of hardware", e.hardware)


def check_card(card: DatasetCard) -> None:
    """Raise RecordError unless the card names its data set, with its hash and at least one row."""
    _need(isinstance(card.name, str) and 0 < len(card.name) <= 200, "a data set name", card.name)
    _need(isinstance(card.group, str) and len(card.group) <= 200, "a group", card.group)
    _need(_word(card.modality), "a modality", card.modality)
    _need(_word(card.data_hash), "the hash of its data", card.data_hash)
    _need(type(card.rows) is int and 0 < card.rows < LARGEST, "at least one row", card.rows)
    _need(all(isinstance(t, str) and len(t) <= LONGEST for t in (card.source, card.licence)), "short texts", card)
    sketched = card.sketch is None or all(
        map(_number, (card.sketch.columns, *card.sketch.quantiles, *card.sketch.rows))
    )
    _need(sketched, "numbers alone in its sketch", card.sketch)


def check_description(description: Description) -> None:
    """Raise RecordError unless its numbers have plain names and sane values (None: not measurable)."""
    _need(_word(description.version), "a version", description.version)
    for name, value in description.numbers.items():
        _need(_word(name), "plain names for its numbers", name)
        missing = value is None or (isinstance(value, float) and math.isnan(value))
        _need(missing or _number(value), f"a finite value of {name}", value)
    _need(all(_number(v) for v in description.sentence), "finite numbers for its sentence", description.sentence)
    shapes = [(a.size for a in view.axes) for view in description.views.values()]
    _need(all(_number(size) for sizes in shapes for size in sizes), "sizes of axes in its views", description.views)
    kinds = [view.channel_kind for view in description.views.values()]
    _need(all(kind == "" or _word(kind) for kind in kinds), "plain names for what its channels are", kinds)
    _need(
        all(_word(n) and _number(v) for n, v in description.probes.items()),
        "versions of its probes",
        description.probes,
    )


def _check_scores(e: Experience) -> None:
    if e.outcome == "ok":
        _need(
            _number(e.score) and _number(e.skill), "a finite score and skill when its outcome is ok", (e.score, e.skill)
        )
    for name, value in (("score", e.score), ("baseline", e.baseline), ("skill", e.skill)):
        _need(value is None or _number(value), f"a finite {name}", value)
    _need(e.skill is None or e.skill <= 1 + 1e-9, "a skill of at most 1, which is perfect", e.skill)


def _check_config(config: Config, known: Collection[str] | None, depth: int) -> None:
    _need(isinstance(config, Config) and isinstance(config.production, str), "a config", config)
    _need(bool(_word(config.production)) and depth < DEEPEST, "a well-formed config", config.production)
    if known is not None and config.production not in known:
        _need(False, "a config of known productions", config.production)
    for name, value in config.numbers.items():
        _need(_word(name) and (value is None or isinstance(value, bool) or _number(value) or _word(value)),
              f"plain numbers in '{config.production}'", (name, value))  # fmt: skip
    for slot, parts in config.parts.items():
        _need(_word(slot), "plain names for its parts", slot)
        for part in parts:
            _check_config(part, known, depth + 1)


def _need(holds: Any, what: str, value: Any) -> None:
    if not holds:
        raise RecordError(f"The record needs {what}; it has {_short(value)}.", "Such a record is refused.")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST  # NaN: False


def _word(value: Any) -> bool:
    return isinstance(value, str) and _is_word(value)


@lru_cache(maxsize=4096)  # the same names come thousands of times
def _is_word(text: str) -> bool:
    return WORD.fullmatch(text) is not None


def _plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= LONGEST and all(v is None or _number(v) for v in value)
    if isinstance(value, Mapping):
        return len(value) <= LONGEST and all(_word(k) and (v is None or _number(v)) for k, v in value.items())
    flag = isinstance(value, str) and FLAG.fullmatch(value) is not None
    return value is None or isinstance(value, bool) or _number(value) or flag
