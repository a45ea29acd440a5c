"""ObjectStoreDestination: shards are finished in the run folder, uploaded and read back."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from ...manifests.errors import ConfigError, StorageError
from ...manifests.files.atomic import read_parquet
from ...manifests.files.lock import remove_shard_locks
from ...manifests.published.mirror import MirroredStore
from ...manifests.published.owner import Owner, read_owner
from ...manifests.published.publish import is_published, plan_bytes, unpublish, write_plan
from ...manifests.published.sums import SUMS
from ...manifests.run_folder import RunFolder
from ...manifests.shards.shard import Marker, read_marker
from ...manifests.storage.location import URL
from ...manifests.storage.remote import open_remote
from ...manifests.storage.retry import RetryPolicy
from ...stages.common.progress import Advance
from ...stages.common.units import format_bytes
from ...stages.generate.generate import GeneratedBatch
from ...stages.write.tasks import ShardTask
from ..ledger import Ledger
from .builder import ShardBuilder
from .room import fits


class ObjectStoreDestination:
    """A prefix of an object store. Locks are the run folder's: two workers with a run folder each
    may make the same shard, of the same bytes; one copy is then discarded."""

    def __init__(self, url: URL, run: Path, stopping: Callable[[], bool]) -> None:
        self.url, self.run = url, run
        self._owner: Owner | None = None  # as it was when this process first wrote
        remote = open_remote(url, RetryPolicy.from_environment(stopping))
        self.store = MirroredStore(remote, RunFolder(run).mirror)

    def __str__(self) -> str:
        return str(self.url)

    def clean(self) -> None:
        remove_shard_locks(self.run)
        shutil.rmtree(self._temporary(), ignore_errors=True)
        owner = read_owner(self.store)
        if owner is not None and owner.run_id == Ledger(self.run).run_id:  # else another's, perhaps
            self.store.remote.abort_unfinished()

    def claim(
        self, builder: ShardBuilder, record_owner: Callable[[bool], None], changes: bool
    ) -> None:
        record_owner(self._is_of(builder))
        self._owner = read_owner(self.store)
        if changes:
            unpublish(self.store)
            write_plan(self.store, builder.planned.rows)

    def check_room(self, builder: ShardBuilder, missing: list[ShardTask]) -> None:
        """One shard at a time passes through the run folder; a store is never full."""
        wanted = max((builder.estimate_bytes([task]) for task in missing), default=0)
        if not fits(self.run, wanted):
            free = shutil.disk_usage(self.run).free
            raise StorageError(
                f"A shard takes about {format_bytes(wanted)} before it is uploaded; {self.run} has"
                f" {format_bytes(free)} left. Free some space, or set write.shard_size to fewer"
                " images."
            )

    def finished(self, task: ShardTask) -> bool:
        return task.finished(self.store)

    def unplanned_markers(self, names: set[str]) -> list[Marker]:
        stems = (name.removesuffix(".json") for name in self.store.names())
        found = (stem for stem in stems if stem.startswith("aug-") and stem not in names)
        markers = (read_marker(self.store, stem) for stem in found if "." not in stem)
        return [marker for marker in markers if marker is not None]

    def is_published(self) -> bool:
        return is_published(self.store)

    def write_shard(
        self,
        builder: ShardBuilder,
        task: ShardTask,
        batches: Iterator[GeneratedBatch],
        advance: Advance,
    ) -> None:
        self._refuse_other_owner()
        mirror = self.store.mirror
        if task.finished(mirror):  # a stop came between making and uploading
            advance(task.rows.num_rows, resumed=True)
        else:
            builder.write(task, batches, mirror, self._temporary(), advance)
        # Asked of the store itself: a listing of all shards for each of them would be quadratic.
        if task.finished(self.store.remote):  # by a worker with a run folder of its own, meanwhile
            self.store.drop_tar(task.name)
        else:
            self.store.upload(task.name)

    def publish(self, builder: ShardBuilder) -> None:
        self._refuse_other_owner()
        self.store.refresh()
        builder.publish(self.store)
        self.store.remote.abort_unfinished()
        self.store.keep_only({task.name for task in builder.planned.shards})
        shutil.rmtree(self._temporary(), ignore_errors=True)

    def sums_sha256(self) -> str:
        return self.store.sha256(SUMS)

    def manifest(self) -> pa.Table:
        return read_parquet(self.store.read("manifest.parquet"))

    def _refuse_other_owner(self) -> None:
        """Raises ConfigError where the prefix has changed hands since this process first wrote."""
        owner = read_owner(self.store)
        if self._owner is not None and (owner is None or owner.run_id != self._owner.run_id):
            raise ConfigError(
                f"{self.url} has become another run's while this one wrote to it: two began at the"
                " same moment. Nothing more is written. Give this run another --out."
            )
        self._owner = owner

    def _is_of(self, builder: ShardBuilder) -> bool:
        """Whether a worker with a copy of the run folder has begun this very corpus there."""
        planned = {
            task.name: (task.rows_digest, task.recipe_digest) for task in builder.planned.shards
        }
        names = self.store.names()
        there = (read_marker(self.store, name) for name in planned if f"{name}.json" in names)
        markers = [marker for marker in there if marker is not None]
        if not markers and "plan.parquet" in names:
            return self.store.read("plan.parquet") == plan_bytes(builder.planned.rows)
        same = (planned[one.shard] == (one.rows_digest, one.recipe_digest) for one in markers)
        return bool(markers) and all(same)

    def _temporary(self) -> Path:
        return RunFolder(self.run).temporary
