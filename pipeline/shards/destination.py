"""ShardDestination: the place where the shards of a run lie, and what a run does to it."""

from collections.abc import Callable, Iterator
from typing import Protocol

import pyarrow as pa

from ...manifests.shards.shard import Marker
from ...stages.common.progress import Advance
from ...stages.generate.generate import GeneratedBatch
from ...stages.write.tasks import ShardTask
from .builder import ShardBuilder


class ShardDestination(Protocol):
    """Shards below one place. The maker of a shard holds its lock (worker.py)."""

    def clean(self) -> None:
        """Removes what killed processes left. The caller holds the run alone."""
        ...

    def claim(
        self, builder: ShardBuilder, record_owner: Callable[[bool], None], changes: bool
    ) -> None:
        """Makes the place this run's: `record_owner` refuses another's, and records it.

        record_owner: its argument says whether the shards there are those of this very plan.
        changes: shards are to be made, so from here on the place does not verify.
        """
        ...

    def check_room(self, builder: ShardBuilder, missing: list[ShardTask]) -> None:
        """Raises StorageError where there is no room for these shards; changes nothing."""
        ...

    def finished(self, task: ShardTask) -> bool:
        """Whether the shard is there, whole by its marker, and the planned one."""
        ...

    def unplanned_markers(self, names: set[str]) -> list[Marker]:
        """Markers of augmented shards that are not among `names`."""
        ...

    def is_published(self) -> bool:
        """Whether SHA256SUMS is there, which is written last, and belongs to the shards."""
        ...

    def write_shard(
        self,
        builder: ShardBuilder,
        task: ShardTask,
        batches: Iterator[GeneratedBatch],
        advance: Advance,
    ) -> None:
        """Commits one shard of these images. Called with the shard's lock held.

        batches: not consumed where the finished shard only has to be uploaded.
        """
        ...

    def publish(self, builder: ShardBuilder) -> None:
        """Finished shards become a corpus; nothing temporary stays."""
        ...

    def sums_sha256(self) -> str:
        """sha256 of SHA256SUMS as it lies there."""
        ...

    def manifest(self) -> pa.Table:
        """manifest.parquet of the published corpus."""
        ...
