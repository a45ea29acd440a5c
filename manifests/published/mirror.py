"""A corpus in an object store, and its mirror: a local copy of what publishing reads again.

In the mirror, RUN/.scoremix/mirror, shards are committed as in any folder, then uploaded and
checked; then their tars are removed, and Parquet files stay. Only a marker in the store makes a
shard finished for other processes.
"""

import errno
import re
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any

from ..errors import ScoreMixError
from ..files.atomic import sha256_file, write_bytes
from ..shards.replace import upload_shard
from ..shards.shard import Marker, read_marker
from ..storage.remote import RemoteStore, version
from .index import INDEX

_MARKER = re.compile(r"(real|aug)-\d{6,}\.json")
_FRESH = 2.0  # seconds for which a listing is used again, unless this process changed something
_CONCURRENT_READS = 16  # of markers


def mirrored_index(mirror: Path) -> Path:
    """index.json as it was last published."""
    return mirror / INDEX


class MirroredStore:
    """A Store with a mirror. Sizes come from listings: a thousand shards cost a few requests."""

    def __init__(self, remote: RemoteStore, mirror: Path) -> None:
        self.remote, self.mirror = remote, mirror
        self._listing: dict[str, dict[str, Any]] = {}
        self._listed: float | None = None  # when, by the monotonic clock
        self._took = 0.0  # seconds that it took
        self._markers: dict[str, tuple[list[Any], bytes]] = {}  # name -> version, contents

    def __str__(self) -> str:
        return str(self.remote)

    def where(self, name: str) -> str:
        return self.remote.where(name)

    def names(self) -> list[str]:
        return sorted(self._list(0.0))

    def sizes(self) -> dict[str, int]:
        return {name: int(facts["size"]) for name, facts in self._list(0.0).items()}

    def size(self, name: str) -> int | None:
        facts = self._list(_FRESH).get(name)
        return None if facts is None else int(facts["size"])

    def open(self, name: str) -> BufferedReader:
        return self.remote.open(name)

    def open_raw(self, name: str) -> RawIOBase:
        return self.remote.open_raw(name)

    def read(self, name: str) -> bytes:
        """Bytes from the store; a shard's marker once per version, its Parquet from the mirror."""
        if _MARKER.fullmatch(name):
            facts = self._list(_FRESH).get(name)
            known = self._markers.get(name)
            if facts is None:
                raise FileNotFoundError(errno.ENOENT, "No such object", self.where(name))
            if known is not None and known[0] == version(facts):
                return known[1]
        if name.endswith(".parquet") and _MARKER.fullmatch(f"{name[:-8]}.json"):
            return self._parquet(name)
        return self.remote.read(name)

    def sha256(self, name: str) -> str:
        return self.remote.sha256(name)

    def write(self, name: str, data: bytes) -> None:
        self._listed = None
        self.remote.write(name, data)

    def remove(self, name: str) -> None:
        self._listed = None
        self.remote.remove(name)

    def refresh(self) -> None:
        """Drops the listing that is kept: the next question is answered by the store."""
        self._listed = None

    def upload(self, name: str) -> Marker:
        """Uploads a shard that is finished in the mirror; its marker last. Drops the mirror's tar.

        Files that an interrupted upload has completed are checked, not sent again.
        """
        marker = read_marker(self.mirror, name)
        if marker is None:
            raise ScoreMixError(f"{self.mirror} holds no finished shard {name}. Run again.")
        listed, self._listed = self._listed, None
        upload_shard(
            self.mirror, self.remote, marker, new=self.remote.size(f"{name}.json") is not None
        )
        self._add_to_listing(name, marker)
        self._listed = listed
        self.drop_tar(name)
        return marker

    def _add_to_listing(self, name: str, marker: Marker) -> None:
        """What a listing would say of a shard that was just uploaded."""
        facts = self.remote.facts(f"{name}.json")
        if facts is None:  # removed by another process at once: the next listing will say
            return
        self._listing[f"{name}.tar"] = {"size": marker.tar.size}
        self._listing[f"{name}.parquet"] = {"size": marker.parquet.size}
        self._listing[f"{name}.json"] = facts
        self._markers[f"{name}.json"] = version(facts), (self.mirror / f"{name}.json").read_bytes()

    def drop_tar(self, name: str) -> None:
        """Removes the mirror's tar of a shard that the store has."""
        (self.mirror / f"{name}.tar").unlink(missing_ok=True)

    def keep_only(self, shards: set[str]) -> None:
        """Removes files of other shards from the mirror, such as those of an earlier plan.

        Copies index.json too: of a bucket that was emptied, it alone has the hashes.
        """
        for path in self.mirror.glob("*"):
            if path.name.partition(".")[0] not in shards and path != mirrored_index(self.mirror):
                path.unlink(missing_ok=True)
        write_bytes(mirrored_index(self.mirror), self.remote.read(INDEX))

    def _list(self, max_age: float) -> dict[str, dict[str, Any]]:
        """A listing at most `max_age` seconds old; reads the markers that are new in it.

        One that took longer is used for as long as it took: else each call would list anew.
        """
        if self._listed is None or time.monotonic() - self._listed > max(max_age, self._took):
            begin = time.monotonic()
            self._listing = self.remote.listing()
            self._read_markers(filter(_MARKER.fullmatch, self._listing))
            self._listed = time.monotonic() if max_age else None
            self._took = time.monotonic() - begin if max_age else 0.0
        return self._listing

    def _read_markers(self, names: Iterable[str]) -> None:
        current = {name: version(self._listing[name]) for name in names}
        changed = [
            name for name, state in current.items() if self._markers.get(name, ([],))[0] != state
        ]

        def read(name: str) -> None:
            with suppress(FileNotFoundError):  # removed since it was listed
                self._markers[name] = (current[name], self.remote.read(name))

        with ThreadPoolExecutor(_CONCURRENT_READS) as pool:
            list(pool.map(read, changed))

    def _parquet(self, name: str) -> bytes:
        local, marker = self.mirror / name, read_marker(self, name[:-8])
        wanted = marker and marker.parquet.sha256
        if local.is_file() and sha256_file(local) == wanted:
            return local.read_bytes()
        data = self.remote.read(name)  # made on another machine, or lost from the mirror
        write_bytes(local, data)
        return data
