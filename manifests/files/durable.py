"""Folders made, and files and folders removed, so that a power cut does not take it back.

An fsync of a file keeps its bytes; only an fsync of its folder keeps its name, or keeps it away.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

# Some network file systems do not sync folders, and say so.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP}


def sync_folder(folder: Path) -> None:
    """Makes what was named, renamed or removed in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Makes the bytes of a file durable, whoever wrote them."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Makes `folder` and its parents where they are missing, each synced in its own parent.

    Raises FileExistsError where a file is in the way.
    """
    missing = [path for path in (folder, *folder.parents) if not path.is_dir()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        with contextlib.suppress(PermissionError):  # a parent that may be written, but not read
            sync_folder(path.parent)


def rename(old: Path, new: Path) -> None:
    """Renames a file whose bytes are synced; replaces `new`."""
    os.replace(old, new)
    sync_folder(new.parent)


def remove_file(path: Path) -> None:
    """Removes a file or link, if it is there."""
    if os.path.lexists(path):
        path.unlink(missing_ok=True)  # another process may have removed it
        sync_folder(path.parent)


def remove_empty(folders: Iterable[Path]) -> None:
    """Removes folders, each above the one before it, up to the first in which something lies."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return
        sync_folder(folder.parent)


def remove_tree(folder: Path) -> None:
    """Removes a folder with all it holds, if it is there. Raises OSError where something stays."""
    if os.path.lexists(folder):
        shutil.rmtree(folder)
        sync_folder(folder.parent)
