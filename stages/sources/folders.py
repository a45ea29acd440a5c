"""Lists the files below a folder and reads files of the disk, or parts of them."""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from ...manifests.errors import ConfigError, InputError
from ..images.input import Input, Label
from ..images.unusable import Unusable
from .base import (
    FOLLOW_REMEDY,
    LEAVES,
    MAX_INPUT_BYTES,
    TO_FOLDER,
    UNFOLLOWED,
    Source,
    check_size,
    clean_path,
    no_such_folder,
    read_refused,
    sort_by_name,
    storable_name,
)
from .labels import LABEL_FILES, labels_above, source_of_files
from .limits import check_json, check_label_file
from .spec import SourceSpec
from .unused_options import refuse_unused


def find_folder(top: Path, path: str | None) -> Path:
    """The folder `path` inside `top`. Raises ConfigError where there is none."""
    inside = clean_path(path)
    root = top / inside
    if ".." in inside.split("/") or not root.is_dir():
        names = [storable_name(entry.name) for entry in os.scandir(top) if entry.is_dir()]
        raise no_such_folder(str(path), f"the folder {top}", names)
    return root


def open_folder(root: Path, boundary: Path, spec: SourceSpec) -> Source:
    """Every file below `root`.

    With follow_links, links count as what they lead to, wherever that is. Without it, a link to a
    file counts if the file lies inside the folder `boundary`, and no link to a folder does.

    Raises:
        ConfigError: labels that cannot be used (with `classes`), an option that does not apply.
    """
    title = f"the folder {root}"
    refuse_unused(spec, title, "image_column")
    listed = _list_followed(root) if spec.follow_links else _list_files(root, str(boundary))
    inputs = sort_by_name(listed)
    source = source_of_files(title, inputs, spec.classes, column=spec.label_column)
    source = _noting_links(source)
    if spec.classes:
        above = (f"{folder}/{name}" for folder in _between(root, boundary) for name in LABEL_FILES)
        source = labels_above(filter(os.path.isfile, above), source)
    return replace(source, folder=root)


def open_files(paths: list[str], root: Path, title: str, spec: SourceSpec) -> Source:
    """Files that a pattern names, and the files of labels in the folders above them up to `root`.

    root: the folder in front of the pattern's first wildcard. With follow_links as open_folder,
    root being the boundary.

    Raises:
        ConfigError: labels that cannot be used (with `classes`), an option that does not apply.
    """
    refuse_unused(spec, title, "path", "image_column")
    files = dict.fromkeys(paths)
    if spec.classes:
        files |= dict.fromkeys(label_files(paths, root))
    below_link: dict[str, bool] = {}
    inputs = [_pattern_input(path, root, below_link, spec.follow_links) for path in files]
    found = source_of_files(title, sort_by_name(inputs), spec.classes, column=spec.label_column)
    source = _noting_links(found)
    if not spec.classes:
        return source
    above = (os.path.join(root.parent, name) for name in LABEL_FILES)
    return labels_above(filter(os.path.isfile, above), source)


def label_files(paths: Iterable[str], root: Path) -> list[str]:
    """The files of labels in `root` and in the folders from there to the files at `paths`."""
    folders = {str(root)}
    for folder in {os.path.dirname(path) for path in paths}:
        folders |= set(map(str, _between(Path(folder) / "-", root)))
    labels = (os.path.join(folder, name) for folder in folders for name in LABEL_FILES)
    return sorted(filter(os.path.isfile, labels))


def _pattern_input(path: str, root: Path, below_link: dict[str, bool], follow_links: bool) -> Input:
    """below_link: whether a folder is one that a link below `root` leads to, as far as known."""
    name = storable_name(os.path.relpath(path, root))
    if follow_links:
        return file_input(name, os.path.realpath(path))
    folder = os.path.dirname(path)
    if folder not in below_link:
        inner = (folder, *map(str, _between(Path(folder), root)))
        below_link[folder] = any(Path(one) != root and os.path.islink(one) for one in inner)
    if below_link[folder]:
        return Input(name, read_refused, refused=TO_FOLDER)
    if os.path.islink(path):
        return _link_input(name, path, os.path.realpath(root))
    return file_input(name, path)


def _between(folder: Path, top: Path) -> list[Path]:
    """The folders above `folder` up to `top`, which is one of them; none where they are equal."""
    return [one for one in folder.parents if one.is_relative_to(top)]


def _noting_links(source: Source) -> Source:
    skipped = [item for item in source.inputs if item.refused in UNFOLLOWED and not item.hidden]
    if not skipped:
        return source
    note = (
        f"{source.title}: {len(skipped)} links are not followed, such as {skipped[0].name}"
        f" ({skipped[0].refused}). {FOLLOW_REMEDY}"
    )
    return replace(source, notes=(*source.notes, note))


