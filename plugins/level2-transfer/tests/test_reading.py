"""Reading rows: once for everybody, in parts where there is little time, and nothing of strangers' rows on disk."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

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
        Store(name, {}).add([b"k" * 16], [np.zeros(1000, np.float16)], 0.1)
        time.sleep(0.02)
    tidy(most=6000)
    assert {f.name for f in (own_home / "features").iterdir()} == {"two", "three"}


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
