"""Images in HDF5 arrays (BigGAN's and StudioGAN's) and in LMDB databases (rosinality's)."""

import re
import struct
import threading
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ...manifests.errors import ConfigError, InputError
from ...manifests.extras import require
from ..images.decode import Unusable
from ..images.input import Input
from .base import Source

HDF5_SUFFIXES = (".hdf5", ".h5")
_LMDB_KEY = re.compile(rb"(\d+)-(\d+)")
_IMAGES, _LABELS = "imgs", "labels"
_MAGIC = 0xBEEFC0DE
# A meta page of 64-bit LMDB: page header 16 bytes; magic, version (u32); address, map size (u64);
# two databases of 48 bytes, the first beginning with the page size (u32); last page, txn (u64).
_META = struct.Struct("<16x I I Q Q I 44x 48x Q Q")
_reading = threading.Lock()  # h5py has one of its own as well; lmdb's readers are per thread


def open_hdf5(path: str, what: str, classes: bool) -> Source:
    """Rows of the array `imgs`, uint8 (N,C,H,W) as BigGAN has it or (N,H,W,C), with `labels`.

    Raises:
        ConfigError: no such array, another type or shape, labels that are no class numbers.
        InputError: a damaged file.
    """
    file = _hdf5(*_identity(path))
    try:
        images, stored = own_array(file, _IMAGES), own_array(file, _LABELS)
    except Unusable as error:
        raise ConfigError(
            f"{what} {error}. Put the data into the file itself: h5repack."
        ) from error
    except (OSError, KeyError, RuntimeError) as error:
        raise _damaged(path, error) from error
    shape: tuple[int, ...] = getattr(images, "shape", ())
    if len(shape) != 4 or images.dtype != np.uint8 or not {shape[1], shape[3]} & {1, 3}:
        raise ConfigError(
            f"{what} must hold a uint8 array {_IMAGES!r} of shape (N, C, H, W) or (N, H, W, C), C ="
            f" 1 or 3; it holds: {', '.join(f'{name} {file[name]}' for name in file) or 'nothing'}."
        )
    labels: list[int] | list[None] = [None] * shape[0]
    if classes and stored is not None:
        found = np.asarray(stored[:]) if getattr(stored, "shape", ()) else np.empty((0, 0))
        if found.shape != shape[:1] or found.dtype.kind not in "iu" or (found < 0).any():
            raise ConfigError(
                f"{what} has labels of shape {found.shape} and type {found.dtype}; they must be"
                f" {shape[0]} whole numbers from 0. Or set ingest.classes: none."
            )
        labels = [int(label) for label in found]
    inputs = [
        Input(
            f"{row:06d}", partial(_hdf5_row, _identity(path), row), label=label, declared_image=True
        )
        for row, label in enumerate(labels)
    ]
    return Source(what, inputs)


def own_array(file: Any, key: str) -> Any:
    """What an open HDF5 file holds under `key`: an array, a group, or None for nothing.

    Raises:
        Unusable: a link, or an array with data in other files; neither is followed, as it may
            lead to any file of this machine.
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


def _hdf5_row(identity: tuple[str, int, int], row: int) -> bytes:
    with _reading:
        pixels = _hdf5(*identity)[_IMAGES][row]
    if pixels.shape[-1] not in (1, 3):
        pixels = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    return as_netpbm(pixels)


def as_netpbm(pixels: Any) -> bytes:
    """uint8 (H, W, 1 or 3) -> a binary PGM or PPM: the bytes of an image that had no file."""
    height, width, channels = pixels.shape
    kind = "P6" if channels == 3 else "P5"
    data: bytes = pixels.tobytes()
    return f"{kind}\n{width} {height}\n255\n".encode() + data


@lru_cache(maxsize=4)
def _hdf5(path: str, size: int, mtime_ns: int) -> Any:
    h5py = require("h5py", "export", path)
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise _damaged(path, error) from error


def open_lmdb(folder: str, what: str) -> Source:
    """Values under the keys RES-NUMBER of the largest resolution there is.

    Raises:
        ConfigError: no such keys.
        InputError: a damaged database, or one whose `length` does not agree.
    """
    path = str(Path(folder) / "data.mdb")
    environment = _lmdb(*_identity(path))
    lmdb = require("lmdb", "export", path)
    try:
        with environment.begin(buffers=False) as view:
            keys = [key for key in view.cursor().iternext(values=False) if _LMDB_KEY.fullmatch(key)]
            length = view.get(b"length")
    except lmdb.Error as error:
        raise _damaged(path, error) from error
    if not keys:
        raise ConfigError(f"{what} has no keys like 256-00000, under which images are expected.")
    largest = max(int(key.split(b"-")[0]) for key in keys)
    keys = sorted(key for key in keys if int(key.split(b"-")[0]) == largest)
    if length is not None and length != str(len(keys)).encode():
        raise InputError(
            f"{what} says that it has {length.decode('ascii', 'replace')} images and has"
            f" {len(keys)} of {largest} px. Make it again."
        )
    inputs = [
        Input(key.decode(), partial(_lmdb_value, _identity(path), key), declared_image=True)
        for key in keys
    ]
    return Source(what, inputs)


def _lmdb_value(identity: tuple[str, int, int], key: bytes) -> bytes:
    with _reading, _lmdb(*identity).begin() as view:
        value: bytes | None = view.get(key)
    if value is None:
        raise Unusable("no longer in the database")
    return value


@lru_cache(maxsize=4)
def _lmdb(path: str, size: int, mtime_ns: int) -> Any:
    lmdb = require("lmdb", "export", path)
    try:
        return open_database(Path(path))
    except lmdb.Error as error:
        raise _damaged(path, error) from error


def open_database(data: Path) -> Any:
    """The LMDB environment whose data.mdb is `data`; nothing is written, not even its lock file.

    LMDB maps the file and trusts it, so that a short one would end the process: its size is
    compared with its header first.

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
            first = file.read(_META.size)
            if len(first) < _META.size:
                return f"{size} bytes: too short for a header"
            _, _, _, _, page, _, _ = _META.unpack(first)
            if not 512 <= page <= 65536:
                return f"a page size of {page}"
            file.seek(page)
            second = file.read(_META.size)
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    metas = [_META.unpack(one) for one in (first, second) if len(one) == _META.size]
    known = [meta for meta in metas if meta[0] == _MAGIC]
    if not known:
        return "no LMDB header"
    last, transaction = max((meta[5:] for meta in known), key=lambda pair: pair[1])
    needed = (last + 1) * page
    if size < needed:
        return f"it is cut off: {size:,} bytes, and its header says {needed:,}"
    return ""


def _identity(path: str) -> tuple[str, int, int]:
    """Path, size and time: another file under the same path is another source."""
    state = Path(path).stat()
    return path, state.st_size, state.st_mtime_ns


def _damaged(path: str, error: Exception) -> InputError:
    return InputError(f"{path} could not be opened ({error}). Fetch or make it again.")
