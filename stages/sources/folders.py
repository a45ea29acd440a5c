"""Files below a folder."""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

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
    found = as_source(f"the folder {root}", sort(_walk(root, str(fence))), classes, table)
    return replace(found, folder=root)


def as_source(what: str, inputs: list[Input], classes: bool, table: bytes | None = None) -> Source:
    """Files that lie in folders, with the classes that dataset.json (`table`) or these give."""
    if classes:
        table = read_table(inputs, what) if table is None else table
        inputs = labelled(inputs, table, what) if has_labels(table) else by_folder(inputs)
    return Source(what, inputs)


def _walk(root: Path, fence: str) -> Iterator[Input]:
    pending = [("", str(root))]
    while pending:
        prefix, folder = pending.pop()
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError as error:
            name = as_text(prefix.rstrip("/")) or "."
            yield Input(name, nothing, refused=f"folder not readable: {error.strerror}")
            continue
        for entry in found:
            name = prefix + entry.name
            if entry.is_symlink():
                yield _link(as_text(name), entry.path, fence)
            elif entry.is_dir(follow_symlinks=False):
                pending.append((name + "/", entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield file_input(as_text(name), entry.path)
            else:
                yield Input(as_text(name), nothing, refused="not a regular file")


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
