"""Images in NumPy files: the .npz of samples that trainers write, and .npy."""

import zipfile
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import ConfigError, InputError
from ..images.input import Input
from .arrays import as_netpbm
from .base import Source

SUFFIXES = (".npz", ".npy")
_CHANNELS = {1, 3}


def open_numpy(path: Path) -> Source:
    """The one uint8 array of images in the file: (N, H, W, C), (N, C, H, W) or (N, H, W).

    Raises:
        ConfigError: no such array, several, or another type.
        InputError: a damaged file.
    """
    arrays = _arrays(str(path), path.stat().st_size, path.stat().st_mtime_ns)
    images = {name: array for name, array in arrays.items() if _is_images(array)}
    if len(images) != 1:
        found = ", ".join(f"{name} {a.dtype} {a.shape}" for name, a in arrays.items()) or "nothing"
        raise ConfigError(
            f"{path} must hold one array of images, uint8 (N, H, W, C) with C = 1 or 3; it holds:"
            f" {found}. Save the images alone, as numbers from 0 to 255: np.savez(FILE, images)."
        )
    ((name, array),) = images.items()
    inputs = [
        Input(f"{name}[{row:06d}]", partial(_row, array, row), declared_image=True)
        for row in range(len(array))
    ]
    return Source(f"the array {name} of {path}", inputs)


def _is_images(array: NDArray[Any]) -> bool:
    shaped = array.ndim == 3 or (array.ndim == 4 and _CHANNELS & {array.shape[1], array.shape[3]})
    return array.dtype == np.uint8 and bool(shaped) and 0 not in array.shape


def _row(array: NDArray[np.uint8], row: int) -> bytes:
    pixels = array[row]
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.shape[2] not in _CHANNELS:
        pixels = pixels.transpose(1, 2, 0)
    return as_netpbm(np.ascontiguousarray(pixels))


@lru_cache(maxsize=1)
def _arrays(path: str, size: int, mtime_ns: int) -> dict[str, NDArray[Any]]:
    """Every array of the file; a .npy is mapped, those of a .npz are read."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {"images": found}
        with found:
            return {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} could not be read as a NumPy file ({error}). Fetch or make it again; arrays of"
            " objects are not opened."
        ) from error
