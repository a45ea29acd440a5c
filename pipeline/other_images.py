"""Whether a source holds other images than when it was read, by the digests in sources.parquet."""

from collections.abc import Callable
from hashlib import sha256

import pyarrow as pa

from ..manifests.errors import ScoreMixError
from ..manifests.files.atomic import read_parquet
from ..manifests.run_folder import RunFolder
from ..stages.sources.open import open_source
from ..stages.sources.spec import SourceSpec
from .source_listing import Kept, files_kept

_COMPARED = 200  # images whose content is compared, at most
_COMPARED_BYTES = 1 << 28  # of all of them
_LEAST = 0.05  # of a source's images; where fewer are left, it holds other data
_USED = ("train", "reference", "duplicate")  # images, not the files beside them


def find_exchanged(
    files: RunFolder, number: int, listed_as: str, spec: SourceSpec, *, patches: bool
) -> Kept | None:
    """What is left of the images that the corpus has of a source, where that is next to nothing.

    Names that are there are counted, and of some of them the content is compared. Where the corpus
    does not say any more what was read, files are compared by name and size.

    number, listed_as: the source's place in the list and its name when it was read.
    spec: how to read the same from where it is now.
    patches: whether a row of the corpus is a part of an image.

    Returns:
        None where a twentieth or more is left, and where the source cannot be read: ingest says so.
    """
    recorded = _recorded_digests(files, number, patches=patches)
    if recorded is None:
        found = files_kept(files, listed_as, spec)
    else:
        found = _images_kept(spec, recorded) if recorded else None
    return None if found is None or found.kept >= _LEAST * found.total else found


def _recorded_digests(
    files: RunFolder, number: int, *, patches: bool
) -> dict[str, set[str]] | None:
    """Name -> sha256 of the images that the corpus has of a source, but for forgotten ones; None
    where it cannot be read."""
    columns = ["source", "name", "sha256", "status"]
    try:
        rows = read_parquet(files.corpus / "sources.parquet").select(columns)
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return None
    found: dict[str, set[str]] = {}
    for row in rows.to_pylist():
        if row["source"] == number and row["status"] in _USED and row["name"] and row["sha256"]:
            name = row["name"].rpartition("#")[0] if patches else row["name"]
            found.setdefault(name, set()).add(row["sha256"])
    return found


def _images_kept(spec: SourceSpec, recorded: dict[str, set[str]]) -> Kept | None:
    """How many images are there with their names and bytes; None where the source cannot be
    read."""
    same = read = size = 0
    try:
        with open_source(spec, "ingest.source") as opened:
            there = {
                item.name: item.read
                for item in opened.inputs
                if item.name in recorded and item.refused is None
            }
            # In an order that no numbering of files follows, so that some stand for all.
            for name in sorted(there, key=lambda name: sha256(name.encode()).digest())[:_COMPARED]:
                data = _bytes_of(there[name])
                size, read = size + len(data), read + 1
                same += sha256(data).hexdigest() in recorded[name]
                if size > _COMPARED_BYTES:
                    break
    except ScoreMixError:
        return None
    return Kept(len(recorded), len(there) * same / max(read, 1))


def _bytes_of(read: Callable[[], bytes]) -> bytes:
    """Nothing where they cannot be read."""
    try:
        return read()
    except Exception:  # archives raise what they like
        return b""
