"""Bundles: what is written is what is opened, whole, unchanged, and equal to what was trained."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import time
from pathlib import Path

import numpy as np
import pytest

from metalearner.arrays import Fields, Fold
from metalearner.deploy import Bundle, package
from metalearner.deploy import manifest as manifests
from metalearner.deploy.card import card
from metalearner.deploy.portable import OnnxModel, prove
from metalearner.errors import BundleError, PluginError, RunError
from metalearner.monitor import reference
from metalearner.records import Column, DatasetCard, Schema


def load(file):
    """The module in a file."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pairs = load(Path(__file__).parent / "doubles" / "pairs.py")

ROWS = pairs.table(50, seed=2)


def write(folder, predictor, seconds=0.0, about=None, registry=None):
    """Package with `seconds` to export ONNX in."""
    registry = registry or pairs.registry()
    fields = predictor.decode(pairs.table(200))
    drift = reference(predictor.modality, fields, predictor.schema, predictor.table(pairs.table(100, seed=3)))
    about = about or {"rows": 400, "data": DatasetCard("pairs", "pairs", "pairs", 400, "ab12"), "seed": 5}
    card_ = pairs.scorecard(predictor)
    return package(
        folder, predictor, card_, drift, about, fields.take(np.arange(64)), registry, time.monotonic() + seconds
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A bundle of a line and a network, without ONNX."""
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    write(folder, pairs.predictor(tiny={}))
    return folder


@pytest.fixture
def copy(written, tmp_path):
    """A copy of it that a test may break."""
    import shutil

    return Path(shutil.copytree(written, tmp_path / "bundle"))


@dataclasses.dataclass
class Halves:
    """Rows in two folds, each learnt from one half."""

    inputs: Fields
    target: np.ndarray
    schema: Schema

    def folds(self, transform):
        whole = np.arange(len(self.target))
        return [self._fold(i, whole[whole % 2 == i], whole[whole % 2 != i], transform) for i in range(2)]

    def _fold(self, index, train, valid, transform):
        state = transform.fit(self.inputs.take(train), self.schema)
        seen, held = (transform.apply(state, self.inputs.take(rows)) for rows in (train, valid))
        return Fold(index, transform.views(state), seen, self.target[train], held, self.target[valid], state)


def reseal(folder, **changes):
    """Write the manifest anew, as a forger would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    about = {k: v for k, v in manifest.items() if k not in ("format", "files", "id")}
    (folder / "manifest.json").unlink()
    manifests.seal(folder, about | changes)


# -- what comes back ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["kind", "size"])
def test_a_bundle_predicts_as_its_models_did(tmp_path, target):
    predictor = pairs.predictor(target, tiny={})
    made = write(tmp_path / "bundle", predictor)
    opened = Bundle.open(tmp_path / "bundle", pairs.registry())
    fields = predictor.decode(ROWS)
    assert np.abs(opened.predictor.predict(fields) - predictor.predict(fields)).max() < 1e-12
    assert opened.manifest == made.manifest and opened.schema == made.schema and opened.task == predictor.task
    assert opened.reference == json.loads(json.dumps(made.reference)) and opened.scorecard == made.scorecard
    assert opened.predictor.schema == predictor.schema and opened.predictor.conformal == predictor.conformal
    assert [(m.trial, m.family, m.config, m.weight) for m in opened.predictor.members] == [
        (m.trial, m.family, m.config, m.weight) for m in predictor.members
    ]
    said, expected = opened.predict(ROWS, regions=True), predictor.table(ROWS, regions=True)
    assert list(said) == list(expected) and said["region"].tolist() == expected["region"].tolist()


def test_a_bundle_is_files_anyone_can_read(written):
    found = {f.relative_to(written).as_posix() for f in written.rglob("*") if f.is_file()}
    assert found == {
        *("README.md", "manifest.json", "output.json", "reference.json", "schema.json", "scorecard.json", "task.json"),
        *("transforms/0.json", "transforms/1.json"),
        *(f"members/00000/{f}" for f in ("config.json", "0/line.json", "1/line.json")),
        *(f"members/00007/{f}" for f in ("config.json", "0/weights.safetensors", "1/weights.safetensors")),
    }
    manifest = json.loads((written / "manifest.json").read_text())
    assert set(manifest["files"]) == found - {"manifest.json"}
    assert {n["distribution"] for n in manifest["needs"]} == {"metalearner-pairs"}
    assert {(n["kind"], n["name"]) for n in manifest["needs"]} >= {
        ("learners", "line"),
        ("learners", "tiny"),
        ("modalities", "pairs"),
    }
    bundle = Bundle.open(written, pairs.registry())
    assert bundle.size == sum((written / f).stat().st_size for f in found - {"manifest.json"})
    assert bundle.portable == ""


def test_the_card_says_what_it_is_and_how_good(written):
    text = (written / "README.md").read_text()
    found = Bundle.open(written, pairs.registry()).scorecard
    for said in ("A model of kind", "400 rows of pairs", "`ab12`", f"{found.value:.4g}", f"{found.low:.4g} to {found.high:.4g}",
                 "naive baseline", "| tiny | tiny | 25% | 0 of 2 |", "metalearner serve", "90% of rows"):  # fmt: skip
        assert said in text


def test_a_hostile_column_name_stays_text():
    predictor = pairs.predictor()
    task = dataclasses.replace(predictor.task, target="a|b\n# Heading <script>")
    lines = card(dataclasses.replace(predictor, task=task), None, {"rows": 1}, {"proven": {}}).splitlines()
    assert "# A model of a b # Heading script" in lines and "# Heading <script>" not in lines


def test_the_card_begins_with_the_hub_s_metadata(written):
    import yaml  # huggingface_hub reads cards with it

    head = yaml.safe_load((written / "README.md").read_text().split("---\n")[1])
    found = Bundle.open(written, pairs.registry()).scorecard
    assert head["library_name"] == "metalearner" and found.metric in head["metrics"]
    (result,) = head["model-index"][0]["results"]
    assert result["metrics"][0] == {"type": found.metric, "value": pytest.approx(found.value), "verified": False}
    assert result["dataset"]["name"] == "pairs" and result["dataset"]["split"] == found.split


def test_the_card_tells_onnx_from_packed_forms():
    places = {"members/00007/0/model.onnx": 0.0, "members/00007/1/form.json": 0.0, "members/00000/0/form.json": 0.0}
    text = card(pairs.predictor(tiny={}), None, {"rows": 1, "seed": 5}, {"proven": places})
    lines = {line.split(" | ")[0]: line.split(" | ")[3:] for line in text.splitlines() if line.startswith("| ")}
    assert lines["| configuration"] == ["as ONNX", "packed |"]
    assert lines["| line"] == ["0 of 2", "1 of 2 |"] and lines["| tiny"] == ["1 of 2", "1 of 2 |"]


def test_the_hub_itself_reads_the_card(written):
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard.load(written / "README.md", ignore_metadata_errors=False).data
    assert data.eval_results and data.eval_results[0].dataset_name == "pairs"


def test_the_target_s_column_is_kept_or_told_from_the_predictions(tmp_path):
    told = write(tmp_path / "a", pairs.predictor("size")).schema
    assert told.columns[-1] == Column("size", "number") and told.names == ("x", "colour", "size")
    predictor = pairs.predictor("size")
    away = dataclasses.replace(
        predictor, schema=dataclasses.replace(predictor.schema, source="/home/me/secret/rows.csv")
    )
    assert write(tmp_path / "c", away).schema.source == "rows.csv"
    given = Column("kind", "boolean", note="yes or no")
    about = {"rows": 3, "target": given}
    write(tmp_path / "b", pairs.predictor("kind"), about=about)
    assert Bundle.open(tmp_path / "b", pairs.registry()).schema.column("kind") == given
    assert Bundle.open(tmp_path / "b", pairs.registry()).predictor.schema.names == ("x", "colour")


# -- what is refused ------------------------------------------------------------------------------------


def test_a_flipped_byte_anywhere_is_refused(copy):
    files = [f for f in sorted(copy.rglob("*")) if f.is_file()]
    rng = np.random.default_rng(0)
    for file in files:
        whole = file.read_bytes()
        for place in {0, len(whole) - 1, *rng.integers(len(whole), size=4).tolist()}:
            broken = bytearray(whole)
            broken[place] ^= 1 << int(rng.integers(8))
            file.write_bytes(broken)
            with pytest.raises(BundleError) as caught:
                Bundle.open(copy, pairs.registry())
            assert caught.value.happened and caught.value.holds and caught.value.hint
            file.write_bytes(whole)
    Bundle.open(copy, pairs.registry())


def test_a_file_missing_cut_short_or_too_many_is_refused(copy):
    for file in [f for f in sorted(copy.rglob("*")) if f.is_file()]:
        whole = file.read_bytes()
        file.write_bytes(whole[:-1])
        with pytest.raises(BundleError):
            Bundle.open(copy, pairs.registry())
        file.unlink()
        with pytest.raises(BundleError, match=r"is missing|holds no manifest"):
            Bundle.open(copy, pairs.registry())
        file.write_bytes(whole)
    (copy / "members" / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match=r"notes.txt' in .* is not in the manifest"):
        Bundle.open(copy, pairs.registry())


@pytest.mark.parametrize("name", ["extra.pkl", "members/00000/0/model.PICKLE", "weights.pt"])
def test_what_may_be_a_pickle_is_refused_even_when_listed(copy, name):
    (copy / name).write_bytes(b"\x80\x04.")
    with pytest.raises(BundleError, match="may hold a pickle"):
        Bundle.open(copy, pairs.registry())
    with pytest.raises(PluginError):
        reseal(copy)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "a\\b", ""])
