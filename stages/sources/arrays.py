"""Lists and reads images in HDF5 files (BigGAN, StudioGAN) and LMDB databases (rosinality).

Both are opened in child processes alone (isolation.py), or in one that decodes.
"""

import contextlib
import math
import re
import struct
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ...manifests.errors import ConfigError, InputError, ScoreMixError
from ...manifests.extras import require
from ..images.input import Input
from ..images.unusable import Unusable
from .base import MAX_INPUT_BYTES, Source, SourceFile, TooLarge, encode_netpbm, source_file
from .isolation import isolated
from .limits import check_bytes, check_rows

HDF5_SUFFIXES = (".hdf5", ".h5", ".hdf")
_LMDB_KEY = re.compile(rb"(\d{1,9})-(\d{1,19})")
_NAMED = 10  # arrays that a message lists
_IMAGES, _LABELS = "imgs", "labels"
_LIKE_LABELS = re.compile("label|class|categor|target|^y$")
_LMDB_MAGIC = 0xBEEFC0DE
# A meta page of 64-bit LMDB: page header 16 bytes; magic, version (u32); address, map size (u64);
# two databases of 48 bytes, the first beginning with the page size (u32); last page, txn (u64).
_LMDB_META = struct.Struct("<16x I I Q Q I 44x 48x Q Q")


def open_hdf5(file: SourceFile, classes: bool) -> Source:
    """Rows of the array `imgs`, uint8 (N,C,H,W) as BigGAN has it or (N,H,W,C), with `labels`.

    Raises:
        ConfigError: no such array, another type or shape, labels that are no class numbers.
        InputError: a damaged file, or one that claims more than a file of its size can hold.
    """
    try:
        count, labels, unread = isolated(file, _list_hdf5, classes)
    except Unusable as error:
        raise _damaged(file, error) from error
    inputs = [
        Input(
            f"{row:06d}",
            partial(isolated, file, _read_hdf5, row),
            label=None if labels is None else labels[row],
            declared_image=True,
        )
        for row in range(count)
    ]
    title = f"the HDF5 file {file.shown}"
    note = (
        f"{title}: its labels are expected in an array {_LABELS!r}, and it has none;"
        f" {', '.join(unread)} may hold them. Rename it."
    )
    return Source(title, inputs, notes=(note,) if unread else ())


def _list_hdf5(file: SourceFile, classes: bool) -> tuple[int, list[int] | None, list[str]]:
    """The number of images, their labels, and arrays that may hold these where none are read."""
    title = f"the HDF5 file {file.shown}"
    try:
        opened = open_hdf5_file(file)
        images, stored = own_array(opened, _IMAGES), own_array(opened, _LABELS)
        shape: tuple[int, ...] = getattr(images, "shape", None) or ()
        if len(shape) != 4 or images.dtype != np.uint8 or not {shape[1], shape[3]} & {1, 3}:
            raise ConfigError(
                f"{title} must hold a uint8 array {_IMAGES!r} of shape (N, C, H, W) or (N, H, W,"
                f" C), C = 1 or 3; it holds: {_contents(opened)}."
            )
        check_array(file, images)
        if not classes or stored is None:
            return shape[0], None, _like_labels(opened, shape[0]) if classes else []
        kind = getattr(stored, "dtype", np.dtype("V"))
        if getattr(stored, "shape", None) != shape[:1] or kind.kind not in "iu":
            raise _bad_labels(title, f"shape {getattr(stored, 'shape', None)}, type {kind}", shape)
        check_bytes(f"{file.shown}: {_LABELS}", stored.dtype.itemsize * shape[0], file.size)
        found = np.asarray(stored[:])
        if (found < 0).any():
            raise _bad_labels(title, f"{found[found < 0][0]} among them", shape)
        return shape[0], found.tolist(), []
    except Unusable as error:
        raise ConfigError(
            f"{title} {error}. Put the data into the file itself: h5repack."
        ) from error
    except (ScoreMixError, MemoryError):
        raise
    except Exception as error:  # h5py raises many types for a damaged file
        raise _damaged(file, error) from error


def _like_labels(opened: Any, count: int) -> list[str]:
    """Names of arrays of a value per image that are called like labels."""
    names = [key for key in islice(opened, _NAMED) if _LIKE_LABELS.search(str(key).lower())]
    shapes = {}
    for name in names:
        with contextlib.suppress(Unusable):  # a link is not followed
            shapes[name] = getattr(own_array(opened, name), "shape", None)
    return [name for name, shape in shapes.items() if shape and shape[0] == count]


def _bad_labels(title: str, found: str, shape: tuple[int, ...]) -> ConfigError:
    return ConfigError(
        f"{title} has labels of {found}; they must be {shape[0]} whole numbers from 0. Or set"
        " ingest.classes: none."
    )


def check_array(file: SourceFile, images: Any) -> None:
    """Raises InputError for an array that no file of this size can hold, or too large a chunk."""
    check_rows(file.shown, images.shape[0], file.size)
    check_bytes(file.shown, math.prod(images.shape), file.size)
    for name, shape in (("image", images.shape[1:]), ("chunk", images.chunks or ())):
        if math.prod(shape) > MAX_INPUT_BYTES:
            raise InputError(
                f"{file.shown}: one {name} of {_IMAGES} has {math.prod(shape):,} bytes, more than"
                f" {MAX_INPUT_BYTES >> 20} MiB. Write it in smaller ones: h5repack -l."
            )


def _contents(opened: Any) -> str:
    """What a file holds, without following a link."""
    found = []
    for key in islice(opened, _NAMED):
        try:
            found.append(f"{key} {own_array(opened, key)}")
        except Exception:  # a link, or damaged
            found.append(f"{key}, which is not read")
    return ", ".join(found) or "nothing"


