"""Moves a shard that was made in another folder into its corpus, local or in an object store.

Tar and Parquet first, the marker last, each by a rename. Where the bytes equal the old ones, a kill
in between leaves files that are damaged or whole; where they are new, the old marker is removed
first, so that no marker describes other files than those beside it.
"""

from dataclasses import asdict
from pathlib import Path

from ..files.atomic import json_bytes, storage_errors
from ..files.crash_points import crash_point
from ..files.durable import remove_file, rename
from ..storage.remote import RemoteStore
from .shard import Marker


def upload_shard(made: Path, store: RemoteStore, marker: Marker, *, new: bool) -> None:
    """Uploads NAME.tar and NAME.parquet of the folder `made`, then `marker`; each is read back.

    new: the bytes differ from the old ones, so the old marker is removed first.
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

    new: the bytes differ from the old ones. Files that an interrupted call has moved may be gone.
    """
    with storage_errors(shards):
        if new:
            remove_file(shards / f"{name}.json")
        crash_point("install-begun")
        for extension in ("tar", "parquet", "json"):
            file = f"{name}.{extension}"
            if (made / file).exists():
                rename(made / file, shards / file)
            crash_point(f"installed-{extension}")
