"""Keeps apart what a run writes in its folder, its shards, and what was there before."""

from pathlib import Path

from ..manifests.errors import ConfigError
from ..manifests.run_folder import RunFolder
from ..manifests.storage.location import Place


def refuse_shards_among(files: RunFolder, shards: Place) -> None:
    """Raises ConfigError where the shards lie in, or around, what the run writes and `forget`
    removes; links are followed."""
    if not isinstance(shards, Path):
        return
    where = shards.resolve()
    for own in files.own:
        if where.is_relative_to(own.resolve()):
            raise ConfigError(
                f"{shards} lies in {own}, which the run itself fills, and `forget` may remove as a"
                " whole. Nothing was changed. Keep the shards elsewhere: name another folder with"
                f" augment --out, as {files.shards}; shards that are there are moved to it first."
            )
        if own.resolve().is_relative_to(where):
            raise ConfigError(
                f"{shards} is to hold shards alone, and the run folder's {own} would lie in it."
                " Nothing was changed. Name another folder with augment --out, as"
                f" {files.shards}."
            )
