"""A file or folder tree that appears under its name whole, or not at all.

make everything in .NAME.exporting/data beside it - sync once - write NAME.export.json - rename.
The record says what was exported and lies beside the data, because trainers take every file they
find inside. A record without its data means nothing; data without a record is none of ours.
A killed export leaves .NAME.exporting behind, and the next one of that name takes it away.
"""

import contextlib
import ctypes
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..errors import LockedError
from .atomic import storage_errors, sync_folder, write_bytes
from .crash_points import crash_point


@contextlib.contextmanager
def staged_tree(out: Path) -> Iterator[Path]:
    """Gives a path beside `out` at which to make its content; nothing of it stays on an error.

    Raises LockedError if another process is making the same `out`.
    """
    place = _place(out)
    with storage_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _claim(place, out)
    try:
        with storage_errors(out):
            for leftover in ("data", "aside"):
                _remove(place / leftover)
        yield place / "data"
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(descriptor)


def remove_staging(out: Path) -> None:
    """Takes away what a killed export of `out` left beside it."""
    if _place(out).exists():
        with contextlib.suppress(LockedError), staged_tree(out):
            pass


def commit_tree(data: Path, out: Path, record: bytes) -> None:
    """Gives finished `data` its name, with its record beside; what was there before goes.

    Durable: one sync of everything, before anything gets a name. If the system refuses a step,
    what was there is there again; only a kill in between leaves neither the old nor the new.
    """
    beside, aside = record_path(out), data.with_name("aside")
    with storage_errors(out):
        _sync(data)
        crash_point("export-synced")
        aside.mkdir(exist_ok=True)
        recorded = os.path.lexists(beside)
        moved: list[tuple[Path, Path]] = []
        try:
            for path in (out, beside):
                if os.path.lexists(path):
                    os.rename(path, aside / path.name)
                    moved.append((aside / path.name, path))
            crash_point("export-cleared")
            write_bytes(beside, record, data.with_name("record"))
            crash_point("export-recorded")
            os.rename(data, out)
        except BaseException:
            if not recorded:
                beside.unlink(missing_ok=True)
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


def _place(out: Path) -> Path:
    return out.with_name(f".{out.name}.exporting")


def _claim(place: Path, out: Path) -> int:
    """Makes and locks the place; the lock goes with the process."""
    while True:
        place.mkdir(exist_ok=True)
        try:
            descriptor = os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            continue  # its holder has just finished and taken the folder away
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise LockedError(
                f"{out} is being exported by another process. Wait for it to end or stop it."
            ) from error
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(place / "lock")):
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
