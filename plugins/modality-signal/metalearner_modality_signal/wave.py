"""RIFF WAVE recordings: PCM of 8, 16, 24 and 32 bits and floats of 32 and 64, to one channel. FLAC by `flac`.

The standard library's `wave` reads neither floats nor the extensible header, so the chunks are read here.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from . import flac

SUFFIXES = (".wav", ".flac")
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
FASTEST = 1_000_000  # Hz; a header that says more is damaged


class Unreadable(ValueError):
    """Why a recording cannot be used."""


@dataclass(frozen=True)
class Header:
    """Where the samples of a recording lie and how they are written."""

    rate: int
    channels: int
    bits: int
    floating: bool
    offset: int  # of the first sample, in bytes
    frames: int
    packed: bool = False  # FLAC: there are no plain samples


def header(file: BinaryIO) -> Header:
    """Read the chunks up to the samples; Unreadable says what is wrong, no samples at all included."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(12)
    if start[:4] == flac.MAGIC:
        return _packed(file)
    if len(start) < 12 or start[:4] != b"RIFF" or start[8:] != b"WAVE":
        raise Unreadable("empty file" if not start else "not a RIFF WAVE file")
    layout: tuple[int, int, int, int] | None = None
    while len(chunk := file.read(8)) == 8:
        name, length = chunk[:4], struct.unpack("<I", chunk[4:])[0]
        at = file.tell()
        if name == b"fmt ":
            layout = _format(file.read(min(length, 64)))
        elif name == b"data":
            if layout is None:
                raise Unreadable("the samples come before their format")
            kind, channels, rate, bits = layout
            frames = min(length, size - at) // (channels * bits // 8)  # a recording cut short keeps what it has
            if frames == 0:
                raise Unreadable("no samples")
            return Header(rate, channels, bits, kind == FLOAT, at, frames)
        file.seek(at + length + length % 2)
    raise Unreadable("no samples" if layout else "no format chunk")


def _packed(file: BinaryIO) -> Header:
    try:
        rate, channels, frames = flac.about(file)
    except ValueError as problem:
        raise Unreadable(str(problem)) from None
    if not frames or not channels or not 0 < rate <= FASTEST:
        raise Unreadable(f"{frames} frames of {channels} channels at {rate} Hz")
    return Header(rate, channels, 0, True, 0, frames, packed=True)


def _format(chunk: bytes) -> tuple[int, int, int, int]:
    """(PCM or FLOAT, channels, rate, bits) of a format chunk."""
    if len(chunk) < 16:
        raise Unreadable("the format chunk is cut short")
    kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", chunk[:16])
    if kind == EXTENSIBLE and len(chunk) >= 26:
        kind = struct.unpack("<H", chunk[24:26])[0]
    if (kind, bits) not in {(PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64)}:
        raise Unreadable(f"codec {kind} with {bits} bits is not read, only PCM and float")
    if not channels or not 0 < rate <= FASTEST:
        raise Unreadable(f"{channels} channels at {rate} Hz")
    return kind, channels, rate, bits


def samples(file: BinaryIO, head: Header, limit: int | None = None) -> np.ndarray:
    """The first `limit` samples, mean of the channels, float32 (frames,) in -1..1."""
    frames = head.frames if limit is None else min(head.frames, limit)
    if head.packed:
        return flac.samples(file, frames)
    file.seek(head.offset)
    raw = file.read(frames * head.channels * head.bits // 8)
    if head.floating:
        values = np.frombuffer(raw, dtype=f"<f{head.bits // 8}")
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    elif head.bits == 8:  # the one unsigned format
        values = (np.frombuffer(raw, dtype=np.uint8).astype(np.float64) - 128) / 128
    elif head.bits == 24:
        wide = np.zeros((len(raw) // 3, 4), dtype=np.uint8)
        wide[:, 1:] = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 3)
        values = wide.view("<i4")[:, 0] / 2.0**31
    else:
        values = np.frombuffer(raw, dtype=f"<i{head.bits // 8}") / 2.0 ** (head.bits - 1)
    return values.reshape(-1, head.channels).mean(axis=1).astype(np.float32)