def test_paths_that_leave_the_bundle_are_refused(copy, name):
    (copy.parent / "outside").write_text("{}")
    reseal(copy, members=[name])
    with pytest.raises(BundleError):
        Bundle.open(copy, pairs.registry())
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"][name] = {"size": 2, "sha256": manifests.sha256(copy.parent / "outside")}
    manifest["id"] = manifests.digest({k: v for k, v in manifest.items() if k != "id"})
    (copy / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    with pytest.raises(BundleError, match="has changed"):
        Bundle.open(copy, pairs.registry())


def test_links_are_refused(copy, tmp_path):
    inner = copy / "task.json"
    (tmp_path / "task.json").write_bytes(inner.read_bytes())
    inner.unlink()
    inner.symlink_to(tmp_path / "task.json")
    with pytest.raises(BundleError, match="is a link"):
        Bundle.open(copy, pairs.registry())


def test_what_is_no_bundle_is_said_to_be_none(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BundleError, match="is not a bundle: it holds no manifest"):
            Bundle.open(folder, pairs.registry())


def test_a_later_format_and_forged_contents_are_refused(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(BundleError, match="format 99"):
        Bundle.open(copy, pairs.registry())
    (copy / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    (copy / "members" / "00000" / "0" / "line.json").write_text("[")
    reseal(copy)
    with pytest.raises(BundleError, match="cannot be loaded: JSONDecodeError"):
        Bundle.open(copy, pairs.registry())


def test_a_plugin_that_is_not_there_is_named_with_its_distribution(written):
    registry = pairs.registry()
    without = dataclasses.replace(registry, learners={}, plugins=())
    with pytest.raises(BundleError) as caught:
        Bundle.open(written, without)
    assert "needs 'line' of learners" in caught.value.happened
    assert "metalearner-pairs 1.2" in caught.value.holds and "pip install metalearner-pairs" in caught.value.hint
    broken = dataclasses.replace(registry.plugins[0], failure="ImportError: no module x")
    with pytest.raises(BundleError, match="does not load: ImportError: no module x"):
        Bundle.open(written, dataclasses.replace(without, plugins=(broken,)))


# -- how it is written ------------------------------------------------------------------------------------


def test_a_bundle_is_replaced_in_one_step(tmp_path):
    folder = tmp_path / "bundle"
    first = write(folder, pairs.predictor("kind"))
    second = write(folder, pairs.predictor("size"))
    assert first.manifest["id"] != second.manifest["id"]
    assert Bundle.open(folder, pairs.registry()).task.target == "size"
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_without_an_atomic_exchange_two_renames_do(tmp_path, monkeypatch):
    import sys

    monkeypatch.setattr(sys.modules["metalearner.deploy.package"], "_exchange", lambda one, other: False)
    write(tmp_path / "bundle", pairs.predictor("kind"))
    write(tmp_path / "bundle", pairs.predictor("size"))
    assert Bundle.open(tmp_path / "bundle", pairs.registry()).task.target == "size"
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("problem", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_half_way_leaves_what_was_there(tmp_path, problem):
    folder = tmp_path / "bundle"
    before = write(folder, pairs.predictor("kind"))

    class Full(pairs.Line):
        def save(self, folder):
            (folder / "line.json").write_text("[")
            raise problem

    predictor = pairs.predictor("size")
    member = predictor.members[0]
    broken = dataclasses.replace(member, models=(member.models[0], Full(**vars(member.models[1]))))
    with pytest.raises(RunError if isinstance(problem, OSError) else KeyboardInterrupt):
        write(folder, dataclasses.replace(predictor, members=(broken,)))
    assert Bundle.open(folder, pairs.registry()).manifest == before.manifest
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_leftovers_of_a_killed_process_are_swept(tmp_path):
    (tmp_path / ".bundle.part" / "members").mkdir(parents=True)
    (tmp_path / ".bundle.part" / "members" / "junk").write_text("half")
    write(tmp_path / "bundle", pairs.predictor())
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]
    Bundle.open(tmp_path / "bundle", pairs.registry())


def test_a_folder_that_is_no_bundle_is_not_overwritten(tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match="is not a bundle"):
        write(tmp_path / "bundle", pairs.predictor())
    assert (tmp_path / "bundle" / "thesis.txt").read_text() == "years of work"


def test_a_model_that_pickles_is_a_plugin_s_fault(tmp_path):
    class Pickler(pairs.Line):
        def save(self, folder):
            (folder / "model.pkl").write_bytes(b"")

    predictor = pairs.predictor()
    member = predictor.members[0]
    bad = dataclasses.replace(member, models=tuple(Pickler(**vars(m)) for m in member.models))
    with pytest.raises(PluginError, match=r"model\.pkl"):
        write(tmp_path / "bundle", dataclasses.replace(predictor, members=(bad,)))
    assert list(tmp_path.iterdir()) == []


# -- ONNX ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """One export in this process, as where there is no fork; those after it find the exporter imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
        made = write(tmp_path_factory.mktemp("warm") / "bundle", pairs.predictor(tiny={"shift": 1e-3}), seconds=60)
    return made.manifest["onnx"]


def test_where_there_is_no_fork_exports_happen_here(warm):
    assert warm["refused"] == dict.fromkeys([f"members/00007/{i}/model.onnx" for i in range(2)], "differs by 0.001")
    assert not warm["proven"]


@pytest.mark.parametrize("target", ["kind", "size"])
def test_networks_become_onnx_that_is_proven_equal(tmp_path, target, warm):
    predictor = pairs.predictor(target, tiny={})
    made = write(tmp_path / "bundle", predictor, seconds=60)
    proven = made.manifest["onnx"]["proven"]
    assert set(proven) == {"members/00007/0/model.onnx", "members/00007/1/model.onnx"}
    assert 0 <= max(proven.values()) <= 1e-5 and made.portable.startswith("2 of 4 models as ONNX")
    opened = Bundle.open(tmp_path / "bundle", pairs.registry())
    model = opened.predictor.members[1].models[0]
    assert isinstance(model, OnnxModel)
    rows = pairs.table(2500, seed=4)
    rows.loc[3, "x"] = np.nan
    fields = predictor.decode(rows)
    difference = np.abs(opened.predictor.predict(fields) - predictor.predict(fields))
    assert difference.max() <= 1e-5 * (1 if target == "kind" else np.abs(predictor.predict(fields)).max())
    tensors = predictor.transform.apply(predictor.transforms[0], fields)
    none = {k: t.take(np.array([], int)) for k, t in tensors.items()}
    assert model.predict(none).shape == (0, predictor.output.width(predictor.state))
    # ONNX is all there is of a proven network; packaged once more without time for a proof it is still there
    again = write(tmp_path / "again", opened.predictor)
    assert {f.name for f in (tmp_path / "again/members/00007/0").iterdir()} == {"model.onnx"} and not again.portable
    again = Bundle.open(tmp_path / "again", pairs.registry())
    assert np.abs(again.predictor.predict(fields) - predictor.predict(fields)).max() <= 1e-5 * 5


@pytest.mark.parametrize(
    ("tiny", "seconds", "said"),
    [({"raises": True}, 60, "no such operator"), ({"pause": 30}, 1, "")],
)
def test_onnx_that_fails_or_takes_too_long_is_left_out(tmp_path, tiny, seconds, said, warm):
    began = time.monotonic()
    made = write(tmp_path / "bundle", pairs.predictor(tiny=tiny), seconds=seconds)
    if not said:
        assert time.monotonic() - began < seconds + 1.5
    assert made.portable == "" and all(said in reason for reason in made.manifest["onnx"]["refused"].values())
    assert bool(said) == bool(made.manifest["onnx"]["refused"])
    assert not [f for f in (tmp_path / "bundle").rglob("*") if "onnx" in f.name]
    opened = Bundle.open(tmp_path / "bundle", pairs.registry())
    assert isinstance(opened.predictor.members[1].models[0], pairs.Tiny)


def test_a_difference_in_a_row_alone_is_seen():
    class Off(pairs.Line):
        def predict(self, tensors):
            found = super().predict(tensors)
            return found if len(found) > 1 else found + 1e-3

    predictor = pairs.predictor()
    model = predictor.members[0].models[0]
    tensors = predictor.transform.apply(predictor.transforms[0], predictor.decode(ROWS))
    assert prove(model, model, tensors) == 0
    assert prove(Off(**vars(model)), model, tensors) == pytest.approx(1e-3, rel=0.01)


def test_onnx_never_reads_weights_from_other_files(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    (tmp_path / "secret.bin").write_bytes(np.arange(1, dtype=np.float32).tobytes())
    weights = TensorProto(name="w", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "secret.bin"), ("offset", "0"), ("length", "4")):
        weights.external_data.add(key=key, value=value)
    ends = [helper.make_tensor_value_info(name, 1, ["n", 1]) for name in ("table.values", "prediction")]
    graph = helper.make_graph(
        [helper.make_node("Add", ["table.values", "w"], ["prediction"])], "g", ends[:1], ends[1:], [weights]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save_model(model, tmp_path / "plain.onnx")
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match="cannot be run"):
        OnnxModel.load(tmp_path)


def test_networks_of_the_core_s_own_travel_with_masks(tmp_path, warm):
    """The installed registry and a stranger's modality of ragged sets: fitted, packaged, opened, equal."""
    from metalearner import plugins
    from metalearner.kinds import Aim, Rung
    from metalearner.predictor import Member, Predictor
    from metalearner.records import Config, Task

    registry = plugins.load(extra=[load(Path(__file__).parent / "strangers" / "points.py")])
    rng = np.random.default_rng(0)
    sizes = rng.integers(3, 12, 80)
    lines = [f"{n // 3} " + " ".join(f"{v:.3f}" for v in rng.normal(size=2 * n)) for n in sizes]
    (tmp_path / "clouds.points").write_text("\n".join(lines))
    modality, output = registry.get("modalities", "points"), registry.get("outputs", "grade")
    full = modality.sniff(tmp_path / "clouds.points")
    schema = full.without("grade")
    fields = next(modality.decode(tmp_path / "clouds.points", full))
    state = output.fit(fields["grade"])
    aim = Aim(output, state, registry.get("metrics", "r2"), registry)
    data = Halves(fields.without("grade"), output.encode(state, fields["grade"]), schema)
    transform = registry.get("transforms", modality.transform)
    folds = data.folds(transform)
    config = registry.families["cloud"].presets[0]
    (fitted,) = registry.get("learners", "net").fit([config], folds, aim, Rung(0.02), [None])
    member = Member("00001", "cloud", config, 1.0, fitted.models)
    task = Task("which grade?", "points", "grade", "grade", "r2")
    states = tuple(dict(f.state) for f in folds)
    predictor = Predictor(task, schema, modality, transform, output, state, states, (member,))
    about = {"rows": 80, "target": full.column("grade")}
    drift = reference(modality, data.inputs, schema, {})
    made = package(tmp_path / "b", predictor, None, drift, about, data.inputs, registry, time.monotonic() + 60)
    assert made.portable.startswith("2 of 2 models"), made.manifest["onnx"]
    needs = {(n["kind"], n["name"], n["distribution"]) for n in made.manifest["needs"]}
    assert {
        ("learners", "net", "metalearner"),
        ("productions", "cloud", "extra"),
        ("modalities", "points", "extra"),
    } <= needs
    opened = Bundle.open(tmp_path / "b", registry)
    assert opened.schema == Schema("points", "points", 80, (*schema.columns, full.column("grade")), target_hint="grade")
    assert np.abs(opened.predictor.predict(data.inputs) - predictor.predict(data.inputs)).max() <= 1e-5
    assert opened.predict(tmp_path / "clouds.points").equals(predictor.table(tmp_path / "clouds.points"))
    with pytest.raises(BundleError, match=r"needs 'points' of modalities(.|\n)*METALEARNER_PLUGIN_PATH"):
        Bundle.open(tmp_path / "b", plugins.load(only=[]))
    assert Config.from_json(json.loads((tmp_path / "b/members/00001/config.json").read_text())["config"]) == config
