"""listing: what files a folder or a zip has, as the trainers would find them.

Nothing is extracted and nothing is executed. Links to files are followed, as all trainers do; a
link to a folder is entered only where it does not lead back to a folder above it.
"""

import contextlib
import os
import stat
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..sources.base import MAX_INPUT_BYTES


@dataclass(frozen=True, slots=True)
class Member:
    """One file; `read` gives its bytes, or raises what the system or zipfile raises."""

    name: str  # below the root, "/" between its parts
    read: Callable[[], bytes]
    refused: str | None = None  # why it cannot be read
    linked: bool = False  # below a link to a folder


@dataclass(frozen=True)
class FileIndex:
    """Files sorted by name, as the trainers sort them."""

    path: Path
    is_zip: bool
    members: list[Member]
    folders: list[str] = field(default_factory=list)  # every one, "a/b", sorted
    links: list[str] = field(default_factory=list)  # those of them that are links
    duplicates: list[str] = field(default_factory=list)  # zip: names of more than one member
    unreadable: list[tuple[str, str]] = field(default_factory=list)  # folder, why

    def below(self, prefix: str) -> list[Member]:
        """Members whose name begins with `prefix` ("" or "a/b/")."""
        return [one for one in self.members if one.name.startswith(prefix)]

    def folders_in(self, prefix: str) -> list[str]:
        """Names of the folders directly in `prefix` ("" or "a/b/"), sorted."""
        inside = (one[len(prefix) :] for one in self.folders if one.startswith(prefix))
        return sorted(name for name in inside if name and "/" not in name)


def in_hidden_folder(name: str) -> bool:
    """Whether a folder on the way to a file, as ".git" in "a/.git/b.png", is hidden."""
    return any(part[0] == "." and part.strip(".") for part in name.split("/")[:-1] if part)


class TooLarge(Exception):
    """A file above MAX_INPUT_BYTES: it is not read into memory."""


@contextlib.contextmanager
def open_index(path: Path) -> Iterator[FileIndex]:
    """Opens a folder or a zip.

    Raises:
        OSError: the root cannot be read.
        zipfile.BadZipFile: a damaged zip.
    """
    if path.is_dir():
        yield _folder(path)
    else:
        with _open_zip(path) as archive:
            yield _archive(path, archive)


# --- folders


def _folder(root: Path) -> FileIndex:
    members: list[Member] = []
    folders: list[str] = []
    links: list[str] = []
    unreadable: list[tuple[str, str]] = []
    pending: list[tuple[str, str, bool, tuple[str, ...]]] = [("", str(root), False, ())]
    while pending:
        prefix, folder, linked, above = pending.pop()
        here = os.path.realpath(folder)
        if here in above:  # a link that leads back up
            continue
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError as error:
            if not prefix:
                raise
            unreadable.append((prefix.rstrip("/"), error.strerror or str(error)))
            continue
        for entry in found:
            name = prefix + entry.name
            if _is_folder(entry):
                folders.append(name)
                link = entry.is_symlink()
                if link:
                    links.append(name)
                pending.append((name + "/", entry.path, linked or link, (*above, here)))
            else:
                members.append(_file(name, entry, linked))
    members.sort(key=lambda one: one.name)
    return FileIndex(root, False, members, sorted(folders), sorted(links), [], unreadable)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link whose target may not be looked at
        return False


def _file(name: str, entry: os.DirEntry[str], linked: bool) -> Member:
    try:
        regular = entry.is_file()
    except OSError:
        regular = False
    if regular:
        return Member(name, partial(_read_file, entry.path), None, linked)
    broken = entry.is_symlink()
    refused = "a link to no regular file" if broken else "not a regular file (a pipe or a socket)"
    return Member(name, partial(_refuse, refused), refused, linked)


def _refuse(reason: str) -> bytes:
    raise OSError(reason)


def _read_file(path: str) -> bytes:
    # The file may have become a pipe since it was listed: not blocking, it cannot hang the check.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("not a regular file")
        # Not the cap itself: read() first takes as much memory as it is asked for.
        return _capped(file.read(min(status.st_size, MAX_INPUT_BYTES) + 1))


def _capped(data: bytes) -> bytes:
    if len(data) > MAX_INPUT_BYTES:
        raise TooLarge(f"larger than {MAX_INPUT_BYTES >> 20} MiB")
    return data


# --- zips


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError:
        raise
    except Exception as error:  # beside BadZipFile: NotImplementedError, struct.error, ...
        raise zipfile.BadZipFile(str(error)) from error


def _archive(path: Path, archive: zipfile.ZipFile) -> FileIndex:
    """The members as zipfile names them; of several of one name the last, as readers get it."""
    reading = threading.Lock()
    last: dict[str, Member] = {}
    counts: Counter[str] = Counter()
    folders: set[str] = set()
    for info in archive.infolist():
        name = info.filename
        parts = name.rstrip("/").split("/")
        depth = len(parts) if info.is_dir() else len(parts) - 1
        folders.update("/".join(parts[:end]) for end in range(1, depth + 1))
        if not info.is_dir():
            counts[name] += 1
            last[name] = _member(archive, info, reading)
    members = [last[name] for name in sorted(last)]
    twice = sorted(name for name, count in counts.items() if count > 1)
    return FileIndex(path, True, members, sorted(folders - {""}), [], twice)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, reading: threading.Lock) -> Member:
    refused = None
    if info.flag_bits & 1:
        refused = "encrypted"
    elif info.file_size > MAX_INPUT_BYTES:
        refused = f"{info.file_size:,} bytes when unpacked, above {MAX_INPUT_BYTES >> 20} MiB"
    if refused:
        return Member(info.filename, partial(_refuse, refused), refused)
    return Member(info.filename, partial(_read_member, archive, info, reading))


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, reading: threading.Lock) -> bytes:
    with reading, archive.open(info) as file:  # one file handle: threads take turns
        return _capped(file.read(info.file_size + 1))
