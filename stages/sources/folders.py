"""Files below a folder: found by a walk, and read within bounds."""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from ..images.decode import Unusable
from ..images.input import Input, Label
from .base import (
    MAX_INPUT_BYTES,
    Source,
    as_text,
    by_folder,
    capped,
    no_such_path,
    nothing,
    relative,
    sort,
)
from .labels import LABELS, has_labels, labelled, read_table


def find_folder(top: Path, path: str | None) -> Path:
    """The folder `path` inside `top`. Raises ConfigError where there is none."""
    inside = relative(path)
    root = top / inside
    if ".." in inside.split("/") or not root.is_dir():
        names = [as_text(entry.name) for entry in os.scandir(top) if entry.is_dir()]
        raise no_such_path(str(path), f"the folder {top}", names)
    return root


def open_folder(root: Path, fence: Path, classes: bool) -> Source:
    """Every file below `root`; links count only if they stay inside `fence`."""
    table = read_file(str(root / LABELS)) if (root / LABELS).is_file() else b""
    found = as_source(f"the folder {root}", sort(_inputs(root, str(fence))), classes, table)
    return replace(found, folder=root)


def as_source(what: str, inputs: list[Input], classes: bool, table: bytes | None = None) -> Source:
    """Files that lie in folders, with the classes that dataset.json (`table`) or these give."""
    if classes:
        table = read_table(inputs, what) if table is None else table
        inputs = labelled(inputs, table, what) if has_labels(table) else by_folder(inputs)
    return Source(what, inputs)


class FolderEntry(NamedTuple):
    """What `walk` finds below a folder."""

    name: str  # below the root, "/" between its parts, as the system has it
    path: str
    kind: Literal["file", "folder", "link", "special", "unreadable folder"]
    is_link: bool = False
    below_link: bool = False  # in a folder that a link leads to
    error: OSError | None = None  # of an unreadable folder


def walk(root: Path, *, follow_links: bool) -> Iterator[FolderEntry]:
    """Every file and folder below `root`, in no order; an unreadable root has the name "".

    follow_links: a link is what it leads to, and a folder is entered through it unless that is a
    folder above it; one that leads nowhere stays a link. Otherwise every link is one.
    """
    pending: list[tuple[str, str, bool, tuple[str, ...]]] = [("", str(root), False, ())]
    while pending:
        prefix, folder, below_link, above = pending.pop()
        if follow_links:
            real = os.path.realpath(folder)
            if real in above:
                continue
            above = (*above, real)
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError as error:
            name = prefix.rstrip("/")
            yield FolderEntry(name, folder, "unreadable folder", below_link=below_link, error=error)
            continue
        for entry in found:
            kind, link = _kind(entry, follow_links), entry.is_symlink()
            yield FolderEntry(prefix + entry.name, entry.path, kind, link, below_link)
            if kind == "folder":
                pending.append((f"{prefix}{entry.name}/", entry.path, below_link or link, above))


def _kind(
    entry: os.DirEntry[str], follow_links: bool
) -> Literal["file", "folder", "link", "special"]:
    link = entry.is_symlink()
    if link and not follow_links:
        return "link"
    with contextlib.suppress(OSError):  # a link whose target may not be asked about
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
    return "link" if link else "special"


def _inputs(root: Path, fence: str) -> Iterator[Input]:
    """The inputs below `root`; what must not be opened says why."""
    for entry in walk(root, follow_links=False):
        name = as_text(entry.name)
        if entry.kind == "file":
            yield file_input(name, entry.path)
        elif entry.kind == "link":
            yield _link(name, entry.path, fence)
        elif entry.kind == "special":
            yield Input(name, nothing, refused="not a regular file")
        elif entry.error is not None:
            reason = f"folder not readable: {entry.error.strerror}"
            yield Input(name or ".", nothing, refused=reason)


def _link(name: str, path: str, fence: str) -> Input:
    target = os.path.realpath(path)
    if not Path(target).is_relative_to(fence):
        return Input(name, nothing, refused="symbolic link that leaves the source's folder")
    if os.path.isdir(target):
        return Input(name, nothing, refused="symbolic link to a folder")
    if not os.path.isfile(target):
        return Input(name, nothing, refused="symbolic link to no regular file")
    return file_input(name, target)


def file_input(
    name: str, path: str, label: Label | None = None, license: str | None = None
) -> Input:
    """The regular file at `path` as an input."""
    return Input(name, partial(read_file, path), label=label, license=license, path=path)


def read_head(path: str, most: int) -> bytes:
    """The first `most` bytes of the file, or all of it where it is shorter.

    Raises:
        OSError: it cannot be read.
        Unusable: no regular file.
    """
    with _open_regular(path) as descriptor:
        return _read(descriptor, 0, most)


def read_file(path: str, offset: int = 0, size: int | None = None) -> bytes:
    """The file, or `size` bytes of it from `offset` on.

    Raises:
        OSError: it cannot be read.
        Unusable: no regular file, fewer bytes than `size`, or a file above MAX_INPUT_BYTES.
    """
    with _open_regular(path) as descriptor:
        if size is None:
            return capped(_read(descriptor, 0, MAX_INPUT_BYTES + 1))
        data = _read(descriptor, offset, size)
    if len(data) < size:
        raise Unusable(f"cut off: {len(data)} of {size} bytes are there")
    return data


@contextlib.contextmanager
def _open_regular(path: str) -> Iterator[int]:
    """A descriptor of the file.

    It may have become a pipe since it was listed, or a link that leads out of the source: opened
    without blocking, it cannot hang the run; links that were there were resolved when listed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unusable("not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def _read(descriptor: int, offset: int, size: int) -> bytes:
    """Up to `size` bytes: a single call may give fewer than there are."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    expected = min(size, max(os.fstat(descriptor).st_size - offset, 0) + 1)
    parts = [os.read(descriptor, expected)]
    missing = size - len(parts[0])
    while parts[-1] and missing:
        parts.append(os.read(descriptor, min(missing, 1 << 20)))
        missing -= len(parts[-1])
    return parts[0] if len(parts) == 1 else b"".join(parts)
