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
    """Locks the folder: of two mounts on it at the same moment, one is refused."""
    folder = os.open(mountpoint, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"Somebody is mounting on {mountpoint} just now. Name another folder."
            ) from error
        except OSError as error:
            if error.errno not in NO_LOCK:  # NFS locks no folders: then without
                raise
        yield
    finally:
        os.close(folder)


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
