"""Lists and reads the members of tars: plain archives of images, and WebDataset shards.

An uncompressed tar is read in place, by offset. A compressed one is unpacked once, as one stream,
to a temporary file. Members are grouped into samples by the webdataset library's own rules.
"""

import bz2
import contextlib
import gzip
import lzma
import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, cast

from ...manifests.errors import InputError
from ...manifests.files.atomic import storage_errors
from ...manifests.files.json_reader import parse_json
from ..images.input import REPLACED, Input, names_image
from ..images.unusable import Unusable, explain
from .base import (
    MAX_INPUT_BYTES,
    Source,
    SourceFile,
    clean_path,
    no_such_folder,
    storable_name,
)
from .class_values import clean_class_name, refuse_unnamed
from .folders import read_beside
from .labels import is_above, is_label_file, labels_above, source_of_files
from .limits import check_bytes, check_rows
from .lone_labels import refuse_lone_labels
from .samples import are_samples, fields_of, list_samples
from .spec import SourceSpec
from .tar_member import TarMember
from .unread_fields import unread_fields
from .unused_options import refuse_unused

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_DECOMPRESSORS: dict[bytes, Any] = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ\x00": lzma}
_CHUNK = 1 << 20
_ROWS_AT_ONCE = 10_000  # members between two looks at their number
_MAX_HEADER = 1 << 20  # bytes of a member's name and its other facts


def open_tars(
    files: list[SourceFile], spec: SourceSpec, title: str, stack: contextlib.ExitStack
) -> Source:
    """Every image of the tars, as members or, where samples have other fields, as samples.

    spec: its `path` is a folder in the tars.
    stack: holds what must be removed when the source is closed.

    Raises:
        ConfigError: no such folder in them; labels that cannot be used; a sample of several images;
            an option that does not apply.
        InputError: a damaged tar.
    """
    several = len(files) > 1
    members: list[TarMember] = []
    class_names: dict[str, tuple[str, ...]] = {}
    for file in files:
        shard = Path(file.path).name if several else None
        path_read = _uncompressed(file, stack)
        members += _members(file, path_read, shard)
        class_names[path_read] = _class_names(file.path) if spec.classes else ()
    if are_samples(members, spec.image_column):
        refuse_unused(spec, f"{title}, which holds WebDataset samples,", "path")
        inputs = list(list_samples(members, title, spec, class_names))
        if any(class_names.values()):
            refuse_unnamed(inputs, title)
        if spec.classes and all(item.label is None for item in inputs):
            # Captions beside the images of class folders, say, or of a metadata.csv.
            return _labelled_as_files(inputs, members, title, spec.label_column)
        orders = set(class_names.values())
        order = orders.pop() if len(orders) == 1 else ()
        return Source(title, inputs, classes=order)
    refuse_unused(spec, title, "image_column")
    if spec.classes:
        others = (member.input() for member in members if not names_image(member.name))
        images = [member.name for member in members if names_image(member.name)]
        refuse_lone_labels(others, images, title, spec.label_column)
    inside = clean_path(spec.path)
    prefix = f"{inside}/" if inside else ""
    chosen = sorted(
        (member for member in members if member.name.startswith(prefix)),
        key=lambda member: (member.shard or "", member.name),
    )
    chosen = [
        replace(member, refused=REPLACED)
        if later is not None and _same_file(member, later)
        else member
        for member, later in zip_longest(chosen, chosen[1:])
        if member is not None
    ]
    if prefix and not chosen:
        tops = {member.name.split("/")[0] for member in members if "/" in member.name}
        raise no_such_folder(str(spec.path), title, tops)
    names = [member.name[len(prefix) :] for member in chosen]
    inputs = [member.input(name) for member, name in zip(chosen, names, strict=True)]
    found = source_of_files(title, inputs, spec.classes, names, column=spec.label_column)
    above = (member.name for member in members if is_above(member.name, inside))
    return labels_above(above, found) if spec.classes else found


def _same_file(one: TarMember, other: TarMember) -> bool:
    """Whether one replaces the other where the tar is extracted, as `tar -r` makes them."""
    return (one.shard, one.name) == (other.shard, other.name)


