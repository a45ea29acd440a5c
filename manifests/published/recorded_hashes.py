"""What is known of every file of a corpus that may be damaged: who vouches for which hash.

The first witness is index.json, if it is sound: it has a digest of itself. Without it, the lines of
SHA256SUMS and the markers, for their tar and Parquet. Without these, what is there: bytes made anew
that are equal to those found prove both, for equal hashes do not come about by chance.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..files.atomic import json_bytes
from ..shards.shard import Marker
from ..storage.store import Store, store_of
from .index import INDEX, index_digest, indexed_hashes
from .publish import METADATA_FILES, SUMS

LINE = re.compile(rb"([0-9a-f]{64})  ([^\r\n\\]+)\n")
EXTENSIONS = ("tar", "parquet", "json")


@dataclass(frozen=True)
class RecordedHashes:
    """Of one corpus, as it was read."""

    found: dict[str, str]  # file -> sha256 of what is there; "" where it cannot be read
    sums: dict[str, str]  # file -> sha256 in SHA256SUMS
    promised: dict[str, str]  # file -> sha256 in a sound index.json
    index: dict[str, Any] | None  # if sound
    markers: dict[str, Marker] = field(default_factory=dict)  # shard -> one in canonical form

    def recorded(self, file: str) -> set[str]:
        """Every hash that a witness names for `file`."""
        if self.index is not None and file != INDEX:
            return {self.promised[file]} if file in self.promised else set()
        claimed = {self.sums[file]} if file in self.sums else set()
        name, _, extension = file.partition(".")
        if name in self.markers and extension in ("tar", "parquet"):
            claimed.add(getattr(self.markers[name], extension).sha256)
        return claimed

    def matches(self, file: str) -> bool:
        """Whether the index or SHA256SUMS vouch for the bytes that are there."""
        seen = self.found.get(file)
        if self.index is not None and file != INDEX:
            return seen is not None and seen == self.promised.get(file)
        return seen is not None and seen == self.sums.get(file)

    def lacks(self, file: str) -> bool:
        """Whether what was published is known, and `file` was no part of it."""
        published = self.promised if self.index is not None else self.sums
        return any(name in published for name in METADATA_FILES) and file not in published

    def confirms(self, file: str, digest: str) -> bool:
        """Whether bytes made anew are the old ones: a witness says so or, without one, the eye."""
        recorded = self.recorded(file)
        return digest in recorded if recorded else digest == self.found.get(file)

    def without_index(self) -> "RecordedHashes":
        """What is left to trust where the index is another corpus's, whoever summed it."""
        sums = {file: digest for file, digest in self.sums.items() if file not in METADATA_FILES}
        return replace(self, sums=sums, promised={}, index=None)

    def sound(self, name: str, rows_digest: str, recipe_digest: str) -> bool:
        """Whether a shard is whole, the planned one, and nobody says otherwise."""
        marker = self.markers.get(name)
        if marker is None or (marker.rows_digest, marker.recipe_digest) != (
            rows_digest,
            recipe_digest,
        ):
            return False
        files = [f"{name}.{extension}" for extension in EXTENSIONS]
        seen = [self.found.get(file) for file in files]
        if seen[:2] != [marker.tar.sha256, marker.parquet.sha256]:
            return False
        known = self.sums if self.index is None else self.promised
        return all(known.get(file, self.found[file]) == self.found[file] for file in files)

    def marker_like(self, marker: Marker, known: list[dict[str, str]]) -> Marker | None:
        """`marker` with the environment that a witness's hash of it tells, if there is one.

        known: environments that it may have recorded, besides its own and the other markers'.
        """
        tried = [marker.environment, *known, *(m.environment for m in self.markers.values())]
        for place, environment in enumerate(tried):
            candidate = replace(marker, environment=environment)
            fresh = environment not in tried[:place]
            if fresh and self.confirms(f"{marker.shard}.json", marker_digest(candidate)):
                return candidate
        return None


def marker_digest(marker: Marker) -> str:
    return hashlib.sha256(json_bytes(asdict(marker))).hexdigest()


def read_recorded_hashes(
    shards: Path | Store, names: Iterable[str], remembered: Path | None = None
) -> RecordedHashes:
    """Reads and hashes every file in `shards`.

    names: of the shards that should be there.
    remembered: the index.json of the last publishing, kept elsewhere; it speaks where neither the
        corpus's own nor SHA256SUMS is left.
    """
    store = store_of(shards)
    found = {name: _hash(store, name) for name in store.names()}
    summed = found.pop(SUMS, "")
    sums: dict[str, str] = {}
    if summed:
        lines = LINE.findall(store.read(SUMS))
        sums = {os.fsdecode(name): digest.decode() for digest, name in lines}
    index = _sound_index(store.read(INDEX)) if found.get(INDEX) else None
    if INDEX not in found and not summed and remembered is not None and remembered.is_file():
        index = _sound_index(remembered.read_bytes())
    promised = indexed_hashes(index) if index is not None else {}
    markers = {name: _marker(store, name) for name in names if found.get(f"{name}.json")}
    known = {name: marker for name, marker in markers.items() if marker is not None}
    return RecordedHashes(found, sums, promised, index, known)


def _hash(store: Store, name: str) -> str:
    try:
        return "" if store.size(name) is None else store.sha256(name)
    except OSError:
        return ""


def _sound_index(raw: bytes) -> dict[str, Any] | None:
    try:
        index = json.loads(raw)
        if json_bytes(index) == raw and index["index_digest"] == index_digest(index):
            indexed_hashes(index)
            return dict(index)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return None


def _marker(store: Store, name: str) -> Marker | None:
    raw = store.read(f"{name}.json")
    try:
        marker = Marker.parse(raw)
    except ValueError:
        return None
    return marker if marker.shard == name and json_bytes(asdict(marker)) == raw else None
