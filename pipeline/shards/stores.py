"""The files at a place of shards, to be read now."""

from dataclasses import replace
from pathlib import Path

from ...manifests.published.mirror import MirroredStore
from ...manifests.run_folder import RunFolder
from ...manifests.storage.location import Place
from ...manifests.storage.remote import open_remote
from ...manifests.storage.retry import RetryPolicy
from ...manifests.storage.store import LocalStore, Store

_FIRST_LOOK = 20.0  # seconds


def open_shards(place: Place, run: Path) -> Store:
    """A store that does not answer is soon given up.

    run: the run folder that has a mirror of shards in an object store.
    """
    if isinstance(place, Path):
        return LocalStore(place)
    policy = RetryPolicy.from_environment()
    remote = open_remote(place, replace(policy, seconds=min(policy.seconds, _FIRST_LOOK)))
    return MirroredStore(remote, RunFolder(run).mirror)
