"""Knowledge: records as text, their working copy, groups, recall, and what is refused."""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
import sqlite3
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from metalearner.errors import RecordError, UserError
from metalearner.grammar import complete
from metalearner.home import home
from metalearner.kinds import Production
from metalearner.knowledge import Base, check_experience, store
from metalearner.knowledge.groups import group, simple
from metalearner.knowledge.plane import plane
from metalearner.knowledge.retrieve import Index, weigh
from metalearner.knowledge.text import Line, append, read
from metalearner.plugins import Registry
from metalearner.ranges import Float, Int, Range
from metalearner.records import Config, DatasetCard, Description, Experience, Sketch, Task, digest
from metalearner.space import Space

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

TASK = Task("predict the label", "tabular", "label", "classification", "accuracy")
NAMES = [f"probe.{i}" for i in range(20)]


def card(name: str, rows: int = 500, **changes: object) -> DatasetCard:
    return replace(DatasetCard(name, name, "tabular", rows, f"hash-of-{name}"), **changes)


def description(seed: int, noise: float = 0.0, classes: float = 2.0, sentence: bool = True) -> Description:
    numbers = np.random.default_rng(seed).normal(size=len(NAMES))
    numbers = numbers + noise * np.random.default_rng(seed + 1000).normal(size=len(NAMES))
    words = np.random.default_rng(seed).normal(size=8)
    unit = tuple(float(w) for w in words / np.linalg.norm(words)) if sentence else ()
    return Description("1", {"classes": classes} | {n: float(v) for n, v in zip(NAMES, numbers)}, unit, 0.5 + noise)


def experience(of: DatasetCard, family: str = "linear", skill: float | None = 0.5, **changes: object) -> Experience:
    made = Experience(
        dataset=of.id, data_hash=of.data_hash, task={"output": "classification", "metric": "accuracy"},
        config=Config(family, {"x": 1.0}), family=family, seed=0, rung=1.0, outcome="ok" if skill is not None else "crash",
        metric="accuracy", score=skill, baseline=0.0, skill=skill, seconds=1.5,
        facts={"parameters": 10, "stopped": "patience", "curve": [0.5, None, 0.25], "folds": 5},
        versions={"python": "3.11.4", "torch": "2.13.0+cpu"}, hardware="x86_64 2 cores linux",
    )  # fmt: skip
    return replace(made, **changes)


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def fill(base: Base, names: str = "abcdef", rows: int = 500) -> dict[str, DatasetCard]:
    """Unrelated data sets of one letter each, on which trees beat linear."""
    cards = {}
    for i, name in enumerate(names):
        cards[name] = card(name, rows + 50 * i)
        tried = [experience(cards[name], "linear", 0.5), experience(cards[name], "trees", 0.6 + 0.02 * i)]
        assert base.add(cards[name], description(i), tried) == []
    return cards


@pytest.fixture
def base(tmp_path: Path) -> Base:
    return Base.open(tmp_path / "home", shipped=None)


# -- text --------------------------------------------------------------------------------------------


def test_packed_lines_are_the_same_lines_and_equal_records_equal_files(tmp_path: Path) -> None:
    shipped = tmp_path / "shipped"
    first = [Line.of(card("a")), Line.of(experience(card("a"), "trees", 0.7)), Line.of(description(0), card("a").id)]
    append(shipped / "records" / "tabular.jsonl", first)
    base = Base.open(tmp_path / "home", shipped=shipped)
    before = base.stats()["records"]
    (packed,) = base.pack()
    assert packed.name == "tabular.jsonl.gz" and not (shipped / "records" / "tabular.jsonl").exists()
    assert base.stats()["records"] == before == 1 and {v.id for v in read(packed).lines} == {v.id for v in first}
    content = packed.read_bytes()
    append(shipped / "records" / "tabular.jsonl", first[::-1])
    assert base.pack() == [packed] and packed.read_bytes() == content
    append(shipped / "records" / "tabular.jsonl", [Line.of(experience(card("a"), "linear", 0.6))])
    assert Base.open(tmp_path / "other", shipped=shipped).stats()["records"] == 2