def own_array(file: Any, key: str) -> Any:
    """What an open HDF5 file holds under `key`: an array, a group, or None for nothing.

    Raises:
        Unusable: a link, or an array with data in other files. Neither is followed: it may lead to
            any file of this machine.
    """
    h5py = require("h5py", "export", "HDF5")
    link = file.get(key, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise Unusable(f"has a link under {key} ({type(link).__name__})")
    array = file[key]
    if isinstance(array, h5py.Dataset) and (array.external or array.is_virtual):
        raise Unusable(f"has data in other files under {key}")
    return array


def _read_hdf5(file: SourceFile, row: int) -> bytes:
    pixels = open_hdf5_file(file)[_IMAGES][row]
    if pixels.shape[-1] not in (1, 3):
        pixels = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    return encode_netpbm(pixels)


@lru_cache(maxsize=4)
def open_hdf5_file(file: SourceFile) -> Any:
    """The HDF5 file, open for reading. To be called by `isolated` alone.

    Raises InputError for a damaged one, as far as that is seen.
    """
    h5py = require("h5py", "export", file.shown)
    try:
        return h5py.File(file.path, "r")
    except OSError as error:
        raise _damaged(file, error) from error


def open_lmdb(folder: Path) -> Source:
    """Values under the keys RES-NUMBER of the largest resolution there is.

    Raises:
        ConfigError: no such keys.
        InputError: a damaged database, or one whose `length` does not agree or that claims more
            than a file of its size can hold.
    """
    title = f"the LMDB folder {folder}"
    file = source_file(str(folder / "data.mdb"))
    try:
        keys, length = isolated(file, _list_lmdb)
    except Unusable as error:
        raise _damaged(file, error) from error
    if not keys:
        raise ConfigError(f"{title} has no keys like 256-00000, under which images are expected.")
    largest = max(int(key.split(b"-")[0]) for key in keys)
    keys = sorted(key for key in keys if int(key.split(b"-")[0]) == largest)
    if length is not None and length != str(len(keys)).encode():
        raise InputError(
            f"{title} says that it has {length[:20].decode('ascii', 'replace')} images and has"
            f" {len(keys)} of {largest} px. Make it again."
        )
    inputs = [
        Input(key.decode(), partial(isolated, file, read_lmdb_value, key), declared_image=True)
        for key in keys
    ]
    return Source(title, inputs)


def _list_lmdb(file: SourceFile) -> tuple[list[bytes], bytes | None]:
    """The keys of images, and what `length` holds."""
    lmdb = require("lmdb", "export", file.shown)
    environment = open_environment(file)
    try:
        with environment.begin(buffers=False) as view:
            entries = environment.stat()["entries"]
            check_rows(file.shown, entries, file.size)
            # One more than there should be: a damaged tree may lead round in a circle.
            every = islice(view.cursor().iternext(values=False), entries + 1)
            keys = [key for key in every if _LMDB_KEY.fullmatch(key)]
            return keys, view.get(b"length")
    except lmdb.Error as error:
        raise _damaged(file, error) from error


def read_lmdb_value(file: SourceFile, key: bytes) -> bytes:
    """The value under `key`. To be called by `isolated`.

    Raises:
        Unusable: it is not there, or too large.
        Exception: whatever lmdb raises for a damaged database.
    """
    with open_environment(file).begin(buffers=True) as view:
        value = view.get(key)
        if value is None:
            raise Unusable("no longer in the database")
        if len(value) > MAX_INPUT_BYTES:
            raise TooLarge(f"larger than {MAX_INPUT_BYTES >> 20} MiB")
        return bytes(value)


@lru_cache(maxsize=4)
def open_environment(file: SourceFile) -> Any:
    """The LMDB environment whose data.mdb is `file`. To be called by `isolated` alone.

    Raises InputError for a damaged one, as far as that is seen.
    """
    lmdb = require("lmdb", "export", file.shown)
    try:
        return _open_database(Path(file.path))
    except lmdb.Error as error:
        raise _damaged(file, error) from error


def _open_database(data: Path) -> Any:
    """The LMDB environment whose data.mdb is `data`; nothing is written, not even its lock file.

    Its size is compared with its header first: LMDB maps the file, and reading beyond the end of a
    short one would end the process.

    Raises:
        ConfigError: lmdb is not installed.
        lmdb.Error: no such database, or a damaged one.
    """
    lmdb = require("lmdb", "export", str(data))
    if damage := header_damage(data):
        raise lmdb.Error(damage)
    return lmdb.open(str(data.parent), readonly=True, lock=False, readahead=False)


def header_damage(data: Path) -> str:
    """Why the file must not be mapped, "" if it may: it has a header and all of its pages."""
    try:
        size = data.stat().st_size
        with open(data, "rb") as file:
            first = file.read(_LMDB_META.size)
            if len(first) < _LMDB_META.size:
                return f"{size} bytes: too short for a header"
            _, _, _, _, page, _, _ = _LMDB_META.unpack(first)
            if not 512 <= page <= 65536:
                return f"a page size of {page}"
            file.seek(page)
            second = file.read(_LMDB_META.size)
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    metas = [_LMDB_META.unpack(one) for one in (first, second) if len(one) == _LMDB_META.size]
    known = [meta for meta in metas if meta[0] == _LMDB_MAGIC]
    if not known:
        return "no LMDB header"
    last, transaction = max((meta[5:] for meta in known), key=lambda pair: pair[1])
    needed = (last + 1) * page
    if size < needed:
        return f"it is cut off: {size:,} bytes, and its header says {needed:,}"
    return ""


def _damaged(file: SourceFile, error: Exception) -> InputError:
    return InputError(f"{file.shown} could not be opened ({error}). Fetch or make it again.")
