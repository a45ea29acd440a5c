"""Writes one HDF5 file: `imgs` uint8 and `labels` int64, in the axis order of the trainer.

h5py creates the file with room for the images and gives their offset, where they are then written
directly. If the disk filled up while HDF5 writes, the process would abort without an error message.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.extras import require
from ...manifests.trainers.image_bytes import ShardImages
from ...manifests.trainers.layout import ExportListing
from ...manifests.trainers.spec import TrainerSpec
from ..common.progress import Advance

_ROWS = 64  # images decoded and written at a time
_HEADER = 4096  # bytes, more than the file has beside images and labels


def write_hdf5(
    listing: ExportListing, spec: TrainerSpec, tars: ShardImages, data: Path, advance: Advance
) -> None:
    """Writes `data`/FILE, FILE as the spec names it. Pixels are exactly those of the images.

    imgs: (N, 3, R, R) or (N, R, R, 3) as `spec.axes` says, gray repeated; labels: (N,), zeros
    without classes.
    """
    h5py = require("h5py", "export", "--to hdf5")
    assert spec.file is not None and spec.axes is not None
    data.mkdir()
    path = data / spec.file.format(name=listing.name, resolution=listing.resolution)
    side = listing.resolution
    one = (3, side, side) if spec.axes == "NCHW" else (side, side, 3)
    labels = np.maximum(listing.class_ids, 0)
    # A size that the system does not allow is refused here, by the system, and not in HDF5.
    path.touch()
    os.truncate(path, _HEADER + listing.count * (3 * side * side + labels.itemsize))
    offset = _make_file(h5py, path, (listing.count, *one), labels)
    with open(path, "r+b", buffering=0) as file:
        file.seek(offset)
        for pixels in _batches(listing, tars):
            block = pixels.transpose(0, 3, 1, 2) if spec.axes == "NCHW" else pixels
            view = memoryview(block.tobytes())  # in C order
            while view:  # a full disk takes a part first and then says so
                view = view[file.write(view) :]
            advance(len(block))


def _make_file(
    h5py: ModuleType, path: Path, shape: tuple[int, ...], labels: NDArray[np.int64]
) -> int:
    """A file with labels and room for images; returns the offset of the images in it."""
    with h5py.File(path, "w", libver=("v108", "v108")) as file:
        _dataset(h5py, file, "labels", labels.shape, "<i8")[:] = labels
        return int(_dataset(h5py, file, "imgs", shape, "u1").id.get_offset())


def _dataset(h5py: ModuleType, file: Any, name: str, shape: tuple[int, ...], dtype: str) -> Any:
    """Contiguous, allocated, not filled, and without times: equal content is equal bytes."""
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    creation.set_obj_track_times(False)
    kind = h5py.h5t.py_create(np.dtype(dtype))
    space = h5py.h5s.create_simple(shape)
    return h5py.Dataset(h5py.h5d.create(file.id, name.encode(), kind, space, creation))


def _batches(listing: ExportListing, tars: ShardImages) -> Iterator[NDArray[np.uint8]]:
    """uint8 (rows, R, R, 3), in the order of the listing."""
    block = np.empty((_ROWS, listing.resolution, listing.resolution, 3), np.uint8)
    filled = 0
    for row in listing.images():
        block[filled] = tars.pixels(row.key, row.image)  # gray three times
        filled += 1
        if filled == _ROWS:
            yield block
            filled = 0
    if filled:
        yield block[:filled]
