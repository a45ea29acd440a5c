"""Which files in a corpus's folder are no run's: by their names, and shards by what vouches for
them."""

from collections.abc import Sequence, Set

import pyarrow as pa

from ..files.atomic import read_parquet
from ..shards.shard import read_marker
from ..storage.store import Store
from .index import INDEX, indexed_hashes, parse_index
from .names import SHARD_FILE, content_names, is_own, listed_extras


def foreign_names(store: Store) -> list[str]:
    """Files that no run makes, and those named as a shard's that nothing vouches for. What the last
    index lists is not among them: earlier versions listed whatever lay in the folder, and such a
    corpus stays whole."""
    names = content_names(store)
    found = [name for name in names if not is_own(name)]
    listed = listed_extras(store) if found else {}
    unvouched = foreign_shard_files(store, names)
    return sorted({name for name in found if name not in listed} | set(unvouched))


def foreign_shard_files(
    store: Store, names: Sequence[str], planned: Set[str] | None = None
) -> list[str]:
    """Those of `names` that are named as a shard's files and are not a run's, as far as is known:
    neither is the shard among `planned`, nor does the index list the file, nor is it what a marker
    beside it committed.

    A shard that a killed process has begun has no marker; its plan was written before it.

    planned: shards of a plan of the run; None: those of plan.parquet there.
    """
    files = [name for name in names if SHARD_FILE.fullmatch(name)]
    indexed = _indexed(store) if files else frozenset()
    unlisted = [name for name in files if name not in indexed]
    if not unlisted:
        return []
    known = planned_shards(store) if planned is None else planned
    others = [name for name in unlisted if _shard_of(name) not in known]
    committed = {shard: _committed(store, shard) for shard in {_shard_of(name) for name in others}}
    return [name for name in others if committed[_shard_of(name)].get(name, -1) != store.size(name)]


def planned_shards(store: Store) -> frozenset[str]:
    """Names of the shards in plan.parquet; none where it is not there or damaged."""
    if store.size("plan.parquet") is None:
        return frozenset()
    try:
        return frozenset(read_parquet(store.read("plan.parquet"))["shard"].to_pylist())
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return frozenset()


def _shard_of(file: str) -> str:
    return file.partition(".")[0]


def _indexed(store: Store) -> Set[str]:
    if store.size(INDEX) is None:
        return frozenset()
    try:
        return indexed_hashes(parse_index(store.read(INDEX))).keys()
    except ValueError:
        return frozenset()


def _committed(store: Store, shard: str) -> dict[str, int | None]:
    """File -> bytes, of the files that the shard's marker committed, and of the marker."""
    marker, own = read_marker(store, shard), f"{shard}.json"
    if marker is None:
        return {}
    sizes = {f"{shard}.tar": marker.tar.size, f"{shard}.parquet": marker.parquet.size}
    return {**sizes, own: store.size(own)}
