"""Waits for what another process on the same trial is making."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ...manifests.errors import Interrupted
from ...manifests.files.lock import shard_lock

OTHERS = 10.0  # seconds between two looks at tasks that other processes work on, at most
_POLL = 0.5  # seconds between two looks at a short lock, and at `stopping`


@contextlib.contextmanager
def waiting_lock(folder: Path, name: str, stopping: Callable[[], bool]) -> Iterator[None]:
    """Holds the lock `name` of the trial `folder`, after the process that has it now.

    The caller then looks again whether its work is left to do. Raises Interrupted where
    `stopping()` becomes true meanwhile.
    """
    while True:
        with shard_lock(folder, name) as mine:
            if mine:
                yield
                return
        pause(_POLL, stopping)


def looks() -> Iterator[float]:
    """Seconds until each next look at tasks that other processes work on: short at first."""
    seconds = _POLL
    while True:
        yield seconds
        seconds = min(2 * seconds, OTHERS)


def pause(seconds: float, stopping: Callable[[], bool]) -> None:
    """Sleeps; raises Interrupted where `stopping()` becomes true."""
    end = time.monotonic() + seconds
    while True:
        if stopping():
            raise Interrupted("Stopped; the same command goes on.")
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(_POLL, left))
