"""Archives from strangers: what is refused, and that nothing is left of it."""

from __future__ import annotations

import io
import stat
import struct
import time
import zipfile

import numpy as np
import pytest

from metalearner.errors import DataError
from metalearner.home import home
from metalearner.pages import uploads
from metalearner.sources import unpack


def packed(*members, compression=zipfile.ZIP_DEFLATED):
    """A ZIP of (name or ZipInfo, bytes)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def link(name, to):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, to


def lying():
    """A ZIP whose list says that a large file is small."""
    data = bytearray(packed(("a/x.txt", b"\0" * 30_000_000), ("a/y.txt", b"x")))
    for mark, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        place = data.find(mark)
        data[place + at : place + at + 4] = struct.pack("<I", 10)
    return bytes(data)


def encrypted():
    data = bytearray(packed(("a.csv", b"a,b\n1,2\n")))
    data[data.find(b"PK\x01\x02") + 8] |= 1
    data[data.find(b"PK\x03\x04") + 6] |= 1
    return bytes(data)


def many():
    """A million entries claimed, and a list long enough for many: told without reading it."""
    data = bytearray(packed(("a.csv", b"a,b\n1,2\n")))
    at = data.rfind(b"PK\x05\x06")
    data[at + 8 : at + 16] = struct.pack("<HHI", 0xFFFF, 0xFFFF, 90_000_000)
    return bytes(data)


def million(hidden):
    """A million real entries in the large form of a ZIP; `hidden` behind an end that tells of one."""
    listed = (
        struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *[20] * 2, *[0] * 4, 0, 0, 0, 1, *[0] * 4, 0, 0) + b"a"
    ) * 1_000_000
    large = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1_000_000, 1_000_000, len(listed), 0)
    place = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(listed), 1)
    told = (1, 1, 47) if hidden else (0xFFFF, 0xFFFF, 0xFFFFFFFF)
    return listed + large + place + struct.pack("<4s2H2H2IH", b"PK\x05\x06", 0, 0, *told, 0, 0)


HOSTILE = {
    "bomb": (lambda: packed(("a.csv", b"0" * 50_000_000)), "packed"),
    "lying bomb": (lying, "larger than it says|cannot be unpacked"),
    "up and out": (lambda: packed(("../../evil.csv", b"a")), "leads out"),
    "absolute": (lambda: packed(("/etc/evil.csv", b"a")), "leads out"),
    "backslashes": (lambda: packed(("..\\..\\evil.csv", b"a")), "leads out"),
    "drive": (lambda: packed(("C:/evil.csv", b"a")), "leads out"),
    "link": (lambda: packed(link("a", "/etc/passwd")), "link"),
    "twice": (lambda: packed(("a/x.txt", b"1"), ("a\\x.txt", b"2"), ("b/y.txt", b"3")), "twice"),
    "file as folder": (lambda: packed(("a", b"1"), ("a/b", b"2")), "twice"),
    "encrypted": (encrypted, "encrypted"),
    "many entries": (many, "too many|files"),
    "a million": (lambda: million(False), "large form|files"),
    "a million, hidden": (lambda: million(True), "large form"),
    "no zip": (lambda: b"MZ\x90\0" * 100, "no ZIP"),
    "cut short": (lambda: packed(("a.csv", b"a,b\n" * 1000))[:-30], "no ZIP|cannot be read"),
    "empty": (packed, "no files"),
    "only rubbish": (lambda: packed(("__MACOSX/x", b"1"), (".DS_Store", b"2")), "no files"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused_in_three_parts_and_leave_nothing(name):
    make, said = HOSTILE[name]
    began = time.monotonic()
    with pytest.raises(DataError, match=said) as refused:
        uploads.keep("pictures.zip", make())
    assert time.monotonic() - began < 5 and len(str(refused.value).splitlines()) == 3
    left = [f for f in (home() / "uploads").rglob("*") if f.is_file()]
    assert not left and not (home().parent / "evil.csv").exists()


def test_a_bomb_that_poses_as_arrays_is_refused():
    with pytest.raises(DataError, match="packed"):
        uploads.keep("x.npz", packed(("x.npy", b"\0" * 60_000_000)))


def test_more_entries_than_are_taken_are_refused_before_they_are_read():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for i in range(60_000):  # as many as a ZIP can have without its large form is 65,535
            archive.writestr(f"{i}", b"")
    with pytest.raises(DataError, match="files"):
        uploads.keep("many.zip", out.getvalue())


def test_honest_archives_are_unpacked_once_below_what_wraps_them():
    data = packed(
        ("set/cats/1.txt", b"meow"), ("set/dogs/1.txt", b"woof"), ("__MACOSX/set/x", b""), ("set/.DS_Store", b"")
    )
    folder = uploads.keep("my set.zip", data)
    assert sorted(p.name for p in folder.iterdir()) == ["cats", "dogs"] and folder.name == "set"
    assert uploads.keep("my set.zip", data) == folder
    assert uploads.keep("t.zip", packed(("t/t.csv", b"a,b\n1,2\n"))).name == "t.csv"


def test_well_packed_small_archives_are_taken(tmp_path):
    file = tmp_path / "x.npz"
    np.savez_compressed(file, x=np.zeros((100, 8, 8), np.uint8), y=np.arange(100))
    assert len(unpack.check(file)) == 2
