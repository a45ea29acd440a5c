"""Rewrites a shard without some of its samples: the others keep their bytes."""

import tarfile
from pathlib import Path

import pyarrow as pa

from ..errors import VerifyError
from ..files.atomic import read_parquet, sha256_file
from ..plan.schema import MANIFEST
from .shard import Marker, committed
from .tar import TarWriter


def rewrite_shard(
    shards: Path, made: Path, temporary: Path, marker: Marker, kept: pa.Table, rows_digest: str
) -> Marker:
    """Writes the shard of `marker` with the samples of `kept` (plan rows) into the folder `made`.

    temporary: for unfinished files, on the file system of `made`.

    Raises VerifyError, before anything is written, where tar or Parquet are not those that the
    marker committed.
    """
    name = marker.shard
    for path, facts in (
        (shards / f"{name}.tar", marker.tar),
        (shards / f"{name}.parquet", marker.parquet),
    ):
        if not path.is_file() or sha256_file(path) != facts.sha256:
            raise VerifyError(
                f"{path} is not the file that its marker committed. Run verify, then repair."
            )
    keys = set(kept["key"].to_pylist())

    def copy_kept(tar: TarWriter) -> pa.Table:
        offsets = _copy(shards / f"{name}.tar", tar, keys)
        old = read_parquet(shards / f"{name}.parquet").to_pylist()
        rows = [row | {"offset": offsets[row["key"]]} for row in old if row["key"] in keys]
        return pa.Table.from_pylist(rows, schema=MANIFEST)

    return committed(
        made,
        temporary,
        name,
        copy_kept,
        rows_digest=rows_digest,
        recipe_digest=marker.recipe_digest,
        environment=marker.environment,
    )


def _copy(path: Path, tar: TarWriter, keys: set[str]) -> dict[str, int]:
    """Copies the members of these samples in their order; key -> offset of its image."""
    offsets = {}
    with tarfile.open(path, "r:") as old:
        for member in old:
            key, _, extension = member.name.partition(".")
            if key in keys:
                file = old.extractfile(member)
                assert file is not None, member.name
                offset = tar.add(member.name, file.read())
                if extension not in ("cls", "json"):
                    offsets[key] = offset
    return offsets
