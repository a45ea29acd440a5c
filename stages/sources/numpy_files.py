"""Lists and reads the images of NumPy files: the .npz of samples that trainers write, and .npy."""

import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import ConfigError, InputError
from ..images.input import Input
from .base import Source, SourceFile, encode_netpbm, source_file

SUFFIXES = (".npz", ".npy")
_CHANNELS = {1, 3}


def open_numpy(path: Path) -> Source:
    """The one uint8 array of images in the file: (N, H, W, C), (N, C, H, W) or (N, H, W).

    Raises:
        ConfigError: no such array, several, or another type.
        InputError: a damaged file.
    """
    arrays = _load_arrays(source_file(str(path)))
    images = {name: array for name, array in arrays.items() if _holds_images(array)}
    if len(images) != 1:
        found = ", ".join(f"{name} {a.dtype} {a.shape}" for name, a in arrays.items()) or "nothing"
        raise ConfigError(
            f"{path} must hold one array of images, uint8 (N, H, W, C) with C = 1 or 3; it holds:"
            f" {found}. Save the images alone, as numbers from 0 to 255: np.savez(FILE, images)."
        )
    ((name, array),) = images.items()
    inputs = [
        Input(f"{name}[{row:06d}]", _ArrayImage(array, row), declared_image=True)
        for row in range(len(array))
    ]
    return Source(f"the array {name} of {path}", inputs)


def _holds_images(array: NDArray[Any]) -> bool:
    shaped = array.ndim == 3 or (array.ndim == 4 and _CHANNELS & {array.shape[1], array.shape[3]})
    return array.dtype == np.uint8 and bool(shaped) and 0 not in array.shape


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


@lru_cache(maxsize=1)
def _load_arrays(file: SourceFile) -> dict[str, NDArray[Any]]:
    """Every array of the file; a .npy is mapped, those of a .npz are read."""
    try:
        loaded = np.load(file.path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"images": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{file.shown} could not be read as a NumPy file ({error}). Fetch or make it again;"
            " arrays of objects are not opened."
        ) from error