def _labelled_as_files(
    inputs: list[Input], members: list[TarMember], title: str, column: str | None
) -> Source:
    """Samples without a label of their own, with the labels that files in folders would have."""
    by_name = {member.full_name: member for member in members}
    inputs = [by_name[item.name].input() if is_label_file(item.name) else item for item in inputs]
    names = [by_name[item.name].name for item in inputs]
    others = [member.name for member in members]
    found = source_of_files(title, inputs, True, names, others=others, column=column)
    if any(item.label is not None for item in found.inputs):
        return found
    return replace(
        found,
        notes=(*found.notes, *unread_fields(fields_of(members), title, "no field of its samples")),
    )


def _members(file: SourceFile, path: str, shard: str | None) -> Iterator[TarMember]:
    """The files of the uncompressed tar at `path`."""
    try:
        with (
            open(path, "rb") as opened,
            tarfile.open(fileobj=cast(IO[bytes], _Headers(opened)), mode="r:") as archive,
        ):
            for number, info in enumerate(archive):
                if number % _ROWS_AT_ONCE == 0:
                    check_rows(file.shown, number, file.size)
                if info.isdir():
                    continue
                refused = None
                if info.name.startswith("/") or ".." in info.name.split("/"):
                    refused = "name that leaves the archive"
                elif info.issym() or info.islnk():
                    refused = "link in an archive"
                elif not info.isreg() or info.issparse():
                    refused = "not a regular file"
                elif info.size > MAX_INPUT_BYTES:
                    refused = f"larger than {MAX_INPUT_BYTES >> 20} MiB"
                name = storable_name(clean_path(info.name) or info.name)
                yield TarMember(name, path, info.offset_data, info.size, refused, shard)
            # tarfile ends without an error at a header it cannot read; a whole tar ends in zeros.
            _check_end(file, path, archive.offset)
    except InputError:
        raise
    except Exception as error:  # besides TarError: of nonsense in a pax header, of sizes of 2^62
        raise _damaged(file, explain(error)) from error


class _Headers:
    """A tar as tarfile reads it to list its members: headers alone, none of which is large."""

    def __init__(self, opened: IO[bytes]) -> None:
        self._opened, self.seek, self.tell = opened, opened.seek, opened.tell

    def read(self, size: int = -1) -> bytes:
        """Raises ValueError for an extended header above _MAX_HEADER, as of a name of 200 MB."""
        if not 0 <= size <= _MAX_HEADER:
            raise ValueError(f"a header of {size:,} bytes")
        return self._opened.read(size)


def _check_end(file: SourceFile, path: str, offset: int) -> None:
    with open(path, "rb") as tar:
        tar.seek(max(offset - tarfile.BLOCKSIZE, 0))
        rest = tar.read(2 * tarfile.BLOCKSIZE)
        if not rest or any(rest[-tarfile.BLOCKSIZE :]) or os.path.getsize(path) < offset:
            raise _damaged(
                file, f"it breaks off after {offset:,} bytes, or a header there is damaged"
            )
        while chunk := tar.read(_CHUNK):
            if chunk.count(0) < len(chunk):
                raise _damaged(file, "data follow its end, as where archives were concatenated")


def _damaged(file: SourceFile, why: str) -> InputError:
    return InputError(
        f"The tar {file.shown} could not be read ({why}). Test it with `tar tf` and fetch or make"
        " it again."
    )


def _uncompressed(file: SourceFile, stack: contextlib.ExitStack) -> str:
    """Path of the uncompressed tar, no link: its own, or that of a temporary file."""
    with open(file.path, "rb") as tar:
        head = tar.read(6)
    library = next(
        (found for magic, found in _DECOMPRESSORS.items() if head.startswith(magic)), None
    )
    if library is None:
        return os.path.realpath(file.path)
    temporary = tempfile.NamedTemporaryFile(prefix="scoremix-", suffix=".tar")  # noqa: SIM115
    with storage_errors(Path(temporary.name)):
        stack.enter_context(temporary)
    try:
        with library.open(file.path) as compressed:
            while chunk := compressed.read(_CHUNK):
                with storage_errors(Path(temporary.name)):
                    temporary.write(chunk)
                check_bytes(file.shown, temporary.tell(), file.size)
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise _damaged(file, str(error)) from error
    with storage_errors(Path(temporary.name)):
        temporary.flush()
    return temporary.name


def _class_names(tar: str) -> tuple[str, ...]:
    """The class names of shards that this package wrote, from the index.json beside them."""
    try:
        index = parse_json(read_beside(Path(tar).with_name("index.json")))
        return tuple(clean_class_name(str(name)) for name in index["classes"])
    except (OSError, Unusable, ValueError, KeyError, TypeError):
        return ()
