"""Who works on a run: kernel locks on files below RUN/.scoremix.

`flock` belongs to the open file, so the kernel frees it when its holder dies, however it dies: a
lock of a dead process cannot be left behind. What is written inside serves the message only.
"""

import contextlib
import errno
import fcntl
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import LockedError, StorageError
from .atomic import storage_errors

_HELD: set[int] = set()  # descriptors of this process


def _forget_in_child() -> None:
    """A forked child would keep its parent's locks alive after the parent's death."""
    for descriptor in _HELD:
        os.close(descriptor)
    _HELD.clear()


os.register_at_fork(after_in_child=_forget_in_child)


class RunLock:
    """A run's lock that this process holds."""

    def __init__(self, folder: Path, descriptor: int) -> None:
        self._folder, self._descriptor = folder, descriptor

    def share(self) -> None:
        """From here on workers may hold the run too; an exclusive launch is refused as before."""
        if not _try(self._descriptor, fcntl.LOCK_SH, _run_path(self._folder)):
            raise _in_use(self._folder)  # turning a lock is not atomic: another was faster


@contextlib.contextmanager
def run_lock(folder: Path, *, shared: bool = False) -> Iterator[RunLock]:
    """Holds RUN/.scoremix/lock of the run `folder` while the block runs.

    Ingest and training hold it exclusively, workers share it. Never waits: raises LockedError
    (exit code 5) that names the holder, StorageError where files cannot be locked.
    """
    with _locked(_run_path(folder), shared) as descriptor:
        if descriptor is None:
            raise _in_use(folder)
        yield RunLock(folder, descriptor)


def _run_path(folder: Path) -> Path:
    return folder / ".scoremix" / "lock"


def _in_use(folder: Path) -> LockedError:
    holders = _holders(_run_path(folder))
    return LockedError(
        f"{folder} is in use by {'; '.join(map(_worded, holders)) or 'another process'}. Wait for"
        " it to end or stop it; the lock goes with the process, there is no file to delete."
    )


@contextlib.contextmanager
def shard_lock(folder: Path, name: str) -> Iterator[bool]:
    """Tries to hold one shard of the run `folder`; False if another worker is making it."""
    path = folder / ".scoremix" / "shards" / f"{name}.lock"
    with _locked(path, shared=False) as descriptor:
        yield descriptor is not None


def remove_shard_locks(folder: Path) -> None:
    """Takes the files away once every shard is finished: who looks now finds nothing to make."""
    shutil.rmtree(folder / ".scoremix" / "shards", ignore_errors=True)


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Waits for and holds the folder itself, for a moment's look and a few small files."""
    with storage_errors(folder):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _locked(path: Path, shared: bool) -> Iterator[int | None]:
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    owner = os.getpid()
    _HELD.add(descriptor)
    got = False
    try:
        got = _try(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, path)
        if got:
            _sign(descriptor, {"command": " ".join(sys.argv)}, alone=not shared)
        yield descriptor if got else None
    finally:
        if os.getpid() == owner:  # in a forked child that leaves the block it is closed already
            if got:
                _sign(descriptor, {"left": True}, alone=not shared)
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # also for a child that is just being born
            _HELD.discard(descriptor)
            os.close(descriptor)


def _try(descriptor: int, operation: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise StorageError(
            f"{path} cannot be locked: {error.strerror}. Keep the run's folder on a file system "
            "with locks (a local disk, or NFS with its lock service)."
        ) from error
    return True


def _sign(descriptor: int, entry: dict[str, Any], *, alone: bool) -> None:
    """Adds a line about this process; one who holds the lock alone first wipes the others'.

    A full disk spoils the message to others, not the lock.
    """
    line = json.dumps({"pid": os.getpid(), "host": platform.node(), **entry})
    with contextlib.suppress(OSError):
        if alone:
            os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{line}\n".encode())


def _holders(path: Path) -> list[dict[str, Any]]:
    """Who signed and has not left; of this host only processes that are alive."""
    holders: dict[tuple[int, str], dict[str, Any]] = {}
    for line in path.read_text(errors="replace").splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            who = (int(entry["pid"]), str(entry["host"]))
            holders.pop(who, None)
            if "left" not in entry and _alive(*who):
                holders[who] = entry
    return list(holders.values())


def _alive(pid: int, host: str) -> bool:
    if host != platform.node():
        return True  # not known, so he is named
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _worded(holder: dict[str, Any]) -> str:
    return f"process {holder['pid']} on {holder['host']} ({holder.get('command', '?')})"
