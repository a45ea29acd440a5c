"""Keeps apart what a run writes in its folder, its shards, and what was there before."""

import os
from collections.abc import Iterator
from pathlib import Path

from ..manifests.errors import ConfigError
from ..manifests.published.names import is_litter
from ..manifests.run_folder import RunFolder
from ..manifests.storage.location import Place

_SHOWN = 3  # files that a message names


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


def refuse_foreign_files(files: RunFolder, stages: Path | None) -> None:
    """Raises ConfigError where no run has begun in the folder, and files lie there that a run would
    replace or remove: they are somebody else's.

    stages: the stages.yaml that is to be run. It may be that of the folder, which a run writes with
        every option filled in.
    """
    begun = (files.ledger, files.ledger_backup, files.lock)  # the lock before anything else
    if any(path.exists() for path in begun):
        return
    places = (own for own in files.own if own != files.internal)  # which is ours by its name
    found = [path for own in places for path in _files_at(own)]
    if stages is not None and stages.is_file():
        found = [path for path in found if path != files.config or not path.samefile(stages)]
    if found:
        names = ", ".join(str(path.relative_to(files.path)) for path in found[:_SHOWN])
        raise ConfigError(
            f"{files.path} is no run folder yet (it has no {files.ledger.name}) and holds {names}"
            f"{', ...' if len(found) > _SHOWN else ''}, where a run puts its own files: they would"
            " be replaced or removed. Nothing was changed. Name another run folder with --run, or"
            " `run:` in stages.yaml, or move them elsewhere."
        )


def _files_at(own: Path) -> Iterator[Path]:
    """A file, or up to a few more files below a folder than a message names; no litter."""
    if own.is_symlink() and not own.exists():
        return
    if own.exists() and not own.is_dir():
        yield own
    count = 0
    for folder, _, names in os.walk(own):
        for name in sorted(names):
            if not is_litter(name):
                yield Path(folder) / name
                count += 1
                if count > _SHOWN:
                    return
