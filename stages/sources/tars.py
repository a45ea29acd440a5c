"""Lists and reads the members of tars: plain archives of images, and WebDataset shards.

An uncompressed tar is read in place, by offset. A compressed one is unpacked once, as one stream,
to a temporary file. Members are grouped into samples by the webdataset library's own rules.
"""

import bz2
import contextlib
import gzip
import json
import lzma
import os
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...manifests.errors import ConfigError, InputError
from ...manifests.files.atomic import storage_errors
from ..images.input import Input, Label, names_image
from .base import (
    MAX_INPUT_BYTES,
    Source,
    SourceFile,
    clean_path,
    folder_labels,
    no_such_folder,
    read_refused,
    storable_name,
    with_labels,
)
from .folders import read_file
from .labels import source_of_files

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_DECOMPRESSORS: dict[bytes, Any] = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ\x00": lzma}
# A tar that unpacks to more than both of these is refused as a decompression bomb.
_MAX_EXPANSION = 200  # times its compressed size
_MAX_UNPACKED = 1 << 30  # bytes
_CHUNK = 1 << 20
_MAX_DIGITS, _MAX_NAME = 10, 200  # characters of a class number, of a class name
_LABEL_KEYS = ("label", "cls", "class", "class_id")  # of a sample's JSON


@dataclass(frozen=True, slots=True)
class _Member:
    """A file of a tar; its bytes are data[offset : offset + size] of the file `path`."""

    name: str
    path: str
    offset: int
    size: int
    refused: str | None
    shard: str | None  # the tar's own name, where there are several

    def input(self, name: str | None = None, **facts: Any) -> Input:
        name = self.name if name is None else name
        name = f"{self.shard}/{name}" if self.shard else name
        if self.refused:
            return Input(name, read_refused, self.refused, **facts)
        return Input(name, partial(read_file, self.path, self.offset, self.size), **facts)


def open_tars(
    files: list[SourceFile],
    path: str | None,
    title: str,
    classes: bool,
    stack: contextlib.ExitStack,
) -> Source:
    """Every image of the tars, as members or, where samples have other fields, as samples.

    stack: holds what must be removed when the source is closed.

    Raises:
        ConfigError: no such folder in them; labels that do not say which class.
        InputError: a damaged tar.
    """
    several = len(files) > 1
    members: list[_Member] = []
    for file in files:
        shard = Path(file.path).name if several else None
        members += _members(file, _uncompressed(file, stack), shard)
    if _are_samples(members):
        if path is not None:
            raise ConfigError(
                f"ingest.path is {path!r}, but {title} holds WebDataset samples, which have no"
                " folders. Leave it out."
            )
        class_names = {file.path: _class_names(file.path) for file in files} if classes else {}
        inputs = list(_samples(members, classes, class_names))
        if classes and all(item.label is None for item in inputs):
            # Captions beside the images of class folders, say: the folders are still there.
            names = [item.name.split("/", 1)[-1] if several else item.name for item in inputs]
            inputs = with_labels(inputs, folder_labels(inputs, names))
        orders = set(class_names.values())
        return Source(title, inputs, classes=orders.pop() if len(orders) == 1 else ())
    inside = clean_path(path)
    prefix = f"{inside}/" if inside else ""
    chosen = sorted(
        (member for member in members if member.name.startswith(prefix)),
        key=lambda member: (member.shard or "", member.name),
    )
    if prefix and not chosen:
        tops = {member.name.split("/")[0] for member in members if "/" in member.name}
        raise no_such_folder(str(path), title, tops)
    names = [member.name[len(prefix) :] for member in chosen]
    inputs = [member.input(name) for member, name in zip(chosen, names, strict=True)]
    return source_of_files(title, inputs, classes, names)


