"""Keeps decoded images on disk, in a temporary file without a name, so that memory stays constant.

The file goes with the process, killed or not.
"""

import contextlib
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...manifests.files.atomic import storage_errors
from ...manifests.files.durable import make_folder


class PixelFile:
    """uint8 images of one shape, one after the other; use it as a context manager."""

    def __init__(self, folder: Path, side: int, channels: int) -> None:
        """folder: where the file lies; it is made if it is missing. side: in pixels."""
        self.shape = (side, side, channels)
        self.count = 0
        self._folder = folder
        self._file: BinaryIO | None = None

    def __enter__(self) -> "PixelFile":
        with storage_errors(self._folder):
            make_folder(self._folder)
            self._file = tempfile.TemporaryFile(dir=self._folder)
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._file is not None
        with contextlib.suppress(OSError):  # bytes that could not be flushed are not needed
            self._file.close()

    def append(self, pixels: NDArray[np.uint8]) -> int:
        """Adds an image (H, W, C) and returns its index. Raises StorageError on a full disk."""
        assert self._file is not None and pixels.shape == self.shape
        with storage_errors(self._folder):
            self._file.write(pixels.tobytes())
        self.count += 1
        return self.count - 1

    def images(self) -> NDArray[np.uint8]:
        """All images so far, (count, H, W, C), memory-mapped; StorageError on a full disk."""
        assert self._file is not None and self.count
        with storage_errors(self._folder):
            self._file.flush()
        return np.memmap(self._file, np.uint8, "r", shape=(self.count, *self.shape))
