"""Compile the kernels: once for each instruction set that is worth it, into one library that chooses when it is run.

That is kernels.cpp; every other .cpp beside it is compiled once.

Standard library alone: the build of the distribution runs this file by itself.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# No contraction: a product and a sum are rounded one after the other, as NumPy and torch do it.
COMMON = ("-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-fno-math-errno", "-pthread")
AVX512 = ("-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mavx512vpopcntdq", "-mprefer-vector-width=512")
SETS = {
    "portable": (),
    "popcnt": ("-mpopcnt",),
    "avx2": ("-mavx2", "-mpopcnt"),
    "avx512": ("-mavx2", "-mpopcnt", *AVX512),
}  # fmt: skip
COMPILERS = ("c++", "g++", "clang++")
SECONDS = 240.0


def library_of(folder: Path) -> Path:
    """Where the library lies, or would."""
    return folder / (
        "signs.dll" if sys.platform == "win32" else "libsigns.dylib" if sys.platform == "darwin" else "libsigns.so"
    )


def compiler() -> str | None:
    """The C++ compiler: that of the variable CXX, or the first on the path."""
    wanted = os.environ.get("CXX", "").split()
    return next((found for name in (*wanted[:1], *COMPILERS) if (found := shutil.which(name))), None)


def sets() -> dict[str, tuple[str, ...]]:
    """The instruction sets of this kind of machine, with the flags of each."""
    return SETS if platform.machine().lower() in ("x86_64", "amd64") else {"portable": ()}


def compiled(folder: Path, extra: Sequence[str] = (), out: Path | None = None) -> tuple[Path | None, str]:
    """The library made from the sources in `folder`, or None and why not. What is newer than its sources stays."""
    library = out or library_of(folder)
    sources = [*folder.glob("*.h"), *folder.glob("*.cpp"), Path(__file__)]
    if library.exists() and library.stat().st_mtime >= max(s.stat().st_mtime for s in sources):
        return library, ""
    found = compiler()
    if found is None:
        return None, f"no C++ compiler: {', '.join(COMPILERS)} are not on the path"
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        steps = [
            [found, *COMMON, *flags, *extra, f"-DNAME=kernels_{name}", "-c", str(folder / "kernels.cpp"), "-o", str(here / f"{name}.o")]
            for name, flags in sets().items()
        ]  # fmt: skip
        once = [source for source in sorted(folder.glob("*.cpp")) if source.name != "kernels.cpp"]
        steps += [[found, *COMMON, *extra, "-c", str(s), "-o", str(here / f"{s.stem}.o")] for s in once]
        made = here / library.name
        try:
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                list(pool.map(_run, steps))
            _run([found, "-shared", "-pthread", *extra, *[s[-1] for s in steps], "-o", str(made)])
        except (OSError, subprocess.SubprocessError) as problem:
            told = getattr(problem, "stderr", "") or str(problem)
            return None, f"{Path(found).name}: {told.strip().splitlines()[0][:200] if told.strip() else 'failed'}"
        part = library.with_name(f".{library.name}.{os.getpid()}")
        shutil.copyfile(made, part)
        part.replace(library)
    return library, ""


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)
