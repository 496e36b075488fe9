"""Whose runs are shown: the folder of whoever started the app, or for another visitor a space that only the key in the address opens."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path

import streamlit as st

# Set by `metalearner app`: the folder of runs, and the key in the address that opens it.
FOLDER, KEY = "METALEARNER_APP_RUNS", "METALEARNER_APP_KEY"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def current() -> Path:
    """The folder of this visitor's runs. The address keeps the key, so that a reload comes back to it."""
    key = st.query_params.get("space", "") or st.session_state.get("space", "")
    if not re.fullmatch(r"[A-Za-z0-9_-]{16,64}", key):
        key = secrets.token_urlsafe(16)
    st.session_state["space"] = key
    if st.query_params.get("space") != key:
        st.query_params["space"] = key
    root = Path(os.environ.get(FOLDER, "runs"))
    return root if _owns(key) else root / "spaces" / hashlib.sha256(key.encode()).hexdigest()[:24]


def owned() -> bool:
    """Whether this visitor is who started the app."""
    return _owns(st.session_state.get("space", ""))


def _owns(key: str) -> bool:
    """By the key; without one set, whoever sits at this machine, where the app can be reached from nowhere else."""
    wanted = os.environ.get(KEY)
    if wanted:
        return secrets.compare_digest(key.encode(), wanted.encode())
    return st.get_option("server.address") in LOOPBACK
