"""burial: what was forgotten leaves corpus/; of its rows stay hashes, class and place.

images.npy keeps its shape, with zeros in place of the pixels, as long as the network that was
trained on them is in use: rows and keys stay what plan and shards call them. Once the network is
to be trained without them the rows go too, and keys stay. Held-out images go at once.

May be killed anywhere and called again.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...manifests.errors import VerifyError
from ...manifests.files.atomic import (
    canonical_digest,
    read_parquet,
    replacing,
    sha256_file,
    storage_errors,
    sync_folder,
    write_parquet,
)
from ...manifests.files.crash_points import crash_point
from ...manifests.plan.schema import SOURCES
from ...manifests.tombstones import Tombstones
from .store import FILES, FORGOTTEN, content_digest, counted, write_facts

REASON = "removed on request"
_USED = ("train", "reference", "duplicate")
_KEPT = {"index", "source", "status", "row", "key", "class_id", "class_name", "license"} | {
    "sha256",
    "pixel_sha256",
}
_Rows = list[dict[str, Any]]


def erase_forgotten(folder: Path, stones: Tombstones) -> None:
    """Removes every trace of the forgotten from the corpus in `folder` but for hashes and places.

    Raises StorageError where the disk refuses, and the same call goes on from there; VerifyError
    where the corpus is damaged.
    """
    try:
        facts = dict(json.loads((folder / "corpus.json").read_bytes()))
        rows: _Rows = read_parquet(folder / "sources.parquet").to_pylist()
    except (OSError, ValueError, TypeError) as error:
        raise VerifyError(
            f"{folder} is damaged ({error}), and images of it are being forgotten. Restore"
            " corpus.json and sources.parquet, then run the same command again."
        ) from error
    marked = marked_rows(rows, stones)
    _blank(folder / "images.npy", [r["row"] for r in marked if _blank_row(r, stones)])
    crash_point("buried-pixels")
    _compact(folder / "images.npy", marked, stones, "train")
    _compact(folder / "reference.npy", marked, stones, "reference")
    final = [_tombstone_row(row, stones) for row in marked]
    for status in ("train", "reference"):
        if status == "reference" or stones.settling:
            _renumber(final, status)
    write_parquet(folder / "sources.parquet", pa.Table.from_pylist(final, schema=SOURCES))
    crash_point("buried-rows")
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)}
        for name in FILES
    }
    digest = facts["digest"]
    if stones.settling:
        keys = [row["key"] for row in final if row["status"] == "train"]
        digest = canonical_digest({"content": content_digest(files, final), "keys": keys})
    counts = counted([row["status"] for row in final])
    write_facts(folder, facts | {"digest": digest, "files": files, "counts": counts})
    with storage_errors(folder):
        for path in folder.iterdir():  # what a killed ingest left
            if path.name not in (*FILES, "corpus.json") and path.is_file():
                path.unlink()


def marked_rows(rows: _Rows, stones: Tombstones) -> _Rows:
    """Copies in which the status of what a tombstone names is FORGOTTEN."""
    files = stones.files()
    return [
        row | {"status": FORGOTTEN} if row["sha256"] in files and row["status"] in _USED else row
        for row in rows
    ]


def _settled(row: dict[str, Any], stones: Tombstones) -> bool:
    """Whether a forgotten row leaves the plan too: the network has not seen it."""
    return row["sha256"] in stones.files(retrained=True)


def _blank_row(row: dict[str, Any], stones: Tombstones) -> bool:
    """Whether the row's pixels stay in images.npy as zeros; its key says that it was trained on."""
    gone = row["status"] == FORGOTTEN and row["key"] is not None
    return gone and not _settled(row, stones)


def _tombstone_row(row: dict[str, Any], stones: Tombstones) -> dict[str, Any]:
    """What stays of a forgotten input; others as they are, but for pointers to forgotten ones."""
    if row["status"] != FORGOTTEN:
        return {name: row[name] for name in SOURCES.names}
    kept = {name: row[name] if name in _KEPT else None for name in SOURCES.names}
    kept["reason"] = REASON
    if not _blank_row(row, stones):
        kept |= {"row": None, "key": None}
    return kept


def _renumber(rows: _Rows, status: str) -> None:
    """Rows of a file that was closed up, in the order that they had."""
    placed = sorted((row for row in rows if row["status"] == status), key=lambda row: row["row"])
    for place, row in enumerate(placed):
        row["row"] = place


def _blank(path: Path, rows: list[int]) -> None:
    """Zeros in place, so that the old blocks are written over where the file system does so."""
    if not rows:
        return
    with storage_errors(path):
        images = np.load(path, mmap_mode="r+", allow_pickle=False)
        for row in rows:
            images[row] = 0
        images.flush()
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _compact(path: Path, rows: _Rows, stones: Tombstones, status: str) -> None:
    """Writes the file without rows that leave it. If it is short already, that was done."""
    of_file = [
        row
        for row in rows
        if row["row"] is not None and (row["key"] is not None) == (status == "train")
    ]
    staying = [row["row"] for row in of_file if row["status"] == status or _blank_row(row, stones)]
    images: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    if len(images) == len(staying):
        return
    header = {"descr": "|u1", "fortran_order": False}
    shape = (len(staying), *images.shape[1:])
    with replacing(path, path.with_name(f".{path.name}.tmp")) as file:
        np.lib.format.write_array_header_1_0(file, header | {"shape": shape})
        for row in sorted(staying):
            file.write(images[row].tobytes())
    sync_folder(path.parent)
    crash_point("buried-closed")
