"""The shards of a plan, as tasks: without torch, so that a status is read at once."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ...manifests.plan.plan import group_by_shard, rows_digest
from ...manifests.shards.shard import is_complete
from ...manifests.storage.store import Store


@dataclass(frozen=True)
class ShardTask:
    """One shard to make: its plan rows and the digests that identify its content."""

    name: str
    rows: pa.Table
    rows_digest: str
    recipe_digest: str

    def finished(self, shards: Path | Store) -> bool:
        """Whether a committed shard with these digests is in `shards`."""
        return is_complete(
            shards, self.name, rows_digest=self.rows_digest, recipe_digest=self.recipe_digest
        )


def plan_shards(plan: pa.Table, real_digest: str, augmented_digest: str) -> list[ShardTask]:
    """Every shard of the plan, with the digests of its rows and of its recipe."""
    return [
        ShardTask(
            name,
            rows,
            rows_digest(rows),
            augmented_digest if rows["round"][0].as_py() else real_digest,
        )
        for name, rows in group_by_shard(plan).items()
    ]
