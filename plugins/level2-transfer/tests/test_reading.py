"""Reading rows: once for everybody, in parts where there is little time, and nothing of strangers' rows on disk."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from metalearner_level2_transfer import reading
from metalearner_level2_transfer.backbones import MiniLM, TextEncoder
from metalearner_level2_transfer.reading import Reader
from metalearner_level2_transfer.store import Store, row_keys, tidy
from metalearner_level2_transfer.texts import Encoder

from metalearner import accelerator
from metalearner.errors import Pruned

NUMBERS = {"length": 64}


def texts(*given):
    width = max(len(t.encode()) for t in given)
    return np.stack([np.frombuffer(t.encode().ljust(width, b"\0"), np.uint8) for t in given])


@pytest.fixture
def backbone(tiny_bert):
    return TextEncoder("tiny", tiny_bert)


@pytest.fixture
def counted(monkeypatch):
    """How many rows went through a backbone."""
    seen = []
    prepare = Encoder.prepare

    def counting(self, raw, numbers):
        seen.append(len(raw[0]))
        return prepare(self, raw, numbers)

    monkeypatch.setattr(Encoder, "prepare", counting)
    return seen


def forget():
    """As another process would begin."""
    reading._stores.clear()
    reading._states.clear()


def test_a_row_is_read_once_by_whoever_asks(backbone, counted):
    first, reader = texts("good film", "bad plot", "good film"), Reader(backbone, NUMBERS)
    assert reader.read([first]).all() and sum(counted) == 2
    assert reader.tensor([first]).values.shape == (3, 32, 1)
    forget()
    longer = texts("bad plot", "a very bad plot", "good film")  # filled up to another length
    assert Reader(backbone, NUMBERS).read([longer]).all() and sum(counted) == 3
    forget()
    Reader(backbone, {"length": 128}).read([longer])
    assert sum(counted) == 3  # of short texts all is read anyway
    long = texts("good film " * 20)
    for length in (64, 128, 128):
        Reader(backbone, {"length": length}).read([long])
    assert sum(counted) == 5


def test_a_backbone_is_opened_once_though_two_threads_ask_at_the_same_time(backbone, monkeypatch):
    loads = []
    monkeypatch.setattr(type(backbone), "load", lambda self: loads.append(time.sleep(0.2)) or object())
    reading._opened.clear()
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(reading.opened, [backbone, backbone])
    reading._opened.clear()
    assert first is second and len(loads) == 1


def test_what_was_read_is_what_is_read_again(backbone):
    rows, reader = texts("good film", "bad plot"), Reader(backbone, NUMBERS)
    reader.read([rows])
    before = reader.tensor([rows]).values
    forget()
    again = Reader(backbone, NUMBERS)
    again.read([rows])
    np.testing.assert_array_equal(before, again.tensor([rows]).values)


def test_little_time_reads_some_rows_and_the_next_go_on(backbone, counted):
    rows = texts(*[f"film {i}" for i in range(700)])
    reader = Reader(backbone, NUMBERS)
    assert not reader.read([rows], deadline=time.monotonic() - 1).any()
    some = reader.read([rows], deadline=time.monotonic() + 0.05)
    assert reader.read([rows]).all() and sum(counted) == 700 and not some.all()


def test_what_is_read_when_time_is_up_is_a_sample(backbone, own_home, monkeypatch):
    rows = texts(*[f"film {i} " + "good " * (i // 20) for i in range(1000)])  # sorted, the longest of 50 words last
    words = np.arange(1000) // 20
    moments = count()  # of a clock that is looked at before every batch
    monkeypatch.setattr(reading, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    found = []
    for parity in (0, 1):
        monkeypatch.setattr(os, "getpid", lambda parity=parity: parity)
        monkeypatch.setenv("METALEARNER_HOME", f"{own_home}{parity}")
        forget()
        some = Reader(backbone, NUMBERS).read([rows], deadline=next(moments) + 8)
        assert 100 < some.sum() < 400 and abs(words[some].mean() - words.mean()) < 5
        assert abs(np.flatnonzero(some).mean() - 499.5) < 100
        found.append(some)
    np.testing.assert_array_equal(*found)


def test_rows_of_one_length_pass_together_whatever_their_order():
    dealt = reading.dealt(np.arange(1000), 32)
    assert sorted(i for batch in dealt for i in batch) == list(range(1000)) and all(
        np.ptp(batch) < 32 for batch in dealt
    )


def test_two_processes_that_read_the_same_rows_meet_in_the_middle(backbone, monkeypatch):
    rows, seen = texts(*[f"film {i}" for i in range(400)]), []
    prepare = Encoder.prepare
    monkeypatch.setattr(Encoder, "prepare", lambda *given: seen.append(given[1][0].tobytes()) or prepare(*given))
    Reader(backbone, NUMBERS).read([rows], keep=False)  # the order of who is alone
    alone, seen[:] = list(seen), []
    forget()
    with Reader(backbone, NUMBERS)._known().first() as first:
        forget()
        Reader(backbone, NUMBERS).read([rows])
    assert first and len(alone) > 2 and seen == alone[::-1]


def test_rows_to_be_predicted_leave_no_trace(backbone, own_home):
    reader = Reader(backbone, NUMBERS)
    assert reader.read([texts("good film")], keep=False).all()
    assert not (own_home / "features").exists() or not list((own_home / "features").glob("*/*.npz"))


def test_a_file_that_is_broken_costs_time_alone(backbone, own_home):
    rows = texts("good film", "bad plot")
    Reader(backbone, NUMBERS).read([rows])
    (file,) = (own_home / "features").glob("*/*.npz")
    file.write_bytes(file.read_bytes()[:100])
    forget()
    assert Reader(backbone, NUMBERS).read([rows]).all()


def test_inner_states_end_with_their_row(backbone):
    rows, reader = texts("good", "a very bad plot and awful music so poor"), Reader(backbone, NUMBERS, tuned=1)
    reader.read([rows])
    found = reader.tensor([rows])
    assert found.values.dtype == np.float16 and found.mask.sum(1).tolist() == [3, 11]


def test_tokens_keep_their_numbers():
    backbone = MiniLM()
    rows, reader = texts("xylophone virtuosos zigzag", "a"), Reader(backbone, {"length": 64}, tuned=backbone.layers)
    reader.read([rows])
    found = reader.tensor([rows])
    given = reader.pretrained.prepare([rows], {"length": 64})
    assert given.values.max() > 2**14 and np.array_equal(found.values[found.mask], given.values[given.mask])


def test_states_that_would_fill_the_memory_are_not_made(backbone, monkeypatch):
    monkeypatch.setattr(reading, "MOST", 1e5)
    with pytest.raises(Pruned, match="would take"):
        Reader(backbone, NUMBERS, tuned=1).read([texts(*[f"film {i} was good" for i in range(2000)])])


def test_the_oldest_features_go_first(own_home):
    for name in ("one", "two", "three"):
        written(name)
        time.sleep(0.02)
    tidy(most=6000)
    assert {f.name for f in (own_home / "features").iterdir()} == {"two", "three"}


def test_of_one_backbone_too_the_oldest_features_go_first(own_home):
    for key in (b"a", b"b", b"c"):
        written("one", key)
        time.sleep(0.02)
    Store("one", {}).refresh([b"a" * 16])  # asked for once more
    tidy(most=6000)
    left = Store("one", {})
    left.refresh([key * 16 for key in (b"a", b"b", b"c")])
    assert set(left.saved) == {b"a" * 16, b"c" * 16}


def test_a_file_that_is_finished_while_others_tidy_is_no_harm(own_home, monkeypatch):
    written("one")
    part, stat = own_home / "features" / "one" / ".two.npz.part", Path.stat
    part.touch()

    def gone(self, **way):
        if self == part:
            raise FileNotFoundError
        return stat(self, **way)

    monkeypatch.setattr(Path, "stat", gone)
    tidy()
    assert list((own_home / "features" / "one").glob("*.npz"))


def test_features_of_rows_that_nobody_asks_for_stay_on_disk():
    for key in (b"a", b"b"):
        written("one", key)
    store = Store("one", {})
    store.refresh([b"b" * 16])
    assert list(store.saved) == [b"b" * 16] and store.rows == 2  # what reading took is known of all


def written(name, key=b"k"):
    """A file of one row."""
    Store(name, {}).add([key * 16], [np.zeros(1000, np.float16)], 0.1)


def test_rows_are_told_apart_by_all_their_views():
    a, b = texts("good", "bad"), texts("film", "film")
    keys = row_keys([a, b])
    assert len(set(keys)) == 2 and keys == row_keys([texts("good", "bad", "longer one")[:2], b])
    assert row_keys([a[:1], b[:1]]) != row_keys([b[:1], a[:1]])


@pytest.mark.skipif(accelerator.device() is None, reason="there is no accelerator")
@pytest.mark.parametrize("tuned", [0, 1])
def test_an_accelerator_reads_the_same(backbone, tuned, monkeypatch, tmp_path):
    given = texts(*[f"good {'film ' * (i % 9)}bad {'plot ' * (i // 9)}" for i in range(81)])
    said = []
    for device in (accelerator.device(), None):
        monkeypatch.setattr(accelerator, "device", lambda device=device: device)
        monkeypatch.setenv("METALEARNER_HOME", str(tmp_path / str(device)))
        forget()
        reader = Reader(backbone, NUMBERS, tuned)
        assert reader.read([given]).all()
        said.append(reader.tensor([given]))
        assert all(p.device.type == "cpu" for p in reader.pretrained.net.parameters())
    np.testing.assert_allclose(said[0].values, said[1].values, atol=2e-2)
