"""The command line: verbs, help, exit codes, and one clear message for each bad input."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest

METALEARNER = [sys.executable, "-m", "metalearner"]


def metalearner(*arguments, **keywords):
    return subprocess.run([*METALEARNER, *map(str, arguments)], capture_output=True, text=True, check=False, **keywords)


VERBS = ["run", "describe", "propose", "resume", "predict", "evaluate", "serve", "monitor", "app", "doctor", "kb stats", "kb build",
         "kb grow", "kb verify", "kb pack", "kb train", "kb evaluate", "plugin list", "report", "explain", "importance",
         "open", "follow", "augmentations"]  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb):
    from typer.testing import CliRunner

    from metalearner.cli import app

    found = CliRunner().invoke(app, [*verb.split(), "--help"])
    assert found.exit_code == 0 and "Usage" in found.output
    assert len(found.output.splitlines()[2].strip()) > 15, "a verb says what it does"


def test_help_is_quick_and_imports_no_torch():
    code = "import sys; sys.argv = ['metalearner', '--help']\nfrom metalearner.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    out = subprocess.check_output(
        [sys.executable, "-c", code + "print('torch' in sys.modules, 'pandas' in sys.modules)"], text=True
    )
    assert out.splitlines()[-1] == "False False"
    start = time.monotonic()
    metalearner("--help")
    assert time.monotonic() - start < 2.0  # .1 s alone; the bound only catches a heavy import


# -- bad input: what the source is, what is said --------------------------------------------------------


def csv(text):
    return lambda folder: _write(folder / "table.csv", text)


def npz(**arrays):
    def make(folder):
        np.savez(folder / "arrays.npz", **arrays)
        return folder / "arrays.npz"

    return make


def _write(file, text):
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def images(good, bad, classes=("cat", "dog")):
    def make(folder):
        from PIL import Image

        rng = np.random.default_rng(0)
        for label in classes:
            (folder / "pictures" / label).mkdir(parents=True)
            for i in range(good):
                Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(
                    folder / "pictures" / label / f"{i}.png"
                )
            for i in range(bad):
                (folder / "pictures" / label / f"bad{i}.png").write_bytes(b"not a picture")
        return folder / "pictures"

    return make


def recordings(folder):
    for label in "ab":
        (folder / "sounds" / label).mkdir(parents=True)
        for i in range(12):
            with wave.open(str(folder / "sounds" / label / f"{i}.wav"), "wb") as out:
                out.setnchannels(1)
                out.setsampwidth(2)
                out.setframerate(8000)
                out.writeframes(
                    b"" if i < 4 else np.random.default_rng(i).integers(-99, 99, 2000, dtype=np.int16).tobytes()
                )
    return folder / "sounds"


def empty_folder(folder):
    (folder / "nothing").mkdir()
    (folder / "nothing" / "notes.md").write_text("hello")
    return folder / "nothing"


ROWS = "".join(f"{i},{i % 7},{'yes' if i % 3 else 'no'}\n" for i in range(60))
BAD = {
    "no such file": (lambda folder: folder / "absent.csv", (), "There is no file or folder"),
    "empty file": (csv(""), (), "empty"),
    "header only": (csv("a,b,label\n"), (), "no rows"),
    "ragged row": (csv("a,b,label\n" + ROWS + "1,2\n"), (), "line 62"),
    "duplicate columns": (csv("a,a,label\n" + ROWS), (), "a"),
    "no such target": (csv("a,b,label\n" + ROWS), ("--target", "lable"), "Did you mean 'label'?"),
    "no such column to keep": (csv("a,b,label\n" + ROWS), ("--keep", "aa"), "Did you mean 'a'?"),
    "target all missing": (
        csv("a,b,label\n" + "".join(f"{i},{i},\n" for i in range(40))),
        ("--target", "label"),
        "missing in all 40",
    ),
    "target constant": (
        csv("a,b,label\n" + "".join(f"{i},{i % 5},yes\n" for i in range(40))),
        ("--target", "label"),
        "'yes' in all 40",
    ),
    "fewer than 20 rows": (csv("a,b,label\n" + ROWS[:100]), (), "At least 20"),
    "a folder without images": (empty_folder, (), "image"),
    "too many unreadable images": (images(10, 3), (), "could not be read"),
    "NPZ without labels": (npz(x=np.zeros((30, 5))), (), "label"),
    "NPZ with object arrays": (npz(x=np.array([{}] * 30, dtype=object), y=np.arange(30)), (), "pickle"),
    "WAV with zero samples": (recordings, (), "sample"),
    "budget unparsable": (csv("a,b,label\n" + ROWS), ("--budget", "soon"), "not understood"),
    "budget too short": (csv("a,b,label\n" + ROWS), ("--budget", "3s"), "too short"),
    "goal unparsable": (csv("a,b,label\n" + ROWS), ("--goal", "very good"), "not understood"),
    "metric of another output": (csv("a,b,label\n" + ROWS), ("--metric", "rmse"), "does not fit classification"),
    "test share out of range": (csv("a,b,label\n" + ROWS), ("--test", "1.5"), "not a share"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_clear_message(case, tmp_path, capsys, monkeypatch):
    from metalearner import cli

    make, options, said = BAD[case]
    source = make(tmp_path)
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["metalearner", "run", str(source), "--out", str(out), *options])
    with pytest.raises(SystemExit) as end:
        cli.main()
    message = capsys.readouterr().err.strip()
    assert end.value.code == 2, message
    assert said.lower() in message.lower()
    assert "Traceback" not in message and 1 <= len(message.splitlines()) <= 5
    assert not (out / "bundle").exists() and not (out / "run.json").exists()


def test_bad_input_through_a_real_process(tmp_path):
    found = metalearner("run", tmp_path / "absent.csv", cwd=tmp_path)
    assert found.returncode == 2 and found.stdout == ""
    assert found.stderr.splitlines()[0] == f"There is no file or folder '{tmp_path / 'absent.csv'}'."
    assert not (tmp_path / "runs").exists()


def test_plugin_list_as_json():
    found = json.loads(metalearner("plugin", "list", "--json").stdout)
    assert {"builtins", "modality-tabular"} <= {p["name"] for p in found}


def test_resume_needs_a_run(tmp_path):
    found = metalearner("resume", tmp_path)
    assert found.returncode == 2 and "is not the folder of a run" in found.stderr


def test_a_bundle_must_be_one(tmp_path):
    found = metalearner("predict", tmp_path, Path("rows.csv"))
    assert found.returncode == 2 and "bundle" in found.stderr
