"""What a backbone says of rows: computed once for each row, whatever trial, worker or later run asks."""

from __future__ import annotations

import math
import threading
import time
from collections import ChainMap, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
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
# Multiples of it, modulo 1, lie as evenly as any.
GOLDEN = (math.sqrt(5) - 1) / 2
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

    def refresh(self, keys: Iterable[bytes]) -> None:
        """Nobody else writes here."""

    def first(self) -> AbstractContextManager[bool]:
        """Nor reads for it."""
        return nullcontext(True)

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

        What is not to be kept, rows that somebody wants predicted, stays out of files; `trim` forgets it.
        """
        known, keys = self._known(), self._keys(raw)
        known.refresh(keys)
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        todo = [first[key] for key in sorted(first) if key not in known.known]  # by digest: by chance, alike for all
        if todo:
            todo.sort(key=lambda i: -_length(raw, i))
            with known.first() if keep else nullcontext(True) as alone:
                self._lower_all(raw, keys, np.array(todo), known, deadline, keep, alone)
        return np.array([key in known.known for key in keys], bool)

    def trim(self) -> None:
        """Forget rows that somebody wanted predicted, as soon as they are many."""
        passing = self._known().passing
        if len(passing) > (MANY_STATES if self.tuned else MANY):
            passing.clear()

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
        known, keys = self._known(), self._keys(raw)
        known.refresh(keys)
        return len({key for key in keys if key not in known.known})

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
    def untouched(self) -> bool:
        """Whether rows are tuned on as they were prepared, with nothing below."""
        return bool(getattr(self.pretrained.lower(self.tuned, self.numbers), "untouched", False))

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
        forwards: bool,
    ) -> None:
        """`rows` are positions of those to be read, the longest first; who does not go forwards meets who does."""
        with brought(self.pretrained.lower(self.tuned, self.numbers).eval(), len(rows)) as (lower, device):
            at_once = AT_ONCE if device == "cpu" else AT_ONCE_THERE
            batches = dealt(rows, at_once)[:: 1 if forwards else -1]
            for at in range(0, len(batches), CHUNK // at_once):
                chunk = batches[at : at + CHUNK // at_once]
                known.refresh([keys[i] for batch in chunk for i in batch])
                done: list[int] = []
                found: list[np.ndarray] = []
                began, late = time.monotonic(), False
                for batch in chunk:
                    late = time.monotonic() > deadline
                    if late:
                        break
                    left = [i for i in batch if keys[i] not in known.known]
                    found += self._lower([view[left] for view in raw], lower, device) if left else []
                    done += left
                if done:
                    known.add([keys[i] for i in done], found, time.monotonic() - began, keep)
                if late:
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


def dealt(rows: np.ndarray, batch: int) -> list[list[int]]:
    """Batches of rows that are sorted by length, in an order of which every beginning holds all lengths alike.

    So what was read when time is up is a sample, and rows of one length still pass through together.

    >>> dealt(np.arange(8), 1)
    [[0], [5], [2], [7], [4], [1], [6], [3]]
    """
    batches = np.split(rows, range(batch, len(rows), batch))
    return [batches[i].tolist() for i in np.argsort(np.arange(len(batches)) * GOLDEN % 1)]


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
