"""corpus: the prepared images on disk, memory-mapped, with a row for every input.

corpus/ images.npy       uint8 (N, H, W, C), C = 1 gray or 3 RGB; row = key of the image
        reference.npy    uint8 (M, H, W, C), held out, M may be 0
        sources.parquet  manifests.schema.SOURCES
        classes.json     names in the order of class_id, [] without classes
        corpus.json      digest, sizes and counts; written last, so it is the commit
"""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

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
from ...manifests.plan.schema import SOURCES

_FORMAT = 2
_BLOCK = 4 << 20  # bytes copied at a time
FILES = ("images.npy", "reference.npy", "sources.parquet", "classes.json")
_SMALL = FILES[2:]  # checked whenever a corpus is opened; pixels before work is based on them
_Rows = list[dict[str, Any]]  # of sources.parquet
_STATUSES = ("train", "reference", "duplicate", "rejected", "unused")
FORGOTTEN = "forgotten"  # the status of an input that was removed on request


@dataclass(frozen=True)
class Corpus:
    """An opened corpus folder; the images are mapped read-only, not loaded."""

    folder: Path
    images: NDArray[np.uint8]  # (N, H, W, C) training images
    reference: NDArray[np.uint8]  # (M, H, W, C) held-out images
    sources: pa.Table  # manifests.schema.SOURCES
    classes: list[str]  # names in the order of class_id, [] without classes
    digest: str  # of pixels, classes and the training images' sources

    @property
    def counts(self) -> dict[str, int]:
        """How many inputs have which status."""
        return counted(self.sources["status"].to_pylist())

    @property
    def forgotten(self) -> frozenset[str]:
        """Keys of images that were forgotten and that the plan still names: their rows are zero."""
        return forgotten_keys(self.sources)

    @property
    def planned_sources(self) -> pa.Table:
        """`sources` as plans are made from: who was forgotten after training keeps its place."""
        return as_planned(self.sources)

    @property
    def reference_ids(self) -> NDArray[np.int64]:
        """(M,) class ids of the held-out images, -1 without a class."""
        held_out = self.sources.filter(pc.equal(self.sources["status"], "reference"))
        return np.asarray(held_out.sort_by("row")["class_id"].to_numpy(), dtype=np.int64)


def forgotten_keys(sources: pa.Table) -> frozenset[str]:
    """Of sources.parquet: the keys of forgotten training images that are still in the plan."""
    gone = sources.filter(pc.equal(sources["status"], FORGOTTEN))
    return frozenset(gone["key"].drop_null().to_pylist())


def as_planned(sources: pa.Table) -> pa.Table:
    """Forgotten images with a key count as training images, those without are not there."""
    gone = pc.equal(sources["status"], FORGOTTEN)
    if not pc.any(gone).as_py():
        return sources
    kept = sources.filter(pc.or_(pc.invert(gone), pc.is_valid(sources["key"])))
    place = kept.schema.get_field_index("status")
    status = pc.if_else(pc.equal(kept["status"], FORGOTTEN), "train", kept["status"])
    return kept.set_column(place, "status", status)


def open_corpus(folder: Path) -> Corpus:
    """Opens what `ingest` wrote; checks that the files are there and have their sizes.

    Raises:
        ConfigError: there is no finished corpus in `folder`.
        VerifyError: a file is missing, or is not the one that was written.
    """
    commit = folder / "corpus.json"
    try:
        facts = json.loads(commit.read_bytes())
        if facts.pop("facts_digest") != canonical_digest(facts):
            raise ValueError("its content is not what its digest says")
        files = {name: facts["files"][name]["bytes"] for name in FILES}
        shas = {name: facts["files"][name]["sha256"] for name in _SMALL}
        digest = str(facts["digest"])
    except FileNotFoundError as error:
        raise ConfigError(f"There is no finished corpus in {folder}. Run ingest first.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerifyError(
            f"{commit} is damaged ({error!r}). Delete it and run ingest again."
        ) from error
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
            raise _changed(folder / name)
    return Corpus(
        folder=folder,
        images=_mapped(folder / "images.npy"),
        reference=_mapped(folder / "reference.npy"),
        sources=read_parquet(folder / "sources.parquet"),
        classes=json.loads((folder / "classes.json").read_bytes()),
        digest=digest,
    )


def _mapped(path: Path) -> NDArray[np.uint8]:
    images: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    return images


