"""Start the app on this machine alone, without telling anybody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

UPLOAD_MEGABYTES = 200


def command(port: int) -> list[str]:
    """The streamlit command with our settings: loopback, no usage statistics, no error details, capped uploads."""
    settings = {
        "server.address": "127.0.0.1",
        "server.port": port,
        "server.headless": "true",
        "server.maxUploadSize": UPLOAD_MEGABYTES,
        "browser.gatherUsageStats": "false",
        "client.showErrorDetails": "none",
        "client.toolbarMode": "minimal",
    }
    flags = [part for key, value in settings.items() for part in (f"--{key}", str(value))]
    return [sys.executable, "-m", "streamlit", "run", str(Path(__file__).with_name("router.py")), *flags]


def launch(port: int) -> int:
    """Run until it is stopped; returns its exit code."""
    print(f"http://127.0.0.1:{port}  (Ctrl-C ends it)", flush=True)
    try:
        return subprocess.call(command(port))
    except KeyboardInterrupt:
        return 130
