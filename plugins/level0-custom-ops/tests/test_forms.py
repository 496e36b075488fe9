"""Binary networks in bundles: packed bits, opened and asked without torch; installed with and without a compiler."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from metalearner_level0_custom_ops import compiling
from metalearner_level0_custom_ops.forms import Packed
from metalearner_level0_custom_ops.program import ABOUT, WEIGHTS
from networks import exported, feed, predicted

from metalearner import testing
from metalearner.arrays import Tensor
from metalearner.records import Axis, Config, View

PLUGIN = Path(__file__).parent.parent
IMAGE = {"v": View((Axis("space", 12), Axis("space", 12)), 1)}
BINARY = Config("binary-resnet", {"width": 16, "depth": 1, "stages": 2})


@pytest.fixture(scope="module")
def binary(registry):
    """A network and its ONNX."""
    config = Config("net", {}, {"encoder": (BINARY,), "recipe": (Config("gradient"),)})
    return exported(config, IMAGE, 4, registry.productions)


def test_a_form_is_a_model(binary, tmp_path):
    net, content = binary
    files = Packed().make(content)
    for name, part in files.items():
        (tmp_path / name).write_bytes(part)
    model = Packed().load(tmp_path)
    inputs = [testing.random_inputs(IMAGE["v"], 9, 0)]
    given = {"v": Tensor(feed(IMAGE, inputs)["v.values"])}
    found = model.predict(given)
    assert found.dtype == np.float64 and np.abs(found - predicted(net, inputs)).max() < 1e-6
    assert model.predict({"v": Tensor(np.zeros((0, 12, 12, 1), np.float32))}).shape == (0, 4)
    again = tmp_path / "again"
    again.mkdir()
    model.save(again)
    assert np.array_equal(Packed().load(again).predict(given), found)
    assert sum(map(len, files.values())) < len(content) / 3
    assert list(model.export(IMAGE)) == []


def test_networks_without_signs_stay_onnx(registry):
    plain = Config("net", {}, {"encoder": (Config("resnet"),), "recipe": (Config("gradient"),)})
    assert Packed().make(exported(plain, IMAGE, 4, registry.productions)[1]) is None
    recurrent = Config("net", {}, {"encoder": (Config("recurrent"),), "recipe": (Config("gradient"),)})
    series = {"v": View((Axis("time", 12),), 1)}
    assert Packed().make(exported(recurrent, series, 4, registry.productions)[1]) is None


ALONE = """
import sys, json, numpy as np
from pathlib import Path
from metalearner.arrays import Tensor
from metalearner_level0_custom_ops.forms import Packed
found = Packed().load(Path({folder!r})).predict({{"v": Tensor(np.load({rows!r}))}})
print(json.dumps([found.tolist(), [m for m in ("torch", "onnxruntime", "onnx") if m in sys.modules]]))
"""


def test_it_is_asked_without_torch(binary, tmp_path):
    net, content = binary
    for name, part in Packed().make(content).items():
        (tmp_path / name).write_bytes(part)
    inputs = [testing.random_inputs(IMAGE["v"], 9, 0)]
    np.save(tmp_path / "rows.npy", feed(IMAGE, inputs)["v.values"])
    code = ALONE.format(folder=str(tmp_path), rows=str(tmp_path / "rows.npy"))
    found, heavy = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert heavy == [] and np.abs(np.array(found) - predicted(net, inputs)).max() < 1e-6


OPENED = """
import sys, json, numpy as np
from pathlib import Path
from metalearner import plugins
from metalearner.deploy import Bundle
bundle = Bundle.open(Path({bundle!r}), plugins.load())
found = bundle.predict({source!r})
heavy = [m for m in ("torch", "onnxruntime", "onnx") if m in sys.modules]
print(json.dumps([sorted(found), list(map(str, found["prediction"])), heavy]))
"""


@pytest.mark.slow
def test_a_bundle_with_signs_is_opened_without_torch(tmp_path):
    """From data to a prediction in another process: a run whose network has to be small."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 160)
    x = rng.normal(size=(160, 12, 12)).astype(np.float32) * 0.4
    for i, c in enumerate(y):
        x[i, 4 * c : 4 * c + 3, 2:9] += 1.5
    np.savez(tmp_path / "data.npz", x=x, y=y)
    np.savez(tmp_path / "rows.npz", x=x[:50])
    command = [sys.executable, "-m", "metalearner", "run", str(tmp_path / "data.npz"), "--max-size", "200kB",
               "--families", "binary-resnet", "--budget", "90s", "--cold", "--out", str(tmp_path / "run"), "--json", "--quiet"]  # fmt: skip
    environment = {**os.environ, "METALEARNER_HOME": str(tmp_path / "home")}
    told = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert told.returncode == 0, told.stderr
    bundle = tmp_path / "run" / "bundle"
    forms = [json.loads(f.read_text()) for f in bundle.rglob("form.json")]
    assert forms and all(form["form"] == "program" for form in forms)
    assert not list(bundle.rglob("*.onnx")) and len(list(bundle.rglob(ABOUT))) == len(
        list(bundle.rglob(WEIGHTS))
    ) == len(forms)
    code = OPENED.format(bundle=str(bundle), source=str(tmp_path / "rows.npz"))
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert told.returncode == 0, told.stderr
    columns, said, heavy = json.loads(told.stdout)
    assert heavy == [] and "prediction" in columns
    assert np.mean(np.array(said) == y[:50].astype(str)) > 0.8
    for spoilt in (ABOUT, WEIGHTS):
        file = next(bundle.rglob(spoilt))
        file.write_bytes(file.read_bytes()[:-3])
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert told.returncode == 1 and "BundleError" in told.stderr


