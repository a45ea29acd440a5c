"""One HDF5 file: `imgs` uint8 and `labels` int64, in the axis order that the trainer reads."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...manifests.errors import ConfigError, StorageError
from ...manifests.layout import Listing
from ...manifests.payload import Tars
from ...manifests.trainers import Preset
from .tree import Advance

_ROWS = 256  # images decoded and written at a time
_ERRNO = re.compile(r"errno = (\d+), error message = '([^']*)'")


def write_hdf5(listing: Listing, preset: Preset, tars: Tars, data: Path, advance: Advance) -> None:
    """Writes `data`/FILE, FILE as the preset names it. Pixels are exactly those of the images.

    imgs: (N, 3, R, R) or (N, R, R, 3) as `preset.axes` says, gray repeated; labels: (N,), zeros
    without classes.
    """
    h5py = _h5py()
    assert preset.file is not None and preset.axes is not None
    data.mkdir()
    path = data / preset.file.format(name=listing.name, resolution=listing.resolution)
    try:
        _write(h5py, path, listing, preset, tars, advance)
    except (OSError, RuntimeError) as error:  # h5py puts the system's word into its own message
        found = _ERRNO.search(str(error))
        if found is None:
            raise
        raise StorageError(
            f"Writing {preset.file} failed: {found[2]}. Free some space, then run the same command "
            "again."
        ) from error


def _write(
    h5py: ModuleType, path: Path, listing: Listing, preset: Preset, tars: Tars, advance: Advance
) -> None:
    side = listing.resolution
    one = (3, side, side) if preset.axes == "NCHW" else (side, side, 3)
    # Neither times nor the order of creation are kept, and nothing is filled that is written next.
    with h5py.File(path, "x", libver=("v108", "v108")) as file:
        images = _dataset(h5py, file, "imgs", (listing.count, *one), "u1")
        labels = _dataset(h5py, file, "labels", (listing.count,), "<i8")
        labels[:] = np.maximum(listing.class_ids, 0)
        for start, pixels in _batches(listing, tars):
            block = pixels.transpose(0, 3, 1, 2) if preset.axes == "NCHW" else pixels
            images[start : start + len(block)] = np.ascontiguousarray(block)
            advance(len(block))


def _dataset(h5py: ModuleType, file: Any, name: str, shape: tuple[int, ...], dtype: str) -> Any:
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    creation.set_obj_track_times(False)
    kind = h5py.h5t.py_create(np.dtype(dtype))
    space = h5py.h5s.create_simple(shape)
    return h5py.Dataset(h5py.h5d.create(file.id, name.encode(), kind, space, creation))


def _batches(listing: Listing, tars: Tars) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """(first row, uint8 (rows, R, R, 3)) in the order of the listing."""
    side, start = listing.resolution, 0
    block = np.empty((_ROWS, side, side, 3), np.uint8)
    filled = 0
    for row in listing.images():
        with Image.open(io.BytesIO(tars.read(row.key, row.image))) as image:
            pixels = np.asarray(image)
        block[filled] = pixels[:, :, None] if pixels.ndim == 2 else pixels
        filled += 1
        if filled == _ROWS:
            yield start, block
            start, filled = start + filled, 0
    if filled:
        yield start, block[:filled]


def _h5py() -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise ConfigError(
            'HDF5 needs h5py: pip install "scoremix-pipeline[export]", then the same command again.'
        ) from error
    module: ModuleType = h5py
    return module
