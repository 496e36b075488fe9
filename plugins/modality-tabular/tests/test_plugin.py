"""The plugin comes in through its hooks, and is light until it is used."""

from __future__ import annotations

import subprocess
import sys

from metalearner import plugins


def test_the_plugin_registers_what_it_brings() -> None:
    registry = plugins.load(only=["modality-tabular"])
    assert registry.get("modalities", "tabular").transform == "table-scaling"
    assert registry.get("transforms", "table-scaling").name == "table-scaling"
    assert not any(plugin.failure for plugin in registry.plugins if plugin.name == "modality-tabular")


def test_registering_imports_nothing_heavy() -> None:
    code = (
        "import sys, metalearner_modality_tabular as m; m.register_modalities(); m.register_transforms();"
        "print([n for n in ('pandas', 'torch', 'pyarrow', 'sklearn') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