class Staging:
    """Prepared images in the order in which they were decoded, in a temporary file.

    Which of them are gray, held out or out of order is known only at the end, so they are laid
    down once and gathered then; memory stays constant. The file vanishes with the `with` block.
    """

    def __init__(self, folder: Path, side: int, channels: int) -> None:
        self.path = folder / ".staging.tmp"  # a fixed name: a killed run's is used again
        self.shape = (side, side, channels)
        self.count = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> "Staging":
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "wb")
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._file is not None
        try:
            self._file.close()
        except OSError:  # what could not be flushed was about to be deleted
            pass
        self.path.unlink(missing_ok=True)

    def append(self, pixels: NDArray[np.uint8]) -> int:
        """Adds uint8 (H, W, C); gives its slot."""
        assert self._file is not None and pixels.shape == self.shape
        with storage_errors(self.path):
            self._file.write(pixels.tobytes())
        self.count += 1
        return self.count - 1

    def images(self) -> NDArray[np.uint8]:
        """All that was appended, (count, H, W, C), memory-mapped."""
        assert self._file is not None and self.count
        with storage_errors(self.path):
            self._file.flush()
        return np.memmap(self.path, np.uint8, "r", shape=(self.count, *self.shape))


def write_corpus(
    folder: Path,
    staging: Staging,
    *,
    train: list[int],
    reference: list[int],
    gray: bool,
    rows: _Rows,
    classes: list[str],
    finish: Callable[[_Rows], None] = lambda rows: None,
) -> Corpus:
    """Gathers the staged images and commits the corpus; an earlier one stays until then.

    train, reference: slots in the order of their rows.
    gray: keep one channel of images whose channels are equal.
    rows: SOURCES, in the order of `index`. finish: completes them while images are written.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    commit = folder / "corpus.json"
    with storage_errors(commit):
        commit.unlink(missing_ok=True)  # from here on the files change
    images = staging.images()[..., :1] if gray else staging.images()
    with ThreadPoolExecutor(1) as beside:
        finished = beside.submit(finish, rows)
        shas = {
            name: _write_images(folder / name, images, slots)
            for name, slots in (("images.npy", train), ("reference.npy", reference))
        }
        finished.result()
    if gray:
        _hash_again(rows, images, {"train": train, "reference": reference})
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
        "counts": counted([row["status"] for row in rows]),
        "resolution": images.shape[1],
        "channels": images.shape[3],
    }
    write_facts(folder, facts)
    return open_corpus(folder)


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """corpus.json, the commit, with a digest of itself."""
    own = {name: value for name, value in facts.items() if name != "facts_digest"}
    write_json(folder / "corpus.json", own | {"facts_digest": canonical_digest(own)})


def counted(statuses: list[str]) -> dict[str, int]:
    """How many inputs have which status; forgotten ones only where there are any."""
    found = Counter(statuses)
    return {name: found[name] for name in _STATUSES + ((FORGOTTEN,) if found[FORGOTTEN] else ())}


def content_digest(files: dict[str, dict[str, Any]], rows: list[dict[str, Any]]) -> str:
    """Of pixels, classes and what samples say of their sources: not of inputs that are not used."""
    used = [
        [row["class_id"], row["sha256"], row["license"]] for row in rows if row["status"] == "train"
    ]
    pixels = {name: files[name]["sha256"] for name in FILES if name != "sources.parquet"}
    return canonical_digest({"files": pixels, "train": used})


def check_pixels(corpus: Corpus) -> None:
    """Reads the images and compares them with what ingest wrote, before work is based on them.

    Raises:
        VerifyError: a file was changed since.
    """
    facts = json.loads((corpus.folder / "corpus.json").read_bytes())
    for name in ("images.npy", "reference.npy"):
        path = corpus.folder / name
        if sha256_file(path) != facts["files"][name]["sha256"]:
            raise _changed(path)


def _changed(path: Path) -> VerifyError:
    return VerifyError(
        f"{path} was changed after it was written. Delete {path.with_name('corpus.json')} and run"
        " the same command again: the images are then read afresh."
    )


def _write_images(path: Path, images: NDArray[np.uint8], slots: list[int]) -> str:
    """Writes images[slots] as a .npy, a few MiB in memory at a time; gives the file's sha256."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(slots), *images.shape[1:])}
    step = max(1, _BLOCK // int(np.prod(images.shape[1:])))
    # A fixed temporary name, so that what a killed run leaves behind is used again.
    with replacing(path, path.with_name(f".{path.name}.tmp")) as file:
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, header)
        file.write(head.getvalue())
        digest = hashlib.sha256(head.getvalue())
        with ThreadPoolExecutor(1) as hashing:  # beside the writing: both leave the interpreter
            waiting = hashing.submit(lambda: None)
            for begin in range(0, len(slots), step):
                block = images[slots[begin : begin + step]].tobytes()
                waiting.result()
                waiting = hashing.submit(digest.update, block)
                file.write(block)
            waiting.result()
    return digest.hexdigest()


def _hash_again(rows: _Rows, images: NDArray[np.uint8], slots: dict[str, list[int]]) -> None:
    """Pixel hashes of one channel, in place of those of three; equal images stay equal."""
    changed: dict[str | None, str] = {None: ""}
    for row in rows:
        if row["status"] in slots:
            pixels = images[slots[row["status"]][row["row"]]]
            changed[row["pixel_sha256"]] = hashlib.sha256(pixels.tobytes()).hexdigest()
    for row in rows:
        row["pixel_sha256"] = changed.get(row["pixel_sha256"]) or None
