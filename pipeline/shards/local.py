"""LocalDestination: shards in a folder on a file system that every worker sees."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from ...manifests.files.atomic import read_parquet, sha256_file, storage_errors
from ...manifests.files.durable import make_folder
from ...manifests.files.lock import folder_lock, remove_shard_locks
from ...manifests.files.mounts import on_one_mount
from ...manifests.published.publish import is_published, unpublish, write_plan
from ...manifests.published.sums import SUMS
from ...manifests.run_folder import RunFolder
from ...manifests.shards.shard import Marker, read_marker
from ...manifests.storage.store import LocalStore
from ...stages.common.progress import Advance
from ...stages.generate.generate import GeneratedBatch
from ...stages.write.tasks import ShardTask
from ..ledger import Ledger
from .builder import ShardBuilder
from .ownership import refuse_other_owner
from .room import refuse_full_disk

_ID_LENGTH = 12  # digits of the run's id in the name of a folder


class LocalDestination:
    """A folder on a file system that every worker sees under the run's locks."""

    def __init__(self, shards: Path, run: Path) -> None:
        self.shards, self.run = shards, run

    def __str__(self) -> str:
        return str(self.shards)

    def clean(self) -> None:
        remove_shard_locks(self.run)
        if self.shards.is_dir():
            refuse_other_owner(LocalStore(self.shards), self.run)
            shutil.rmtree(self.temporary(), ignore_errors=True)
            for name in (f".{self.shards.name}.scoremix-tmp", f"{self.shards.name}/.scoremix-tmp"):
                shutil.rmtree(self.shards.parent / name, ignore_errors=True)  # earlier versions'

    def claim(
        self, builder: ShardBuilder, record_owner: Callable[[bool], None], changes: bool
    ) -> None:
        with storage_errors(self.shards):
            make_folder(self.shards)
        with folder_lock(self.shards):
            record_owner(False)
            if changes:
                unpublish(self.shards)
                write_plan(LocalStore(self.shards, self.temporary()), builder.planned.rows)

    def check_room(self, builder: ShardBuilder, missing: list[ShardTask]) -> None:
        # Shards of another plan or recipe are replaced, one after the other.
        old = (path for task in missing for path in self.shards.glob(f"{task.name}.*"))
        held = sum(path.stat().st_size for path in old)
        refuse_full_disk(self.shards, builder.estimate_bytes(missing), held)

    def finished(self, task: ShardTask) -> bool:
        return task.finished(self.shards)

    def unplanned_markers(self, names: set[str]) -> list[Marker]:
        found = (path.stem for path in self.shards.glob("aug-*.json") if path.stem not in names)
        markers = (read_marker(self.shards, name) for name in found)
        return [marker for marker in markers if marker is not None]

    def is_published(self) -> bool:
        return is_published(self.shards)

    def write_shard(
        self,
        builder: ShardBuilder,
        task: ShardTask,
        batches: Iterator[GeneratedBatch],
        advance: Advance,
    ) -> None:
        refuse_other_owner(LocalStore(self.shards), self.run)
        builder.write(task, batches, self.shards, self.temporary(), advance)

    def publish(self, builder: ShardBuilder) -> None:
        refuse_other_owner(LocalStore(self.shards), self.run)
        temporary = self.temporary()
        shutil.rmtree(temporary, ignore_errors=True)  # left by workers that died
        builder.publish(self.shards, temporary)
        shutil.rmtree(temporary, ignore_errors=True)

    def sums_sha256(self) -> str:
        return sha256_file(self.shards / SUMS)

    def manifest(self) -> pa.Table:
        return read_parquet(self.shards / "manifest.parquet")

    def temporary(self) -> Path:
        """For unfinished files: on the file system of the shards, not among them if it can; with
        the run's id in its name, since other runs may have folders beside it."""
        shards, run = self.shards, self.run
        with storage_errors(shards):
            make_folder(shards)
        if run in shards.parents and on_one_mount(run, shards):
            return RunFolder(run).temporary
        name = f"scoremix-tmp-{(Ledger(run).run_id or 'none')[:_ID_LENGTH]}"
        if on_one_mount(shards.parent, shards):
            return shards.with_name(f".{shards.name}.{name}")
        return shards / f".{name}"  # a mount point: gone before anything is published
