"""Locks of a run and of its shards: kernel locks on files below RUN/.scoremix.

`flock` belongs to the open file, so the kernel frees it when its holder dies, however it dies: a
lock of a dead process cannot stay behind. The file's content serves the error message only.
"""

import contextlib
import errno
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import LockedError, StorageError
from ..foreign_text import redact_all
from ..run_folder import RunFolder
from .atomic import storage_errors
from .durable import make_folder
from .json_reader import parse_json
from .processes import is_alive

try:
    import fcntl
except ModuleNotFoundError as missing:
    raise ImportError(
        "scoremix-pipeline needs a POSIX system, for its locks, and this is"
        f" {platform.system() or sys.platform}. On Windows use WSL2, or the container:"
        " docs/install.md."
    ) from missing

FOLDER_LOCK = ".scoremix-lock"  # in a folder that cannot be locked itself
# Of flock where a file system, or a folder on it, has no locks.
NO_LOCK = {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EISDIR}

_DESCRIPTORS: set[int] = set()  # of the locks that this process holds


def _close_in_child() -> None:
    """Closes inherited locks: a forked child would hold them after its parent's death."""
    for descriptor in _DESCRIPTORS:
        os.close(descriptor)
    _DESCRIPTORS.clear()


os.register_at_fork(after_in_child=_close_in_child)


class RunLock:
    """The lock of a run, held by this process."""

    def __init__(self, folder: Path, descriptor: int) -> None:
        self._folder, self._descriptor = folder, descriptor

    def share(self) -> None:
        """Lets workers hold the run too; exclusive launches stay refused. Raises LockedError."""
        if not try_lock(self._descriptor, fcntl.LOCK_SH, RunFolder(self._folder).lock):
            raise _in_use(self._folder)  # downgrading is not atomic: another process was faster


@contextlib.contextmanager
def run_lock(folder: Path, *, shared: bool = False) -> Iterator[RunLock]:
    """Holds RUN/.scoremix/lock of the run `folder` while the block runs.

    Ingest and training hold it exclusively, workers share it. Never waits: raises LockedError
    (exit code 5) that names the holder, StorageError where files cannot be locked.
    """
    with _lock_file(RunFolder(folder).lock, shared) as descriptor:
        if descriptor is None:
            raise _in_use(folder)
        yield RunLock(folder, descriptor)


def _in_use(folder: Path) -> LockedError:
    holders = _holders(RunFolder(folder).lock)
    return LockedError(
        f"{folder} is in use by {'; '.join(map(_describe, holders)) or 'another process'}. Wait for"
        " it to end or stop it; the lock goes with the process, there is no file to delete."
    )


@contextlib.contextmanager
def shard_lock(folder: Path, name: str) -> Iterator[bool]:
    """Tries to hold one shard of the run `folder`; False if another worker is making it."""
    path = RunFolder(folder).shard_locks / f"{name}.lock"
    with _lock_file(path, shared=False) as descriptor:
        yield descriptor is not None


def remove_shard_locks(folder: Path) -> None:
    """Removes the lock files once every shard is finished: nothing is left to make."""
    shutil.rmtree(RunFolder(folder).shard_locks, ignore_errors=True)


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Waits for and holds a lock on the folder itself, for short work on small files.

    Where the file system locks no folders (NFS: EBADF), on a file FOLDER_LOCK in it. Raises
    StorageError where that cannot be locked either.
    """
    with storage_errors(folder):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in NO_LOCK:
                raise
            descriptor = _lock_file_in(folder)
        try:
            yield
        finally:
            os.close(descriptor)


def _lock_file_in(folder: Path) -> int:
    """Waits for the lock on FOLDER_LOCK; gives its descriptor."""
    path = folder / FOLDER_LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        os.close(descriptor)
        raise _not_locked(path, error) from error
    return descriptor


def _not_locked(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} cannot be locked: {error.strerror}. Keep the run's folder and its shards on a file"
        " system with locks (a local disk, or NFS with its lock service)."
    )


@contextlib.contextmanager
def _lock_file(path: Path, shared: bool) -> Iterator[int | None]:
    owner = os.getpid()
    descriptor, got = _open_locked(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        if got:
            _write_entry(descriptor, {"command": " ".join(redact_all(sys.argv))}, alone=not shared)
        yield descriptor if got else None
    finally:
        if os.getpid() == owner:  # a forked child has closed it already
            if got:
                _write_entry(descriptor, {"left": True}, alone=not shared)
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # also for a child that is just being forked
            _close(descriptor)


def _open_locked(path: Path, operation: int) -> tuple[int, bool]:
    """An open descriptor of the lock file, and whether it is locked."""
    while True:
        with storage_errors(path):
            make_folder(path.parent)
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            except FileNotFoundError:
                continue  # a run that failed at its start has just removed its folder
        _DESCRIPTORS.add(descriptor)
        try:
            got = try_lock(descriptor, operation, path)
            with contextlib.suppress(FileNotFoundError):
                if not got or os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    return descriptor, got
        except BaseException:
            _close(descriptor)
            raise
        _close(descriptor)  # of a file that was removed meanwhile: it locks nothing


def _close(descriptor: int) -> None:
    _DESCRIPTORS.discard(descriptor)
    os.close(descriptor)


def try_lock(descriptor: int, operation: int, path: Path) -> bool:
    """Whether the lock was free. Raises StorageError where files cannot be locked."""
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise _not_locked(path, error) from error
    return True


def _write_entry(descriptor: int, entry: dict[str, Any], *, alone: bool) -> None:
    """Appends a line about this process; the only holder first empties the file.

    A full disk spoils the error message of other processes, not the lock.
    """
    line = json.dumps({"pid": os.getpid(), "host": platform.node(), **entry})
    with contextlib.suppress(OSError):
        if alone:
            os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{line}\n".encode())


def _holders(path: Path) -> list[dict[str, Any]]:
    """Entries of holders that have not left; of this host only processes that are alive."""
    holders: dict[tuple[int, str], dict[str, Any]] = {}
    for line in path.read_text(errors="replace").splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            entry = parse_json(line)
            pid, host = int(entry["pid"]), str(entry["host"])
            holders.pop((pid, host), None)
            # Whether a process of another host is alive is not known, so it is named.
            if "left" not in entry and (host != platform.node() or is_alive(pid)):
                holders[pid, host] = entry
    return list(holders.values())


def _describe(holder: dict[str, Any]) -> str:
    return f"process {holder['pid']} on {holder['host']} ({holder.get('command', '?')})"
