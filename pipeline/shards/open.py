"""Opens the place where a run's shards lie: a folder, or a prefix of an object store."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ...manifests.published.mirror import MirroredStore
from ...manifests.run_folder import RunFolder
from ...manifests.storage.location import Place
from ...manifests.storage.remote import open_remote
from ...manifests.storage.retry import RetryPolicy
from ...manifests.storage.store import LocalStore, Store
from .destination import ShardDestination
from .local import LocalDestination
from .object_store import ObjectStoreDestination

_FIRST_LOOK = 20.0  # seconds


def open_destination(place: Place, run: Path, stopping: Callable[[], bool]) -> ShardDestination:
    """Where the run folder `run` writes its shards."""
    if isinstance(place, Path):
        return LocalDestination(place, run)
    return ObjectStoreDestination(place, run, stopping)


def open_shards(place: Place, run: Path) -> Store:
    """The files at `place`, to be read now: a store that does not answer is soon given up."""
    if isinstance(place, Path):
        return LocalStore(place)
    policy = RetryPolicy.from_environment()
    remote = open_remote(place, replace(policy, seconds=min(policy.seconds, _FIRST_LOOK)))
    return MirroredStore(remote, RunFolder(run).mirror)
