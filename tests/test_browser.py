"""The story as somebody has it who opens the app in a browser: from an empty start to a bundle; and those who mean harm."""

from __future__ import annotations

import csv
import importlib.util
import os
import shutil
import signal
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest

from metalearner import runs
from metalearner.deploy import manifest
from metalearner.sources import catalogue

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
    visitor.open(app.address)  # without the key: a space of their own, with nothing in it
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


@pytest.mark.slow
def test_a_run_outlives_the_app_and_itself(app, visitor, tmp_path):
    visitor.open(app.page())
    ask(visitor, Path(table(tmp_path)), "tell the sex of a penguin")
    folder, port = newest(app), int(app.address.split(":")[-1].strip("/"))
    app.end()
    app.start(port)
    visitor.reload()
    visitor.problems.clear()  # that nobody answered is what this is about
    visitor.see(folder.name)
    visitor.see("Best so far")
    before = {f.parent.name: f.read_text() for f in folder.glob("trials/0*/trial.json")}
    os.killpg(runs.owner(folder), signal.SIGKILL)
    visitor.see("The run was cut off")
    visitor.button("Go on")
    visitor.link("How good it is")
    visitor.see("Naive baseline")
    after = {f.parent.name: f.read_text() for f in folder.glob("trials/0*/trial.json")}
    assert before and before.items() <= after.items()


# -- those who mean harm -------------------------------------------------------------------------------------


def kept(app):
    """What was stored of uploads."""
    return [f for f in (app.folder / "home" / "uploads").rglob("*") if f.is_file()]


def test_nobody_uploads_without_having_opened_a_page(app):
    address = f"{app.address}_stcore/upload_file/{'a' * 36}/{'b' * 36}"
    body = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.csv"\r\n\r\na,b\r\n--x--\r\n'
    request = urllib.request.Request(address, body, {"Content-Type": "multipart/form-data; boundary=x"}, method="PUT")
    before = kept(app)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code in (400, 403) and kept(app) == before


# What arrives in place of the CSV that the page was given, and whether it is Streamlit or the app that refuses it.
SWAPPED = {
    "evil.exe": (b"MZ\x90\0" * 100, "error"),
    "../../evil.html": (b"<script>alert(1)</script>", "error"),
    "evil.zip": (b"MZ\x90\0" * 100, "is no ZIP"),
    "evil.npz": (b"\x80\x04K\x01.", "is no ZIP"),
}


def test_what_the_file_dialog_does_not_let_through_is_refused_at_the_endpoint(app, visitor, tmp_path):
    """On its way from the page to the endpoint the file becomes another."""

    def other(name, data):
        def swap(route):
            if route.request.method != "PUT":
                route.continue_()
                return
            mark = route.request.headers["content-type"].split("boundary=")[1]
            head = f'--{mark}\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\n\r\n'
            route.continue_(post_data=head.encode() + data + f"\r\n--{mark}--\r\n".encode())

        return swap

    before = kept(app)
    for name, (data, said) in SWAPPED.items():
        visitor.page.unroute_all()
        visitor.page.route("**/_stcore/upload_file/**", other(name, data))
        visitor.open(app.page())
        visitor.upload(Path(table(tmp_path)))
        alert = visitor.page.get_by_role("alert").first
        alert.wait_for()
        assert said in alert.inner_text()
        assert str(app.folder) not in visitor.page.content() and "Traceback" not in visitor.page.content()
    assert kept(app) == before and not list(app.folder.parent.rglob("evil.html"))
    visitor.open(app.page())
    visitor.see("From data to a model in use")


NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "[x](javascript:alert(3))",
    "=cmd|' /C calc'!A0",
)


def nasty(folder):
    """A table whose columns, classes and cells are called what they should not be."""
    with (folder / "nasty.csv").open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow([*NASTY, "kind"])
        for i in range(160):
            a, b = i % 100, (i * 7) % 11
            rows.writerow(
                [
                    f"{a}.5",
                    b,
                    ["<b>x", "=1+1", "+y", "@z"][i % 4],
                    -b,
                    "<img src=x onerror=alert(4)>" if a > 55 else "=no",
                ]
            )
    return folder / "nasty.csv"


def test_names_in_data_do_nothing_on_any_page(app, visitor, tmp_path):
    visitor.open(app.page())
    ask(visitor, nasty(tmp_path), "which kind is it?")
    end(visitor)
    visitor.link("Use it")
    visitor.button("Start the server")
    visitor.button("Predict")
    visitor.see("In truth")
    visitor.photograph(ARTEFACTS / "nasty" / "deploy.png")
    visitor.button("Stop the server")
    for title in ("Formulate", "Prepare", "Propose", "Run", "Result", "Deploy and monitor", "Runs"):
        visitor.link(title)
        visitor.settle()
        visitor.page.wait_for_timeout(1000)
        assert not visitor.page.locator(
            "img[src=x], a[href^=javascript], script:not([src]):has-text('alert')"
        ).count(), title
