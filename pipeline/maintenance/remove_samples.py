"""Removes the samples of forgotten images from the shards; the other samples keep their bytes.

In a folder a shard is written again beside the old one and replaces it. From an object store it is
fetched, written again in the mirror, and uploaded as every shard is: the old marker is removed
first, the new one written last. Killed anywhere, the same call goes on.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from ...manifests.errors import ScoreMixError, StorageError, VerifyError
from ...manifests.files.atomic import storage_errors
from ...manifests.files.crash_points import crash_point
from ...manifests.files.durable import make_folder
from ...manifests.published.foreign import foreign_shard_files
from ...manifests.published.mirror import MirroredStore
from ...manifests.published.names import METADATA_FILES, SHARD_FILE
from ...manifests.published.publish import unpublish
from ...manifests.run_folder import RunFolder
from ...manifests.shards.replace import install_shard
from ...manifests.shards.rewrite import rewrite_shard
from ...manifests.shards.shard import Marker, read_marker
from ...manifests.storage.location import Place
from ...manifests.storage.store import LocalStore, Store
from ...stages.write.tasks import ShardTask
from ..fingerprints import inputs_of_write
from ..finished_run import FinishedRun
from ..shards.destination import ShardDestination
from ..shards.local import LocalDestination
from ..shards.object_store import ObjectStoreDestination
from ..shards.stores import open_shards

# In the order in which a shard is removed: its marker vouches for the rest.
_EXTENSIONS = ("tar", "parquet", "json")


def remove_forgotten(opened: FinishedRun) -> None:
    """Makes the shards those of the plan without the forgotten images, and publishes them.

    Raises StorageError where the disk or the store refuses; the same call goes on.
    """
    place, tasks = opened.ledger.place(), opened.planned.shards
    destination: ShardDestination
    store: Store
    clear: Callable[[ShardTask], None]
    if isinstance(place, Path):
        destination, store = LocalDestination(place, opened.folder), LocalStore(place)
        clear = partial(_in_folder, place, destination.temporary() / "forget")
    else:
        destination = ObjectStoreDestination(place, opened.folder, lambda: False)
        store = destination.store
        clear = partial(_in_store, destination.store, RunFolder(opened.folder).temporary)
    unpublish(store)
    for task in tasks:
        clear(task)
    _remove_others(store, {task.name for task in tasks})
    if all(destination.finished(task) for task in tasks):
        destination.publish(opened.builder("cpu"))
        inputs, sums = inputs_of_write(opened.planned), destination.sums_sha256()
        opened.ledger.record("write", inputs, shards=len(tasks), sums_sha256=sums)
    crash_point("forgotten-published")


def remove_shards(place: Place, run: Path, names: set[str] | None) -> None:
    """Unpublishes the shards and removes those of `names`, None: all of them, and the small files
    that tell what is in them. May be killed and called again."""
    store = open_shards(place, run)
    unpublish(store)
    for one in _with_mirror(store):
        for name in _shard_names(one, ours_alone=one is store):
            if names is None or name in names:
                _remove(one, name)
        for name in METADATA_FILES:
            one.remove(name)


def _in_folder(shards: Path, made: Path, task: ShardTask) -> None:
    """Rewrites one shard, which may be finished, begun by a killed process, or damaged."""
    name = task.name
    if not (made / f"{name}.json").exists():  # else a killed process was moving it
        if task.finished(shards):
            return
        if not _rewritten(shards, made, made.parent, read_marker(shards, name), task):
            _remove(LocalStore(shards), name)
            return
    install_shard(made, shards, name, new=True)


def _in_store(store: MirroredStore, temporary: Path, task: ShardTask) -> None:
    """The same in an object store; a killed process's work is recognised by its marker."""
    name, mirror = task.name, store.mirror
    if not task.finished(store):
        fetched = temporary / "forget"
        if not task.finished(mirror):
            _fetch(store, name, fetched)
            if not _rewritten(fetched, mirror, temporary, read_marker(store, name), task):
                _remove(store, name)
                _remove(LocalStore(mirror), name)
                return
            _remove(LocalStore(fetched), name)
        store.refresh()
        store.upload(name)
    marker = read_marker(mirror, name)
    if marker is None or marker.rows_digest != task.rows_digest:
        _remove(LocalStore(mirror), name)
    store.drop_tar(name)


def _fetch(store: MirroredStore, name: str, fetched: Path) -> None:
    with storage_errors(fetched):
        make_folder(fetched)
        for extension in ("tar", "parquet"):
            with suppress(FileNotFoundError):
                store.remote.fetch(f"{name}.{extension}", fetched / f"{name}.{extension}")


def _rewritten(
    shards: Path, made: Path, temporary: Path, marker: Marker | None, task: ShardTask
) -> bool:
    """Writes the shard again without the forgotten; False where it is damaged, since it is then
    deleted whole and made again by the run."""
    try:
        if marker is None:
            raise VerifyError(f"{task.name} has no marker")
        rewrite_shard(shards, made, temporary, marker, task.rows, task.rows_digest)
    except StorageError:
        raise
    except ScoreMixError:
        return False
    crash_point("shard-rewritten")
    return True


def _remove(store: Store, name: str) -> None:
    for extension in _EXTENSIONS:
        store.remove(f"{name}.{extension}")


def _remove_others(store: Store, names: set[str]) -> None:
    """Removes shards that are no longer planned, and their files in a mirror."""
    for one in _with_mirror(store):
        for name in _shard_names(one, ours_alone=one is store):
            if name not in names:
                _remove(one, name)


def _with_mirror(store: Store) -> list[Store]:
    if isinstance(store, MirroredStore) and store.mirror.is_dir():
        return [store, LocalStore(store.mirror)]
    return [store]


def _shard_names(store: Store, *, ours_alone: bool) -> list[str]:
    """Shards of which a file is there; ours_alone: and vouched for as a run's."""
    names = [name for name in store.names() if SHARD_FILE.fullmatch(name)]
    foreign = foreign_shard_files(store, names) if ours_alone else []
    return sorted({name.partition(".")[0] for name in names if name not in set(foreign)})
