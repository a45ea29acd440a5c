"""Writes one LMDB: `R-00000`, `R-00001`, ... hold image files, `length` their count in ASCII."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pyarrow.compute as pc

from ...manifests.errors import StorageError
from ...manifests.extras import require
from ...manifests.trainers.image_bytes import ShardImages, rgb_png
from ...manifests.trainers.layout import ExportListing
from ..common.progress import Advance

_PAGE = 4096
_SPARE = 16 << 20  # bytes of a map beyond what its pages need
_COMMIT = 8 << 20  # bytes of images between two commits: what a transaction holds in memory


def write_lmdb(listing: ExportListing, tars: ShardImages, data: Path, advance: Advance) -> None:
    """Writes the folder `data` with data.mdb; its bytes depend on the images alone."""
    lmdb = require("lmdb", "export", "--to lmdb")
    try:
        _write(lmdb, listing, tars, data, advance)
    except lmdb.MapFullError:
        raise  # internal error: map size too small
    except lmdb.Error as error:
        raise StorageError(
            f"Writing the database failed: {error}. Free some space, then run the same command "
            "again."
        ) from error


def _write(
    lmdb: ModuleType, listing: ExportListing, tars: ShardImages, data: Path, advance: Advance
) -> None:
    environment = lmdb.open(
        str(data), map_size=map_size(listing), sync=False, metasync=False, readahead=False
    )
    try:
        pending = 0
        transaction = environment.begin(write=True)
        for index, image in enumerate(_images(listing, tars)):
            transaction.put(f"{listing.resolution}-{index:05d}".encode(), image)
            advance(1)
            pending += len(image)
            if pending >= _COMMIT:
                transaction.commit()
                transaction, pending = environment.begin(write=True), 0
        transaction.put(b"length", str(listing.count).encode())
        transaction.commit()
    finally:
        environment.close()
    (data / "lock.mdb").unlink()  # readers make their own; it holds process numbers


def _images(listing: ExportListing, tars: ShardImages) -> Iterator[bytes]:
    for row in listing.images():
        image = tars.read(row.key, row.image)
        yield rgb_png(image) if listing.to_rgb else image


def map_size(listing: ExportListing) -> int:
    """Bytes that the database may grow to: each image in whole pages, doubled, and some spare.

    Twice, because a page that a commit replaces is free only for the commit after the next, and
    because an RGB copy of a gray image may be larger.
    """
    images = int(pc.sum(listing.rows["size"]).as_py())
    wanted = 2 * (images + 2 * _PAGE * listing.count) * (3 if listing.to_rgb else 1) + _SPARE
    return -(-wanted // _PAGE) * _PAGE
