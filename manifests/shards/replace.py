"""A shard that was made in a folder of its own takes its place in a corpus.

Tar and Parquet first, the marker last, each by a rename. Where the bytes are the old ones, a
process that is killed on the way leaves what is damaged or whole, never anything else; where they
are new, the old marker goes first.
"""

import os
from dataclasses import asdict
from pathlib import Path

from ..files.atomic import json_bytes, storage_errors, sync_folder
from ..files.crash_points import crash_point
from ..storage.remote import RemoteStore
from .shard import Marker


def upload_shard(made: Path, store: RemoteStore, marker: Marker, *, new: bool) -> None:
    """The same in an object store: NAME.tar and NAME.parquet of `made` and, both checked, `marker`.

    new: other bytes than before, so the old marker goes first.
    """
    name = marker.shard
    if new:
        store.remove(f"{name}.json")
    for extension, facts in (("tar", marker.tar), ("parquet", marker.parquet)):
        file = f"{name}.{extension}"
        store.put(file, made / file, facts.sha256)
        crash_point(f"installed-{extension}")
    store.write(f"{name}.json", json_bytes(asdict(marker)))
    crash_point("installed-json")


def install_shard(made: Path, shards: Path, name: str, *, new: bool) -> None:
    """Moves NAME.tar, NAME.parquet and NAME.json from `made`, on the same file system.

    new: other bytes than before. Files that an interrupted call has moved are not missed.
    """
    with storage_errors(shards):
        marker = shards / f"{name}.json"
        if new and os.path.lexists(marker):
            marker.unlink()
            sync_folder(shards)
        crash_point("install-begun")
        for extension in ("tar", "parquet", "json"):
            file = f"{name}.{extension}"
            if (made / file).exists():
                os.replace(made / file, shards / file)
                sync_folder(shards)
            crash_point(f"installed-{extension}")
