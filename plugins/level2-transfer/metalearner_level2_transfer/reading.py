"""What a backbone says of rows: computed once for each row, whatever trial, worker or later run asks."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import ChainMap, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from metalearner import accelerator
from metalearner.arrays import Tensor
from metalearner.errors import Pruned
from metalearner.kinds import Backbone, Pretrained

from .store import Store, folder_key, row_keys, tidy

# Rows that pass through a backbone at once, and rows between two looks at what others have written.
AT_ONCE, CHUNK = 32, 256
# Bytes of inner states that a process keeps, and of one fit's at most: they are wider than features and stay in memory.
KEPT, MOST = 1.5e9, 1.2e9
# Rows that are remembered of those that somebody wanted predicted: features, and the wider states.
MANY, MANY_STATES = 20_000, 4_000
# Of the time there is, what reading may take: the rest belongs to the fit.
SHARE = 0.8
# Reading is begun though it will not be done in time, where a few tries will do: what was read stays known.
HOPEFUL = 3.0
# The number of a backbone that says how much of a row is read; of most texts that is all, whatever it is.
LENGTH = "length"
# Floating-point operations a second of one core, a cautious guess for what was never timed; and of an accelerator.
FLOPS, FLOPS_THERE = 5e10, 2e12
# Rows from which on it pays to bring a backbone to the accelerator, and rows that pass through it at once there.
WORTH, AT_ONCE_THERE = 64, 128
# Fewer training rows than this are no fit.
FEWEST = 200

_opened: OrderedDict[str, Pretrained] = OrderedDict()
_opening = threading.RLock()  # a worker warms up beside what it fits, and transformers cannot be imported twice at once
_states: OrderedDict[str, States] = OrderedDict()


@dataclass
class States:
    """Inner states by row, in memory alone."""

    saved: dict[bytes, np.ndarray] = field(default_factory=dict)
    passing: dict[bytes, np.ndarray] = field(default_factory=dict)
    size: int = 0  # bytes of what is saved
    rows: int = 0
    seconds: float = 0.0  # how long reading them took

    def __post_init__(self) -> None:
        self.known = ChainMap(self.saved, self.passing)

    def refresh(self) -> None:
        """Nobody else writes here."""

    def add(self, keys: Sequence[bytes], rows: Sequence[np.ndarray], seconds: float, keep: bool = True) -> None:
        """Remember rows, each without what it was filled up with."""
        self.rows, self.seconds = self.rows + len(keys), self.seconds + seconds
        (self.saved if keep else self.passing).update(zip(keys, rows))
        self.size += sum(row.nbytes for row in rows) if keep else 0


@dataclass(frozen=True)
class Reader:
    """A backbone at one setting, below its last `tuned` layers."""

    backbone: Backbone
    numbers: Mapping[str, Any]
    tuned: int = 0

    @property
    def pretrained(self) -> Pretrained:
        """Its weights, read once a process."""
        return opened(self.backbone)

    @property
    def key(self) -> str:
        """What is the same for all that would read rows alike."""
        return folder_key(self._about)

    @property
    def _about(self) -> dict[str, object]:
        return {
            "backbone": self.backbone.name, "weights": self.backbone.identity(), "tuned": self.tuned, "half": half_precision(),
            "numbers": {k: v for k, v in self.numbers.items() if k != LENGTH},
        }  # fmt: skip

    def _keys(self, raw: Sequence[np.ndarray]) -> list[bytes]:
        """What tells rows apart at this setting."""
        return row_keys(raw, self.numbers.get(LENGTH))

    def read(self, raw: Sequence[np.ndarray], deadline: float = math.inf, keep: bool = True) -> np.ndarray:
        """Read rows until the deadline; which of them (n,) are known then. Others may read the same rows meanwhile.

        What is not to be kept, rows that somebody wants predicted, stays out of files, and out of memory as soon as it is much.
        """
        known = self._known()
        if len(known.passing) > (MANY_STATES if self.tuned else MANY):
            known.passing.clear()
        known.refresh()
        keys = self._keys(raw)
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        todo = np.array(sorted(i for key, i in first.items() if key not in known.known), int)
        if len(todo):
            todo = todo[np.argsort([-_length(raw, int(i)) for i in todo], kind="stable")]
            if os.getpid() % 2:  # two that read the same rows meet in the middle
                todo = todo[::-1]
            self._lower_all(raw, keys, todo, known, deadline, keep)
        return np.array([key in known.known for key in keys], bool)

    @property
    def row_seconds(self) -> float:
        """What reading a row takes: as it was so far, else by the work there is."""
        known = self._known()
        if known.rows:
            return known.seconds / known.rows
        return (
            2
            * self.backbone.multiply_adds
            * (1 - self.tuned / (self.backbone.layers + 1))
            / (FLOPS_THERE if accelerator.device() else FLOPS)
        )

    def unknown(self, raw: Sequence[np.ndarray]) -> int:
        """How many of these rows nobody has read yet."""
        known = self._known()
        known.refresh()
        return len({key for key in self._keys(raw) if key not in known.known})

    def tensor(self, raw: Sequence[np.ndarray]) -> Tensor:
        """What was read of rows: features float32 (n, width), or states (n, ...) with a mask where they are ragged."""
        known = self._known().known
        rows = [known[key] for key in self._keys(raw)]
        if not self.tuned:
            values = np.stack(rows) if rows else np.zeros((0, self.backbone.width))
            return Tensor(values.astype(np.float32)[:, :, None])
        if not self._ragged:
            return Tensor(np.stack(rows))
        longest = max(map(len, rows))
        values = np.zeros((len(rows), longest, *rows[0].shape[1:]), rows[0].dtype)
        mask = np.zeros((len(rows), longest), bool)
        for i, row in enumerate(rows):
            values[i, : len(row)], mask[i, : len(row)] = row, True
        return Tensor(values, mask=mask)

    @property
    def _ragged(self) -> bool:
        return self.backbone.raw in ("text", "wave")

    def _known(self) -> Store | States:
        if not self.tuned:
            if self.key not in _stores:
                _stores[self.key] = Store(self.key, self._about)
            return _stores[self.key]
        found = _states.setdefault(self.key, States())
        _states.move_to_end(self.key)
        while sum(s.size for s in _states.values()) > KEPT and len(_states) > 1:
            _states.popitem(last=False)
        return found

    def _lower_all(
        self,
        raw: Sequence[np.ndarray],
        keys: Sequence[bytes],
        rows: np.ndarray,
        known: Store | States,
        deadline: float,
        keep: bool,
    ) -> None:
        with brought(self.pretrained.lower(self.tuned, self.numbers).eval(), len(rows)) as (lower, device):
            at_once = AT_ONCE if device == "cpu" else AT_ONCE_THERE
            for at in range(0, len(rows), CHUNK):
                known.refresh()
                chunk = [int(i) for i in rows[at : at + CHUNK] if keys[int(i)] not in known.known]
                done: list[int] = []
                found: list[np.ndarray] = []
                began = time.monotonic()
                for start in range(0, len(chunk), at_once):
                    if time.monotonic() > deadline:
                        break
                    batch = chunk[start : start + at_once]
                    found += self._lower([view[batch] for view in raw], lower, device)
                    done += batch
                if done:
                    known.add([keys[i] for i in done], found, time.monotonic() - began, keep)
                if len(done) < len(chunk):
                    return
                whole = known.size / max(1, len(known.saved)) * len(keys) if isinstance(known, States) else 0
                if whole > MOST:
                    raise Pruned(f"inner states of {len(keys)} rows would take {whole / 1e9:.1f} GB")

    def _lower(self, raw: Sequence[np.ndarray], lower: torch.nn.Module, device: str) -> list[np.ndarray]:
        given = self.pretrained.prepare(raw, self.numbers)
        values = torch.from_numpy(np.ascontiguousarray(given.values, np.float32)).to(device)
        mask = None if given.mask is None else torch.from_numpy(given.mask).to(device)
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=half_precision()):
            state, inside = lower(values, mask)
        found = state.float().cpu().numpy().astype(np.float32 if getattr(lower, "exact", False) else np.float16)
        if inside is None or not self.tuned:
            return list(found)
        return [row[: int(many)].copy() for row, many in zip(found, inside.sum(1))]


_stores: dict[str, Store] = {}


@contextmanager
def brought(module: torch.nn.Module, rows: int) -> Iterator[tuple[torch.nn.Module, str]]:
    """A module where it reads so many rows fastest, and where that is; afterwards it is back, for others hold its weights."""
    device = accelerator.device() if rows >= WORTH else None
    if device is None:
        yield module, "cpu"
        return
    try:
        yield module.to(device), device
    finally:
        module.cpu()


def opened(backbone: Backbone) -> Pretrained:
    """The weights of a backbone, read once a process; of the last two that were asked for."""
    key = backbone.identity()
    with _opening:
        if key not in _opened:
            _opened[key] = backbone.load()
            tidy()
        _opened.move_to_end(key)
        while len(_opened) > 2:
            _opened.popitem(last=False)
        return _opened[key]


def half_precision() -> bool:
    """Whether this CPU multiplies bfloat16 faster than float32: where it only can, it is slower."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _length(raw: Sequence[np.ndarray], row: int) -> int:
    """Bytes of a text; pictures are all alike."""
    return sum(int(np.count_nonzero(view[row])) if view.ndim == 2 else 1 for view in raw)
