"""Lists and reads the images of NumPy files: the .npz of samples that trainers write, and .npy."""

import contextlib
import math
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import ConfigError, InputError
from ..images.input import Input
from ..images.unusable import explain
from .base import Source, SourceFile, encode_netpbm, source_file
from .limits import check_bytes, check_rows

SUFFIXES = (".npz", ".npy")
_CHANNELS = {1, 3}
_MOST_CHANNELS = 4  # colour and opacity
_MEMBER, _SINGLE = ".npy", "images"  # endings of names in a .npz, and the name of what has none
_READ = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def open_numpy(path: Path) -> Source:
    """The one uint8 array of images in the file: (N, H, W, C), (N, C, H, W) or (N, H, W).

    Raises:
        ConfigError: no such array, several, or another type.
        InputError: a damaged file, or one that claims more than a file of its size can hold.
    """
    file = source_file(str(path))
    arrays = _read_headers(file)
    images = [name for name, header in arrays.items() if header.holds_images]
    if len(images) != 1:
        found = ", ".join(f"{name} {h.dtype} {h.shape}" for name, h in arrays.items()) or "nothing"
        raise ConfigError(
            f"{path} must hold one array of images, uint8 (N, H, W, C) with C = 1 or 3; it holds:"
            f" {found}. Save the images alone, as numbers from 0 to 255: np.savez(FILE, images)."
        )
    (name,) = images
    check_rows(file.shown, arrays[name].shape[0], file.size)
    check_bytes(file.shown, math.prod(arrays[name].shape), file.size)
    array = _load_array(file, name)
    inputs = [
        Input(f"{name}[{row:06d}]", _ArrayImage(array, row), declared_image=True)
        for row in range(len(array))
    ]
    return Source(f"the array {name} of {path}", inputs)


class _Header(NamedTuple):
    """What the header of an array says."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def holds_images(self) -> bool:
        dimensions = len(self.shape)
        # (H, W, 3) is one image in colour, and not H gray ones of W x 3 pixels.
        shaped = (dimensions == 3 and self.shape[2] > _MOST_CHANNELS) or (
            dimensions == 4 and bool(_CHANNELS & {self.shape[1], self.shape[3]})
        )
        return self.dtype == np.uint8 and shaped and 0 not in self.shape


class _ArrayImage:
    """Reads one image of an array; pickled, it takes along that image alone."""

    def __init__(self, array: NDArray[np.uint8], row: int) -> None:
        self._array, self._row = array, row

    def __call__(self) -> bytes:
        pixels = self._array[self._row]
        if pixels.ndim == 2:
            pixels = pixels[:, :, None]
        if pixels.shape[2] not in _CHANNELS:
            pixels = pixels.transpose(1, 2, 0)
        return encode_netpbm(np.ascontiguousarray(pixels))

    def __reduce__(self) -> tuple[type["_ArrayImage"], tuple[NDArray[np.uint8], int]]:
        return _ArrayImage, (np.array(self._array[self._row : self._row + 1]), 0)


def _read_headers(file: SourceFile) -> dict[str, _Header]:
    """Of every array of the file, by name, without the arrays."""
    with _damaged(file), open(file.path, "rb") as opened:
        if zipfile.is_zipfile(opened):
            with zipfile.ZipFile(opened) as archive:
                names = [n for n in archive.namelist() if n.endswith(_MEMBER)]
                return {name.removesuffix(_MEMBER): _member_header(archive, name) for name in names}
        opened.seek(0)
        return {_SINGLE: _read_header(opened)}
    raise AssertionError


def _member_header(archive: zipfile.ZipFile, name: str) -> _Header:
    with archive.open(name) as member:
        header = _read_header(member)
    nbytes = math.prod(header.shape) * header.dtype.itemsize
    if nbytes > archive.getinfo(name).file_size:  # NumPy would make room for it
        raise ValueError(f"{name} is cut off: its header says {nbytes:,} bytes")
    return header


def _read_header(opened: IO[bytes]) -> _Header:
    """Raises ValueError where it is none that NumPy writes for numbers."""
    version = np.lib.format.read_magic(opened)
    if version not in _READ:
        raise ValueError(f"version {version} of the format")
    shape, _, dtype = _READ[version](opened)
    if dtype.hasobject:
        raise ValueError("it holds objects")
    return _Header(shape, dtype)


@lru_cache(maxsize=1)
def _load_array(file: SourceFile, name: str) -> NDArray[np.uint8]:
    """An array of the file; a .npy is mapped, one of a .npz is read."""
    with _damaged(file):
        loaded = np.load(file.path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            array: NDArray[np.uint8] = loaded[name]
            return array
    raise AssertionError


@contextlib.contextmanager
def _damaged(file: SourceFile) -> Iterator[None]:
    """Turns whatever NumPy and zipfile raise for a damaged file into InputError."""
    try:
        yield
    except Exception as error:
        raise InputError(
            f"{file.shown} could not be read as a NumPy file ({explain(error)}). Fetch or make it"
            " again; arrays of objects are not opened."
        ) from error