def require_inside(path: Path, boundary: Path) -> None:
    """Raises ConfigError for an archive or database of a folder that lies outside `boundary`."""
    if not path.resolve().is_relative_to(boundary):
        raise ConfigError(
            f"{storable_name(path.name)} in {path.parent} is a {LEAVES}: it may lead to any file"
            f" of this machine. {FOLLOW_REMEDY}"
        )


class FolderEntry(NamedTuple):
    """A file or folder that `walk` finds."""

    name: str  # below the root, "/" between its parts, as the system has it
    path: str
    kind: Literal["file", "folder", "link", "special", "unreadable folder"]
    is_link: bool = False
    below_link: bool = False  # in a folder that a link leads to
    error: OSError | None = None  # of an unreadable folder


def walk(root: Path, *, follow_links: bool) -> Iterator[FolderEntry]:
    """Every file and folder below `root`, in no order; an unreadable root has the name "".

    follow_links: a link counts as its target, and a link to a folder is entered unless that is a
    folder above it; a link that leads nowhere is of the kind "link". Without it, every link is.
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
    with contextlib.suppress(OSError):  # a link whose target is not accessible
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
    return "link" if link else "special"


def _list_files(root: Path, boundary: str) -> Iterator[Input]:
    """An input for every file below `root`; those that must not be opened have the reason."""
    for entry in walk(root, follow_links=False):
        name = storable_name(entry.name)
        if entry.kind == "file":
            yield file_input(name, entry.path)
        elif entry.kind == "link":
            yield _link_input(name, entry.path, boundary)
        elif entry.kind == "special":
            yield Input(name, read_refused, refused="not a regular file")
        elif entry.error is not None:
            reason = f"folder not readable: {entry.error.strerror}"
            yield Input(name or ".", read_refused, refused=reason)


def _list_followed(root: Path) -> Iterator[Input]:
    """The same with links as what they lead to; one to a folder above it is not entered."""
    for entry in walk(root, follow_links=True):
        name = storable_name(entry.name)
        if entry.kind == "file":
            yield file_input(name, os.path.realpath(entry.path) if entry.is_link else entry.path)
        elif entry.kind == "link":
            yield Input(name, read_refused, refused="symbolic link to no regular file")
        elif entry.kind == "special":
            yield Input(name, read_refused, refused="not a regular file")
        elif entry.error is not None:
            reason = f"folder not readable: {entry.error.strerror}"
            yield Input(name or ".", read_refused, refused=reason)


def _link_input(name: str, path: str, boundary: str) -> Input:
    target = os.path.realpath(path)
    if not Path(target).is_relative_to(boundary):
        return Input(name, read_refused, refused=LEAVES)
    if os.path.isdir(target):
        return Input(name, read_refused, refused=TO_FOLDER)
    if not os.path.isfile(target):
        return Input(name, read_refused, refused="symbolic link to no regular file")
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
        return _read_bytes(descriptor, 0, most)


def read_beside(path: Path) -> bytes:
    """A small file of JSON that describes others, whatever link leads to it.

    Raises what read_file does, and InputError where it has more entries than are parsed.
    """
    data = read_file(os.path.realpath(path))
    try:
        check_label_file(path.name, data, images=1)
        check_json(path.name, data, images=1)
    except Unusable as error:
        raise InputError(f"{path}: {error}. Move it away, or write it again.") from error
    return data


def read_file(path: str, offset: int = 0, size: int | None = None) -> bytes:
    """The file, or `size` bytes of it from `offset` on.

    Raises:
        OSError: it cannot be read.
        Unusable: no regular file, fewer bytes than `size`, or a file above MAX_INPUT_BYTES.
    """
    with _open_regular(path) as descriptor:
        if size is None:
            return check_size(_read_bytes(descriptor, 0, MAX_INPUT_BYTES + 1))
        data = _read_bytes(descriptor, offset, size)
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


def _read_bytes(descriptor: int, offset: int, size: int) -> bytes:
    """Up to `size` bytes: a single call may give fewer than there are."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    expected = min(size, max(os.fstat(descriptor).st_size - offset, 0) + 1)
    parts = [os.read(descriptor, expected)]
    missing = size - len(parts[0])
    while parts[-1] and missing:
        parts.append(os.read(descriptor, min(missing, 1 << 20)))
        missing -= len(parts[-1])
    return parts[0] if len(parts) == 1 else b"".join(parts)
