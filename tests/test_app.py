"""The app: every page draws, says what to do when it is empty, and shows what a run has; runs are processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from metalearner.pages import children, launch, manners, processes, questions, spaces, uploads
from metalearner.pages.draft import Draft

PAGES = Path(launch.__file__).parent
STAGES = ["formulate_page.py", "prepare_page.py", "propose_page.py", "run_page.py", "result_page.py", "deploy_page.py"]
BESIDE = ["runs_page.py", "knowledge_page.py", "plugin_page.py"]
KEY = "the-key-of-whoever-started-it"
TABLE = b"".join([b"a,b,kind\n", *(f"{i},{i % 7},{'yes' if i > 60 else 'no'}\n".encode() for i in range(120))])


@pytest.fixture(autouse=True)
def space(tmp_path, monkeypatch):
    """The folder of runs, opened by a key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(spaces.KEY, KEY)
    monkeypatch.setenv(spaces.FOLDER, str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture(scope="session")
def done(tmp_path_factory, registry):
    """A finished run on a table whose columns and classes are called what they should not be."""
    from metalearner.request import Request, parse_budget
    from metalearner.run import run
    from metalearner.task import Wish

    folder = tmp_path_factory.mktemp("done")
    lines = ["<script>alert(1)</script>,[x](javascript:alert(2)),kind"]
    lines += [f"{i % 100}.5,{(i * 7) % 11},{'<b>yes' if i % 100 > 55 else 'no'}" for i in range(160)]
    (folder / "nasty.csv").write_text("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METALEARNER_HOME", str(folder / "home"))
        wish = Wish("which kind is it?", goal="accuracy 0.99999")
        run(Request(str(folder / "nasty.csv"), wish, parse_budget("3trials"), folder / "run", cold=True), registry)
    return folder / "run"


@pytest.fixture
def finished(done, space):
    """That run, in this test's folder."""
    space.mkdir()
    (space / "nasty-1").symlink_to(done)
    return space / "nasty-1"


def shown(page, run="", key=KEY):
    test = AppTest.from_file(str(PAGES / page), default_timeout=60)
    test.query_params["space"] = key
    if run:
        test.query_params["run"] = run
    found = test.run()
    assert not found.exception, found.exception
    return found


def until(page, ready, seconds=40):
    """Draw a page until it shows what is waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = shown(page)
        if ready(found):
            return found
        time.sleep(0.3)
    raise AssertionError(f"{page} never became ready: {words(found)}")


def words(test):
    return " ".join(
        str(e.value) for kind in (test.markdown, test.caption, test.info, test.error, test.title) for e in kind
    )


# -- empty, and about ready ------------------------------------------------------------------------------


@pytest.mark.parametrize("page", STAGES + BESIDE)
def test_every_page_draws_with_nothing_there(page):
    assert shown(page).title


@pytest.mark.parametrize(
    "page", ["prepare_page.py", "propose_page.py", "run_page.py", "result_page.py", "deploy_page.py", "runs_page.py"]
)
def test_an_empty_page_says_what_to_do(page):
    found = shown(page)
    assert len(found.info) == 1 and "Formulate" in words(found)


def test_pages_import_no_torch_and_answer_within_a_second(finished):
    code = f"""
import sys, time
from streamlit.testing.v1 import AppTest
def draw(page):
    test = AppTest.from_file({str(PAGES)!r} + "/" + page, default_timeout=60)
    test.query_params["space"] = {KEY!r}
    began = time.monotonic()
    assert not test.run().exception, page
    return time.monotonic() - began
pages = {STAGES + BESIDE!r}
[draw(page) for page in pages]  # what is imported or cached once is not what a click waits for
slow = {{page: round(seconds, 2) for page in pages if (seconds := draw(page)) > 1.5}}
print(json.dumps([slow, "torch" in sys.modules])) if (json := __import__("json")) else None
"""
    slow, torch = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()[-1])
    assert not torch and not slow  # alone each takes a tenth of a second to two


# -- the story -------------------------------------------------------------------------------------------


def test_a_data_set_is_understood_looked_at_and_proposed_for(space):
    Draft("penguins", "penguins", "tell the sex of a penguin from its measurements").keep(space)
    formulate = until("formulate_page.py", lambda t: len(t.button))
    assert formulate.subheader[0].value == "sex" and formulate.button[0].label == "Start the run"
    assert any("Likely accuracy" in m.label for m in formulate.metric)
    prepare = shown("prepare_page.py")
    assert {m.label: m.value for m in prepare.metric}["Sealed test"] == "67"
    assert "11 rows have no sex" in words(prepare) and len(prepare.dataframe) == 2
    assert "not augmented" in words(prepare)  # rows of columns alone; nothing is asked of a process
    propose = shown("propose_page.py")
    assert len(propose.get("plotly_chart")) >= 1 and len(propose.dataframe) == 2
    assert len(propose.get("image")) == 5  # the first to be tried, drawn
    propose.multiselect[1].set_value(["linear", "invented"]).run()
    next(m for m in propose.multiselect if m.label.startswith("Keep the run")).set_value(["tensorboard"]).run()
    left = Draft.open(space)
    assert left.callbacks == ("tensorboard",)
    assert left.vetoed == ("linear", "invented") and "linear" not in left.families and "trees" in left.families


def test_a_family_that_fails_when_asked_is_named_with_what_was_raised(space, monkeypatch):
    monkeypatch.setenv("METALEARNER_PLUGIN_PATH", str(Path(__file__).parent / "faulty"))
    Draft("penguins", "penguins", "tell the sex of a penguin from its measurements").keep(space)
    page = until("propose_page.py", lambda t: len(t.dataframe))
    said = [c.value.replace("\\", "") for c in page.caption]
    assert "'blind' is left out: it failed (KeyError: 'picture')." in said


def test_the_search_space_is_narrowed_by_sliders_and_put_back(space):
    Draft("penguins", "penguins", "tell the sex of a penguin from its measurements").keep(space)
    page = until("propose_page.py", lambda t: len(t.select_slider))
    next(s for s in page.selectbox if s.label == "Of the family").set_value("trees").run()
    leaves = next(s for s in page.select_slider if s.label == "leaves")
    assert leaves.value == (4, 128) and "Ends of a tree" in leaves.help
    leaves.set_value((8, 47)).run()
    next(m for m in page.multiselect if m.label == "extra").set_value(["true"]).run()
    assert Draft.open(space).narrow == ("trees.leaves=8..47", "trees.extra=true")
    again = until("propose_page.py", lambda t: len(t.select_slider))  # as it is after a reload
    next(s for s in again.selectbox if s.label == "Of the family").set_value("trees").run()
    assert next(s for s in again.select_slider if s.label == "leaves").value == (8, 47)
    next(b for b in again.button if b.label == "Search all again").click().run()
    assert Draft.open(space).narrow == () and not again.exception
    assert next(s for s in again.select_slider if s.label == "leaves").value == (4, 128)


def test_what_was_decided_is_what_a_run_is_asked(space):
    draft = Draft("penguins", "penguins", "tell the sex", budget="1trials", callbacks=("tensorboard",))
    draft = draft.narrowed("trees.leaves", "8..9")
    folder = processes.start(space, draft.narrowed("trees.leaves", "8..16").narrowed("trees.extra", "true"))
    deadline = time.monotonic() + 60
    while not (folder / "request.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    asked = json.loads((folder / "request.json").read_text())
    assert asked["narrow"] == ["trees.leaves=8..16", "trees.extra=true"] and asked["callbacks"] == ["tensorboard"]
    processes.stop(folder)


def test_rows_are_shown_as_training_may_change_them(space):
    Draft("digits", "digits").keep(space)
    page = until("prepare_page.py", lambda t: "RandAugment" in words(t), 90)
    assert "mixed with another row" in words(page) and len(page.get("image")) == 12 + 7 * 5


def test_the_task_can_be_changed_by_hand(space):
    Draft("penguins", "penguins", "tell the sex of a penguin").keep(space)
    page = until("formulate_page.py", lambda t: len(t.button))
    metric = next(s for s in page.selectbox if s.label == "Scored by")
    metric.set_value("auc").run()
    assert Draft.open(space).metric == "auc"
    again = until("formulate_page.py", lambda t: len(t.button))
    assert "**auc**" in words(again)


def test_what_gives_the_answer_away_is_left_out_until_somebody_wants_it(space, tmp_path):
    table = pd.read_csv(Path(__file__).parent.parent / "datasets" / "penguins" / "penguins.csv")
    table["ring"] = table["sex"].map({"male": "blue", "female": "red"})
    table.to_csv(tmp_path / "ringed.csv", index=False)
    Draft(str(tmp_path / "ringed.csv"), "ringed.csv", "tell the sex of a penguin").keep(space)
    page = until("formulate_page.py", lambda t: len(t.multiselect))
    (choice,) = page.multiselect
    assert choice.options == ["ring"] and not choice.value
    choice.set_value(["ring"]).run()
    draft = Draft.open(space)
    assert draft.trusted == ("ring",) and "--keep=ring" in draft.options()
    again = until("formulate_page.py", lambda t: len(t.multiselect))
    assert again.multiselect[0].value == ["ring"] and "male" not in again.multiselect[0].options


def test_what_cannot_be_used_is_said_in_three_parts(space):
    Draft("penguins", "penguins", "tell the sex", target="nothing like it").keep(space)
    page = until("formulate_page.py", lambda t: len(t.error))
    assert "Unknown target column" in page.error[0].value and "Try again" in page.button[0].label
    assert "Traceback" not in words(page) and str(Path.cwd()) not in words(page)


def test_a_run_is_started_stopped_and_obeys_what_was_ruled_out(space):
    draft = Draft("penguins", "penguins", "tell the sex", budget="60s").ruling(["linear", "trees"], ["linear"], [])
    folder = processes.start(space, draft)
    assert processes.state(folder) in ("starting", "running")
    deadline = time.monotonic() + 60
    while not ((account := processes.account(folder)) and account.good) and time.monotonic() < deadline:
        time.sleep(0.2)
    page = shown("run_page.py")
    assert "Best so far" in [m.label for m in page.metric] and [b.label for b in page.button] == ["Stop", "Pause"]
    page.button[0].click().run()
    while processes.state(folder) != "finished" and time.monotonic() < deadline:
        time.sleep(0.2)
    account = processes.account(folder)
    assert account.state == "finished" and account.result["interrupted"]
    assert {t["proposal"]["family"] for t in account.trials} == {"linear"}


def test_a_paused_run_goes_on_and_loses_nothing(space):
    folder = processes.start(space, Draft("penguins", "penguins", "tell the sex", budget="6trials"))
    deadline = time.monotonic() + 120
    while len(list((folder / "trials").glob("0*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    processes.pause(folder)
    while processes.state(folder) in ("running", "starting") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes.state(folder) == "paused"
    before = {t.name: (t / "trial.json").read_text() for t in (folder / "trials").glob("0*")}
    page = shown("run_page.py")
    assert page.button[0].label == "Go on" and "Paused" in page.info[0].value
    page.button[0].click().run()
    while processes.state(folder) != "finished" and time.monotonic() < deadline:
        assert processes.state(folder) in ("running", "starting", "finished"), children.said(folder)
        time.sleep(0.2)
    after = {t.name: (t / "trial.json").read_text() for t in (folder / "trials").glob("0*")}
    assert before.items() <= after.items() and len(after) == 6


def test_a_run_that_fails_says_why_without_places_or_tracebacks(space):
    folder = processes.start(space, Draft(str(Path.cwd() / "nothing.csv"), "nothing.csv"))
    deadline = time.monotonic() + 60
    while processes.state(folder) in ("starting", "running") and time.monotonic() < deadline:
        time.sleep(0.2)
    page = shown("run_page.py")
    assert "There is no file or folder" in page.error[0].value and str(Path.cwd()) not in page.error[0].value
    (folder / "log.txt").write_text("Traceback (most recent call last)\n  secret\n")
    assert children.said(folder) == children.FAULT


def test_a_run_that_was_killed_after_warnings_was_cut_off_and_did_not_fail(space):
    folder = space / "penguins-1"
    folder.mkdir(parents=True)
    (folder / "request.json").write_text("{}")
    warned = "/x/run.py:257: UserWarning: probe 'order' was left out: 5 s were over\n  return describe(dataset)\n"
    (folder / "log.txt").write_text(2 * warned)
    assert children.said(folder) == "" and processes.state(folder) == "cut off"
    (folder / "log.txt").write_text(f"{warned}None of 0 trials gave a model.\n{warned}Try a larger --budget.\n")
    assert children.said(folder) == "None of 0 trials gave a model.\nTry a larger --budget."


def test_a_run_outlives_whoever_started_it(space):
    code = f"""
from pathlib import Path
from metalearner.pages import processes
from metalearner.pages.draft import Draft
print(processes.start(Path({str(space)!r}), Draft("penguins", "penguins", "tell the sex", budget="2trials")), flush=True)
import os, signal
os.kill(os.getpid(), signal.SIGKILL)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    folder = Path(found.stdout.strip())
    deadline = time.monotonic() + 120
    while processes.state(folder) != "finished" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found.returncode == -signal.SIGKILL and processes.state(folder) == "finished"


# -- a finished run --------------------------------------------------------------------------------------


def test_a_result_shows_score_pictures_errors_and_what_it_is_made_of(finished):
    page = shown("result_page.py")
    labels = [m.label for m in page.metric]
    assert labels == ["accuracy", "95 % interval", "Naive baseline", "Measured on"]
    assert "missed" in page.warning[0].value
    page = until("result_page.py", lambda t: len(t.get("plotly_chart")) == 3)  # what it relies on takes a moment
    assert (
        len(page.get("image")) == sum("%" in e.label for e in page.expander) >= 1
        and "metalearner run" in page.code[-1].value
    )
    buttons = page.get("download_button")
    assert [b.label for b in buttons] == ["Bundle", "Report", "Card"]
    assert not any(b.proto.deferred_file_id for b in buttons), (
        "what is made on a click is lost where the page is drawn anew"
    )


def test_names_from_data_are_shown_and_never_read_as_markup(finished, space):
    for page in ("result_page.py", "run_page.py", "runs_page.py"):
        found = shown(page)
        for said in [*found.markdown, *found.caption, *found.title, *found.subheader]:
            assert "<script" not in said.value.replace("\\<script", "") and "](javascript" not in said.value
            assert not said.allow_html if hasattr(said, "allow_html") else True


def test_a_finished_run_is_listed_and_opened(finished):
    page = shown("runs_page.py")
    assert list(page.dataframe[0].value["run"]) == ["nasty-1"] and page.dataframe[0].value["state"][0] == "finished"
    assert "Predicting kind" in shown("run_page.py", run="nasty-1").title[0].value


def test_a_server_is_started_tried_and_stopped(finished):
    shown("deploy_page.py").button[0].click().run()
    page = until("deploy_page.py", lambda t: any(b.label == "Predict" for b in t.button))
    assert {w.label for w in page.number_input}
    next(b for b in page.button if b.label == "Predict").click().run()
    assert not page.exception and not page.error
    assert "In truth" in [m.label for m in page.metric] and "hold the truth of 90% of rows" in words(page)
    assert processes.address(finished).startswith("http://127.0.0.1:")
    page.button[0].click().run()
    deadline = time.monotonic() + 20
    while processes.address(finished) is not None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes.address(finished) is None


def test_knowledge_is_counted_once_in_a_process_of_its_own():
    page = until("knowledge_page.py", lambda t: len(t.metric))
    assert int(page.metric[0].value.replace(",", "")) > 10_000
    assert len(page.dataframe) == 2 and list(page.dataframe[0].value.index).count("invented") == 1
    assert "the lines begin with them" in words(page) and len(page.get("plotly_chart")) == 2


def test_how_the_base_grew_is_drawn_from_the_days_of_its_records(own_home):
    from metalearner.knowledge import Base
    from metalearner.records import Config, DatasetCard, Description, Experience

    card = DatasetCard("mine", "mine", "tabular", 50, "hash")
    tried = Experience(card.id, "hash", {"output": "classification", "metric": "accuracy"}, Config("linear"), "linear", 0, 1.0,
                       "ok", "accuracy", 0.9, 0.5, 0.8, 1.0, {}, {"python": "3.11"}, "laptop")  # fmt: skip
    with Base.open() as base:
        before = base.stats()
        assert base.add(card, Description("1", {"classes": 2.0}, ()), [tried]) == []
    page = until("knowledge_page.py", lambda t: len(t.get("plotly_chart")))
    drawn = [json.loads(chart.proto.spec)["data"][0] for chart in page.get("plotly_chart")]
    assert [line["name"] for line in drawn] == ["Fits", "Groups of data sets"]
    assert [line["y"][-1] for line in drawn] == [before["records"] + 1, before["groups"] + 1]
    assert all(line["y"] == sorted(line["y"]) for line in drawn) and "the lines begin with them" in words(page)


def test_where_no_record_carries_a_day_the_next_run_begins_the_line(monkeypatch):
    from metalearner.pages import knowledge_page

    said = []
    monkeypatch.setattr(knowledge_page.st, "caption", said.append)
    knowledge_page.grown({"undated": {"records": 12, "data_sets": 2, "groups": 1}})
    assert said == ["12 fits carry no day, for none was noted when they came; your next run begins the line."]


def test_a_plugin_that_fails_is_named_with_its_reason(tmp_path, monkeypatch):
    from metalearner.pages import context

    (tmp_path / "broken.py").write_text("raise RuntimeError('out of order')")
    monkeypatch.setenv("METALEARNER_PLUGIN_PATH", str(tmp_path))
    context.registry.clear()
    try:
        page = shown("plugin_page.py")
        assert "out of order" in page.error[0].value and "goes on without it" in page.error[0].value
    finally:
        context.registry.clear()


# -- visitors and what they send -------------------------------------------------------------------------


def test_visitors_do_not_see_each_other(finished, space):
    stranger = shown("runs_page.py", key="a-stranger-comes-by-here")
    assert not stranger.dataframe and "Formulate" in words(stranger)
    assert "No run" in words(shown("result_page.py", run="nasty-1", key="a-stranger-comes-by-here"))
    assert "No run" in words(shown("run_page.py", run="../nasty-1", key="a-stranger-comes-by-here"))
    theirs = Draft("penguins", "penguins").keep(space / "spaces" / "x")
    assert Draft.open(space) != theirs


def test_without_a_key_a_visitor_gets_one_that_stays():
    test = AppTest.from_file(str(PAGES / "runs_page.py"), default_timeout=60).run()
    key = test.query_params["space"]
    key = key[0] if isinstance(key, list) else key
    assert len(key) >= 20 and key != KEY
    again = shown("runs_page.py", key=key)
    assert again.session_state["space"] == key


def test_the_space_of_a_key_cannot_be_led_out_of(space):
    for key in ("../../etc", "x", "a" * 100, "a/b" * 8):
        test = shown("runs_page.py", key=key)
        assert test.session_state["space"] != key


@pytest.mark.parametrize("ending", ["exe", "py", "html", "pkl", "joblib", "pt", "csv.sh", ""])
def test_files_of_other_kinds_are_refused_whatever_the_browser_was_told(ending):
    with pytest.raises(Exception, match="cannot be read") as refused:
        uploads.keep(f"x.{ending}" if ending else "x", b"a,b\n1,2\n")
    assert len(str(refused.value).splitlines()) == 3


def test_uploads_get_names_of_ours():
    kept = uploads.keep("../../etc/pass wd<script>.csv", TABLE)
    assert kept.name == "pass-wd-script.csv" and kept.read_bytes() == TABLE
    assert uploads.keep("/x/secret-name.csv", TABLE, private=True).name == "upload.csv"
    assert uploads.keep("../../etc/pass wd<script>.csv", TABLE) == kept
    with pytest.raises(Exception, match="empty"):
        uploads.keep("x.csv", b"")


def test_an_upload_becomes_a_draft(space):
    test = AppTest.from_file(str(PAGES / "formulate_page.py"), default_timeout=60)
    test.query_params["space"] = KEY
    test.run()
    test.file_uploader[0].upload("patients.csv", TABLE, "text/csv").run()
    draft = Draft.open(space)
    assert draft.name == "patients.csv" and Path(draft.source).read_bytes() == TABLE


def test_questions_are_asked_once_and_failures_can_be_asked_again():
    reply = questions.ask("word", ["explain", "no such word"])
    deadline = time.monotonic() + 30
    while reply.waiting and time.monotonic() < deadline:
        time.sleep(0.1)
        reply = questions.ask("word", ["explain", "no such word"])
    assert "Unknown word" in reply.problem
    questions.forget(reply)
    assert questions.ask("word", ["explain", "no such word"]).waiting
    assert questions.knowledge_stamp() == [0, 0]


def test_what_a_visitor_writes_is_never_an_option():
    draft = Draft("--out", "x", "--cold", target="--help")
    assert draft.options() == ["--target=--help"] and draft.asked() == ["--", "--out", "--cold"]


# -- the launcher ----------------------------------------------------------------------------------------


def test_the_launcher_stays_on_this_machine(tmp_path):
    flags = launch.command(8501)
    expected = {"--server.address": "127.0.0.1", "--browser.gatherUsageStats": "false", "--client.showErrorDetails": "none",
                "--client.showErrorLinks": "false",
                "--server.maxUploadSize": "200", "--server.enableXsrfProtection": "true"}  # fmt: skip
    for name, value in expected.items():
        assert flags[flags.index(name) + 1] == value
    key = launch.key()
    assert key == launch.key() and len(key) > 15 and oct((questions.home() / "app-key").stat().st_mode)[-3:] == "600"


def test_the_root_app_is_the_same_router():
    root = Path(__file__).parent.parent / "app.py"
    assert "router.show()" in root.read_text() and len(root.read_text().splitlines()) < 8


def test_pages_are_short_and_words_explained():
    assert all(len(f.read_text().splitlines()) < 250 for f in PAGES.glob("*.py"))
    assert manners.meaning("baseline") and manners.number(None) == "–" and manners.number(0.123456) == "0.1235"


def test_events_cut_off_in_the_middle_are_left_for_later(tmp_path):
    from metalearner import events

    (tmp_path / "events.jsonl").write_text(json.dumps({"stage": "formulate"}) + '\n{"stage": "sea')
    assert [e["stage"] for e in events.read(tmp_path / "events.jsonl")] == ["formulate"]
    assert os.environ[spaces.KEY] == KEY
