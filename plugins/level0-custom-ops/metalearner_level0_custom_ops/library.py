"""The compiled kernels, read through ctypes: which there are, and which instruction set they run on."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_float, c_int, c_int32, c_int64, c_uint8, c_uint64, c_void_p
from functools import cache
from pathlib import Path

from .compiling import compiler, library_of

NATIVE = Path(__file__).parent / "native"
SETS = ("portable", "popcnt", "AVX2", "AVX-512 VPOPCNTDQ")


class Sink(ctypes.Structure):
    """Where products go, as bits.h has it."""

    _fields_ = [
        ("whole", c_void_p), ("real", c_void_p), ("bits", c_void_p), ("scale", c_void_p), ("bias", c_void_p),
        ("least", c_void_p), ("flip", c_void_p), ("stride", c_int64), ("first", c_int64),
    ]  # fmt: skip


class Shape(ctypes.Structure):
    """A convolution, as bits.h has it."""

    _fields_ = [
        ("height", c_int64), ("width", c_int64), ("groups", c_int64), ("channels", c_int64), ("outputs", c_int64),
        ("kernel", c_int64 * 2), ("stride", c_int64 * 2), ("pad", c_int64 * 2), ("dilation", c_int64 * 2),
    ]  # fmt: skip


# Name: what it returns, what it takes.
FUNCTIONS = {
    "signs_set": (c_int, []),
    "signs_choose": (c_int, [c_int]),
    "signs_pack": (None, [c_void_p, c_void_p, c_int64, c_int64, c_int64, c_void_p]),
    "signs_panels": (None, [c_void_p, c_int64, c_int64, c_void_p]),
    "signs_multiply": (None, [c_void_p, c_void_p, c_int64, c_int64, c_int64, c_int32, POINTER(Sink), c_int]),
    "signs_burn": (None, [c_void_p, c_void_p, c_int64, c_int64, c_void_p]),
    "signs_convolve": (c_int, [c_void_p, c_void_p, POINTER(Shape), c_int64, POINTER(Sink), c_int]),
    "shift_multiply": (None, [c_void_p, c_void_p, c_int64, c_int64, c_int64, c_void_p]),
    "program_run": (
        c_int,
        [c_void_p, c_void_p, c_int64, c_int64, c_void_p, c_void_p, c_void_p, c_int64, c_void_p],
    ),
}  # fmt: skip
__all__ = ["SETS", "Shape", "Sink", "about", "c_float", "c_uint8", "c_uint64", "chosen", "kernels", "load"]


def load(file: Path) -> ctypes.CDLL:
    """The library in a file, its functions typed. Raises OSError where it cannot be loaded or lacks one."""
    found = ctypes.CDLL(str(file))
    for name, (gives, takes) in FUNCTIONS.items():
        try:
            function = getattr(found, name)
        except AttributeError as problem:
            raise OSError(f"{file.name} has no '{name}': it was made from other sources") from problem
        function.restype, function.argtypes = gives, takes
    return found


@cache
def _opened() -> tuple[ctypes.CDLL | None, str]:
    file = library_of(NATIVE)
    if not file.exists():
        return None, "was not compiled" if compiler() else "was not compiled, for there was no C++ compiler"
    try:
        return load(file), ""
    except OSError as problem:
        return None, str(problem)


def kernels() -> ctypes.CDLL | None:
    """The library, None where there is none; NumPy does the same then, much more slowly."""
    return _opened()[0]


def chosen() -> str:
    """The instruction set that is used; "NumPy" where there is no library."""
    found = kernels()
    return SETS[found.signs_set()] if found else "NumPy"


def about() -> tuple[bool, str]:
    """Whether the kernels are here, and a line about them for people."""
    found, reason = _opened()
    if found is None:
        return False, f"NumPy: the library {reason}"
    return True, f"compiled, running on {chosen()}"
