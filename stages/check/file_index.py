"""Lists the files of a folder or a zip as the trainers would find them.

Nothing is extracted and nothing is executed. Links to files are followed, as all trainers do; a
link to a folder is entered only where it does not lead back to a folder above it.
"""

import contextlib
import os
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..images.input import Input
from ..sources.base import read_refused, sort_by_name
from ..sources.folders import FolderEntry, read_file, walk
from ..sources.zips import open_archive, read_member, refusal


@dataclass(frozen=True)
class FileIndex:
    """Files sorted by name, as the trainers sort them. Names are as the system has them."""

    path: Path
    is_zip: bool
    members: list[Input]
    folders: list[str] = field(default_factory=list)  # every one, "a/b", sorted
    links: list[str] = field(default_factory=list)  # those of them that are links
    linked: frozenset[str] = frozenset()  # files in folders that a link leads to
    duplicates: list[str] = field(default_factory=list)  # zip: names of more than one member
    unreadable: list[tuple[str, str]] = field(default_factory=list)  # folder, why

    def below(self, prefix: str) -> list[Input]:
        """Members whose name begins with `prefix` ("" or "a/b/")."""
        return [one for one in self.members if one.name.startswith(prefix)]

    def folders_in(self, prefix: str) -> list[str]:
        """Names of the folders directly in `prefix` ("" or "a/b/"), sorted."""
        inside = (one[len(prefix) :] for one in self.folders if one.startswith(prefix))
        return sorted(name for name in inside if name and "/" not in name)


def in_hidden_folder(name: str) -> bool:
    """Whether a folder on the way to a file, as ".git" in "a/.git/b.png", is hidden."""
    return any(part[0] == "." and part.strip(".") for part in name.split("/")[:-1] if part)


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
        with open_archive(path) as archive:
            yield _archive(path, archive)


def _folder(root: Path) -> FileIndex:
    members: list[Input] = []
    folders: list[str] = []
    links: list[str] = []
    linked: list[str] = []
    unreadable: list[tuple[str, str]] = []
    for entry in walk(root, follow_links=True):
        if entry.error is not None:
            if not entry.name:
                raise entry.error
            unreadable.append((entry.name, entry.error.strerror or str(entry.error)))
        elif entry.kind == "folder":
            folders.append(entry.name)
            if entry.is_link:
                links.append(entry.name)
        else:
            members.append(_file(entry))
            if entry.below_link:
                linked.append(entry.name)
    return FileIndex(
        root,
        False,
        sort_by_name(members),
        sorted(folders),
        sorted(links),
        frozenset(linked),
        unreadable=unreadable,
    )


def _file(entry: FolderEntry) -> Input:
    if entry.kind == "file":
        path = os.path.realpath(entry.path) if entry.is_link else entry.path
        return Input(entry.name, partial(read_file, path))
    if entry.kind == "link":
        return Input(entry.name, read_refused, "a link to no regular file")
    return Input(entry.name, read_refused, "not a regular file (a pipe or a socket)")


def _archive(path: Path, archive: zipfile.ZipFile) -> FileIndex:
    """The members as zipfile names them; of several of one name the last, as readers get it."""
    reading = threading.Lock()
    last: dict[str, Input] = {}
    counts: Counter[str] = Counter()
    folders: set[str] = set()
    for info in archive.infolist():
        name = info.filename
        parts = name.rstrip("/").split("/")
        is_folder = name.endswith("/")  # is_dir of zipfile fails for a name of no characters
        depth = len(parts) if is_folder else len(parts) - 1
        folders.update("/".join(parts[:end]) for end in range(1, depth + 1))
        if not is_folder:
            counts[name] += 1
            last[name] = Input(name, partial(read_member, archive, info, reading), refusal(info))
    twice = sorted(name for name, count in counts.items() if count > 1)
    members = sort_by_name(last.values())
    return FileIndex(path, True, members, sorted(folders - {""}), duplicates=twice)
