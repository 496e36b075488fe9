"""The ranker and the library of blocks, on bases made up so that the answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metalearner import grammar, library
from metalearner.kb import replay, teach
from metalearner.kinds import Moment
from metalearner.knowledge import Base, Memory
from metalearner.propose import RANKER, Ranker, Vocabulary, lessons
from metalearner.propose.choice import ByGain
from metalearner.propose.words import words
from metalearner.records import Axis, Config, DatasetCard, Description, View

FAMILIES = ("linear", "trees", "mlp", "kernel-ridge", "forest")
SERIES = {"x": View((Axis("time", 64),), 2)}


def described(i, kind):
    """One number says what works; many others say nothing, so that the nearest data sets are any."""
    rng = np.random.default_rng(i)
    numbers = {f"noise.{j}": float(rng.normal()) for j in range(60)}
    return Description("1", {"telling": 3.0 * kind + float(rng.normal(0, 0.1)), "classes": 2.0} | numbers, (), 0.5)


@pytest.fixture
def base(tmp_path, registry, experience):
    """Forty data sets of two kinds, no two of one group."""
    found = Base.open(tmp_path / "home", shipped=None)
    configs = [(grammar.complete(p, registry.productions), n) for n in FAMILIES for p in registry.families[n].presets]
    worth = np.linspace(0.9, 0.3, len(configs))
    for i in range(40):
        card = DatasetCard(f"set {i}", f"group {i}", "tabular", 400, f"hash of {i}")
        tried = [experience(card, c, f, s) for (c, f), s in zip(configs, worth if i % 2 else worth[::-1])]
        assert found.add(card, described(i, i % 2), tried) == []
    return found


def test_words_are_productions_pairs_options_and_numbers_on_a_scale():
    mixer = Config("conv", {"kernel": 3, "norm": "batch"})
    said = words(Config("residual", {"rate": 0.001}, {"mixer": (mixer, replace(mixer, numbers={"kernel": 5}))}))
    assert said["conv"] == 2.0 and said["residual>conv"] == 2.0 and said["conv.norm=batch"] == 1.0
    assert said["conv.kernel"] == pytest.approx(np.mean(np.arcsinh([3000, 5000])), abs=0.01)
    vocabulary = Vocabulary.fit([[mixer], [mixer], [Config("gru")]], least=2)
    assert set(vocabulary.names) == {"conv", "conv.kernel", "conv.norm=batch"}
    assert vocabulary.encode([Config("gru"), mixer]).tolist() == [[0, 0, 0], [1, 0, 1]]
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again.names == vocabulary.names and np.array_equal(again.scale, vocabulary.scale)


def test_what_a_ranker_knows_better_decides_between_gains():
    regrets, closed = np.array([[0.5], [0.2], [0.9]]), np.zeros(3, bool)

    def choice(correction, cost=(1.0, 1.0, 1.0)):
        return ByGain(regrets, np.ones(1), np.ones(1), np.array(cost), np.array(correction))

    assert choice([0.0, 0.0, 0.0]).best(closed) == 1
    assert choice([0.0, -0.5, 0.0]).best(closed) == 0
    assert choice([0.0, 0.0, 0.9]).best(closed) == 2
    assert choice([0.0, 0.0, 0.9], cost=(1.0, 1.0, 9.0)).best(closed) == 1


def test_a_ranker_finds_what_neighbours_hide(base, registry, tmp_path, monkeypatch):
    monkeypatch.setattr(lessons, "STEPS", 500)
    teach.learn(base, registry, replay.known_well(base), None).save(tmp_path / RANKER)
    ranker = Ranker.find([tmp_path / "nowhere", tmp_path])
    known = replay.case(next(iter(base.cards())), Memory(base.archive), registry)
    regrets = [
        replace(known, everything={e.config.id: e for e in base.experiences(i)}).regrets for i in by_name(base)[:2]
    ]
    right = {"samples": 0, "ranker": 0}
    for i in range(100, 140):
        stranger = replace(known, description=described(i, i % 2), recall=base.recall(described(i, i % 2)))
        for name, judge in (("samples", None), ("ranker", ranker.about(stranger.description))):
            first = stranger.portfolio(judge=judge).ask(1, [], Moment())[0]
            right[name] += regrets[i % 2][first.config.id] < 0.5
    assert right["ranker"] >= 32 and right["ranker"] > right["samples"] + 4, right


def by_name(base):
    return sorted(base.cards(), key=lambda i: int(base.cards()[i].name.split()[1]))


def test_only_a_ranker_that_won_beyond_doubt_is_kept(base, registry, monkeypatch):
    monkeypatch.setattr(lessons, "STEPS", 2)
    for low, high, kept in ((-0.2, -0.1, True), (-0.2, 0.1, False)):
        monkeypatch.setattr(teach, "challenge", lambda *_, low=low, high=high: teach.Verdict([], -0.1, low, high))
        assert teach.teach(base, registry, base.trained, lambda line: None) == kept
        assert (Ranker.find(base.folders) is not None) == kept
        assert base.stats()["learnt"]["since"] == 0


def test_where_neighbours_say_it_all_no_ranker_is_used(tmp_path, registry, experience, monkeypatch):
    monkeypatch.setattr(lessons, "STEPS", 20)
    found = Base.open(tmp_path / "plain", shipped=None)
    configs = [(grammar.complete(p, registry.productions), n) for n in FAMILIES for p in registry.families[n].presets]
    for i in range(10):
        card = DatasetCard(f"set {i}", f"group {i}", "tabular", 400, f"hash of {i}")
        tried = [experience(card, c, f, s) for (c, f), s in zip(configs, np.linspace(0.9, 0.3, len(configs)))]
        found.add(card, described(i, 0), tried)
    assert not teach.teach(found, registry, found.trained, lambda line: None)
    assert Ranker.find(found.folders) is None


def test_parts_keep_groups_whole_and_hold_everything_once(base):
    ids = replay.known_well(base)
    parts = replay.parts(base, ids)
    assert sorted(i for part in parts for i in part) == sorted(ids) and len(parts) == replay.PARTS


# -- the library -------------------------------------------------------------------------------------


def network(mixers, registry):
    """A composed network for series."""
    block = Config("residual", {}, {"norm": (Config("no-norm"),), "mixer": mixers})
    stage = Config("stage", {}, {"block": (block,)})
    stack = Config("stack", {}, {"tokeniser": (Config("steps"),), "stage": (stage,), "pool": (Config("mean"),)})
    recipe = registry.families["mlp"].presets[0].parts["recipe"]
    config = grammar.complete(Config("net", {}, {"encoder": (stack,), "recipe": recipe}), registry.productions)
    assert not grammar.check(config, registry.productions) and not grammar.fits(config, SERIES, registry.productions)
    return config


@pytest.fixture
def composed(tmp_path, registry, experience):
    """Networks with one after the other of two mixers win on four groups out of five."""
    found = Base.open(tmp_path / "composed", shipped=None)
    turn = Config("in-turn", {}, {"mixer": (Config("spectral"), Config("gru"))})
    good = network((turn,), registry)
    plain = [network((Config(name),), registry) for name in ("conv", "gru", "token-mlp")]
    for i in range(5):
        card = DatasetCard(f"set {i}", f"group {i}", "signal", 400, f"hash of {i}")
        skills = [0.9, 0.5, 0.4, 0.3] if i < 4 else [0.3, 0.9, 0.5, 0.4]
        tried = [experience(card, c, f"invented-{n}", s) for n, (c, s) in enumerate(zip([good, *plain], skills))]
        assert found.add(card, described(i, 0), tried) == []
    return found


def test_what_recurs_among_winners_of_unrelated_data_becomes_a_production(composed, registry, tmp_path):
    entries = library.mine(composed, registry, list(composed.cards()))
    found = [e for e in entries if "in-turn(spectral, gru)" in grammar.sketch(e.meaning)]
    assert found and set(found[0].groups) == {f"group {i}" for i in range(4)}
    entry = found[0]
    assert entry.new and entry.gain < 0 and entry.saved > 0 and "group 0" in str(entry)
    library.save(entries, tmp_path / library.LIBRARY)
    again = library.find([tmp_path / "nowhere", tmp_path], registry)
    assert again == entries
    learnt = library.known(registry.productions, again)
    name = entry.production.name
    odds = {n: 0.0 for n, p in learnt.items() if p.symbol == entry.symbol and n != name}
    derived = grammar.derive(entry.symbol, View((Axis("time", 64),), 16), learnt, np.random.default_rng(0), odds)
    assert derived.production == name
    spelled = grammar.spelled(derived, learnt)
    assert spelled == entry.meaning and not grammar.check(spelled, registry.productions)


def test_two_groups_are_not_enough(composed, registry):
    ids = sorted(composed.cards(), key=lambda i: composed.cards()[i].name)
    assert library.mine(composed, registry, ids[:2]) == []


def test_made_data_have_no_say(composed, registry, monkeypatch):
    made = {i: replace(card, synthetic=True) for i, card in composed.cards().items()}
    monkeypatch.setattr(composed.archive, "_cards", made)
    assert library.mine(composed, registry, list(made)) == []


def test_no_group_judges_what_it_made_a_candidate(composed, registry):
    """On three groups two others are left to have made it one: nobody may say what it is worth."""
    ids = sorted(composed.cards(), key=lambda i: composed.cards()[i].name)
    assert library.mine(composed, registry, ids[:3]) == []
    assert library.mine(composed, registry, ids[:4]) != []


def test_learning_anew_is_due_when_the_base_has_grown_by_a_tenth(base, registry, experience, monkeypatch):
    monkeypatch.setattr(teach, "challenge", lambda *_: teach.Verdict([], 0.0, -0.1, 0.1))
    assert teach.due(base) == 40
    teach.teach(base, registry, base.trained, lambda line: None)
    assert teach.due(base) == 0
    for i in range(40, 50):
        assert teach.due(base) == 0
        base.add(DatasetCard(f"set {i}", f"group {i}", "tabular", 400, f"hash of {i}"), described(i, 0), [])
    assert teach.due(base) == 10


def test_a_library_that_cannot_be_said_is_left_out(tmp_path, registry):
    entry = library.Entry("mixer", Config("nobodys"), ("a", "b", "c"), 3, 1, -0.1, True)
    library.save([entry], tmp_path / library.LIBRARY)
    assert library.find([tmp_path], registry) == []
    (tmp_path / library.LIBRARY).write_text("[{")
    with pytest.warns(RuntimeWarning, match="library.json cannot be read"):
        assert library.find([tmp_path], registry) == []


def test_a_ranker_that_cannot_be_read_is_named_and_left_out(tmp_path):
    (tmp_path / RANKER).write_bytes(b"PK no archive")
    with pytest.warns(RuntimeWarning, match="ranker.npz cannot be read"):
        assert Ranker.find([tmp_path]) is None
