"""What a model may take, from options and from the sentence: "under 1 MB", "at most 5 ms"."""

from __future__ import annotations

import re

from ..errors import TaskError
from ..records import Limits

SIZES = {"b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
TIMES = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
# Seconds are left out: a sentence that speaks of them mostly speaks of the data.
SAID = re.compile(
    r"\b(?:under|below|at most|less than|smaller than|no more than|up to|within|faster than)\s+"
    r"(\d+(?:\.\d+)?)\s*(kb|mb|gb|kib|mib|gib|ms|us|µs|milliseconds?|microseconds?)\b"
)


def limits(size: str | None, latency: str | None, sentence: str) -> Limits:
    """What is named outright, else what the sentence says. Raises TaskError where it is not understood."""
    said: dict[str, float] = {}
    for number, unit in SAID.findall(sentence.lower()):
        unit = {"mil": "ms", "mic": "us"}.get(unit[:3], unit)
        kind, known = ("size", SIZES) if unit in SIZES else ("latency", TIMES)
        said.setdefault(kind, float(number) * known[unit])
    if size is not None:
        said["size"] = _parsed("--max-size", size, SIZES, '"200kB" or "1MB"')
    if latency is not None:
        said["latency"] = _parsed("--max-latency", latency, TIMES, '"1ms" or "50us"')
    return Limits(int(said["size"]) if "size" in said else None, said.get("latency"))


def _parsed(option: str, text: str, units: dict[str, float], example: str) -> float:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zµ]+)\s*", text.lower())
    if not found or found[2] not in units or float(found[1]) <= 0:
        raise TaskError(
            f"{option} '{text}' is not understood.",
            f"A number above 0 and one of {', '.join(units)}.",
            f"{option} {example}",
        )
    return float(found[1]) * units[found[2]]
