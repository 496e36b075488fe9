"""Folders on their way, and clusters that can and cannot be joined."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from metalearner_executor_ray.connection import Connection
from metalearner_executor_ray.parcels import pack, unpack
from metalearner_executor_ray.temporary import PREFIX, claim, sweep

from metalearner.errors import UserError


def test_a_folder_survives_the_trip(tmp_path, monkeypatch):
    monkeypatch.setattr("metalearner_executor_ray.parcels.PARCEL", 64)
    given = tmp_path / "given"
    for name, size in (("a/long", 300), ("a/exact", 64), ("b/empty", 0), ("short", 3), ("sealed/t", 9), (".part/f", 9)):
        (given / name).parent.mkdir(parents=True, exist_ok=True)
        (given / name).write_bytes(os.urandom(size))
    parcels = list(pack(given, leave=("sealed",)))
    assert all(sum(len(piece) for _, piece in parcel) <= 64 for parcel in parcels)
    unpack(parcels, tmp_path / "got")
    got = {
        p.relative_to(tmp_path / "got").as_posix(): p.read_bytes() for p in (tmp_path / "got").rglob("*") if p.is_file()
    }
    assert got == {name: (given / name).read_bytes() for name in ("a/long", "a/exact", "b/empty", "short")}


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "cannot be joined: .*refused"),
        ("ray://127.0.0.1:10001", "no address of a Ray cluster"),
        ("nonsense", "no address of a Ray cluster"),
        ("auto", "cannot be joined: Could not find any running Ray instance"),
    ],
)
def test_an_address_where_no_cluster_is(address, said, tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(UserError, match=said) as caught:
        Connection(address, 1)
    assert caught.value.holds and caught.value.hint


def test_a_cluster_of_this_machine_alone_is_heard_nowhere_else_and_leaves_nothing():
    before = signal.getsignal(signal.SIGTERM)
    connection = Connection("", 1)
    try:
        assert connection.cpus() == 1
        assert [n["NodeManagerAddress"] for n in connection.ray.nodes()] == ["127.0.0.1"]
        assert signal.getsignal(signal.SIGTERM) is before
        folder = Path(connection._folder)
        assert folder.exists()
    finally:
        connection.close()
    assert not folder.exists() and not connection.ray.is_initialized()


def test_folders_of_the_dead_are_swept_and_others_are_not(tmp_path):
    for name in (f"{PREFIX}dead", f"{PREFIX}living", "ray-of-others"):
        (tmp_path / name / "data").mkdir(parents=True)
    claim(tmp_path / f"{PREFIX}dead").close()
    with claim(tmp_path / f"{PREFIX}living"):
        sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{PREFIX}living", "ray-of-others"]
