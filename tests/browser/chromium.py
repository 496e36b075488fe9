"""The app and a visitor to it: a real Chromium without a window, which counts its clicks and notes what goes wrong in the page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, TALLEST = 1360, 1000, 2200
# Milliseconds that a page may take; other work may have the machine meanwhile.
PATIENCE = 90_000
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def missing() -> str:
    """Why there can be no browser here; empty when there can."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed (requirements-dev.txt)"
    return "" if CHROMIUM else "there is no Chromium (apt-get install chromium)"


class App:
    """`metalearner app` in a folder of its own, with a home of its own."""

    def __init__(self, folder: Path, home: Path | None = None) -> None:
        self.folder = folder
        self.environment = {**os.environ, "METALEARNER_HOME": str(home or folder / "home"), "OMP_NUM_THREADS": "1"}
        self.process: subprocess.Popen[str] | None = None
        self.address = self.key = ""

    def start(self, port: int = 0) -> None:
        """Begin it; returns when it answers."""
        port = port or _free_port()
        told = (self.folder / "app.log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "metalearner", "app", "--port", str(port)], cwd=self.folder, env=self.environment,
            stdout=told, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        end = time.monotonic() + 60
        while not (found := re.search(r"(http://\S+/)\?space=(\S+)[\s\S]*URL: ", self.said())):
            assert self.process.poll() is None and time.monotonic() < end, self.said()
            time.sleep(0.1)
        self.address, self.key = found[1], found[2]

    def said(self) -> str:
        """What it wrote."""
        return (self.folder / "app.log").read_text()

    def end(self) -> None:
        """Kill it, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def page(self, name: str = "", **about: str) -> str:
        """The address of one page."""
        return f"{self.address}{name}?" + "&".join(f"{k}={v}" for k, v in {"space": self.key, **about}.items())


class Visitor:
    """Somebody who looks at pages, clicks and waits."""

    def __init__(self, page: Any) -> None:
        self.page, self.clicks = page, 0
        self.problems: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("console", self._heard)
        page.on("dialog", lambda dialog: (self.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def open(self, address: str) -> None:
        """Go there, and wait until it is drawn."""
        self.page.goto(address)
        self.settle()

    def reload(self) -> None:
        """As with the key F5."""
        self.page.reload()
        self.settle()

    def settle(self) -> None:
        """Wait until the page has a heading and its script has ended."""
        self.page.wait_for_selector("[data-testid=stApp] h1")
        self.page.wait_for_timeout(300)
        self.page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")

    def button(self, label: str) -> None:
        """Press a button, once the page is at rest: what is drawn anew under the mouse is not pressed."""
        self.settle()
        self._click(self.page.get_by_role("button", name=label))

    def link(self, label: str) -> None:
        """Follow a link of the page or of its navigation."""
        self._click(self.page.get_by_role("link", name=label).first)

    def upload(self, file: Path, nth: int = 0) -> None:
        """Browse, choose a file, open it: three clicks."""
        self.page.locator("input[type=file]").nth(nth).set_input_files(file)
        self.clicks += 3

    def see(self, text: str, seconds: float = PATIENCE / 1000) -> None:
        """Wait until a text is there."""
        self.page.get_by_text(text).first.wait_for(timeout=seconds * 1000)

    def save(self, label: str, into: Path) -> Path:
        """Press a button that gives a file, and keep it."""
        with self.page.expect_download() as given:
            self.button(label)
        given.value.save_as(into / given.value.suggested_filename)
        return into / given.value.suggested_filename

    def photograph(self, file: Path) -> None:
        """The whole page as PNG, when all of it has come and what moves in it is at rest."""
        self.page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")
        self.page.wait_for_timeout(1500)
        high = self.page.evaluate("(document.querySelector('[data-testid=stMain]') || document.body).scrollHeight")
        self.page.set_viewport_size({"width": WIDTH, "height": min(TALLEST, max(HEIGHT - 100, high + 40))})
        self.page.wait_for_timeout(1500)
        file.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=file)
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    def _heard(self, said: Any) -> None:
        """Errors; but that Streamlit looks for its root below the address of a page, and does not find it there, is its way."""
        where = said.location.get("url", "")
        if said.type == "error" and not where.endswith(("/_stcore/health", "/_stcore/host-config")):
            self.problems.append(f"{said.text} {where}")

    def _click(self, place: Any) -> None:
        place.click()
        self.clicks += 1


@contextmanager
def visitor(scheme: str = "light") -> Iterator[Visitor]:
    """One in a browser of their own, who likes pages light or dark."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tools:
        # As root Chromium starts without its sandbox alone; it sees pages of ours and no others.
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            context = browser.new_context(
                viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme, accept_downloads=True
            )
            yield Visitor(context.new_page())
        finally:
            browser.close()


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
