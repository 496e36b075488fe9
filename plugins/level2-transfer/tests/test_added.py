"""Adding pretrained models: what is refused, and why."""

from __future__ import annotations

import json
import shutil

import pytest
import tiny
from metalearner_level2_transfer.backbones import known

from metalearner import backbones, plugins
from metalearner.cli import app
from metalearner.errors import DataError, UserError


def test_a_folder_becomes_families(tiny_bert):
    added = backbones.add(str(tiny_bert))
    assert (added.name, added.raw) == ("tiny-bert", "text")
    registry = plugins.load()
    assert {"tiny-bert-linear", "tiny-bert-tuned"} <= set(registry.families)
    listed = {one["name"]: one for one in backbones.here(registry)}
    assert listed["tiny-bert"]["origin"] == "folder tiny-bert" and not listed["tiny-bert"]["missing"]
    backbones.remove("tiny-bert")
    assert tiny_bert.exists() and "tiny-bert-linear" not in plugins.load().families


def test_a_name_is_taken_once(tiny_bert):
    backbones.add(str(tiny_bert))
    with pytest.raises(UserError, match="already"):
        backbones.add(str(tiny_bert))
    assert backbones.add(str(tiny_bert), name="other").name == "other"
    with pytest.raises(UserError, match="'resnet' already"):
        backbones.add(str(tiny_bert), name="resnet", taken=plugins.load().productions)


def test_a_folder_that_is_gone_is_listed_with_the_reason(tmp_path):
    folder = tiny.bert(tmp_path / "model")
    backbones.add(str(folder))
    shutil.rmtree(folder)
    assert {one["name"]: one["missing"] for one in backbones.here(plugins.load())}["model"] == "the folder is gone"
    assert "model" not in {b.name for b in known() if not b.missing()}


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "may hold a pickle"),
        (lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:500]), "not whole"),
        (lambda f: (f / "config.json").unlink(), "no folder with a config.json"),
        (lambda f: (f / "config.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "preprocessor_config.json").write_text("["), "cannot be read"),
        (lambda f: _change(f, auto_map={"AutoModel": "code.Model"}), "code of its own"),
        (lambda f: [file.unlink() for file in f.iterdir() if "token" in file.name or "vocab" in file.name], "cannot be told"),
    ],
    ids=["pickle", "cut short", "no config", "broken config", "broken processor", "own code", "no tokeniser"],
)  # fmt: skip
def test_what_cannot_be_used_says_why(spoil, said, tmp_path):
    folder = tiny.bert(tmp_path / "model")
    spoil(folder)
    with pytest.raises(DataError, match=said):
        backbones.add(str(folder))
    assert backbones.added() == []


def test_a_model_for_another_rate_of_sound_is_refused(tmp_path):
    folder = tiny.wav2vec2(tmp_path / "model")
    about = folder / "preprocessor_config.json"
    about.write_text(about.read_text().replace("16000", "8000"))
    with pytest.raises(UserError, match="8000 samples a second"):
        backbones.add(str(folder))
    assert backbones.added() == []


def _change(folder, **more):
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(about | more))


def test_the_network_is_used_only_when_it_is_allowed(monkeypatch):
    with pytest.raises(DataError, match="network is used only when you say so"):
        backbones.add("owner/name")
    with pytest.raises(DataError, match="is no commit"):
        backbones.add("owner/name", network=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="HF_HUB_OFFLINE"):
        backbones.add("owner/name", revision="a" * 40, network=True)


def test_what_the_hub_has_is_fetched_once_without_pickles(monkeypatch, own_home):
    import huggingface_hub

    asked = {}

    def download(name, revision, local_dir, allow_patterns):
        asked.update(name=name, revision=revision, patterns=allow_patterns)
        tiny.bert(local_dir)

    class Api:
        def model_info(self, name, revision):
            return type("Info", (), {"tags": ["license:mit"]})()

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    found = backbones.add("owner/small", revision="b" * 40, network=True)
    assert asked["revision"] == "b" * 40 and not any("bin" in p or "py" in p for p in asked["patterns"])
    assert (found.name, found.licence) == ("small", "mit") and "hub owner/small" in found.origin
    backbones.remove("small")
    assert not any((own_home / "backbones").iterdir())


def test_the_commands(tiny_bert):
    from typer.testing import CliRunner

    runner = CliRunner()
    assert "tiny-bert reads texts" in runner.invoke(app, ["backbone", "add", str(tiny_bert)]).output
    listed = json.loads(runner.invoke(app, ["backbone", "list", "--json"]).output)
    assert {"tiny-bert", "minilm-l6"} <= {one["name"] for one in listed}
    assert "is forgotten" in runner.invoke(app, ["backbone", "remove", "tiny-bert"]).output
