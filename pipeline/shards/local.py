"""The product of a run: the place where its shards lie, and what may be done to it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from ...manifests.errors import StorageError
from ...manifests.files.atomic import read_parquet, storage_errors
from ...manifests.files.lock import folder_lock, remove_shard_locks
from ...manifests.published.publish import is_published, unpublish, write_plan
from ...manifests.shards.shard import Marker, read_marker
from ...manifests.storage.location import Place
from ...manifests.storage.store import LocalStore
from ...stages.common.units import format_bytes
from ...stages.write.write import ShardTask
from .builder import ShardBuilder

Advance = Callable[[int], None]

DISK_MARGIN = 0.8  # of an estimate: what is refused for less would not have fitted


class ShardDestination(Protocol):
    """Shards below one place. Whoever makes one holds its lock (workers.py)."""

    helps: bool  # whether workers see each other's locks, so that one may do another's share

    def clean(self) -> None:
        """Takes away what killed processes left. The caller holds the run alone."""
        ...

    def claim(self, builder: ShardBuilder, own: Callable[[], None], changes: bool) -> None:
        """Makes the place this run's: `own` refuses another's, and remembers it.

        changes: shards are to be made, so from here on the place does not verify.
        """
        ...

    def check_room(self, builder: ShardBuilder, todo: list[ShardTask]) -> None:
        """Raises StorageError where there is no room for these shards; changes nothing."""
        ...

    def finished(self, work: ShardTask) -> bool:
        """Whether the shard is there, whole by its marker, and the planned one."""
        ...

    def others(self, names: set[str]) -> list[Marker]:
        """Markers of augmented shards that are not among `names`."""
        ...

    def is_published(self) -> bool: ...

    def make(self, builder: ShardBuilder, work: ShardTask, advance: Advance) -> None:
        """Makes one shard and commits it. Called with the shard's lock held."""
        ...

    def publish(self, builder: ShardBuilder) -> None:
        """Finished shards become a corpus; nothing temporary stays."""
        ...

    def manifest(self) -> pa.Table: ...


def open_destination(place: Place, run: Path, stopping: Callable[[], bool]) -> ShardDestination:
    """The product of the run folder `run`, a folder or a prefix of an object store."""
    if isinstance(place, Path):
        return LocalDestination(place, run)
    from .object_store import ObjectStoreDestination

    return ObjectStoreDestination(place, run, stopping)


class LocalDestination:
    """A folder on a file system that every worker sees under the run's locks."""

    helps = True

    def __init__(self, shards: Path, run: Path) -> None:
        self.shards, self.run = shards, run

    def __str__(self) -> str:
        return str(self.shards)

    def clean(self) -> None:
        remove_shard_locks(self.run)
        if self.shards.is_dir():
            shutil.rmtree(self.temporary(), ignore_errors=True)

    def claim(self, builder: ShardBuilder, own: Callable[[], None], changes: bool) -> None:
        """The plan is written first, so that another run of the same moment finds it there."""
        with storage_errors(self.shards):
            self.shards.mkdir(parents=True, exist_ok=True)
        with folder_lock(self.shards):
            own()
            if changes:
                unpublish(self.shards)
                write_plan(LocalStore(self.shards, self.temporary()), builder.planned.rows)

    def check_room(self, builder: ShardBuilder, todo: list[ShardTask]) -> None:
        wanted = builder.bytes_of(todo)
        there = next(path for path in (self.shards, *self.shards.parents) if path.exists())
        free = shutil.disk_usage(there).free
        if free < DISK_MARGIN * wanted:
            raise StorageError(
                f"The shards that are missing will take about {format_bytes(wanted)};"
                f" {self.shards} has {format_bytes(free)} left. Nothing was begun. Free some space,"
                " or name another folder"
                " with augment --out; the same command resumes."
            )

    def finished(self, work: ShardTask) -> bool:
        return work.finished(self.shards)

    def others(self, names: set[str]) -> list[Marker]:
        found = (path.stem for path in self.shards.glob("aug-*.json") if path.stem not in names)
        markers = (read_marker(self.shards, name) for name in found)
        return [marker for marker in markers if marker is not None]

    def is_published(self) -> bool:
        return is_published(self.shards)

    def make(self, builder: ShardBuilder, work: ShardTask, advance: Advance) -> None:
        builder.write(work, self.shards, self.temporary(), advance)

    def publish(self, builder: ShardBuilder) -> None:
        temporary = self.temporary()
        shutil.rmtree(temporary, ignore_errors=True)  # of workers that died
        builder.publish(self.shards, temporary)
        shutil.rmtree(temporary, ignore_errors=True)

    def manifest(self) -> pa.Table:
        return read_parquet(self.shards / "manifest.parquet")

    def temporary(self) -> Path:
        """For unfinished files: on the file system of the shards, not among them if it can."""
        shards, run = self.shards, self.run
        with storage_errors(shards):
            shards.mkdir(parents=True, exist_ok=True)
        device = os.stat(shards).st_dev
        if run in shards.parents and run.stat().st_dev == device:
            return run / ".scoremix" / "tmp"
        if shards.parent.stat().st_dev == device:
            return shards.with_name(f".{shards.name}.scoremix-tmp")
        return shards / ".scoremix-tmp"  # a mount point: gone before anything is published
