"""Start the app on this machine alone, without telling anybody."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import NoReturn

from metalearner.home import home

from .spaces import FOLDER, KEY
from .uploads import MEGABYTES

ACCENT_LIGHT, ACCENT_DARK = "#0f766e", "#2bb5a5"


def command(port: int, host: str = "127.0.0.1") -> list[str]:
    """The streamlit command with our settings: loopback, no usage statistics, no error details, capped uploads."""
    settings = {
        "server.address": host,
        "server.port": port,
        "server.headless": "true",
        "server.maxUploadSize": MEGABYTES,
        "server.enableXsrfProtection": "true",
        "server.enableCORS": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": "false",
        "client.toolbarMode": "minimal",
        "theme.light.primaryColor": ACCENT_LIGHT,
        "theme.dark.primaryColor": ACCENT_DARK,
    }
    flags = [part for key, value in settings.items() for part in (f"--{key}", str(value))]
    return [sys.executable, "-m", "streamlit", "run", str(Path(__file__).with_name("router.py")), *flags]


def key() -> str:
    """What in the address opens the folder of runs: the same every time, so that it can be bookmarked."""
    file = home() / "app-key"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.{os.getpid()}")
        part.touch(mode=0o600)
        part.write_text(secrets.token_urlsafe(16))
        part.replace(file)
    return file.read_text().strip()


def launch(port: int, host: str = "127.0.0.1", runs: Path = Path("runs")) -> NoReturn:
    """Become the app: this process is streamlit's from here on, and what ends it ends the app."""
    found = key()
    print(f"http://{host}:{port}/?space={found}  (Ctrl-C ends it)", flush=True)
    print(
        f"This address shows the runs in '{runs}'; whoever comes without its key has a space of their own.", flush=True
    )
    words = command(port, host)
    os.execve(words[0], words, os.environ | {KEY: found, FOLDER: str(runs.absolute())})
