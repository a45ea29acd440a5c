"""Reads an image's bytes out of its shard and verifies their hash; re-encodes gray as RGB."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import VerifyError
from ..shards.shard import check_shard_name
from ..storage.store import Store, store_of
from .layout import Slice

if TYPE_CHECKING:
    import pyarrow as pa

_COMPRESSION = 6  # zlib level of the pipeline's own PNGs


class ShardImages:
    """The tars of one corpus, one open at a time; not for several threads at once."""

    def __init__(self, shards: Path | Store) -> None:
        self.shards = store_of(shards)
        self._name: str | None = None
        self._file: BinaryIO | None = None

    def read(self, key: str, image: Slice) -> bytes:
        """The image file of sample `key`. Raises VerifyError unless it has the manifest's hash."""
        tar = self.shards.where(f"{image.shard}.tar")
        try:
            file = self._opened(image.shard)
            file.seek(image.offset)
            data = file.read(image.size)
        except OSError as error:
            raise VerifyError(
                f"{tar} cannot be read ({error.strerror or error}). "
                f"`scoremix-pipeline verify {self.shards}` names everything that is wrong."
            ) from error
        if hashlib.sha256(data).hexdigest() != image.sha256:
            raise VerifyError(
                f"Image {key} in {tar} is damaged: its sha256 is not that of the manifest. "
                f"`scoremix-pipeline verify {self.shards}` names everything that is wrong."
            )
        return data

    def pixels(self, key: str, image: Slice) -> NDArray[np.uint8]:
        """Its pixels (H, W, C). Raises what `read` raises."""
        with Image.open(io.BytesIO(self.read(key, image))) as file:
            found = np.array(file)
        return found.reshape(*found.shape[:2], -1)

    def close(self) -> None:
        """Closes the tar that is open; the next read opens one again."""
        if self._file is not None:
            self._file.close()
        self._name = self._file = None

    def _opened(self, name: str) -> BinaryIO:
        if self._file is None or self._name != name:
            self.close()
            self._file = self.shards.open(f"{check_shard_name(name)}.tar")
            self._name = name
        return self._file


@contextmanager
def open_tars(shards: Path | Store) -> Iterator[ShardImages]:
    """The tars of the corpus `shards` for reading images, closed at the end of the block."""
    tars = ShardImages(shards)
    try:
        yield tars
    finally:
        tars.close()


def read_pixels(
    shards: Path | Store, rows: "pa.Table", at_once: int
) -> Iterator[NDArray[np.uint8]]:
    """The pixels (n, H, W, C) of a manifest's rows, in their order, so many images at once.

    Raises VerifyError for an image that is damaged or gone.
    """
    some = rows.select(["key", *Slice._fields])
    with open_tars(shards) as tars:
        for batch in some.to_batches(at_once):
            columns = (batch[name].to_pylist() for name in some.column_names)
            yield np.stack(
                [tars.pixels(key, Slice(*where)) for key, *where in zip(*columns, strict=True)]
            )


def rgb_png(png: bytes) -> bytes:
    """A gray PNG (mode L) as an RGB PNG with three equal channels; equal input, equal bytes."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").save(buffer, "PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()
