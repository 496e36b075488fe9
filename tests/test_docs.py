"""Documents that fail the build when they lie."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from metalearner import hookspecs

ROOT = Path(__file__).parent.parent
HOOKS = [h for h in dir(hookspecs) if h.startswith("register_") or h == "run_finished"]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_and_says_what_it_is(hook):
    assert f"`{hook}`" in (ROOT / "plugins" / "README.md").read_text()
    assert getattr(hookspecs, hook).__doc__


@pytest.mark.parametrize(
    "folder",
    [
        "plugins",
        "knowledge_base",
        "datasets",
        "benchmarks",
        "screenshots",
        *[f"plugins/{p.name}" for p in (ROOT / "plugins").iterdir() if p.is_dir()],
    ],
)
def test_every_room_has_a_readme(folder):
    assert len((ROOT / folder / "README.md").read_text()) > 200


def test_every_plugin_folder_is_in_the_table():
    table = (ROOT / "plugins" / "README.md").read_text()
    for folder in (ROOT / "plugins").iterdir():
        if folder.is_dir():
            assert f"`{folder.name}`" in table


def test_commands_in_the_readme_exist():
    from metalearner.cli import app, kb, plugin

    def names(typer):
        return {c.name or c.callback.__name__ for c in typer.registered_commands}

    verbs = names(app) | {f"kb {c}" for c in names(kb)} | {f"plugin {c}" for c in names(plugin)}
    for file in (
        ROOT / "README.md",
        ROOT / "knowledge_base" / "README.md",
        ROOT / "datasets" / "README.md",
        ROOT / "plugins" / "README.md",
    ):
        for words in re.findall(r"^\s*(?:\S*/)?metalearner ([a-z]+(?: [a-z]+)?)", file.read_text(), re.MULTILINE):
            first, _, second = words.partition(" ")
            assert first in verbs or f"{first} {second}" in verbs, f"{file.name}: metalearner {words}"


def test_figures_in_the_readme_are_what_the_benchmarks_wrote():
    readme = (ROOT / "README.md").read_text()
    table = (ROOT / "benchmarks" / "first_run.md").read_text().split("\n\n", 1)[1].strip()
    assert table in readme


def test_no_folder_poses_as_a_package():
    for folder in ("datasets", "plugins", "knowledge_base", "benchmarks"):
        assert not (ROOT / folder / "__init__.py").exists()


def test_constraints_pin_everything_the_project_asks_for():
    pinned = {
        re.split("==", line)[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    wanted += [
        line for line in (ROOT / "requirements-dev.txt").read_text().splitlines() if line and not line.startswith("#")
    ]
    for requirement in wanted:
        assert re.split(r"[<>=]", requirement)[0].lower() in pinned, requirement


def test_nothing_names_a_place_on_this_machine():
    places = [str(p) for p in (Path.home(), ROOT) if len(p.parts) > 1]
    for file in ROOT.rglob("*"):
        if file.suffix in (".py", ".md", ".toml", ".jsonl", ".txt") and not {".venv", ".git", "runs"} & set(file.parts):
            text = file.read_text(errors="replace")
            assert not [p for p in places if f"{p}/" in text], file.relative_to(ROOT)