def _members(file: SourceFile, path: str, shard: str | None) -> Iterator[_Member]:
    """The files of the uncompressed tar at `path`."""
    try:
        with tarfile.open(path, "r:") as archive:
            for info in archive:
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
                yield _Member(name, path, info.offset_data, info.size, refused, shard)
            # tarfile ends without an error at a header it cannot read; a whole tar ends in zeros.
            _check_end(file, path, archive.offset)
    except (tarfile.TarError, ValueError) as error:  # ValueError: nonsense in a pax header
        raise _damaged(file, str(error)) from error


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
    """Path of the uncompressed tar: its own, or that of a temporary file."""
    with open(file.path, "rb") as tar:
        head = tar.read(6)
    library = next(
        (found for magic, found in _DECOMPRESSORS.items() if head.startswith(magic)), None
    )
    if library is None:
        return file.path
    limit = max(_MAX_UNPACKED, _MAX_EXPANSION * file.size)
    temporary = tempfile.NamedTemporaryFile(prefix="scoremix-", suffix=".tar")  # noqa: SIM115
    with storage_errors(Path(temporary.name)):
        stack.enter_context(temporary)
    try:
        with library.open(file.path) as compressed:
            while chunk := compressed.read(_CHUNK):
                with storage_errors(Path(temporary.name)):
                    temporary.write(chunk)
                if temporary.tell() > limit:
                    raise InputError(
                        f"{file.shown} unpacks to more than {limit >> 20:,} MiB, {_MAX_EXPANSION}"
                        " times its size: no images do that. If you trust it, unpack it and name"
                        " the folder."
                    )
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise _damaged(file, str(error)) from error
    with storage_errors(Path(temporary.name)):
        temporary.flush()
    return temporary.name


# --- WebDataset


def _are_samples(members: list[_Member]) -> bool:
    """Whether images have fields beside them (KEY.cls, KEY.json), as in WebDataset shards."""
    from webdataset.tariterators import base_plus_ext

    images: set[tuple[str | None, str]] = set()
    fields: set[tuple[str | None, str]] = set()
    for member in members:
        key, extensions = base_plus_ext(member.name)
        if key is not None:
            (images if names_image(member.name) else fields).add((member.shard, key))
    return not images.isdisjoint(fields)


def _samples(
    members: list[_Member], classes: bool, class_names: dict[str, tuple[str, ...]]
) -> Iterator[Input]:
    """An input per sample, in the order of the shards; images of no sample are inputs as well.

    class_names: by the path of the tar, in the order of its class numbers.
    """
    from webdataset.tariterators import group_by_keys

    stream = (
        {"fname": member.name, "data": member, "__url__": member.shard or ""} for member in members
    )
    grouped = group_by_keys(stream, handler=lambda error: True)
    seen: set[tuple[str | None, int]] = set()
    for sample in grouped:
        fields = {name: value for name, value in sample.items() if not name.startswith("__")}
        seen.update((member.shard, member.offset) for member in fields.values())
        images = [member for member in fields.values() if names_image(member.name)]
        if not images:
            first = next(iter(fields.values()))
            yield Input(first.input().name, read_refused, "sample without an image")
            continue
        label = _sample_label(fields) if classes else None
        names = class_names.get(images[0].path, ())
        if isinstance(label, int) and label < len(names):
            label = names[label]
        yield images[0].input(label=label)
        for extra in images[1:]:
            yield Input(
                extra.input().name, read_refused, "second image of its sample", declared_image=True
            )
    for member in members:
        if names_image(member.name) and (member.shard, member.offset) not in seen:
            reason = "of no sample, or twice in one"
            yield Input(member.input().name, read_refused, reason, declared_image=True)


def _sample_label(fields: dict[str, _Member]) -> Label | None:
    if "cls" in fields and not fields["cls"].refused:
        text = fields["cls"].input().read().decode("utf-8", "replace").strip()
        if text == "-1":  # in some datasets: no label
            return None
        if text.isdecimal() and len(text) < _MAX_DIGITS:
            return int(text)
        return text[:_MAX_NAME] or None
    if "json" not in fields or fields["json"].refused:
        return None
    try:
        values = json.loads(fields["json"].input().read())
    except (ValueError, RecursionError):
        return None
    for key in _LABEL_KEYS:
        value = values.get(key) if isinstance(values, dict) else None
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if isinstance(value, str) or whole:
            return value
    return None


def _class_names(tar: str) -> tuple[str, ...]:
    """The class names of shards that this package wrote, from the index.json beside them."""
    try:
        index = json.loads(Path(tar).with_name("index.json").read_bytes())
        return tuple(map(str, index["classes"]))
    except (OSError, ValueError, KeyError, TypeError):
        return ()
