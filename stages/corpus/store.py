"""Writes, opens and checks a corpus: prepared images, memory-mapped, and a row for every input.

corpus/ images.npy       uint8 (N, H, W, C), C = 1 gray or 3 RGB; row = key of the image
        reference.npy    uint8 (M, H, W, C), held out, M may be 0
        sources.parquet  manifests.plan.schema.SOURCES
        classes.json     names in the order of class_id, [] without classes
        corpus.json      digest, sizes and counts; written last, so it is the commit
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...manifests.errors import ConfigError, VerifyError
from ...manifests.files.atomic import (
    canonical_digest,
    read_parquet,
    replacing,
    sha256_file,
    storage_errors,
    write_json,
    write_parquet,
)
from ...manifests.files.durable import remove_file
from ...manifests.files.json_reader import parse_json
from ...manifests.files.rows import rows_where
from ...manifests.plan.schema import SOURCES
from ..common.npy import npy_header
from ..images.pixel_file import PixelFile

_FORMAT = 2
_BLOCK = 4 << 20  # bytes copied at a time
FILES = ("images.npy", "reference.npy", "sources.parquet", "classes.json")
_SMALL = FILES[2:]  # hashed whenever a corpus is opened; check_pixels hashes the images
_Rows = list[dict[str, Any]]  # of sources.parquet
_STATUSES = ("train", "reference", "duplicate", "rejected", "unused")
FORGOTTEN = "forgotten"  # the status of an input that was removed on request ...
FORGOTTEN_REASON = "removed on request"  # ... and its reason


@dataclass(frozen=True)
class Corpus:
    """An opened corpus folder; the images are mapped read-only, not loaded."""

    folder: Path
    images: NDArray[np.uint8]  # (N, H, W, C) training images
    reference: NDArray[np.uint8]  # (M, H, W, C) held-out images
    sources: pa.Table  # manifests.plan.schema.SOURCES
    classes: list[str]  # names in the order of class_id, [] without classes
    digest: str  # of pixels, classes and the training images' sources

    @property
    def counts(self) -> dict[str, int]:
        """Status -> number of inputs."""
        return count_statuses(self.sources["status"].to_pylist())

    @property
    def forgotten(self) -> frozenset[str]:
        """Keys of forgotten images that the plan still names: their pixels are zero."""
        return forgotten_keys(self.sources)

    @property
    def planned_sources(self) -> pa.Table:
        """`sources` as plans are made from: an image forgotten after training keeps its row."""
        return count_forgotten_as_training(self.sources)

    @property
    def training_ids(self) -> NDArray[np.int64]:
        """(N,) class ids of the training images in the order of their rows, -1 without a class."""
        sources = self.planned_sources
        trained = rows_where(sources, status="train")
        return np.asarray(trained.sort_by("row")["class_id"].to_numpy(), dtype=np.int64)

    @property
    def training_rows(self) -> NDArray[np.int64]:
        """Rows of the training images that were not forgotten, ascending."""
        training = rows_where(self.sources, status="train")
        return np.sort(np.asarray(training["row"].to_numpy(), dtype=np.int64))

    @property
    def training_images(self) -> NDArray[np.uint8]:
        """(N', H, W, C): the training images that were not forgotten, as `training_rows` has them.

        What is left of a forgotten image is black.
        """
        rows = self.training_rows
        return self.images if len(rows) == len(self.images) else self.images[rows]

    @property
    def training_keys(self) -> list[str]:
        """Keys of `training_images`. After `forget --retrain` they are not the numbers of rows."""
        training = rows_where(self.sources, status="train")
        keys: list[str] = training.sort_by("row")["key"].to_pylist()
        return keys

    @property
    def reference_ids(self) -> NDArray[np.int64]:
        """(M,) class ids of the held-out images, -1 without a class."""
        held_out = rows_where(self.sources, status="reference")
        return np.asarray(held_out.sort_by("row")["class_id"].to_numpy(), dtype=np.int64)


def forgotten_keys(sources: pa.Table) -> frozenset[str]:
    """Keys of forgotten training images that are still in the plan, from sources.parquet."""
    # As lists: a value given to pyarrow would import pandas, a third of a second of `status`.
    statuses, keys = sources["status"].to_pylist(), sources["key"].to_pylist()
    gone = {key for status, key in zip(statuses, keys, strict=True) if status == FORGOTTEN}
    return frozenset(gone - {None})


def count_forgotten_as_training(sources: pa.Table) -> pa.Table:
    """Forgotten images with a key count as training images; those without are dropped."""
    gone = pc.equal(sources["status"], FORGOTTEN)
    if not pc.any(gone).as_py():
        return sources
    kept = sources.filter(pc.or_(pc.invert(gone), pc.is_valid(sources["key"])))
    column = kept.schema.get_field_index("status")
    status = pc.if_else(pc.equal(kept["status"], FORGOTTEN), "train", kept["status"])
    return kept.set_column(column, "status", status)


def open_corpus(folder: Path) -> Corpus:
    """Opens what `ingest` wrote; checks that the files are there and have their sizes.

    Raises:
        ConfigError: there is no finished corpus in `folder`.
        VerifyError: a file is missing, or is not the one that was written.
    """
    facts = _read_corpus_json(folder)
    commit = folder / "corpus.json"
    try:
        files = {name: facts["files"][name]["bytes"] for name in FILES}
        shas = {name: facts["files"][name]["sha256"] for name in _SMALL}
        digest = str(facts["digest"])
    except (KeyError, TypeError) as error:
        raise _damaged_json(commit, error) from error
    for name, size in files.items():
        path = folder / name
        found = path.stat().st_size if path.is_file() else None
        if found != size:
            raise VerifyError(
                f"{path} should have {size:,} bytes and "
                + ("is missing" if found is None else f"has {found:,}")
                + f". Delete {commit} and run ingest again."
            )
    for name, sha in shas.items():
        if sha256_file(folder / name) != sha:
            raise _changed_error(folder / name)
    return Corpus(
        folder=folder,
        images=_map_images(folder / "images.npy"),
        reference=_map_images(folder / "reference.npy"),
        sources=read_parquet(folder / "sources.parquet"),
        classes=_read_classes(folder / "classes.json"),
        digest=digest,
    )


def _read_corpus_json(folder: Path) -> dict[str, Any]:
    """The content of corpus.json, which its own digest confirms.

    Raises:
        ConfigError: there is none.
        VerifyError: it is damaged.
    """
    path = folder / "corpus.json"
    try:
        facts: dict[str, Any] = parse_json(path.read_bytes())
        if facts.pop("facts_digest") != canonical_digest(facts):
            raise ValueError("its content does not have its digest")
    except FileNotFoundError as error:
        raise ConfigError(f"There is no finished corpus in {folder}. Run ingest first.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged_json(path, error) from error
    return facts


def _damaged_json(path: Path, error: Exception) -> VerifyError:
    return VerifyError(f"{path} is damaged ({error!r}). Delete it and run ingest again.")


def _read_classes(path: Path) -> list[str]:
    try:
        classes: list[str] = parse_json(path.read_bytes())
    except ValueError as error:
        raise VerifyError(
            f"{path} is damaged ({error}). Delete {path.with_name('corpus.json')} and run ingest"
            " again."
        ) from error
    return classes


def _map_images(path: Path) -> NDArray[np.uint8]:
    try:
        images: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:  # of its header, or cut off
        raise _changed_error(path) from error
    return images


def write_corpus(
    folder: Path,
    pixels: PixelFile,
    *,
    train: list[int],
    reference: list[int],
    gray: bool,
    rows: _Rows,
    classes: list[str],
    complete_rows: Callable[[_Rows], None] = lambda rows: None,
) -> Corpus:
    """Writes the corpus and commits it; an earlier one stays until then.

    pixels: the decoded images; train, reference: which of them, in the order of their rows.
    gray: keep one channel of images whose channels are equal.
    rows: as SOURCES, in the order of `index`; complete_rows fills in more of them while the images
    are written.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    commit = folder / "corpus.json"
    with storage_errors(commit):
        remove_file(commit)  # from here on the files change
        (folder / ".staging.tmp").unlink(missing_ok=True)  # of an earlier version, killed
    images = pixels.images()[..., :1] if gray else pixels.images()
    with ThreadPoolExecutor(1) as other_thread:
        completed = other_thread.submit(complete_rows, rows)
        shas = {
            name: _write_images(folder / name, images, indices)
            for name, indices in (("images.npy", train), ("reference.npy", reference))
        }
        completed.result()
    if gray:
        _hash_one_channel(rows, images, {"train": train, "reference": reference})
    write_parquet(folder / "sources.parquet", pa.Table.from_pylist(rows, schema=SOURCES))
    write_json(folder / "classes.json", classes)
    files = {
        name: {
            "bytes": (folder / name).stat().st_size,
            "sha256": shas.get(name) or sha256_file(folder / name),
        }
        for name in FILES
    }
    facts = {
        "format": _FORMAT,
        "digest": content_digest(files, rows),
        "files": files,
        "counts": count_statuses([row["status"] for row in rows]),
        "resolution": images.shape[1],
        "channels": images.shape[3],
    }
    write_corpus_json(folder, facts)
    return open_corpus(folder)


def write_corpus_json(folder: Path, facts: dict[str, Any]) -> None:
    """Writes corpus.json, the commit, with a digest of itself."""
    own = {name: value for name, value in facts.items() if name != "facts_digest"}
    write_json(folder / "corpus.json", own | {"facts_digest": canonical_digest(own)})


def count_statuses(statuses: list[str]) -> dict[str, int]:
    """Status -> number of inputs; `forgotten` only where there are any."""
    found = Counter(statuses)
    return {name: found[name] for name in _STATUSES + ((FORGOTTEN,) if found[FORGOTTEN] else ())}


def content_digest(files: dict[str, dict[str, Any]], rows: list[dict[str, Any]]) -> str:
    """Digest of pixels, classes and the training images' sources; unused inputs do not count."""
    used = [
        [row["class_id"], row["sha256"], row["license"]] for row in rows if row["status"] == "train"
    ]
    held_out = [row["class_id"] for row in rows if row["status"] == "reference"]
    labels = {"held_out": held_out} if any(id_ >= 0 for id_ in held_out) else {}
    pixels = {name: files[name]["sha256"] for name in FILES if name != "sources.parquet"}
    return canonical_digest({"files": pixels, "train": used} | labels)


def check_pixels(corpus: Corpus) -> None:
    """Hashes the images and compares the hashes with those of corpus.json.

    Raises:
        VerifyError: a file was changed after it was written.
    """
    facts = _read_corpus_json(corpus.folder)
    for name in ("images.npy", "reference.npy"):
        path = corpus.folder / name
        if sha256_file(path) != facts["files"][name]["sha256"]:
            raise _changed_error(path)


def _changed_error(path: Path) -> VerifyError:
    return VerifyError(
        f"{path} was changed after it was written. Delete {path.with_name('corpus.json')} and run"
        " the same command again: ingest then reads the images anew."
    )


def _write_images(path: Path, images: NDArray[np.uint8], indices: list[int]) -> str:
    """Writes images[indices] as a .npy file, a few MiB at a time; returns the file's sha256."""
    step = max(1, _BLOCK // int(np.prod(images.shape[1:])))
    # A fixed temporary name: the next run overwrites what a killed one left behind.
    with replacing(path, path.with_name(f".{path.name}.tmp")) as file:
        header = npy_header((len(indices), *images.shape[1:]))
        file.write(header)
        digest = hashlib.sha256(header)
        with ThreadPoolExecutor(1) as hashing:  # while writing: both release the interpreter lock
            hashed = hashing.submit(lambda: None)
            for begin in range(0, len(indices), step):
                block = images[indices[begin : begin + step]].tobytes()
                hashed.result()
                hashed = hashing.submit(digest.update, block)
                file.write(block)
            hashed.result()
    return digest.hexdigest()


def _hash_one_channel(
    rows: _Rows, images: NDArray[np.uint8], indices: dict[str, list[int]]
) -> None:
    """Replaces the pixel hashes of three channels by those of one; equal images stay equal."""
    changed: dict[str | None, str] = {None: ""}
    for row in rows:
        if row["status"] in indices:
            pixels = images[indices[row["status"]][row["row"]]]
            changed[row["pixel_sha256"]] = hashlib.sha256(pixels.tobytes()).hexdigest()
    for row in rows:
        row["pixel_sha256"] = changed.get(row["pixel_sha256"]) or None
