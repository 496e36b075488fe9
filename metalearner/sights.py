"""What the probes have to show of the data of a run, for a page: without torch."""

from __future__ import annotations

from pathlib import Path

from . import plugins
from .dataset import Dataset
from .describe import sights
from .kinds import Sight
from .setting import Setting


def look_at(run: Path) -> list[Sight]:
    """Sights of the prepared data in a run's folder."""
    setting = Setting(Dataset.open(run / "data"), plugins.load())
    return sights(setting.dataset, setting.transform, setting.registry.probes.values())
