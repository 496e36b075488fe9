"""The app: every page draws, a run started from it is a process of its own, and torch stays out of the page."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from metalearner.pages import launch, processes

PAGES = Path(launch.__file__).parent


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", ["new_run.py", "run_page.py", "knowledge_page.py", "plugin_page.py"])
def test_every_page_draws(page):
    shown = AppTest.from_file(str(PAGES / page), default_timeout=60).run()
    assert not shown.exception
    assert shown.title


def test_an_empty_list_of_runs_says_what_to_do():
    shown = AppTest.from_file(str(PAGES / "run_page.py"), default_timeout=60).run()
    assert "New run" in shown.info[0].value


def test_a_data_set_brings_its_sentence():
    shown = AppTest.from_file(str(PAGES / "new_run.py"), default_timeout=60).run()
    assert shown.text_input[0].value == "tell the sex of a penguin from its measurements"


def test_pages_import_no_torch():
    code = f"""
import sys
from streamlit.testing.v1 import AppTest
for page in ("new_run.py", "run_page.py", "knowledge_page.py"):
    AppTest.from_file({str(PAGES)!r} + "/" + page, default_timeout=60).run()
print("torch" in sys.modules)
"""
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split()[-1] == "False"


def test_a_run_started_here_is_shown_to_its_end():
    folder = processes.start("penguins", "", "", "3trials", "")
    deadline = time.monotonic() + 120
    while processes.result(folder) is None and time.monotonic() < deadline:
        time.sleep(0.3)
        assert processes.going_on(folder) or processes.result(folder), processes.complaint(folder)
    assert processes.folders() == [folder]
    shown = AppTest.from_file(str(PAGES / "run_page.py"), default_timeout=60).run()
    assert not shown.exception
    labels = [m.label for m in shown.metric]
    assert "Naive baseline" in labels and "95 % interval" in labels
    assert len(shown.dataframe) >= 1
    shown.toggle[0].set_value(True).run()
    assert not shown.exception and len(shown.get("plotly_chart")) == 1
    assert "torch" not in subprocess.check_output(
        [sys.executable, "-c", f"import sys; from metalearner.sights import look_at; from pathlib import Path; "
         f"assert look_at(Path({str(folder)!r})); print(*sys.modules)"], text=True).split()  # fmt: skip


def test_a_run_that_fails_shows_what_it_said():
    folder = processes.start("nothing-like-it.csv", "", "", "30s", "")
    deadline = time.monotonic() + 60
    while processes.going_on(folder) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert "There is no file or folder" in processes.complaint(folder)


def test_uploads_get_names_of_ours():
    kept = processes.keep_upload("../../etc/pass wd<script>.csv", b"a,b\n1,2\n")
    assert kept.name == "pass-wd-script-.csv" and kept.read_bytes() == b"a,b\n1,2\n"
    assert processes.keep_upload("x.c$v", b"").suffix == ""


def test_the_launcher_stays_on_this_machine():
    flags = launch.command(8501)
    assert flags[flags.index("--server.address") + 1] == "127.0.0.1"
    assert flags[flags.index("--browser.gatherUsageStats") + 1] == "false"
    assert flags[flags.index("--client.showErrorDetails") + 1] == "none"


def test_the_root_app_is_the_same_router():
    root = Path(__file__).parent.parent / "app.py"
    assert "router.show()" in root.read_text() and len(root.read_text().splitlines()) < 8


def test_events_cut_off_in_the_middle_are_left_for_later(tmp_path):
    from metalearner import events

    (tmp_path / "events.jsonl").write_text(json.dumps({"stage": "formulate"}) + '\n{"stage": "sea')
    assert [e["stage"] for e in events.read(tmp_path / "events.jsonl")] == ["formulate"]
