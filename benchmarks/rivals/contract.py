"""What a rival is given, what it gives back, and what is measured on the way: the same for each of them.

`python SCRIPT FOLDER`: the folder holds job.json and the files it names; predictions.csv and report.json are written
beside them. Runs in each rival's own environment, so it needs nothing but NumPy and pandas.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import wave
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

REPEATS = 20  # single rows; the median counts
SOUND_SAMPLES = 8000  # recordings are brought to one second


@dataclass(frozen=True)
class Job:
    """One data set for one method: what it may know."""

    folder: Path
    kind: str  # "table", "series", "picture" or "sound"
    task: str  # "classification" or "regression"
    target: str  # the column of a table; "" elsewhere
    sentence: str
    metric: str  # "accuracy" or "r2"
    seconds: float
    cores: int
    seed: int
    variant: str
    train: Path
    test: Path
    row: Path  # the first test row alone

    @classmethod
    def read(cls, folder: Path) -> Job:
        """The job of a folder; its files are named from there."""
        said = json.loads((folder / "job.json").read_text())
        places = {k: folder / said.pop(k) for k in ("train", "test", "row")}
        return cls(folder=folder, **places, **said)

    @property
    def classes(self) -> bool:
        """Whether classes are asked for, not numbers."""
        return self.task == "classification"

    def load(self, path: Path) -> Any:
        """A table as a frame; everything else stays a path."""
        return table(path) if self.kind == "table" else path

    def table(self) -> tuple[pd.DataFrame, pd.Series]:
        """The training rows of a table and their target: classes as text, numbers as numbers."""
        rows = table(self.train)
        target = rows.pop(self.target)
        return rows, target.astype(str) if self.classes else target.astype(float)


class Rival:
    """A method: it learns within the seconds, predicts rows, and saves what predicting needs."""

    package: ClassVar[str] = ""  # the distribution whose version is reported

    def warm(self, job: Job) -> None:
        """What a user pays once and not once a data set, such as compiling."""

    def fit(self, job: Job) -> None:
        """Learn from `job.train`, within `job.seconds`."""
        raise NotImplementedError

    def predict(self, rows: Any) -> pd.DataFrame:
        """`prediction`, and for classes `p_<class>`: of a frame, or of a path where the data are no table."""
        raise NotImplementedError

    def save(self, folder: Path) -> Path:
        """Write what predicting needs into an empty folder, and say which file or folder that is."""
        raise NotImplementedError


def compete(rival: Rival) -> None:
    """Fit, predict, time single rows, save, and report."""
    job = Job.read(Path(sys.argv[1]))
    rival.warm(job)
    start = time.monotonic()
    rival.fit(job)
    seconds = time.monotonic() - start
    rival.predict(job.load(job.test)).to_csv(job.folder / "predictions.csv", index=False)
    one = job.load(job.row)
    times = []
    for _ in range(REPEATS + 3):  # three to warm up
        start = time.monotonic()
        rival.predict(one)
        times.append(time.monotonic() - start)
    place = job.folder / "model"
    place.mkdir()
    report = {
        "fit_seconds": round(seconds, 2),
        "row_ms": round(1000 * statistics.median(times[3:]), 3),
        "bytes": size(rival.save(place)),
        "version": version(rival.package) if rival.package else "",
    }
    (job.folder / "report.json").write_text(json.dumps(report))


def table(path: Path) -> pd.DataFrame:
    """A CSV in which an empty cell, and nothing else, is a missing value."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def answer(classes: Any, probabilities: np.ndarray, prediction: Any = None) -> pd.DataFrame:
    """Class probabilities (n, k) as the columns that are scored."""
    names = [str(c) for c in classes]
    found = {f"p_{name}": probabilities[:, i] for i, name in enumerate(names)}
    best = np.array(names)[probabilities.argmax(axis=1)] if prediction is None else np.asarray(prediction).astype(str)
    return pd.DataFrame({"prediction": best, **found})


def size(place: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(p.stat().st_size for p in ([place] if place.is_file() else place.rglob("*")) if p.is_file())


def series(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Series (channels, steps) of a `.ts` file, and their labels; "" where it has none."""
    head, _, body = path.read_text().partition("@data")
    labelled = "@classlabel true" in head.lower()
    found, labels = [], []
    for line in body.strip().splitlines():
        channels = line.strip().split(":")
        labels.append(channels.pop().strip() if labelled else "")
        found.append(np.array([[float(v) for v in c.split(",")] for c in channels], np.float32))
    return found, np.array(labels)


def pictures(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, channels, height, width) in 0..1 of an NPZ, and their labels."""
    with np.load(path, allow_pickle=False) as held:
        images = held["images"].astype(np.float32) / 255
        labels = held["labels"] if "labels" in held else np.full(len(images), "")
    return images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2), labels


def sounds(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """One second (n, SOUND_SAMPLES) of each recording, cut or filled with silence, and the names of their folders."""
    files = sorted(folder.rglob("*.wav"))
    found = np.zeros((len(files), SOUND_SAMPLES), np.float32)
    for i, file in enumerate(files):
        with wave.open(str(file)) as recording:
            samples = np.frombuffer(recording.readframes(SOUND_SAMPLES), "<i2")
        found[i, : len(samples)] = samples / 32768
    return found, np.array([f.parent.name for f in files])


def padded(rows: list[np.ndarray], steps: int = 0) -> np.ndarray:
    """Series of unequal length as (n, channels, steps), cut or filled with zeros; 0 steps: as the longest."""
    steps = steps or max(r.shape[1] for r in rows)
    found = np.zeros((len(rows), rows[0].shape[0], steps), np.float32)
    for i, row in enumerate(rows):
        found[i, :, : row.shape[1]] = row[:, :steps]
    return found
