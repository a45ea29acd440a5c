"""Erases forgotten images from a corpus; hashes, class and position of each stay in its row.

images.npy keeps its shape, with zeros in place of the pixels, as long as the network that was
trained on them is in use: plan and shards refer to rows and keys. Once the network is to be trained
without them the rows are removed too, and the other images keep their keys. Held-out images are
removed at once.

It may be killed at any point and called again.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...manifests.errors import VerifyError
from ...manifests.files.atomic import (
    break_hard_links,
    canonical_digest,
    read_parquet,
    replacing,
    sha256_file,
    storage_errors,
    write_parquet,
)
from ...manifests.files.crash_points import crash_point
from ...manifests.files.durable import remove_file, sync_file
from ...manifests.files.json_reader import parse_json
from ...manifests.plan.schema import SOURCES
from ...manifests.tombstones import Tombstones
from ..common.npy import npy_header
from .store import (
    FILES,
    FORGOTTEN,
    FORGOTTEN_REASON,
    content_digest,
    count_statuses,
    write_corpus_json,
)

_USED = ("train", "reference", "duplicate")
_KEPT = {"index", "source", "status", "row", "key", "class_id", "class_name", "license"} | {
    "sha256",
    "pixel_sha256",
}
_Rows = list[dict[str, Any]]


def erase_forgotten(folder: Path, tombstones: Tombstones) -> None:
    """Removes what `tombstones` names from the corpus in `folder`, but for hashes and positions.

    Raises:
        StorageError: the disk cannot be written; the same call goes on from there.
        VerifyError: the corpus is damaged.
    """
    try:
        facts = dict(parse_json((folder / "corpus.json").read_bytes()))
        rows: _Rows = read_parquet(folder / "sources.parquet").to_pylist()
    except (OSError, ValueError, TypeError) as error:
        raise VerifyError(
            f"{folder} is damaged ({error}), and images of it are being forgotten. Restore"
            " corpus.json and sources.parquet, then run the same command again."
        ) from error
    marked = marked_rows(rows, tombstones)
    _blank(folder / "images.npy", [r["row"] for r in marked if _blank_row(r, tombstones)])
    crash_point("erased-pixels")
    _compact(folder / "images.npy", marked, tombstones, "train")
    _compact(folder / "reference.npy", marked, tombstones, "reference")
    final = [_tombstone_row(row, tombstones) for row in marked]
    for status in ("train", "reference"):
        if status == "reference" or tombstones.leaving_plan:
            _renumber(final, status)
    write_parquet(folder / "sources.parquet", pa.Table.from_pylist(final, schema=SOURCES))
    crash_point("erased-rows")
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)}
        for name in FILES
    }
    digest = facts["digest"]
    if tombstones.leaving_plan:
        keys = [row["key"] for row in final if row["status"] == "train"]
        digest = canonical_digest({"content": content_digest(files, final), "keys": keys})
    counts = count_statuses([row["status"] for row in final])
    write_corpus_json(folder, facts | {"digest": digest, "files": files, "counts": counts})
    with storage_errors(folder):
        for path in folder.iterdir():  # what a killed ingest left
            if path.name not in (*FILES, "corpus.json") and path.is_file():
                remove_file(path)


def marked_rows(rows: _Rows, tombstones: Tombstones) -> _Rows:
    """Copies of the rows, with the status FORGOTTEN where a tombstone names the file."""
    files = tombstones.file_hashes()
    return [
        row | {"status": FORGOTTEN} if row["sha256"] in files and row["status"] in _USED else row
        for row in rows
    ]


def _leaves_plan(row: dict[str, Any], tombstones: Tombstones) -> bool:
    """Whether a forgotten image is no longer in the plan: the network is trained without it."""
    return row["sha256"] in tombstones.file_hashes(retrained=True)


def _blank_row(row: dict[str, Any], tombstones: Tombstones) -> bool:
    """Whether the row's pixels stay in images.npy as zeros: the network was trained on them."""
    gone = row["status"] == FORGOTTEN and row["key"] is not None
    return gone and not _leaves_plan(row, tombstones)


def _tombstone_row(row: dict[str, Any], tombstones: Tombstones) -> dict[str, Any]:
    """What stays of a forgotten input's row; other rows are unchanged."""
    if row["status"] != FORGOTTEN:
        return {name: row[name] for name in SOURCES.names}
    kept = {name: row[name] if name in _KEPT else None for name in SOURCES.names}
    kept["reason"] = FORGOTTEN_REASON
    if not _blank_row(row, tombstones):
        kept |= {"row": None, "key": None}
    return kept


def _renumber(rows: _Rows, status: str) -> None:
    """Numbers the rows of a compacted file from 0, in their old order."""
    remaining = sorted((row for row in rows if row["status"] == status), key=lambda row: row["row"])
    for number, row in enumerate(remaining):
        row["row"] = number


def _blank(path: Path, rows: list[int]) -> None:
    """Overwrites images with zeros in place: most file systems then overwrite their old blocks. Of
    a file that a snapshot shares by a hard link, in a copy."""
    if not rows:
        return
    with storage_errors(path):
        break_hard_links(path)
        images = np.load(path, mmap_mode="r+", allow_pickle=False)
        for row in rows:
            images[row] = 0
        images.flush()
        sync_file(path)


def _compact(path: Path, rows: _Rows, tombstones: Tombstones, status: str) -> None:
    """Writes the file without the rows that leave it, unless that was done before."""
    in_file = [
        row
        for row in rows
        if row["row"] is not None and (row["key"] is not None) == (status == "train")
    ]
    remaining = [
        row["row"] for row in in_file if row["status"] == status or _blank_row(row, tombstones)
    ]
    images: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    if len(images) == len(remaining):
        return
    with replacing(path, path.with_name(f".{path.name}.tmp")) as file:
        file.write(npy_header((len(remaining), *images.shape[1:])))
        for row in sorted(remaining):
            file.write(images[row].tobytes())
    crash_point("erased-closed")
