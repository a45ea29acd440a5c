"""Recorded hashes of a corpus that may be damaged: which file had which content when published.

index.json comes first, if it is intact: it has a digest of its own content. Without it, SHA256SUMS
and the markers (for tar and Parquet) count. Without these, bytes that are made again and equal the
bytes that are there confirm them: equal hashes do not happen by chance.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..files.atomic import json_bytes
from ..shards.shard import Marker
from ..storage.store import Store, store_of
from .index import INDEX, indexed_hashes, parse_index
from .names import METADATA_FILES
from .owner import OWNER
from .sums import SUMS, parse_sums

EXTENSIONS = ("tar", "parquet", "json")


@dataclass(frozen=True)
class RecordedHashes:
    """The hashes that one corpus records, and those of the bytes that are there."""

    actual: dict[str, str]  # file -> sha256 of the bytes that are there; "" where unreadable
    sums: dict[str, str]  # file -> sha256 in SHA256SUMS
    indexed: dict[str, str]  # file -> sha256 in an intact index.json
    index: dict[str, Any] | None  # if intact
    markers: dict[str, Marker] = field(default_factory=dict)  # shard -> one in canonical form

    def recorded(self, file: str) -> set[str]:
        """Every hash that is recorded for `file`."""
        if self.index is not None and file != INDEX:
            return {self.indexed[file]} if file in self.indexed else set()
        hashes = {self.sums[file]} if file in self.sums else set()
        name, _, extension = file.partition(".")
        if name in self.markers and extension in ("tar", "parquet"):
            hashes.add(getattr(self.markers[name], extension).sha256)
        return hashes

    def matches(self, file: str) -> bool:
        """Whether the bytes that are there have the hash in the index or SHA256SUMS."""
        actual = self.actual.get(file)
        if self.index is not None and file != INDEX:
            return actual is not None and actual == self.indexed.get(file)
        return actual is not None and actual == self.sums.get(file)

    def was_not_published(self, file: str) -> bool:
        """Whether the published files are known, and `file` was not among them."""
        published = self.indexed if self.index is not None else self.sums
        return any(name in published for name in METADATA_FILES) and file not in published

    def confirms(self, file: str, digest: str) -> bool:
        """Whether bytes made again are the old ones: as recorded, else as those that are there."""
        recorded = self.recorded(file)
        return digest in recorded if recorded else digest == self.actual.get(file)

    def without_index(self) -> "RecordedHashes":
        """The hashes to trust where the index is of another corpus, though SHA256SUMS lists it."""
        sums = {file: digest for file, digest in self.sums.items() if file not in METADATA_FILES}
        return replace(self, sums=sums, indexed={}, index=None)

    def is_intact(self, name: str, rows_digest: str, recipe_digest: str) -> bool:
        """Whether a shard is whole and the planned one, and no recorded hash contradicts it."""
        marker = self.markers.get(name)
        if marker is None or (marker.rows_digest, marker.recipe_digest) != (
            rows_digest,
            recipe_digest,
        ):
            return False
        files = [f"{name}.{extension}" for extension in EXTENSIONS]
        actual = [self.actual.get(file) for file in files]
        if actual[:2] != [marker.tar.sha256, marker.parquet.sha256]:
            return False
        known = self.sums if self.index is None else self.indexed
        return all(known.get(file, self.actual[file]) == self.actual[file] for file in files)

    def confirmed_marker(self, marker: Marker, known: list[dict[str, str]]) -> Marker | None:
        """`marker` with the environment that gives it its recorded hash; None if none does.

        known: environments to try besides its own and the other markers'.
        """
        environments = [marker.environment, *known, *(m.environment for m in self.markers.values())]
        for place, environment in enumerate(environments):
            candidate = replace(marker, environment=environment)
            is_new = environment not in environments[:place]
            if is_new and self.confirms(f"{marker.shard}.json", marker_digest(candidate)):
                return candidate
        return None


def marker_digest(marker: Marker) -> str:
    """sha256 of NAME.json in canonical form."""
    return hashlib.sha256(json_bytes(asdict(marker))).hexdigest()


def read_recorded_hashes(
    shards: Path | Store, names: Iterable[str], remembered: Path | None = None
) -> RecordedHashes:
    """Reads and hashes every file in `shards`.

    names: of the shards that should be there.
    remembered: a copy of the last published index.json; used where neither the corpus's own nor
        SHA256SUMS is left.
    """
    store = store_of(shards)
    actual = {name: _hash(store, name) for name in store.names() if name != OWNER}
    has_sums = bool(actual.pop(SUMS, ""))
    sums = parse_sums(store.read(SUMS)) if has_sums else {}
    index = _intact_index(store.read(INDEX)) if actual.get(INDEX) else None
    if INDEX not in actual and not has_sums and remembered is not None and remembered.is_file():
        index = _intact_index(remembered.read_bytes())
    indexed = indexed_hashes(index) if index is not None else {}
    markers = {name: _marker(store, name) for name in names if actual.get(f"{name}.json")}
    known = {name: marker for name, marker in markers.items() if marker is not None}
    return RecordedHashes(actual, sums, indexed, index, known)


def _hash(store: Store, name: str) -> str:
    try:
        return store.sha256(name)
    except OSError:
        return ""


def _intact_index(raw: bytes) -> dict[str, Any] | None:
    try:
        return parse_index(raw)
    except ValueError:
        return None


def _marker(store: Store, name: str) -> Marker | None:
    raw = store.read(f"{name}.json")
    try:
        marker = Marker.parse(raw)
    except ValueError:
        return None
    return marker if marker.shard == name and json_bytes(asdict(marker)) == raw else None
