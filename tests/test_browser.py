"""The story as somebody has it who opens the app in a browser: from an empty start to a bundle; and those who mean harm."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import zipfile
from pathlib import Path

import pytest

from metalearner import catalogue, runs
from metalearner.deploy import manifest

HERE = Path(__file__).parent
ARTEFACTS = HERE / "artefacts"
PENGUINS = HERE.parent / "datasets" / "penguins" / "penguins.csv"

spec = importlib.util.spec_from_file_location("chromium", HERE / "browser" / "chromium.py")
chromium = importlib.util.module_from_spec(spec)
spec.loader.exec_module(chromium)

pytestmark = pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing() or "there is a browser")


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """One app for all: whoever has its key sees its runs."""
    found = chromium.App(tmp_path_factory.mktemp("app"))
    found.start()
    yield found
    found.end()


@pytest.fixture
def visitor(request):
    """Somebody to whom nothing may go wrong; what they saw last is kept."""
    with chromium.visitor() as found:
        yield found
        found.page.screenshot(path=ARTEFACTS / f"{request.node.name}.png")
        assert not found.problems


def table(folder):
    return shutil.copy(PENGUINS, folder / "penguins.csv")


def pictures(folder):
    """A ZIP of a folder a class, as people pack one."""
    digits = catalogue.materialise(catalogue.cards()["digits"])
    with zipfile.ZipFile(folder / "digits.zip", "w") as archive:
        for file in sorted(digits.rglob("*.png")):
            archive.write(file, Path("digits", file.parent.name, file.name))
    return folder / "digits.zip"


def series(folder):
    found = next(catalogue.materialise(catalogue.cards()["gunpoint"]).glob("*.ts"))
    return shutil.copy(found, folder / "gunpoint.ts")


def ask(visitor, file, sentence):
    """A file, one sentence, and a run until it has a model: 4 clicks."""
    visitor.upload(file)
    visitor.see(f"Now: {file.name}")
    visitor.page.locator("textarea").fill(sentence)
    visitor.page.keyboard.press("Control+Enter")
    visitor.settle()
    visitor.see("Likely")
    visitor.button("Start the run")
    visitor.see("Best so far")


def end(visitor):
    """The run packages what it has, and its page leads to the result: 2 clicks."""
    visitor.button("Stop")
    visitor.link("How good it is")
    visitor.see("Naive baseline")


def newest(app):
    """The folder of the run that was begun last."""
    return max((app.folder / "runs").glob("*/request.json"), key=lambda f: f.stat().st_mtime).parent


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (table, "tell the sex of a penguin from its measurements"),
        (pictures, "which digit is in the picture?"),
        (series, "is the actor drawing a gun or pointing?"),
    ],
    ids=["table", "pictures", "series"],
)
def test_from_an_empty_start_to_a_bundle_in_ten_clicks_and_a_sentence(app, visitor, source, sentence, tmp_path):
    album = ARTEFACTS / source.__name__
    visitor.open(app.page())
    ask(visitor, Path(source(tmp_path)), sentence)
    visitor.photograph(album / "run.png")
    end(visitor)
    bundle = visitor.save("Bundle", tmp_path)
    assert visitor.clicks <= 10
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path / "bundle")
    assert manifest.verify(next((tmp_path / "bundle").iterdir()))["members"]
    visitor.photograph(album / "result.png")
    visitor.link("Use it")
    visitor.button("Start the server")
    visitor.button("Predict")
    visitor.see("In truth")
    visitor.photograph(album / "deploy.png")
    visitor.button("Stop the server")
    visitor.see("Start the server")


def test_a_run_outlives_the_app_and_itself(app, visitor, tmp_path):
    visitor.open(app.page())
    ask(visitor, Path(table(tmp_path)), "tell the sex of a penguin")
    folder, port = newest(app), int(app.address.split(":")[-1].strip("/"))
    app.end()
    app.start(port)
    visitor.problems.clear()  # that nobody answers is what this is about
    visitor.reload()
    visitor.see(folder.name)
    visitor.see("Best so far")
    before = {f.parent.name: f.read_text() for f in folder.glob("trials/0*/trial.json")}
    os.killpg(runs.owner(folder), signal.SIGKILL)
    visitor.see("The run was cut off")
    visitor.button("Go on")
    end(visitor)
    after = {f.parent.name: f.read_text() for f in folder.glob("trials/0*/trial.json")}
    assert before and before.items() <= after.items()
