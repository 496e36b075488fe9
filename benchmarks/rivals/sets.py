"""Which data are measured, and how they are cut into what a method learns from and what it is judged on.

The tables were chosen before any result was seen, by this rule: real data (no rule, game or simulation made the rows),
158 to 20,640 rows, at least five input columns, one table a source; UCI's with a licence first; both kinds of task; some with
numbers only, some with categories only, some with both, some with missing values; half of them (CLASSES from satimage on,
NUMBERS from california-housing on) without any record in the knowledge base at the time of choosing.
"""

from __future__ import annotations

import gzip
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from metalearner.sources import catalogue, fetchers

CLASSES = (
    "credit-g", "sick", "colic", "cmc", "vehicle", "spambase", "heart-c",
    "satimage", "letter", "splice", "credit-a", "cylinder-bands", "breast-recurrence", "eucalyptus",
)  # fmt: skip
NUMBERS = (
    "abalone",
    "auto-mpg",
    "cpu-small",
    "diabetes",
    "california-housing",
    "wind",
    "space-ga",
    "wages",
    "fish-catch",
)
SERIES = (
    "gunpoint",
    "italy-power",
    "arrow-head",
    "basic-motions",
    "japanese-vowels",
    "osu-leaf",
    "acsf1",
    "pickup-gesture",
)
TEST = 0.3  # of a table's rows; small tables would else be judged on a handful
LONG = 5  # times the seconds for pictures and sound
FASHION_ROWS = 6000


@dataclass(frozen=True)
class Set:
    """A data set to be measured."""

    name: str
    kind: str
    task: str = "classification"
    times: int = 1  # so many times the seconds

    @property
    def metric(self) -> str:
        return "accuracy" if self.task == "classification" else "r2"


SETS = {s.name: s for s in (
    *(Set(n, "table") for n in CLASSES),
    *(Set(n, "table", "regression") for n in NUMBERS),
    *(Set(n, "series") for n in SERIES),
    Set("fashion", "picture", times=LONG), Set("cifar10", "picture", times=LONG), Set("spoken-digits", "sound", times=LONG),
)}  # fmt: skip


@dataclass(frozen=True)
class Cut:
    """The files a method may see, named from the job's folder, and what only the judge knows."""

    train: str
    test: str
    row: str
    target: str
    sentence: str
    known: np.ndarray  # the target of the training rows
    truth: np.ndarray  # and of the test rows


def cut(chosen: Set, seed: int, folder: Path) -> Cut:
    """Write training rows, test rows without their target, and the first of these alone, into `folder`.

    Training rows lie under the name of the set, so that a method that remembers past runs can be told to forget it.
    """
    return {"table": _table, "series": _series, "picture": _pictures, "sound": _sounds}[chosen.kind](
        chosen, seed, folder
    )


def _table(chosen: Set, seed: int, folder: Path) -> Cut:
    """A random share of the rows; where classes allow it, each in its share. Cells stay the text they were."""
    card = catalogue.cards()[chosen.name]
    rows = pd.read_csv(catalogue.materialise(card), dtype=str, keep_default_na=False)
    rows = rows[rows[card.target] != ""]
    target = rows[card.target]
    even = target if chosen.task == "classification" and target.value_counts().min() > 1 else None
    train, test = train_test_split(rows, test_size=TEST, random_state=seed, stratify=even)
    train.to_csv(folder / f"{chosen.name}.csv", index=False)
    blind = test.drop(columns=card.target)
    blind.to_csv(folder / "test.csv", index=False)
    blind.head(1).to_csv(folder / "row.csv", index=False)
    kind = str if chosen.task == "classification" else float
    return Cut(f"{chosen.name}.csv", "test.csv", "row.csv", card.target, card.sentence,
               train[card.target].to_numpy(kind), test[card.target].to_numpy(kind))  # fmt: skip


def _series(chosen: Set, seed: int, folder: Path) -> Cut:
    """The archive's own training and test files; the seed is only the method's."""
    card = catalogue.cards()[chosen.name]
    place = catalogue.materialise(card)
    train, test = next(place.glob("*_TRAIN.ts")), next(place.glob("*_TEST.ts"))
    shutil.copy(train, folder / f"{chosen.name}.ts")
    head, _, body = test.read_text().partition("@data")
    lines = body.strip().splitlines()
    kept = [line for line in head.splitlines() if not line.lower().startswith("@classlabel")]
    blind = [line.rpartition(":")[0] for line in lines]
    for name, part in (("test.ts", blind), ("row.ts", blind[:1])):
        (folder / name).write_text("\n".join([*kept, "@classLabel false", "@data", *part]) + "\n")
    known = [line.rpartition(":")[2].strip() for line in train.read_text().partition("@data")[2].strip().splitlines()]
    truth = [line.rpartition(":")[2].strip() for line in lines]
    return Cut(f"{chosen.name}.ts", "test.ts", "row.ts", "", card.sentence, np.array(known), np.array(truth))


def _pictures(chosen: Set, seed: int, folder: Path) -> Cut:
    """The source's own training and test parts, with class names; of Fashion-MNIST a random FASHION_ROWS to learn from."""
    if chosen.name == "fashion":
        x, y = _bytes("train")
        rows = np.random.default_rng(seed).permutation(len(x))[:FASHION_ROWS]
        x, y, (x_test, y_test) = x[rows], y[rows], _bytes("t10k")
    else:
        with np.load(fetchers.shared("cifar10_jpg_5k_2k.npz"), allow_pickle=False) as held:
            x, x_test = held["x_train"], held["x_test"]
            y, y_test = held["classes"][held["y_train"].ravel()], held["classes"][held["y_test"].ravel()]
    np.savez(folder / f"{chosen.name}.npz", images=x, labels=y)
    np.savez(folder / "test.npz", images=x_test)
    np.savez(folder / "row.npz", images=x_test[:1])
    return Cut(f"{chosen.name}.npz", "test.npz", "row.npz", "", catalogue.cards()[chosen.name].sentence, y, y_test)


def _bytes(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, 28, 28) and labels of one part of Fashion-MNIST, as Debian packs it."""
    place = Path("/usr/share/datasets/fashion-mnist")
    pixels = gzip.decompress((place / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((place / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    words = np.array([f"class-{c}" for c in range(10)])
    return np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28), words[
        np.frombuffer(labels, np.uint8, offset=8)
    ]


def _sounds(chosen: Set, seed: int, folder: Path) -> Cut:
    """A random fifth of the recordings to be judged on: the same speakers are in both parts."""
    with zipfile.ZipFile(fetchers.shared("fsdd_wav.zip")) as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".wav"))
        labels = np.array([Path(n).name.partition("_")[0] for n in names])
        train, test = train_test_split(np.arange(len(names)), test_size=0.2, random_state=seed, stratify=labels)
        for i in train:
            _write(folder / chosen.name / labels[i] / Path(names[i]).name, archive.read(names[i]))
        for at, i in enumerate(test):  # names say the digit
            _write(folder / "test" / f"{at:05d}.wav", archive.read(names[i]))
    _write(folder / "row" / "00000.wav", (folder / "test" / "00000.wav").read_bytes())
    sentence = catalogue.cards()[chosen.name].sentence
    return Cut(chosen.name, "test", "row", "", sentence, labels[train], labels[test])


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
