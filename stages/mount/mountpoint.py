"""The folder that a corpus is mounted on: empty or new, and as it was afterwards."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import storage_errors
from ...manifests.files.lock import NO_LOCK
from .fuse import unmount_command


def check_mountpoint(mountpoint: Path, shards: Path) -> None:
    """Raises ConfigError unless the absolute `place` is an empty folder or not there yet."""
    _check_alive(mountpoint)
    if mountpoint.is_symlink():
        raise ConfigError(f"{mountpoint} is a symbolic link. Name the folder itself.")
    if mountpoint.resolve().is_relative_to(shards.resolve()):
        raise ConfigError(
            f"{mountpoint} lies inside the shards, whose files SHA256SUMS lists. Choose a folder"
            " outside."
        )
    if not os.path.lexists(mountpoint):
        return
    if not mountpoint.is_dir():
        raise ConfigError(
            f"{mountpoint} is a file. Name an empty folder, or one that is not there yet."
        )
    if mountpoint.is_mount():
        raise ConfigError(
            f"Something is mounted on {mountpoint} already. Name another folder, or unmount it: "
            f"`{unmount_command(mountpoint)}`"
        )
    with os.scandir(mountpoint) as found:
        first = next(found, None)
    if first is not None:
        raise ConfigError(
            f"{mountpoint} is not empty: a mount would hide {first.name!r}. Name an empty folder,"
            " or one that is not there yet."
        )


def _check_alive(mountpoint: Path) -> None:
    """Raises ConfigError for a mount whose process was killed: every call answers ENOTCONN."""
    for path in (*reversed(mountpoint.parents), mountpoint):
        try:
            os.lstat(path)
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                raise ConfigError(
                    f"{path} is a mount whose process was killed ({error.strerror}). Clear it away"
                    f" with `{unmount_command(path)}`, then run the same command again."
                ) from error
            return  # not there, or not readable: later checks report that


@contextlib.contextmanager
def _locked(mountpoint: Path) -> Iterator[None]:
    """Locks the folder: of two mounts on it at the same moment, one is refused.

    Both would find it empty, one would lie above the other, and the trainer of the lower one would
    read the other's arm without a word. Where the file system locks no folders (NFS), a file beside
    it is locked, as it has to stay empty. Raises ConfigError where that cannot be locked either.
    """
    folder = os.open(mountpoint, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _try_lock(folder, mountpoint):
            yield
        else:
            with _locked_file(mountpoint.with_name(f".{mountpoint.name}.mounting"), mountpoint):
                yield
    finally:
        os.close(folder)


@contextlib.contextmanager
def _locked_file(path: Path, mountpoint: Path) -> Iterator[None]:
    """Makes and locks the file for the block, and removes it afterwards."""
    refused = (
        f"The file system locks neither {mountpoint} nor a file beside it, so that two mounts could"
        " lie there at once. Name a folder on a local disk."
    )
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise ConfigError(f"{refused} ({path.name}: {error.strerror})") from error
        try:
            if not _try_lock(file, mountpoint):
                raise ConfigError(refused)
            if _is_still(file, path):  # not that of a mount that has just ended
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return
        finally:
            os.close(file)


def _is_still(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one at `path`."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False


def _try_lock(descriptor: int, mountpoint: Path) -> bool:
    """Locks; False where the file system has no such locks. Raises ConfigError if it is held."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise ConfigError(
                f"Somebody is mounting on {mountpoint} just now. Name another folder."
            ) from error
        if error.errno not in NO_LOCK:
            raise
        return False
    return True


@contextlib.contextmanager
def make_mountpoint(mountpoint: Path) -> Iterator[None]:
    """Makes the folder and its missing parents for the block; removes afterwards what it made."""
    made = [path for path in (mountpoint, *mountpoint.parents) if not path.exists()]
    with storage_errors(mountpoint):
        mountpoint.mkdir(parents=True, exist_ok=True)
    try:
        with _locked(mountpoint):
            yield
    finally:
        for path in made:
            with contextlib.suppress(OSError):  # in use, or filled by somebody: then it stays
                path.rmdir()
