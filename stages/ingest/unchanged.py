"""Whether the sources still hold what a corpus was made from, but for images forgotten since."""

import hashlib
from typing import Any

from ..common.progress import Progress
from ..corpus.store import Corpus
from ..sources.remote import FetchOptions
from .config import IngestConfig
from .inventory import Inventory, open_inventory
from .reader import image_of_patch
from .split import InputRecord

_NEEDED = ("train", "reference", "unused")  # without one of them another choice may be made
_OPTIONAL = ("duplicate", "rejected")

_Named = dict[tuple[int, str], dict[str, Any]]  # source and name -> row of sources.parquet


def is_unchanged(
    config: IngestConfig,
    corpus: Corpus,
    *,
    seed: int,
    forgotten: frozenset[str],
    progress: Progress,
    fetching: FetchOptions,
) -> bool:
    """Whether `config` names the images that `corpus` was made from, of equal names, order, bytes,
    classes and licenses; forgotten ones may be there or not.

    Images that were read are compared by digest; what is no image does not count.

    config: but for where the sources are, as the corpus was made. forgotten: sha256 of the files
    that were removed on request.

    Raises what `ingest` raises for sources that cannot be opened.
    """
    rows = [row for row in corpus.sources.to_pylist() if row["source"] >= 0 and row["name"]]
    needed, optional = (
        {(row["source"], row["name"]): row for row in rows if row["status"] in statuses}
        for statuses in (_NEEDED, _OPTIONAL)
    )
    with open_inventory(config, seed, None, decode_all=False, fetching=fetching) as inventory:
        records = [record for record in inventory.records if record.rejection is None]
        if [place for record in records if (place := _place(record)) in needed] != list(needed):
            return False
        if not _has_classes_in_order(inventory, corpus):
            return False
        digest = _Digest()
        with progress.task("ingest", len(records), "images") as advance:
            for record in records:
                if not _is_known(record, optional | needed, forgotten, digest):
                    return False
                advance(1)
    return True


class _Digest:
    """sha256 of what records read; patches of one image follow each other, and it is read once."""

    def __init__(self) -> None:
        self.image: tuple[int, str] | None = None
        self.found: str | None = None

    def of(self, record: InputRecord) -> str | None:
        """None where it cannot be read."""
        image = _place(record) if record.input.patch is None else image_of_patch(record)
        if image != self.image:
            try:
                self.found = hashlib.sha256(record.input.read()).hexdigest()
            except Exception:  # archives raise what they like
                self.found = None
            self.image = image
        return self.found


def _is_known(
    record: InputRecord, rows: _Named, forgotten: frozenset[str], digest: _Digest
) -> bool:
    row = rows.get(_place(record))
    if row is None:
        return digest.of(record) in forgotten
    if (record.class_name, record.input.license) != (row["class_name"], row["license"]):
        return False
    return bool(row["status"] == "unused" or digest.of(record) == row["sha256"])


def _has_classes_in_order(inventory: Inventory, corpus: Corpus) -> bool:
    """Whether the classes of both have the same order; the last image of one may be forgotten."""
    both = set(inventory.classes) & set(corpus.classes)
    now, then = (
        [name for name in names if name in both] for names in (inventory.classes, corpus.classes)
    )
    return now == then


def _place(record: InputRecord) -> tuple[int, str]:
    return record.source, record.input.name
