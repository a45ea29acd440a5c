"""Many workers, one corpus: each takes its share of the shards, then what nobody else is making.

No worker waits for another or talks to it: a shard's lock says who makes it, a shard's marker says
that it is made. The lock of a worker that dies is free again, and the bytes do not depend on who
made what, so that any number of workers, started whenever, leave the same corpus.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

from ...manifests.errors import ConfigError, Interrupted
from ...manifests.files.lock import shard_lock
from ...manifests.published.partition import parse_fraction
from ...stages.write.write import ShardTask
from ..progress import ProgressReporter
from .builder import ShardBuilder
from .local import Advance, ShardDestination

_LOOK_AGAIN = 0.5  # seconds between two looks at shards that others are making


@dataclass(frozen=True)
class Worker:
    """The I-th of N, from 0."""

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ConfigError(
                f"Worker {self.index}/{self.count} does not exist: of {self.count} workers the"
                f" first is 0/{self.count}, the last {self.count - 1}/{self.count}."
            )

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def share(self, work: list[ShardTask]) -> list[ShardTask]:
        """Every count-th shard from the index-th on."""
        return work[self.index :: self.count]

    def order(self, work: list[ShardTask]) -> list[ShardTask]:
        """Its own share, then the others', from the end: they begin at the start."""
        own = self.share(work)
        names = {item.name for item in own}
        return own + [item for item in reversed(work) if item.name not in names]


def parse_worker(text: str, environment: Mapping[str, str] = os.environ) -> Worker:
    """ "I/N", or "auto": what Slurm, Kubernetes or torchrun say in the environment.

    Raises ConfigError where it is neither.
    """
    if text == "auto":
        return _from(environment)
    numbers = parse_fraction(text)
    if numbers is None:
        raise ConfigError(f"--worker is {text!r}; use I/N, as in 0/4 to 3/4, or auto.")
    return Worker(*numbers)


def _from(environment: Mapping[str, str]) -> Worker:
    def number(name: str) -> int:
        try:
            return int(environment[name])
        except (KeyError, ValueError) as error:
            found = repr(environment[name]) if name in environment else "not set"
            raise ConfigError(f"--worker auto needs {name} as a number; it is {found}.") from error

    if "SLURM_ARRAY_TASK_ID" in environment:
        first = number("SLURM_ARRAY_TASK_MIN")
        step = int(environment.get("SLURM_ARRAY_TASK_STEP", "1"))
        return Worker((number("SLURM_ARRAY_TASK_ID") - first) // step, number(_SLURM_COUNT))
    if "JOB_COMPLETION_INDEX" in environment:
        return Worker(number("JOB_COMPLETION_INDEX"), number("SCOREMIX_WORKERS"))
    if "RANK" in environment:
        return Worker(number("RANK"), number("WORLD_SIZE"))
    raise ConfigError(
        "--worker auto finds neither SLURM_ARRAY_TASK_ID (a Slurm array), JOB_COMPLETION_INDEX (a"
        " Kubernetes Indexed Job, with SCOREMIX_WORKERS beside) nor RANK (torchrun) in the"
        " environment. Name the worker: --worker I/N."
    )


_SLURM_COUNT = "SLURM_ARRAY_TASK_COUNT"


@dataclass
class ShardWorker:
    """One process among those that make the shards of a run."""

    builder: ShardBuilder
    destination: ShardDestination
    progress: ProgressReporter
    worker: Worker
    made: int = 0  # shards, by this process

    def make_all(self, *, waits: bool) -> bool:
        """Makes what is missing; True once every shard of the plan is finished.

        waits: until that is so, and takes over from whoever dies; else leaves others to theirs.
        """
        planned = self.builder.planned.work
        left = self._mine(planned)
        total = sum(work.rows.num_rows for work in left if not self.destination.finished(work))
        with self.progress.task("generate", total, "images") as advance:
            left = [work for work in left if not self.destination.finished(work)]
            while left:
                left = [work for work in left if not self._done(work, advance)]
                if left and not waits:
                    break
                if left:
                    self._pause()
        if self.worker.count > 1:
            self.progress.note(f"write: worker {self.worker} made {self.made} shards")
        return all(self.destination.finished(work) for work in planned)

    def _mine(self, planned: list[ShardTask]) -> list[ShardTask]:
        return self.worker.order(planned) if self.destination.helps else self.worker.share(planned)

    def _done(self, work: ShardTask, advance: Advance) -> bool:
        """Makes the shard, unless it is made or somebody is at it; whether it is finished."""
        if self.destination.finished(work):  # by somebody else, meanwhile
            advance(work.rows.num_rows)
            return True
        with shard_lock(self.builder.run, work.name) as mine:
            if not mine:
                return False
            if self.destination.finished(work):
                advance(work.rows.num_rows)
            else:
                self.destination.make(self.builder, work, advance)
                self.made += 1
            return True

    def _pause(self) -> None:
        if self.builder.stopping():
            raise Interrupted("Stopped while others make the last shards; nothing is lost.")
        time.sleep(_LOOK_AGAIN)
