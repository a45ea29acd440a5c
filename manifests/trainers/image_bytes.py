"""Reads an image's bytes out of its shard and verifies their hash; re-encodes gray as RGB."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import VerifyError
from ..shards.shard import check_shard_name
from ..storage.store import Store, store_of
from .layout import Slice

if TYPE_CHECKING:
    import pyarrow as pa

_AT_RANDOM = 16  # tars that stay open for reads at random
_COMPRESSION = 6  # zlib level of the pipeline's own PNGs


class ShardImages:
    """The tars of one corpus; not for several threads at once.

    at_random: images are asked for in no order, so that some tars are kept open, and no more is
    read than an image; else one tar at a time, in large blocks.
    """

    def __init__(self, shards: Path | Store, *, at_random: bool = False) -> None:
        self.shards, self._at_random = store_of(shards), at_random
        self._open: dict[str, BufferedReader | RawIOBase] = {}  # the one used last comes last

    def read(self, key: str, image: Slice) -> bytes:
        """The image file of sample `key`. Raises VerifyError unless it has the manifest's hash."""
        tar = self.shards.where(f"{image.shard}.tar")
        try:
            file = self._opened(image.shard)
            file.seek(image.offset)
            data = _read_all(file, image.size)
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
        """Closes the tars that are open; the next read opens one again."""
        while self._open:
            self._open.popitem()[1].close()

    def _opened(self, name: str) -> BufferedReader | RawIOBase:
        file = self._open.pop(name, None)
        if file is None:
            while len(self._open) >= (_AT_RANDOM if self._at_random else 1):
                self._open.pop(next(iter(self._open))).close()
            open_one = self.shards.open_raw if self._at_random else self.shards.open
            file = open_one(f"{check_shard_name(name)}.tar")
        self._open[name] = file
        return file


def _read_all(file: BufferedReader | RawIOBase, size: int) -> bytes:
    """`size` bytes, fewer at the end of the file: a raw file may give less at a time."""
    data = file.read(size) or b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


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
