"""Loading: a broken plugin never takes the others down, and is named with its reason."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from metalearner import plugins
from metalearner.dataset import Dataset
from metalearner.errors import PluginError, TaskError
from metalearner.hookspecs import hookimpl
from metalearner.outputs import Regression
from metalearner.report.account import Account
from metalearner.report.narrator import Narrator
from metalearner.request import Request, parse_budget
from metalearner.run import run
from metalearner.setting import Setting


def module(name, **hooks):
    made = ModuleType(name)
    for hook, function in hooks.items():
        setattr(made, hook, hookimpl(function))
    return made


def failure(*modules, name):
    found = {p.name: p for p in plugins.load(extra=modules, only=[]).plugins}
    return found[name].failure


def test_everything_installed_loads(registry):
    assert {p.name: p.failure for p in registry.plugins if p.failure} == {}
    assert {"tabular", "image", "signal"} <= set(registry.modalities)
    assert {"classification", "regression"} <= set(registry.outputs)


def test_a_misspelt_hook_is_named_with_the_right_one():
    assert "did you mean 'register_families'" in failure(module("odd", register_familys=lambda: []), name="odd").lower()


def test_a_taken_name_is_refused_and_the_owner_named():
    message = failure(module("thief", register_outputs=lambda: [Regression()]), name="thief")
    assert "'regression'" in message and "'metalearner'" in message


def test_a_plugin_that_raises_is_listed_and_the_rest_works():
    def broken():
        raise ImportError("no module named soundcard")

    registry = plugins.load(extra=[module("loud", register_modalities=broken)], only=[])
    assert "no module named soundcard" in {p.name: p for p in registry.plugins}["loud"].failure
    assert "regression" in registry.outputs


@pytest.mark.parametrize(("result", "said"), [(None, "NoneType"), ([1], "int")])
def test_wrong_types_are_refused(result, said):
    def hook():
        return result

    assert said in failure(module("wrong", register_metrics=hook), name="wrong")


def test_one_broken_plugin_file_leaves_the_rest(tmp_path, monkeypatch):
    (tmp_path / "bad.py").write_text("import nothing_like_this")
    monkeypatch.setenv("METALEARNER_PLUGIN_PATH", str(tmp_path))
    registry = plugins.load()
    assert "nothing_like_this" in {p.name: p for p in registry.plugins}["bad"].failure
    assert "tabular" in registry.modalities


def test_a_modality_that_cannot_meet_the_others_is_named_and_left_out(tmp_path, monkeypatch, registry):
    (tmp_path / "shy.py").write_text(
        "from metalearner.hookspecs import hookimpl\n"
        "import metalearner_modality_tabular as tabular\n"
        "@hookimpl\n"
        "def register_modalities():\n"
        "    one = tabular.register_modalities()[0]\n"
        "    one.name = 'shy'\n"
        "    one.meet = lambda modalities, transforms: 1 / 0\n"
        "    return [one]\n"
    )
    monkeypatch.setenv("METALEARNER_PLUGIN_PATH", str(tmp_path))
    found = plugins.load()
    assert "shy" not in found.modalities and "tabular" in found.modalities
    assert "ZeroDivisionError" in {p.name: p for p in found.plugins if p.failure}["shy"].failure


def test_plugins_can_be_isolated(monkeypatch):
    monkeypatch.setenv("METALEARNER_PLUGINS", "modality-tabular")
    assert {p.name for p in plugins.load().plugins} == {"builtins", "modality-tabular"}


def test_unknown_names_say_what_is_known(registry):
    with pytest.raises(PluginError, match="Did you mean 'regression'"):
        registry.get("outputs", "regresion")


def test_listing_plugins_imports_no_torch():
    code = "import sys; from metalearner import plugins; plugins.load(); print('torch' in sys.modules, 'lightgbm' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]


def test_what_plugins_say_of_themselves_is_shown_by_doctor(monkeypatch):
    from metalearner import doctor
    from metalearner.kinds import Check

    def broken():
        raise OSError("no such device")

    checks = [Check("device", lambda: (True, "is there")), Check("other", broken)]
    found = plugins.load(extra=[module("watch", register_checks=lambda: checks)], only=[])
    monkeypatch.setattr(plugins, "load", lambda: found)
    said = doctor._plugins()
    assert (True, False, "device: is there") in said and (False, False, "other: OSError: no such device") in said


def test_a_family_that_needs_evidence_is_allowed_where_it_alone_is_named(tmp_path, registry):
    """Its level counts, whether or not the description would have called for it."""
    from metalearner.setting import Setting

    setting = Setting.__new__(Setting)
    family = next(f for f in registry.families.values() if f.evidence is not None)
    setting.__dict__.update(only=(family.name,), _fitting={family.name: family}, families={})
    assert setting.levels == {family.level}


FAULTY = Path(__file__).parent / "faulty"


def test_a_family_that_fails_when_asked_is_named_and_the_run_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("METALEARNER_PLUGIN_PATH", str(FAULTY))
    registry = plugins.load()
    assert not [p.failure for p in registry.plugins if p.failure]
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 120))
    table = pd.DataFrame({"a": a, "b": b, "y": np.where(a > b, "yes", "no")})
    asked = Request(table, budget=parse_budget("2trials"), out=tmp_path / "run", workers=1, cold=True)
    done = run(asked, registry, Narrator(sys.stdout))
    assert [t.outcome for t in done.trials] == ["ok", "ok"]
    told = capsys.readouterr().out
    assert "! 'blind' is left out: it failed (KeyError: 'picture')" in told
    assert "! 'stumbler' is left out: it failed (KeyError: 'axes')" in told
    assert "! 'hopeful' is left out: it failed (ValueError: how many rows?)" in told
    decided = {what: why for _, what, why in Account.open(done.folder).decisions()}
    assert decided["'hopeful' left out"] == "it failed: ValueError: how many rows? None is no number"
    with pytest.raises(TaskError, match=r"'blind' fails on them \(KeyError: 'picture'\)"):
        _ = Setting(Dataset.open(done.folder / "data"), registry, ("blind",)).families
