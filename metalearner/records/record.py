"""What all records are: frozen, with a canonical JSON whose SHA-256 is their identity."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any, Self


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces; NaN and infinity become null.

    >>> canonical({"b": (1, 2.0), "a": float("nan")})
    '{"a":null,"b":[1,2.0]}'
    """
    try:  # what is JSON already, a record just read say, needs no second copy
        return _JSON.encode(value)
    except (ValueError, TypeError):  # NaN, infinity, keys of several kinds
        return _JSON.encode(plain(value))


def plain(value: Any) -> Any:
    """Turn records, tuples and NumPy scalars into what JSON knows."""
    if isinstance(value, Record):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=plain)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, hex."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


@dataclass(frozen=True)
class Record:
    """A frozen dataclass with a JSON form."""

    @cached_property
    def id(self) -> str:
        """Content address: SHA-256 of the canonical JSON."""
        return digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain dict, ready for `json.dumps`."""
        return {f.name: plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Build from `to_json`; unknown keys are ignored so that older code reads newer records."""
        known = cls.__dataclass_fields__  # `fields` would make a tuple of them for each of thousands
        return cls(**{k: cls._revive(k, v) for k, v in data.items() if k in known})

    @classmethod
    def _revive(cls, name: str, value: Any) -> Any:
        """Turn the JSON of one field back into what the record holds; lists become tuples."""
        return tuples(value)


def tuples(value: Any) -> Any:
    """Lists, as JSON has them, as the tuples that records hold."""
    return tuple(tuples(v) for v in value) if isinstance(value, list) else value
