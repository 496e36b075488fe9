"""Compile the kernels while the distribution is built, editable or not. Where they cannot be, NumPy does their work."""

from __future__ import annotations

import sysconfig
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "metalearner_level0_custom_ops"


class Kernels(BuildHookInterface):
    """Leaves the library beside its sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """The wheel is one for this platform where it holds a library, any Python 3 and no torch being needed to load it."""
        folder = Path(self.root) / PACKAGE
        spec = spec_from_file_location("compiling", folder / "compiling.py")
        assert spec and spec.loader
        compiling = module_from_spec(spec)
        spec.loader.exec_module(compiling)
        library, reason = compiling.compiled(folder / "native")
        if library is None:
            self.app.display_warning(f"{PACKAGE}: no kernels, NumPy will do their work: {reason}")
            return
        build_data["artifacts"].append(f"{PACKAGE}/native/{library.name}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
