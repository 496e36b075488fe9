"""Photograph every page, light and dark, with one run to show: .venv/bin/python tests/browser/screenshots.py [FOLDER]

A run on handwritten digits is made first (`--run` names one that is there already). What is written replaces `screenshots/` in the root.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from chromium import App, Visitor, missing, visitor
from PIL import Image

from metalearner.pages.draft import Draft

ROOT = Path(__file__).parents[2]
SOURCE, SENTENCE, BUDGET = "digits", "which digit is in the picture?", "2m"
# Pages by their address, and a text that is there once all has come that is waited for.
PAGES = {
    "formulate": ("", "Likely"),
    "prepare": ("prepare", "What was noticed"),
    "propose": ("propose", "Past data sets like"),
    "run": ("run", "Best so far"),
    "result": ("result", "What it is made of"),
    "deploy": ("deploy", "Start the server"),
    "runs": ("runs", "Choose a row"),
    "knowledge": ("knowledge", "Which families win where"),
    "plugins": ("plugins", "Plugins"),
}
# Seconds that what a page asks for may take, where the machine has other work.
SECONDS = 300
# Pixels across and colours of what is kept.
WIDE, COLOURS = 1000, 128


def show(app: App, run: str, scheme: str, into: Path) -> None:
    """All pages in one scheme of colours."""
    with visitor(scheme) as guest:
        for name, (address, text) in PAGES.items():
            guest.open(app.page(address, run=run))
            guest.see(text, SECONDS)
            guest.page.get_by_text("hourglass_empty").wait_for(state="hidden", timeout=SECONDS * 1000)
            guest.settle()
            if name == "deploy":
                use(guest)
            guest.photograph(into / f"{name}.png")
            shrink(into / f"{name}.png")
        guest.open(app.page("deploy", run=run))
        guest.button("Stop the server")
        guest.see("Start the server")
        assert not guest.problems, guest.problems


def use(guest: Visitor) -> None:
    """A model in use: a prediction, and rows to compare with."""
    guest.button("Start the server")
    guest.see("Try it")
    for _ in range(3):  # the first one waits until all is loaded
        guest.button("Predict")
        guest.see("In truth")


def shrink(file: Path) -> None:
    """Smaller and of few colours; pages have no more."""
    with Image.open(file) as image:
        small = image.convert("RGB").resize((WIDE, round(image.height * WIDE / image.width)), Image.Resampling.LANCZOS)
    small.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)


def main() -> None:
    """Make the run, start the app, look at it twice."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("into", nargs="?", type=Path, default=ROOT / "screenshots")
    asked.add_argument("--run", type=Path, help="a finished run to show")
    chosen = asked.parse_args()
    if why := missing():
        raise SystemExit(f"No pages can be photographed: {why}.")
    with tempfile.TemporaryDirectory() as scratch:
        app = App(Path(scratch))
        runs = app.folder / "runs"
        run = runs / f"{SOURCE}-1"
        if chosen.run:
            shutil.copytree(chosen.run, run)
        else:
            command = [
                sys.executable,
                "-m",
                "metalearner",
                "run",
                SOURCE,
                SENTENCE,
                "--budget",
                BUDGET,
                "--out",
                str(run),
            ]
            subprocess.run(command, cwd=app.folder, env=app.environment, check=True)
        Draft(SOURCE, SOURCE, SENTENCE, budget=BUDGET).keep(runs)
        app.start()
        try:
            for scheme in ("light", "dark"):
                show(app, run.name, scheme, chosen.into / scheme)
        finally:
            app.end()


if __name__ == "__main__":
    main()
