"""Opens the place where a run writes its shards: a folder, or a prefix of an object store."""

from collections.abc import Callable
from pathlib import Path

from ...manifests.storage.location import Place
from .destination import ShardDestination
from .local import LocalDestination
from .object_store import ObjectStoreDestination


def open_destination(place: Place, run: Path, stopping: Callable[[], bool]) -> ShardDestination:
    """Where the run folder `run` writes its shards."""
    if isinstance(place, Path):
        return LocalDestination(place, run)
    return ObjectStoreDestination(place, run, stopping)
