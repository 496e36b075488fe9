"""Archives from strangers: looked through before anything is written, and unpacked by what is read, not by what they claim."""

from __future__ import annotations

import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ..errors import DataError

# Files in an archive, bytes of them together, and bytes that one byte of the archive may become.
MOST_FILES, MOST_BYTES, MOST_RATIO = 50_000, 2 * 2**30, 100
# Below this many bytes nobody minds how well they were packed.
SMALL = 8 * 2**20
# Bytes of the list of files: what is claimed of their number may be a lie, this is what would be read.
MOST_LIST = MOST_FILES * 300
CHUNK = 1 << 20
LIMITS = (
    f"An archive holds at most {MOST_FILES:,} files and {MOST_BYTES / 2**30:.0f} GB, "
    f"packed at most {MOST_RATIO}:1, and no links or paths that lead out of it."
)
AGAIN = "Pack the files themselves, with ordinary names, into a new ZIP."


def check(file: Path) -> list[zipfile.ZipInfo]:
    """The files of an archive, none of them read yet. Raises DataError when it is broken or not to be trusted."""
    _count(file)
    try:
        with zipfile.ZipFile(file) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as problem:
        raise _refused(file, f"cannot be read: {problem}") from None
    if len(members) > MOST_FILES:
        raise _refused(file, f"holds {len(members):,} files")
    total = sum(m.file_size for m in members)
    if total > MOST_BYTES:
        raise _refused(file, f"would take {total / 2**30:.1f} GB")
    if total > SMALL and total > MOST_RATIO * file.stat().st_size:
        raise _refused(file, f"is packed {total / file.stat().st_size:,.0f}:1")
    for member in members:
        _trusted(file, member)
    return members


def unpack(file: Path, into: Path) -> Path:
    """Write an archive's files under the folder `into`; returns the one file or the folder that matters.

    Raises DataError as `check` does; then nothing is left of it.
    """
    members = [m for m in check(file) if not _unwanted(m.filename)]
    if not members:
        raise _refused(file, "holds no files")
    into.mkdir(parents=True)
    try:
        _write(file, members, into)
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise
    return heart(into)


def _write(file: Path, members: Iterable[zipfile.ZipInfo], into: Path) -> None:
    """Write files, counting what comes out."""
    written, most = 0, max(SMALL, min(MOST_BYTES, MOST_RATIO * file.stat().st_size))
    with zipfile.ZipFile(file) as archive:
        for member in members:
            place = into.joinpath(*PurePosixPath(member.filename.replace("\\", "/")).parts)
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, place.open("xb") as out:
                    while chunk := source.read(CHUNK):
                        written += len(chunk)
                        if written > most:
                            raise _refused(file, f"is larger than it says: {written / 1e6:,.0f} MB so far")
                        out.write(chunk)
            except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as problem:
                raise _refused(file, f"cannot be unpacked at '{member.filename[:60]}': {problem}") from None
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                raise _refused(file, f"holds '{member.filename[:60]}' twice") from None


def _count(file: Path) -> None:
    """Refuse what claims too many files before the list of them is read into memory."""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - 22 - 0xFFFF))
        end = stream.read()
    at = end.rfind(b"PK\x05\x06")
    if at < 0 or len(end) < at + 22:
        raise _refused(file, "is no ZIP, or was cut short")
    if end[max(0, at - 20) : at].startswith(b"PK\x06\x07"):  # its numbers stand elsewhere, and would be believed
        raise _refused(file, "has the large form of a ZIP, which nothing within the limits needs")
    files, size = struct.unpack("<HI", end[at + 10 : at + 16])
    if files > MOST_FILES or size > MOST_LIST:
        raise _refused(file, "lists too many files" if size > MOST_LIST else f"holds {files:,} files or more")


def _trusted(file: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename.replace("\\", "/")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or "\0" in name or len(name) > 500:
        raise _refused(file, f"holds a path that leads out of it: '{name[:60]}'")
    kind = member.external_attr >> 16
    if stat.S_IFMT(kind) not in (0, stat.S_IFREG):
        raise _refused(file, f"holds a link: '{name[:60]}'")
    if member.flag_bits & 1:
        raise _refused(file, "is encrypted")


def _unwanted(name: str) -> bool:
    """What systems and editors leave behind."""
    return any(part == "__MACOSX" or part.startswith(".") for part in PurePosixPath(name).parts)


def heart(folder: Path) -> Path:
    """Below folders that hold one folder alone; a single file is that file."""
    while True:
        inside = list(folder.iterdir())
        if len(inside) != 1:
            return folder
        folder = inside[0]
        if folder.is_file():
            return folder


def _refused(file: Path, why: str) -> DataError:
    return DataError(f"'{file.name}' {why}.", LIMITS, AGAIN)
