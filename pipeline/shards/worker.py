"""Many processes, one corpus: each makes its share of the shards, then what nobody else is making.

No process waits for another or talks to it: a shard's lock names its maker, a shard's marker says
that it is finished. The lock of a process that dies is free again, and the bytes do not depend on
who made what, so that any number of workers, started at any time, leave the same corpus.
"""

import time
from collections.abc import Generator
from dataclasses import dataclass, field

from ...manifests.errors import Interrupted
from ...manifests.files.lock import shard_lock
from ...stages.common.progress import Advance
from ...stages.write.tasks import ShardTask
from ..job import Job
from ..launch import Worker
from .destination import ShardDestination

_POLL = 0.5  # seconds between polls of shards that others are making


@dataclass
class ShardWorker:
    """One process among those that make the shards of a run."""

    shards: list[ShardTask]  # of the whole plan
    destination: ShardDestination
    job: Job
    worker: Worker
    made: list[str] = field(default_factory=list)  # names of shards, by this process

    def count_missing_images(self) -> int:
        """Images in shards that are not finished yet."""
        missing = (task for task in self.shards if not self.destination.finished(task))
        return sum(task.rows.num_rows for task in missing)

    def lock_missing_shards(self, advance: Advance, *, wait: bool) -> Generator[ShardTask]:
        """Yields shard after shard with its lock held; the caller makes it before the next, and
        closes the generator, which frees the last lock.

        advance: called for shards that others finish meanwhile, too, with their images.
        wait: until every shard is finished, and takes over from makers that die; else shards that
        others are making are left to them.

        Raises Interrupted where a stop is asked for while waiting.
        """
        left = [task for task in self.worker.order(self.shards) if not self._finished(task)]
        while left:
            locked_by_others = []
            for task in left:
                if self._finished(task):  # by another process, meanwhile
                    advance(task.rows.num_rows, resumed=True)
                    continue
                with shard_lock(self.job.folder, task.name) as is_ours:
                    if not is_ours:
                        locked_by_others.append(task)
                    elif self._finished(task):
                        advance(task.rows.num_rows, resumed=True)
                    else:
                        yield task
                        self.made.append(task.name)
            left = locked_by_others
            if not wait:
                return
            if left:
                self._pause()

    def note_share(self) -> None:
        """Notes how many shards this process made, where there are several."""
        if self.worker.count > 1:
            self.job.progress.note(f"write: worker {self.worker} made {len(self.made)} shards")

    def _finished(self, task: ShardTask) -> bool:
        return self.destination.finished(task)

    def _pause(self) -> None:
        if self.job.stopping():
            raise Interrupted("Stopped while others make the last shards; nothing is lost.")
        time.sleep(_POLL)
