"""Rows of several kinds of data: who reads what, what is missing or broken, how views are fused."""

from __future__ import annotations

import base64
import json
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from metalearner_modality_multimodal.fusion import FAMILIES, Attend, Fused, Gate, network
from metalearner_modality_multimodal.modules import Attentive, Gated
from metalearner_modality_multimodal.parts import flag
from PIL import Image

import metalearner
from metalearner import plugins
from metalearner.arrays import Fields, Ragged
from metalearner.data import read
from metalearner.errors import DataError
from metalearner.kinds import Aim
from metalearner.outputs import METRICS, OUTPUTS
from metalearner.records import Axis, Config, View
from metalearner.testing import check_modality, check_production, check_transform

REGISTRY = plugins.load()
MODALITY, TRANSFORM = REGISTRY.modalities["multimodal"], REGISTRY.transforms["multimodal"]
WORDS = ["roomy", "kitchen", "garden", "bright", "quiet", "street", "old", "new", "with", "and", "near", "park"]


def picture(light, size=12, seed=0):
    noise = np.random.default_rng(seed).integers(0, 60, (size, size, 3))
    return Image.fromarray((noise + light).astype(np.uint8))


def base64_of(shown):
    file = BytesIO()
    shown.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def house_rows(folder, n=60, seed=0):
    """Each of three fields tells a third of the price: an area, how light a picture is, a word of the text."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        light, area, park = int(rng.integers(0, 180)), float(rng.uniform(50, 200)), bool(rng.integers(2))
        picture(light, seed=i).save(folder / f"{i}.png")
        words = [*rng.choice(WORDS[:-1], 7), "park" if park else "motorway"]
        price = area / 50 + light / 60 + 3 * park
        rows.append({"photo": f"{i}.png", "about": " ".join(words), "area": round(area, 1), "price": round(price, 3)})
    return rows


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    folder = tmp_path_factory.mktemp("houses")
    pd.DataFrame(house_rows(folder)).to_csv(folder / "houses.csv", index=False)
    return folder / "houses.csv"


def test_each_column_is_read_by_its_own(houses):
    schema = check_modality(MODALITY, houses)
    assert {c.name: c.kind for c in schema.columns} == {
        "photo": "array", "about": "text", "area": "number", "price": "number",
    }  # fmt: skip
    reading = read(houses, REGISTRY.modalities)
    assert reading.modality.name == "multimodal"
    assert reading.fields["photo"].shape == (60, 12, 12, 3) and isinstance(reading.fields["about"], Ragged)
    check_transform(TRANSFORM, reading.fields.without("price"), reading.schema.without("price"))
    state = TRANSFORM.fit(reading.fields.without("price"), reading.schema.without("price"))
    views = TRANSFORM.views(state)
    assert {n: v.raw for n, v in views.items()} == {"photo": "pixels", "about": "text", "table": ""}
    assert set(MODALITY.views(reading.schema.without("price"))) == set(views)
    features = MODALITY.features(reading.fields, reading.schema)
    assert any(name.startswith("photo: ") for name in features) and "area" in features


@pytest.mark.parametrize("columns", [["about", "price"], ["area", "price"], ["photo", "price"]], ids="+".join)
def test_one_kind_beside_the_target_is_left_to_its_own(houses, columns):
    frame = pd.read_csv(houses)[columns]
    frame.to_csv(houses.parent / "part.csv", index=False)
    assert MODALITY.sniff(houses.parent / "part.csv") is None


@pytest.mark.parametrize("form", ["jsonl", "parquet", "frame"])
def test_other_forms_of_table(houses, form):
    frame = pd.read_csv(houses)
    if form == "frame":
        source = frame.assign(photo=[str(houses.parent / name) for name in frame["photo"]])
    else:
        source = houses.parent / f"houses.{form}"
        frame.to_json(source, orient="records", lines=True) if form == "jsonl" else frame.to_parquet(source)
    reading = read(source, REGISTRY.modalities)
    assert reading.modality.name == "multimodal" and reading.fields["photo"].shape == (60, 12, 12, 3)


def test_what_is_missing_is_empty_and_said(houses, tmp_path):
    rows = house_rows(tmp_path)
    for i in range(0, 60, 4):
        rows[i]["photo"] = ""
    rows[1]["about"] = None
    pd.DataFrame(rows).to_csv(tmp_path / "gaps.csv", index=False)
    reading = read(tmp_path / "gaps.csv", REGISTRY.modalities)
    column = reading.schema.column("photo")
    assert column.missing == pytest.approx(0.25) and flag("photo") in reading.schema.names
    assert not reading.fields["photo"][0].any() and reading.fields["photo"][1].any()
    assert reading.fields[flag("photo")][:4].tolist() == [0, 1, 1, 1]
    assert len(reading.fields["about"][1]) == 0


def test_a_few_broken_pictures_count_as_missing_many_do_not(tmp_path):
    rows = house_rows(tmp_path)
    pd.DataFrame(rows).to_csv(tmp_path / "h.csv", index=False)
    schema = MODALITY.sniff(tmp_path / "h.csv")
    (tmp_path / "3.png").write_bytes(b"no picture")
    fields = Fields.concat(list(MODALITY.decode(tmp_path / "h.csv", schema)))
    assert not fields["photo"][3].any() and fields["photo"][4].any()
    for i in range(20):
        (tmp_path / f"{i}.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="png"):
        list(MODALITY.decode(tmp_path / "h.csv", schema))


def test_rows_of_strangers_open_no_files(houses):
    schema = MODALITY.sniff(houses)
    fields = Fields.concat(
        list(MODALITY.decode([{"photo": str(houses.parent / "0.png"), "about": "x", "area": 3}], schema))
    )
    assert not fields["photo"].any()  # a path is no picture: it counts as missing
    buffer = BytesIO()
    picture(100).save(buffer, "PNG")
    row = {"photo": base64.b64encode(buffer.getvalue()).decode(), "about": "x", "area": 3, "price": 1}
    fields = Fields.concat(list(MODALITY.decode([row], schema)))
    assert fields["photo"].any()


def test_sounds_beside_numbers(clips):
    reading = read(clips, REGISTRY.modalities)
    assert reading.modality.name == "multimodal" and isinstance(reading.fields["clip"], Ragged)
    assert reading.fields["clip"].lengths[3] == 0 and reading.fields["clip"].lengths[4] > 0
    fields, schema = reading.fields.without("kind"), reading.schema.without("kind")
    tensors = TRANSFORM.apply(TRANSFORM.fit(fields, schema), fields)
    assert set(tensors) == {"clip", "table"} and not tensors["clip"].mask[3].any()


@pytest.mark.parametrize("production", [Gate(), Attend(), Fused()], ids=lambda p: p.name)
def test_productions(production):
    check_production(production, View((Axis("columns", 4),), 1))


@pytest.mark.parametrize("module", [Gated(16), Attentive(16, 2)], ids=["gate", "attend"])
def test_every_view_is_heard_and_rows_stand_alone(module):
    import torch

    torch.manual_seed(0)
    assert module.bind([3, 5]) == 16
    a, b = torch.randn(4, 1, 3), torch.randn(4, 1, 5)
    whole = module([a, b])
    assert whole.shape == (4, 1, 16)
    torch.testing.assert_close(module([a[:2], b[:2]]), whole[:2])
    assert not torch.allclose(module([a + 1, b]), whole) and not torch.allclose(module([a, b + 1]), whole)


def aim():
    output = {o.name: o for o in OUTPUTS}["regression"]
    metric = {m.name: m for m in METRICS}["r2"]
    return Aim(output, output.fit(np.arange(10.0)), metric, REGISTRY)


def test_encoders_are_chosen_by_axes():
    views = {
        "p": View((Axis("space", 12), Axis("space", 12)), 3), "s": View((Axis("time", 40),), 1), "t": View((Axis("columns", 4),), 1),
    }  # fmt: skip
    written = network(Config("fused", {}, {"recipe": (Config("gradient"),)}), views, aim())
    assert [c.production for c in written.parts["encoder"]] == ["resnet", "inception-time", "mlp"]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_fused_networks_build_and_export(family):
    import torch

    from metalearner.grammar.build import build

    views = {"p": View((Axis("space", 12), Axis("space", 12)), 3), "t": View((Axis("columns", 4),), 1)}
    net = build(network(family.presets[0], views, aim()), views, 1, REGISTRY.productions).eval()
    found = net([(torch.randn(3, 12, 12, 3), None, None), (torch.randn(3, 4, 1), None, None)])
    assert found.shape == (3, 1, 1) and torch.isfinite(found).all()


def test_all_fields_together_beat_each_alone(houses, tmp_path, monkeypatch):
    monkeypatch.setenv("METALEARNER_HOME", str(tmp_path / "home"))
    rows = house_rows(tmp_path, 240)
    frame = pd.DataFrame(rows)
    frame.to_csv(tmp_path / "all.csv", index=False)
    options = {"target": "price", "budget": "6trials", "workers": 1, "families": ("linear", "trees", "fused-gate")}
    whole = metalearner.fit(tmp_path / "all.csv", out=tmp_path / "whole", **options)
    frame[["area", "price"]].to_csv(tmp_path / "area.csv", index=False)
    alone = metalearner.fit(
        tmp_path / "area.csv", out=tmp_path / "alone", **{**options, "families": ("linear", "trees")}
    )
    assert whole.task.modality == "multimodal" and whole.scorecard.value > alone.scorecard.value + 0.2
    bundle = metalearner.open_bundle(tmp_path / "whole" / "bundle")
    said = bundle.predict([{"area": 150.0, "about": "near park"}])  # the picture is not there
    assert np.isfinite(said["prediction"]).all()
    assert json.loads((tmp_path / "whole" / "run.json").read_text())["task"]["modality"] == "multimodal"


def test_what_looks_at_cells_alone_sees_nothing_else_and_comes_back_the_same(houses, tmp_path, monkeypatch):
    monkeypatch.setenv("METALEARNER_HOME", str(tmp_path / "home"))
    options = {"target": "price", "budget": "3trials", "workers": 1}
    families = ("cells-linear", "cells-trees", "cells-kernel-ridge")
    run = metalearner.fit(houses, out=tmp_path / "run", families=families, **options)
    assert set(run.leaderboard()["family"]) == {*families}
    bundle = metalearner.open_bundle(tmp_path / "run" / "bundle")
    row = {"area": 150.0, "about": "near park", "photo": base64_of(picture(20))}
    said, other, larger = (
        bundle.predict([{**row, **changed}])["prediction"][0]
        for changed in ({}, {"about": "motorway", "photo": base64_of(picture(170))}, {"area": 60.0})
    )
    assert said == other and said != larger