def test_lines_come_back_and_are_addressed_by_content(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    lines = [Line.of(card("a")), Line.of(description(0), card("a").id), Line.of(experience(card("a")))]
    append(file, lines)
    found = read(file)
    assert list(found.lines) == lines and found.known == file.stat().st_size and found.notes == ()
    assert [line["kind"] for line in map(json.loads, file.read_text().splitlines())] == [
        "dataset",
        "description",
        "experience",
    ]
    assert Experience.from_json(found.lines[2].record) == replace(
        experience(card("a")), facts={**experience(card("a")).facts}
    )  # equal, lists and all


def test_a_torn_last_line_is_passed_over_and_ended_by_the_next_writer(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    append(file, [Line.of(card("a")), Line.of(card("b"))])
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    torn = read(file)
    assert [line.record["name"] for line in torn.lines] == ["a"] and "torn" in torn.notes[0]
    append(file, [Line.of(card("c"))])
    later = read(file, torn.known)
    assert [line.record["name"] for line in later.lines] == ["c"] and "not a record" in later.notes[0]
    assert [line.record["name"] for line in read(file).lines] == ["a", "c"]


def test_a_last_line_that_only_lacks_its_newline_counts(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    append(file, [Line.of(card("a"))])
    file.write_bytes(file.read_bytes()[:-1])
    assert len(read(file).lines) == 1
    append(file, [Line.of(card("b"))])
    assert len(read(file).lines) == 2 and read(file).notes == ()


@pytest.mark.parametrize(
    "text",
    [
        "nonsense", "[]", "3", '{"kind": "dataset"}', '{"kind": "weights", "id": "x", "record": {}}',
        '{"kind": "dataset", "id": "x", "record": {"name": "a"}}', '{"kind": "dataset", "id": "x", "record": []}',
        '{"kind": "dataset", "id": "x", "record": {}, "dataset": 3}', "\x00\x00", '{"kind": ["dataset"], "id": 1, "record": {}}',
    ],
)  # fmt: skip
def test_what_is_no_record_is_noted_and_left_out(tmp_path: Path, text: str) -> None:
    file = tmp_path / "records.jsonl"
    append(file, [Line.of(card("a"))])
    with file.open("a") as out:
        out.write(text + "\n\n")
    append(file, [Line.of(card("b"))])
    found = read(file)
    assert [line.record["name"] for line in found.lines] == ["a", "b"] and len(found.notes) == 1


def test_a_changed_record_is_not_what_its_id_says(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    append(file, [Line.of(experience(card("a"), skill=0.5))])
    file.write_text(file.read_text().replace('"skill":0.5', '"skill":0.9'))
    assert read(file).lines == () and "not what its id says" in read(file).notes[0]


def test_a_record_written_otherwise_is_not_taken_in_under_another_id(tmp_path: Path) -> None:
    record = json.dumps(Line.of(card("a")).record)  # with spaces, and its keys in another order
    theirs = tmp_path / "theirs.jsonl"
    theirs.write_text(f'{{"kind":"dataset","id":"{hashlib.sha256(record.encode()).hexdigest()}","record":{record}}}\n')
    base = Base.open(tmp_path / "base", None)
    assert ["canonical" in refused for refused in base.merge(theirs)] == [True] and not base.cards()


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "records.jsonl"
    append(file, [Line.of(card("a"))])
    before = file.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        append(file, [Line.of(card("b"))])
    assert file.read_bytes() == before


# -- what is refused ---------------------------------------------------------------------------------

REFUSED = {
    "no seconds": {"seconds": 0.0},
    "negative seconds": {"seconds": -1.0},
    "seconds not a number": {"seconds": math.nan},
    "absurd seconds": {"seconds": 1e13},
    "no seed": {"seed": None},
    "seed true": {"seed": True},
    "no data hash": {"data_hash": ""},
    "score infinite": {"score": math.inf},
    "score missing though ok": {"score": None},
    "skill missing though ok": {"skill": None},
    "skill above perfect": {"skill": 1.01},
    "unknown outcome": {"outcome": "fine"},
    "rung zero": {"rung": 0.0},
    "rung above one": {"rung": 1.5},
    "rung true": {"rung": True},
    "config of lists": {"config": Config("linear", {"x": [1, 2]})},
    "config of infinity": {"config": Config("linear", {"x": math.inf})},
    "config production not a name": {"config": Config("import os; os.system('x')")},
    "config nested badly": {"config": Config("net", {}, {"encoder": (Config("mlp", {"x": {}}),)})},
    "column names among the facts": {"facts": {"columns": ["age", "income"]}},
    "a sentence among the facts": {"facts": {"note": "The patient's name is in column 3"}},
    "target named in the task": {"task": {"output": "classification", "target": "income"}},
    "a path as hardware": {"hardware": "/home/someone\n"},
    "absurd baseline": {"baseline": 1e13},
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED.keys())
def test_untrustworthy_records_are_refused_with_the_reason(base: Base, changes: dict) -> None:
    one = card("a")
    bad = replace(experience(one), **changes)
    with pytest.raises(RecordError, match="needs"):
        check_experience(bad)
    refused = base.add(one, description(0), [bad, experience(one, "trees")])
    assert len(refused) == 1
    assert [e.family for e in base.experiences(one.id)] == ["trees"]


def test_a_deeply_nested_config_is_refused() -> None:
    config = Config("leaf")
    for _ in range(50):
        config = Config("branch", {}, {"below": (config,)})
    with pytest.raises(RecordError):
        check_experience(experience(card("a"), config=config))


def test_perfect_and_failed_records_are_fine() -> None:
    check_experience(experience(card("a"), skill=1.0))
    check_experience(experience(card("a"), skill=-3.0))
    for outcome in ("crash", "out-of-memory", "timeout", "pruned"):
        check_experience(experience(card("a"), skill=None, outcome=outcome))


def test_unknown_productions_are_refused_when_the_known_are_given(base: Base) -> None:
    net = experience(card("a"), config=Config("net", {}, {"encoder": (Config("mlp"),)}))
    check_experience(net, {"net", "mlp"})
    with pytest.raises(RecordError, match="'mlp'"):
        check_experience(net, {"net"})
    assert len(base.add(card("a"), description(0), [net], productions={"net"})) == 1


def test_a_number_that_a_record_does_not_know_had_its_default(tmp_path: Path, base: Base) -> None:
    """Productions gain numbers; what was recorded before is the same config as today's with the default."""

    class Linear(Production):
        name, symbol = "linear", "learner"

        def space(self) -> dict[str, Range]:
            return {"x": Float(0.0, 2.0, 0.5), "later": Int(1, 9, 3)}

    made = card("a")
    older, stranger = (experience(made, config=Config(name, {"x": 1.0})) for name in ("linear", "gone"))
    base.add(made, description(0), [older, stranger])
    told = Base.open(tmp_path / "home", shipped=None, productions={"linear": Linear()}).experiences(made.id)
    assert [e.config for e in told] == [Config("linear", {"x": 1.0, "later": 3}), Config("gone", {"x": 1.0})]


def test_the_records_that_ship_know_the_presets_of_today(registry: Registry, tmp_path: Path) -> None:
    """Of each family that was tried on a data set, whatever numbers have come in since."""
    base = Base.open(tmp_path, productions=registry.productions)
    presets = {n: {complete(p, registry.productions).id for p in f.presets} for n, f in registry.families.items()}
    for name in ("wine", "blood-cells", "gunpoint", "sst2", "houses"):
        (one,) = [i for i, c in base.cards().items() if c.name == name]
        tried: dict[str, set[str]] = {}
        for e in base.experiences(one):
            tried.setdefault(e.family, set()).add(e.config.id)
        assert [n for n, ids in tried.items() if n in presets and not ids & presets[n]] == []


def test_what_few_were_asked_says_nothing_about_who_is_near() -> None:
    """A third of the descriptions has a probe more, or another version of one; where nothing else differs they are one point."""

    def asked(i: int, **more: float) -> Description:
        probes = {"size": 1, "classes": 1} | ({"newer": 1} if more else {})
        return Description("1", {"size.rows": float(i % 4), "classes": 2.0, **more}, (), 0.5, {}, probes)

    few = [asked(i, **{"newer.cost": 9.0}) for i in range(4)]
    many = [asked(i) for i in range(8)]
    space = Space.fit(few + many)
    assert space.names == ("classes", "size.rows") and np.array_equal(space.points(few), space.points(many[:4]))
    other = [replace(d, numbers={**d.numbers, "size.rows": 99.0}, probes={**d.probes, "size": 2}) for d in many[:4]]
    space = Space.fit(other + many)
    assert np.isnan(space.standard(other)[:, 1]).all() and np.allclose(space.points(other), space.points(other[:1]))
    most = Space.fit(few * 3 + many)  # now most were: who was not lies in the middle of those
    assert "newer.cost" in most.names and np.allclose(most.points(many[:4]), most.points(few))
    assert Space.from_json(most.to_json()).points(many).tolist() == most.points(many).tolist()


def test_what_was_trained_on_records_that_no_longer_ship_is_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metalearner.knowledge.embedder.FEWEST", 6)
    (tmp_path / "ships" / "records").mkdir(parents=True)
    for i, name in enumerate("abcdef"):
        of = card(name)
        lines = [Line.of(of), Line.of(description(i), of.id)]
        lines += [Line.of(experience(of, skill=0.1 * k, config=Config("linear", {"x": float(k)}))) for k in range(6)]
        append(tmp_path / "ships" / "records" / "tabular.jsonl", lines)
    with Base.open(tmp_path / "home", shipped=tmp_path / "ships") as base:
        assert base.folders == [tmp_path / "ships" / "trained"] and base.embedder is None
        base.build()
        assert base.folders[0] == base.trained and base.embedder is not None
        (base.trained / "ranker.npz").write_bytes(b"learnt from these")
    append(tmp_path / "ships" / "records" / "tabular.jsonl", [Line.of(card("g"))])
    with Base.open(tmp_path / "home", shipped=tmp_path / "ships") as base:
        assert base.folders == [tmp_path / "ships" / "trained"] and base.embedder is None
        base.build()  # the embedder knows the new records; a ranker that does not is gone
        assert base.embedder is not None and not (base.trained / "ranker.npz").exists()


def test_the_embedder_that_ships_says_who_is_near_though_not_all_were_described_by_the_same_probes(
    tmp_path: Path,
) -> None:
    base = Base.open(tmp_path)
    described, embedder = base.archive.descriptions(), base.embedder
    assert embedder is not None
    (asked,) = [d for i, d in described.items() if base.cards()[i].name == "wine"]
    nearest = base.recall(asked, k=5).neighbours
    points = embedder.embed([asked, *(described[n.dataset] for n in nearest)])
    assert [n.distance for n in nearest] == pytest.approx(np.linalg.norm(points[1:] - points[0], axis=1), abs=1e-3)
    drawn = plane(base, replace(asked, numbers={"size.rows": 2.0}))
    assert len(drawn["points"]) == len(described) and np.isfinite(drawn["here"]).all()


def test_records_of_another_data_set_or_without_a_proper_card_are_refused(base: Base) -> None:
    assert "another data set" in base.add(card("a"), description(0), [experience(card("b"))])[0]
    assert "row" in base.add(card("c", rows=0), description(0), [])[0]
    assert "finite" in base.add(card("c"), replace(description(0), numbers={"x": 1e13}), [])[0]
    assert {c.name for c in base.cards().values()} == {"a"}


def test_bad_lines_in_shipped_text_are_left_out_with_a_warning(tmp_path: Path) -> None:
    one = card("a")
    bad = [experience(one, seconds=0.0), experience(one, skill=2.0)]
    lines = [Line.of(one), Line.of(description(0), one.id), Line.of(experience(one)), *map(Line.of, bad)]
    malformed = {"dataset": one.id}
    lines.append(Line("experience", digest(malformed), malformed))
    append(tmp_path / "shipped" / "records" / "core.jsonl", lines)
    with pytest.warns(RuntimeWarning, match="left out") as told:
        base = Base.open(tmp_path / "home", tmp_path / "shipped")
    assert len(told) == 3 and base.stats()["records"] == 1


# -- the working copy --------------------------------------------------------------------------------


def test_what_was_added_is_there_after_opening_again(tmp_path: Path) -> None:
    with Base.open(tmp_path, shipped=None) as base:
        cards = fill(base)
    with Base.open(tmp_path, shipped=None) as again:
        assert again.cards().keys() == {c.id for c in cards.values()}
        assert [e.family for e in again.experiences(cards["a"].id)] == ["linear", "trees"]
        assert again.tried("hash-of-a") == {(Config("linear", {"x": 1.0}).id, 0), (Config("trees", {"x": 1.0}).id, 0)}
        assert again.tried("unknown") == set()


def test_adding_the_same_twice_changes_nothing(base: Base) -> None:
    fill(base)
    before = base.own.read_bytes()
    fill(base)
    base.add(card("a"), replace(description(0), seconds=9.0), [])  # the same measured again
    assert base.own.read_bytes() == before
    base.add(card("a"), replace(description(0), version="2"), [])
    assert len(base.own.read_bytes()) > len(before)


def test_merging_is_set_union(tmp_path: Path) -> None:
    one, two = (Base.open(tmp_path / name, shipped=None) for name in ("one", "two"))
    fill(one, "abc")
    fill(two, "abcd")
    assert one.merge(two.own) == [] and two.merge(one.own) == []
    assert one.cards() == two.cards() and one.stats() == two.stats()
    assert one.stats()["records"] == 8 and one.stats()["data_sets"] == 4


def test_merging_leaves_out_what_is_refused(tmp_path: Path, base: Base) -> None:
    append(tmp_path / "theirs.jsonl", [Line.of(card("a")), Line.of(experience(card("a"), seconds=0.0))])
    refused = base.merge(tmp_path / "theirs.jsonl")
    assert len(refused) == 1 and "seconds" in refused[0] and len(base.cards()) == 1


def test_shipped_and_own_records_are_one_and_shipped_stay_untouched(tmp_path: Path) -> None:
    with Base.open(tmp_path / "grower", shipped=None) as grower:
        fill(grower, "ab")
        (tmp_path / "shipped" / "records").mkdir(parents=True)
        core = tmp_path / "shipped" / "records" / "core.jsonl"
        core.write_bytes(grower.own.read_bytes())
    with Base.open(tmp_path / "home", tmp_path / "shipped") as base:
        before = core.read_bytes()
        fill(base, "abc")
        assert base.stats()["data_sets"] == 3 and core.read_bytes() == before
        assert len(base.own.read_text().splitlines()) == 4
        more = card("more")
        assert base.add(more, description(77), [experience(more)], into=core) == []
        assert core.read_bytes().startswith(before) and base.stats()["data_sets"] == 4


def test_growth_is_read_on_and_a_rewrite_is_read_anew(tmp_path: Path) -> None:
    core = tmp_path / "shipped" / "records" / "core.jsonl"
    append(core, [Line.of(card("a")), Line.of(experience(card("a")))])
    Base.open(tmp_path / "home", tmp_path / "shipped").close()
    append(core, [Line.of(card("b"))])
    with Base.open(tmp_path / "home", tmp_path / "shipped") as base:
        assert {c.name for c in base.cards().values()} == {"a", "b"}
    core.unlink()
    append(core, [Line.of(card("c")), Line.of(card("d")), Line.of(card("e"))])
    with Base.open(tmp_path / "home", tmp_path / "shipped") as base:
        assert {c.name for c in base.cards().values()} == {"c", "d", "e"} and base.stats()["records"] == 0
    core.unlink()
    with Base.open(tmp_path / "home", tmp_path / "shipped") as base:
        assert base.cards() == {}


def test_a_torn_line_warns_once_and_later_records_are_kept(tmp_path: Path) -> None:
    with Base.open(tmp_path, shipped=None) as base:
        fill(base, "ab")
        file = base.own
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.warns(RuntimeWarning, match="torn"):
        base = Base.open(tmp_path, shipped=None)
    assert base.stats()["records"] == 3
    with pytest.warns(RuntimeWarning, match="not a record"):  # the fragment, now ended
        fill(base, "abc")
    assert base.stats()["records"] == 6


def test_a_corrupt_database_is_set_aside_and_rebuilt(tmp_path: Path) -> None:
    with Base.open(tmp_path, shipped=None) as base:
        fill(base)
        expected, file = base.stats(), base.store.file
    file.write_bytes(b"this is no database at all" * 1000)
    with pytest.warns(RuntimeWarning, match="rebuilt"):
        base = Base.open(tmp_path, shipped=None)
    assert base.stats() == expected
    assert len(list(file.parent.glob("knowledge.db.corrupt-*"))) == 1


def test_a_damaged_page_is_noticed(tmp_path: Path) -> None:
    with Base.open(tmp_path, shipped=None) as base:
        fill(base, "abcdefghijklmnop")
        expected, file = base.stats(), base.store.file
    data = bytearray(file.read_bytes())
    data[4096 * 3 : 4096 * 8] = b"\xff" * (4096 * 5)
    file.write_bytes(data)
    with pytest.warns(RuntimeWarning, match="rebuilt"):
        base = Base.open(tmp_path, shipped=None)
    assert base.stats() == expected


def test_a_newer_schema_is_refused_and_left_untouched(tmp_path: Path) -> None:
    with Base.open(tmp_path, shipped=None) as base:
        fill(base, "a")
        base.store.db.table("migrations").insert({"name": "m999_future", "applied": "2099"})
        file = base.store.file
    before = file.read_bytes()
    with pytest.raises(UserError, match="m999_future"):
        Base.open(tmp_path, shipped=None)
    assert file.read_bytes() == before and not list(file.parent.glob("*corrupt*"))


def test_where_nothing_can_be_written_the_base_lives_in_memory(tmp_path: Path) -> None:
    append(tmp_path / "shipped" / "records" / "core.jsonl", [Line.of(card("a")), Line.of(experience(card("a")))])
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(RuntimeWarning, match="METALEARNER_HOME"):
        base = Base.open(tmp_path / "file", tmp_path / "shipped")
    assert base.stats()["records"] == 1
    assert "not kept" in base.add(card("b"), description(1), [])[0]


def test_home_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("METALEARNER_HOME", raising=False)
    assert home() == tmp_path / "metalearner"
    monkeypatch.setenv("METALEARNER_HOME", str(tmp_path / "mine"))
    assert home() == tmp_path / "mine"
    Base.open(shipped=None).close()
    assert (tmp_path / "mine" / "knowledge" / "knowledge.db").exists()


def _write_many(folder: str, who: int, n: int) -> None:
    base = Base.open(Path(folder), shipped=None)
    one = card(f"of-{who}")
    for seed in range(n):
        assert base.add(one, description(who), [experience(one, seed=seed)]) == []


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_many, args=(str(tmp_path), who, 25)) for who in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert [w.exitcode for w in writers] == [0, 0]
    found = read(tmp_path / "knowledge" / "records.jsonl")
    assert found.notes == () and len({line.id for line in found.lines}) == len(found.lines) == 54
    with Base.open(tmp_path, shipped=None) as base:
        assert base.stats()["records"] == 50 and base.stats()["data_sets"] == 2


def test_build_reads_anew_and_counts(base: Base) -> None:
    fill(base)
    base.store.db.execute("DELETE FROM experiences")
    assert base.build() == {"datasets": 6, "descriptions": 6, "experiences": 12, "groups": 6, "indexed": 6}


def test_a_file_is_read_in_parts(base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(base)
    for at_once in (1, 2, 18):  # the last takes the file to its end
        monkeypatch.setattr(store, "AT_ONCE", at_once)
        again = Base.open(tmp_path / f"again-{at_once}", shipped=None)
        assert again.merge(tmp_path / "home" / "knowledge" / "records.jsonl") == []
        again.store.sync([tmp_path / "home" / "knowledge" / "records.jsonl"], anew=True)
        assert again.store.cards() == base.store.cards() and again.stats()["records"] == 12


def test_a_thousand_records_open_fast(tmp_path: Path) -> None:
    with Base.open(tmp_path, shipped=None) as base:
        for i in range(40):
            one = card(f"set-{i}", 300 + 20 * i)
            made = [experience(one, "trees", 0.5 + j / 100, config=Config("trees", {"x": j})) for j in range(25)]
            lines = [Line.of(one), Line.of(description(i), one.id), *map(Line.of, made)]
            append(base.own, lines)
    Base.open(tmp_path, shipped=None).close()
    began = time.perf_counter()
    with Base.open(tmp_path, shipped=None) as base:
        assert time.perf_counter() - began < 0.5
        assert len(base.recall(description(3)).neighbours) == 15
    assert sqlite3.connect(tmp_path / "knowledge" / "knowledge.db").execute("PRAGMA journal_mode").fetchone() == (
        "wal",
    )


# -- groups ------------------------------------------------------------------------------------------


def test_groups_join_same_source_same_data_and_near_duplicates() -> None:
    cards = {
        "one": card("one", 500, group="wine"), "two": card("two", 900, group="Wine"),
        "same": card("same", 900, data_hash="hash-of-two"),
        "near": card("near", 1000), "nearer": card("nearer", 1010),
        "more-rows": card("more-rows", 1100), "other-classes": card("other-classes", 1000),
        "alone": card("alone", 1000, group=""),
    }  # fmt: skip
    descriptions = {
        "one": description(0), "two": description(1), "same": description(2), "near": description(3),
        "nearer": description(3, 0.01), "more-rows": description(3, 0.01), "other-classes": description(3, 0.01, classes=3),
        "alone": description(4),
    }  # fmt: skip
    found = group(cards, descriptions)
    assert found["one"] == found["two"] == found["same"]
    assert found["near"] == found["nearer"]
    assert len(set(found.values())) == 5
    assert found["alone"] == "alone" and found["near"] == "near"


def test_names_join_only_when_asked() -> None:
    cards = {"x": card("Iris.csv", group=""), "y": card("iris", group="")}
    assert len(set(group(cards, {}).values())) == 2
    assert len(set(group(cards, {}, names=True).values())) == 1
    assert simple("Heart_Disease.csv") == "heart-disease" and simple("!!") == "!!"


def test_shared_rows_join_and_so_do_columns_that_are_alike_and_as_hard() -> None:
    rows = tuple(range(64))
    half, few = (*range(32), *range(100, 132)), (*range(8), *range(100, 156))
    cards = {
        "a": card("a", 500, sketch=Sketch(9, (), rows)), "b": card("b", 900, sketch=Sketch(12, (), half)),
        "c": card("c", 900, sketch=Sketch(9, (), few)),
        "d": card("d", 100, sketch=Sketch(3, (-0.7, 0.7))), "e": card("e", 900, sketch=Sketch(3, (-0.72, 0.66))),
        "f": card("f", 900, sketch=Sketch(3, (-0.7, 0.7))), "g": card("g", 900, sketch=Sketch(4, (-0.7, 0.7))),
    }  # fmt: skip
    hard = {f"landmarkers.{i}": 0.1 * i for i in range(6)}
    easy = {name: value + 0.3 for name, value in hard.items()}
    descriptions = {
        i: replace(description(n), numbers={**description(n).numbers, **(easy if i == "f" else hard)})
        for n, i in enumerate(cards)
    }
    found = group(cards, descriptions)
    assert found["a"] == found["b"] and found["d"] == found["e"]
    assert len(set(found.values())) == 5


def test_a_card_without_a_sketch_is_addressed_as_before() -> None:
    assert "sketch" not in card("a").to_json()
    sketched = card("a", sketch=Sketch(3, (0.1,), (4, 5)))
    assert DatasetCard.from_json(json.loads(json.dumps(sketched.to_json()))) == sketched


def test_unlike_descriptions_are_no_near_duplicates() -> None:
    cards = {str(i): card(str(i), 1000) for i in range(60)}
    assert len(set(group(cards, {str(i): description(i) for i in range(60)}).values())) == 60


# -- recall ------------------------------------------------------------------------------------------


def test_an_empty_base_remembers_nothing(base: Base) -> None:
    found = base.recall(description(0))
    assert (found.neighbours, found.nothing_like_it, found.experiences) == ((), 1.0, {})


def test_weights_and_doubt_sum_to_one_and_the_nearest_weighs_most(base: Base) -> None:
    cards = fill(base, "abcdefghijkl")
    found = base.recall(description(4, 0.05), k=7)
    assert len(found.neighbours) == 7 and found.neighbours[0].dataset == cards["e"].id
    assert sum(n.weight for n in found.neighbours) + found.nothing_like_it == pytest.approx(1)
    weights, distances = ([getattr(n, name) for n in found.neighbours] for name in ("weight", "distance"))
    assert weights == sorted(weights, reverse=True) and distances == sorted(distances)
    first = found.neighbours[0]
    assert (first.name, first.group, first.best_family, first.best_skill) == ("e", "e", "trees", pytest.approx(0.68))
    assert found.experiences.keys() == {n.dataset for n in found.neighbours}
    assert found.experiences[first.dataset][0].facts["rows"] == cards["e"].rows


def test_doubt_grows_with_distance_up_to_certainty(base: Base) -> None:
    fill(base, "abcdefghijkl")
    numbers = dict(description(4).numbers)
    doubts = [
        base.recall(replace(description(4), numbers={k: v + shift for k, v in numbers.items()})).nothing_like_it
        for shift in (0.0, 0.5, 1.0, 8.0)
    ]
    assert doubts[0] == pytest.approx(0.05) and doubts == sorted(doubts) and doubts[-1] == 1.0


def test_a_group_counts_once(base: Base) -> None:
    fill(base, "abcdef")
    alone = base.recall(description(0, 0.3))
    for i in range(5):
        twin = card(f"a{i}", 5000 + 1000 * i, group="a")
        base.add(twin, description(0, 0.01 * (i + 1)), [experience(twin)])
    found = base.recall(description(0, 0.3))
    share = {g: sum(n.weight for n in found.neighbours if n.group == g) for g in "abcdef"}
    siblings = [n for n in found.neighbours if n.group == "a"]
    assert len(siblings) == 3  # more of one kind would only crowd others out
    largest = max(n.weight for n in alone.neighbours)
    assert share["a"] < 2.5 * largest
    found_d, groups = [("x", 1.0), ("y", 1.0), ("z", 1.0)], {"x": "g", "y": "g", "z": "h"}
    assert weigh(found_d, groups, 0.2) == pytest.approx([0.2, 0.2, 0.4])


def test_failures_partial_fits_and_undescribed_sets_are_no_neighbours(base: Base) -> None:
    cards = fill(base, "ab")
    failed, partial = card("failed"), card("partial", 700)
    base.add(failed, description(8), [experience(failed, skill=None)])
    base.add(partial, description(9), [experience(partial, rung=0.1)])
    assert {n.name for n in base.recall(description(8)).neighbours} == {"a", "b"}
    base.add(cards["a"], description(0), [experience(cards["a"], "rocket", None, outcome="timeout")])
    found = base.recall(description(0))
    assert "timeout" in {e.outcome for e in found.experiences[cards["a"].id]}


def test_blind_forgets_the_same_data_its_group_and_near_duplicates(base: Base) -> None:
    fill(base, "abcdef")
    relatives = {
        "same-hash": (card("same-hash", 4000, data_hash="hash-of-asked"), description(20)),
        "same-group": (card("same-group", 5000, group="source"), description(21)),
        "Asked.csv": (card("Asked.csv", 6000), description(22)),
        "near": (card("near", 1005), description(10, 0.01)),
        "near-of-near": (card("near-of-near", 9000, group="near"), description(23)),
    }
    for one, described in relatives.values():
        base.add(one, described, [experience(one)])
    asked = card("asked", 1000, group="source", data_hash="hash-of-asked")
    seen = {n.name for n in base.recall(description(10)).neighbours}
    blind = {n.name for n in base.recall(description(10), blind=asked).neighbours}
    assert set(relatives) <= seen
    assert blind == set("abcdef")
    again = {n.name for n in base.recall(description(10)).neighbours}
    assert again == seen  # forgetting is for one question


def test_blind_leaves_no_trace_in_the_distances(tmp_path: Path) -> None:
    with_it, without_it = (Base.open(tmp_path / name, shipped=None) for name in ("with", "without"))
    for base in (with_it, without_it):
        fill(base, "abcdef")
    asked = card("asked", 1000)
    with_it.add(asked, description(10), [experience(asked)])
    blind, never = with_it.recall(description(10), blind=asked), without_it.recall(description(10))
    assert blind == never


def test_the_task_decides_what_is_comparable(base: Base) -> None:
    cards = fill(base, "ab")
    other = card("prices", 900)
    regression = {"output": "regression", "metric": "rmse"}
    base.add(other, description(5), [experience(other, task=regression, metric="rmse")])
    scored = [
        experience(cards["a"], f, 0.9, metric="auc", task={"output": "classification", "metric": "auc"}) for f in "xy"
    ]
    base.add(cards["a"], description(0), [*scored, experience(cards["a"], "z", 0.1)])
    assert {n.name for n in base.recall(description(5)).neighbours} == {"a", "b", "prices"}
    found = base.recall(description(5), task=TASK)
    assert {n.name for n in found.neighbours} == {"a", "b"}
    assert {e.metric for e in found.experiences[cards["a"].id]} == {"accuracy"}
    by_auc = base.recall(description(5), task=replace(TASK, metric="auc"))
    assert {e.family for e in by_auc.experiences[cards["a"].id]} == {"x", "y"}
    assert {e.metric for e in by_auc.experiences[cards["b"].id]} == {"accuracy"}  # the next best thing


def test_neighbours_are_of_the_modality_asked_about_where_enough_is_known_of_it(base: Base) -> None:
    fill(base, "abcd")
    asked = replace(TASK, modality="text")
    for i, name in enumerate("xyz"):
        text = card(name, modality="text")
        assert base.add(text, description(4 + i), [experience(text)]) == []
        found = {n.name for n in base.recall(description(0), task=asked).neighbours}
        assert found == (set("xyz") if name == "z" else set("abcd") | set("xyz"[: i + 1]))
    assert {n.name for n in base.recall(description(5), task=TASK).neighbours} == set("abcd")
    assert {n.name for n in base.recall(description(5)).neighbours} == set("abcdxyz")


def test_shared_numbers_are_near_and_unusual(base: Base) -> None:
    for i, name in enumerate("abcdefgh"):
        one = card(name, 500 + 100 * i)
        odd = {"odd": 9.0, "lonely": 5.0} if name == "c" else {"odd": 0.1 * i, "lonely": 0.1 * i, "missing": None}
        base.add(one, replace(description(i), numbers={**description(i).numbers, **odd}), [experience(one)])
    asked = replace(description(2, 1.0), numbers={**description(2, 1.0).numbers, "odd": 9.0, "lonely": None})
    found = next(n for n in base.recall(asked).neighbours if n.name == "c")
    assert found.shared[0] == "odd" and "lonely" not in found.shared and len(found.shared) <= 3


def test_seeds_are_averaged_lest_luck_win(base: Base) -> None:
    one = card("a")
    lucky = [experience(one, "lucky", s, seed=i) for i, s in enumerate((0.9, 0.1))]
    base.add(one, description(0), [*lucky, experience(one, "steady", 0.6)])
    first = base.recall(description(0)).neighbours[0]
    assert (first.best_family, first.best_skill) == ("steady", 0.6)


def test_the_same_version_of_a_description_is_preferred(base: Base) -> None:
    one = card("a")
    old, new = description(0), replace(description(5), version="2")
    base.add(one, new, [experience(one)])
    base.add(one, old, [])
    assert base.recall(new).neighbours[0].distance == pytest.approx(0, abs=1e-3)
    assert base.recall(old).neighbours[0].distance == pytest.approx(0, abs=1e-3)
    assert base.recall(replace(old, version="3")).neighbours[0].name == "a"


def test_descriptions_without_sentence_or_with_other_numbers_still_find_neighbours(base: Base) -> None:
    fill(base)
    for asked in (
        description(0, sentence=False),
        Description("1", {"unheard-of": 1.0}, (), 0.1),
        Description("1", {}, (1.0,)),
    ):
        found = base.recall(asked)
        assert len(found.neighbours) == 6
        assert sum(n.weight for n in found.neighbours) + found.nothing_like_it == pytest.approx(1)


def test_an_index_of_constant_numbers_is_finite() -> None:
    same = {str(i): Description("1", {"x": 1.0, "y": None}, ()) for i in range(4)}
    index = Index(same, {i: i for i in same})
    found = index.nearest(Description("1", {"x": math.nan, "y": 3.0}, ()), 3)
    assert all(math.isfinite(d) for _, d in found) and 0 < index.doubt(found[0][1]) <= 1


# -- for people and for checking ---------------------------------------------------------------------


def test_stats_count_records_groups_winners_failures_and_seconds(base: Base) -> None:
    cards = fill(base, "ab")
    image = card("digits", 800, modality="image", group="a")
    base.add(image, description(7), [experience(image, "cnn", 0.9), experience(image, "mlp", None)])
    assert base.stats() == {
        "records": 6, "data_sets": 3, "groups": 2, "failures": {"crash": 1}, "seconds": pytest.approx(9.0), "learnt": {},
        "by_modality": {
            "image": {"data_sets": 1, "groups": 1, "records": 2, "winners": {"cnn": 1}},
            "tabular": {"data_sets": 2, "groups": 2, "records": 4, "winners": {"trees": 2}},
        },
        "growth": {today(): {"records": 6, "data_sets": 3, "groups": 2}},
    }  # fmt: skip
    assert base.groups()[image.id] == base.groups()[cards["a"].id] == "a"


def test_growth_is_told_by_the_day_on_which_records_came(tmp_path: Path) -> None:
    a, b = card("a"), card("b")
    lines = [Line.of(card("a")), Line.of(card("b")), Line.of(experience(a, "linear", 0.5)),
             replace(Line.of(experience(b, "trees", 0.6)), day="2025-03-01"), replace(Line.of(experience(b, "mlp", 0.7)), day="2025-02-01"),
             replace(Line.of(experience(b, "cnn", 0.7)), day="no day")]  # fmt: skip
    append(tmp_path / "shipped" / "records" / "tabular.jsonl", lines)
    base = Base.open(tmp_path / "home", shipped=tmp_path / "shipped")
    base.add(card("c"), description(1), [experience(card("c"))])
    assert base.stats()["growth"] == {
        "undated": {"records": 2, "data_sets": 2, "groups": 2},
        "2025-02-01": {"records": 3, "data_sets": 2, "groups": 2},
        "2025-03-01": {"records": 4, "data_sets": 2, "groups": 2},
        today(): {"records": 5, "data_sets": 3, "groups": 3},
    }  # fmt: skip
    other = Base.open(tmp_path / "other", shipped=None)  # what is merged keeps its day, what has none came today
    assert other.merge(tmp_path / "shipped" / "records" / "tabular.jsonl") == []
    assert list(other.stats()["growth"]) == ["2025-02-01", "2025-03-01", today()]


def test_the_day_is_no_part_of_what_a_record_is(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(base, "a")
    before = {(line.kind, line.id) for line in read(base.own).lines}
    later = Line.of(experience(card("a")))
    assert replace(later, day="2030-01-01").id == later.id == digest(later.record)
    assert base.add(card("a"), description(0), [experience(card("a"))]) == []
    assert {(line.kind, line.id) for line in read(base.own).lines} == before
    assert {line.day for line in read(base.own).lines} == {today()}


def test_a_base_of_before_days_were_noted_is_read_on(tmp_path: Path) -> None:
    base = Base.open(tmp_path, shipped=None)
    fill(base, "a")
    base.close()
    with sqlite3.connect(tmp_path / "knowledge" / "knowledge.db") as db:
        db.execute("ALTER TABLE experiences DROP COLUMN day")
        db.execute("DELETE FROM migrations WHERE name = 'm002_days'")
    again = Base.open(tmp_path, shipped=None)
    assert again.add(card("b"), description(1), [experience(card("b"))]) == []
    assert again.stats()["growth"] == {
        "undated": {"records": 2, "data_sets": 1, "groups": 1}, today(): {"records": 3, "data_sets": 2, "groups": 2},
    }  # fmt: skip


def test_a_sample_to_verify_is_drawn_by_chance_from_what_went_well(base: Base) -> None:
    cards = fill(base)
    base.add(cards["a"], description(0), [experience(cards["a"], "mlp", None)])
    one, two, same = (base.verify_sample(5, np.random.default_rng(seed)) for seed in (0, 1, 0))
    assert len(one) == 5 and one == same and one != two
    assert all(e.outcome == "ok" and e.dataset == c.id for e, c in one)
    assert len(base.verify_sample(100, np.random.default_rng(0))) == 12


def test_a_description_whose_card_is_missing_is_passed_over(tmp_path: Path) -> None:
    shipped = tmp_path / "shipped"
    (shipped / "records").mkdir(parents=True)
    append(shipped / "records" / "tabular.jsonl", [Line.of(description(0), card("nobody").id)])
    base = Base.open(tmp_path / "home", shipped)
    assert base.archive.descriptions() == {} and base.recall(description(0)).neighbours == ()
