"""A file or folder tree that appears under its name whole, or not at all.

writes everything in .NAME.exporting/data beside it - sync once - write NAME.export.json - rename.
The record describes the export and stands beside the data, because trainers read every file inside.
A record without its data means nothing; data without a record was not exported by this package.
A killed export leaves .NAME.exporting behind, and the next export of that name removes it.
"""

import contextlib
import ctypes
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..errors import LockedError, ScoreMixError
from .atomic import storage_errors, write_bytes
from .crash_points import crash_point
from .durable import make_folder, sync_folder
from .lock import try_lock


@contextlib.contextmanager
def staged_tree(out: Path) -> Iterator[Path]:
    """Gives a path beside `out` at which to write its content; removes it on an error.

    Raises LockedError if another process is making the same `out`.
    """
    folder = _staging_folder(out)
    with storage_errors(out):
        make_folder(out.parent)
        descriptor = _lock_staging(folder, out)
    try:
        with storage_errors(out):
            for leftover in ("data", "aside"):
                _remove(folder / leftover)
        yield folder / "data"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def remove_staging(out: Path) -> None:
    """Removes what a killed export of `out` left beside it."""
    if _staging_folder(out).exists():
        with contextlib.suppress(LockedError), staged_tree(out):
            pass


def commit_tree(data: Path, out: Path, record: bytes) -> None:
    """Renames finished `data` to `out` and writes its record beside it; replaces what was there.

    Durable: everything is synced before anything is renamed. If a step fails, the old content is
    put back; only a kill in between leaves neither the old nor the new.
    """
    record_file, aside = record_path(out), data.with_name("aside")
    with storage_errors(out):
        _sync(data)
        crash_point("export-synced")
        aside.mkdir(exist_ok=True)
        had_record = os.path.lexists(record_file)
        moved: list[tuple[Path, Path]] = []
        try:
            for path in (out, record_file):
                if os.path.lexists(path):
                    os.rename(path, aside / path.name)
                    moved.append((aside / path.name, path))
            if moved:  # else a power cut might leave the old data beside the new record
                sync_folder(out.parent)
            crash_point("export-cleared")
            write_bytes(record_file, record, data.with_name("record"))
            crash_point("export-recorded")
            os.rename(data, out)
        except BaseException:
            if not had_record:
                record_file.unlink(missing_ok=True)
            for kept, path in moved:
                os.rename(kept, path)
            raise
        sync_folder(out.parent)
        crash_point("export-named")


def record_path(out: Path) -> Path:
    """NAME.export.json."""
    return out.with_name(f"{out.name}.export.json")


def count_files(path: Path) -> tuple[int, int]:
    """(files, bytes) of a file or of everything below a folder."""
    if not path.is_dir():
        return 1, path.stat().st_size
    files = size = 0
    for folder, _, names in os.walk(path):
        for name in names:
            files += 1
            size += os.lstat(os.path.join(folder, name)).st_size
    return files, size


def first_files(path: Path, most: int = 100) -> list[str]:
    """Names below a folder, in the order of a sorted walk; none of a file."""
    names = []
    for folder, folders, files in os.walk(path):
        folders.sort()
        below = os.path.relpath(folder, path)
        names += [os.path.normpath(os.path.join(below, name)) for name in sorted(files)]
        if len(names) >= most:
            break
    return names[:most]


def _staging_folder(out: Path) -> Path:
    return out.with_name(f".{out.name}.exporting")


def _lock_staging(folder: Path, out: Path) -> int:
    """Makes and locks the folder; the lock ends with the process. Returns its descriptor."""
    while True:
        folder.mkdir(exist_ok=True)
        try:
            descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            continue  # its holder has just finished and removed the folder
        try:
            if not try_lock(descriptor, fcntl.LOCK_EX, folder / "lock"):
                raise LockedError(
                    f"{out} is being exported by another process. Wait for it to end or stop it."
                )
        except ScoreMixError:
            os.close(descriptor)
            raise
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(folder / "lock")):
                return descriptor
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(data: Path) -> None:
    """One sync for a file, one for a whole tree: a sync per file costs more than the export."""
    descriptor = os.open(data, os.O_RDONLY)
    try:
        if not data.is_dir():
            os.fsync(descriptor)
        elif _syncfs is None or _syncfs(descriptor) != 0:
            os.sync()
    finally:
        os.close(descriptor)


# syncfs(2) reports errors of the write-back and leaves other file systems alone; Linux only.
_syncfs = getattr(ctypes.CDLL(None), "syncfs", None)