# ---- installing ----------------------------------------------------------------------------------------------------------


def built(folder: Path, path: str) -> tuple[Path, str]:
    """A wheel built from a copy of the plugin with this PATH, and what was said meanwhile."""
    source = folder / "source"
    left_out = shutil.ignore_patterns("tests", "__pycache__", "*.so", "*.dylib", "*.dll")
    shutil.copytree(PLUGIN, source, ignore=left_out)
    environment = {k: v for k, v in os.environ.items() if k not in ("CXX", "PYTHONPATH")} | {"PATH": path}
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-v",
        "--no-build-isolation",
        "--no-deps",
        "--no-index",
        "-w",
        str(folder),
        str(source),
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert told.returncode == 0, told.stdout + told.stderr
    return next(folder.glob("*.whl")), told.stdout + told.stderr


def held(wheel: Path) -> set[str]:
    return {Path(name).name for name in zipfile.ZipFile(wheel).namelist()}


ASKED = """
import sys
sys.path.insert(0, {wheel!r})
import numpy as np
import metalearner_level0_custom_ops as plugin
assert plugin.__file__.startswith({wheel!r}), plugin.__file__
from metalearner_level0_custom_ops import library, signs
x = np.random.default_rng(0).normal(size=(7, 100))
print(library.about()[1], signs.pack(x).sum(), sep="|")
"""


def asked(wheel: Path, folder: Path, path: str) -> list[str]:
    """What an installed wheel says of itself, with this PATH."""
    zipfile.ZipFile(wheel).extractall(folder / "installed")
    code = ASKED.format(wheel=str(folder / "installed"))
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
    )
    assert told.returncode == 0, told.stderr
    return told.stdout.strip().split("|")


def test_without_a_compiler_it_is_installed_and_says_so(tmp_path):
    (tmp_path / "empty").mkdir()
    wheel, said = built(tmp_path, str(tmp_path / "empty"))
    assert wheel.name.endswith("py3-none-any.whl")
    assert "no kernels, NumPy will do their work: no C++ compiler" in said
    assert not held(wheel) & {"libsigns.so", "libsigns.dylib", "signs.dll"}
    assert (
        asked(wheel, tmp_path, str(tmp_path / "empty"))[0]
        == "NumPy: the library was not compiled, for there was no C++ compiler"
    )


def test_a_compiler_that_fails_is_named(tmp_path):
    """What is called g++ and is none."""
    (tmp_path / "bin").mkdir()
    false = tmp_path / "bin" / "g++"
    false.write_text("#!/bin/sh\necho 'this is no compiler' >&2\nexit 1\n")
    false.chmod(0o755)
    wheel, said = built(tmp_path, f"{tmp_path / 'bin'}")
    assert wheel.name.endswith("py3-none-any.whl") and "NumPy will do their work: g++: this is no compiler" in said


@pytest.mark.slow
@pytest.mark.skipif(compiling.compiler() is None, reason="no compiler")
def test_with_a_compiler_the_wheel_holds_the_library_for_any_python(tmp_path):
    wheel, said = built(tmp_path, os.environ["PATH"])
    assert "-py3-none-" in wheel.name and not wheel.name.endswith("-any.whl"), said
    assert compiling.library_of(Path("")).name in held(wheel)
    assert {"bits.h", "program.h", "shift.cpp"} <= held(wheel), "the sources are there, to be compiled elsewhere"
    line, total = asked(wheel, tmp_path, os.environ["PATH"])
    assert line.startswith("compiled, running on")
    (tmp_path / "plain").mkdir()
    shutil.copytree(
        tmp_path / "installed",
        tmp_path / "plain" / "installed",
        ignore=shutil.ignore_patterns("*.so", "*.dylib", "*.dll"),
    )
    code = ASKED.format(wheel=str(tmp_path / "plain" / "installed"))
    told = subprocess.check_output([sys.executable, "-c", code], text=True).strip().split("|")
    assert told == ["NumPy: the library was not compiled", total]


def test_what_was_made_from_other_sources_is_not_used(tmp_path):
    """A library that lacks a function, or is none."""
    from metalearner_level0_custom_ops import library

    (tmp_path / "libsigns.so").write_bytes(b"no library")
    with pytest.raises(OSError):
        library.load(tmp_path / "libsigns.so")
    compiler = compiling.compiler()
    if compiler is not None:
        (tmp_path / "other.cpp").write_text('extern "C" int signs_set() { return 0; }\n')
        subprocess.check_call(
            [compiler, "-shared", "-fPIC", str(tmp_path / "other.cpp"), "-o", str(tmp_path / "other.so")]
        )
        with pytest.raises(OSError, match="made from other sources"):
            library.load(tmp_path / "other.so")


def test_only_what_is_older_than_its_sources_is_made_anew(tmp_path):
    shutil.copytree(PLUGIN / "metalearner_level0_custom_ops" / "native", tmp_path / "native")
    library = compiling.library_of(tmp_path / "native")
    library.write_bytes(b"made")
    assert compiling.compiled(tmp_path / "native") == (library, "") and library.read_bytes() == b"made"
