"""Writes a folder of images with three system calls a file: open, write, close."""

import os
from collections.abc import Iterator
from pathlib import Path

from ...manifests.trainers.image_bytes import ShardImages, rgb_png
from ...manifests.trainers.layout import Entry, Slice, key_from_path
from ..common.progress import Advance

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def write_tree(entries: Iterator[Entry], tars: ShardImages, data: Path, advance: Advance) -> None:
    """Writes every entry below the new folder `data`."""
    os.mkdir(data)
    root, made = str(data), set()
    for path, payload in payloads(entries, tars, advance):
        folder = path.rpartition("/")[0]
        if folder not in made:
            os.makedirs(os.path.join(root, folder), exist_ok=True)
            made.add(folder)
        _write_file(f"{root}/{path}", payload)


def payloads(
    entries: Iterator[Entry], tars: ShardImages, advance: Advance
) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of every entry, verified; gray is made RGB where the entry says so."""
    for path, payload, to_rgb in entries:
        if isinstance(payload, Slice):
            image = tars.read(key_from_path(path), payload)
            yield path, rgb_png(image) if to_rgb else image
            advance(1)
        else:
            yield path, payload


def _write_file(path: str, payload: bytes) -> None:
    descriptor = os.open(path, _FLAGS, 0o666)
    try:
        done = os.write(descriptor, payload)
        while done < len(payload):  # a full disk takes a part first and then says so
            done += os.write(descriptor, payload[done:])
    finally:
        os.close(descriptor)
