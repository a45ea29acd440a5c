"""Keeps apart what a run writes in its folder, its shards, what was there before, and files that a
command writes where the user says."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..manifests.errors import ConfigError
from ..manifests.published.names import is_litter
from ..manifests.published.owner import OWNER
from ..manifests.run_folder import RunFolder
from ..manifests.storage.location import Place
from .ledger import is_run

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

    _refuse_other_runs_own(shards, files.path)


def refuse_output_among(out: Path, runs: Iterable[Path | None], corpora: Iterable[Place]) -> None:
    """Raises ConfigError where `out`, which is to be written, lies in a folder of shards or among
    the files that a run writes and `forget` removes; links are followed.

    runs, corpora: known ones; those around `out` are found.
    """
    where = out.resolve()
    for run in runs:
        if run is not None and (own := _own_around(where, RunFolder(run))) is not None:
            raise _among(out, own)
    _refuse_other_runs_own(out, None)
    around = [folder for folder in where.parents if (folder / OWNER).exists()]
    for corpus in (*(one.resolve() for one in corpora if isinstance(one, Path)), *around):
        if where.is_relative_to(corpus):
            raise ConfigError(
                f"{out} lies inside the shards in {corpus}, where readers take every file for the"
                " corpus. Nothing was changed. Choose a place outside."
            )


def refuse_existing(path: Path, may_replace: Callable[[bytes], bool] = lambda _: False) -> None:
    """Raises ConfigError where something lies at `path` that a command would replace.

    may_replace: of the bytes of a file there, whether they are what the command wrote before.
    """
    if os.path.lexists(path) and not (path.is_file() and may_replace(path.read_bytes())):
        raise ConfigError(f"{path} exists already and was left as it is. Name another file.")


def _refuse_other_runs_own(path: Path, but: Path | None) -> None:
    """Raises ConfigError where `path` lies among the own files of a run around it.

    but: a run whose own are not meant, nor those that it lies among itself, as a trial's sizes do.
    """
    where = path.resolve()
    for folder in where.parents:
        files = RunFolder(folder)
        if is_run(folder) and (but is None or folder != but.resolve()):
            own = _own_around(where, files)
            if own is not None and (but is None or _own_around(but.resolve(), files) != own):
                raise _among(path, own)


def _own_around(where: Path, files: RunFolder) -> Path | None:
    return next((own for own in files.own if where.is_relative_to(own.resolve())), None)


def _among(path: Path, own: Path) -> ConfigError:
    is_own = path.resolve() == own.resolve()
    what = "is a run's own" if is_own else f"lies in {own}, which a run fills"
    return ConfigError(
        f"{path} {what}: it may be replaced by the run, or removed by `forget`. Nothing was"
        " changed. Choose a place outside."
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
