"""The folder that a corpus is mounted on: empty or new, and as it was afterwards."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import storage_errors
from .fuse import unmount_line


def check_place(place: Path, shards: Path) -> None:
    """Raises ConfigError unless the absolute `place` is an empty folder or not there yet."""
    _check_alive(place)
    if place.is_symlink():
        raise ConfigError(f"{place} is a symbolic link. Name the folder itself.")
    if place.resolve().is_relative_to(shards.resolve()):
        raise ConfigError(
            f"{place} lies inside the shards: every file in there is promised by SHA256SUMS. Choose"
            " a place outside."
        )
    if not os.path.lexists(place):
        return
    if not place.is_dir():
        raise ConfigError(f"{place} is a file. Name an empty folder, or one that is not there yet.")
    if place.is_mount():
        raise ConfigError(
            f"Something is mounted on {place} already. Name another folder, or unmount it: "
            f"`{unmount_line(place)}`"
        )
    with os.scandir(place) as found:
        first = next(found, None)
    if first is not None:
        raise ConfigError(
            f"{place} is not empty: a mount would hide {first.name!r}. Name an empty folder, or one"
            " that is not there yet."
        )


def _check_alive(place: Path) -> None:
    """A mount whose process was killed stays, and answers nothing but ENOTCONN."""
    for path in (*reversed(place.parents), place):
        try:
            os.lstat(path)
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                raise ConfigError(
                    f"{path} is a mount whose process was killed ({error.strerror}). Clear it away"
                    f" with `{unmount_line(path)}`, then run the same command again."
                ) from error
            return  # not there, or not to be looked at: others tell that


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Of two that would mount on one folder at the same moment, one is refused."""
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ConfigError(
            f"Somebody is mounting on {place} just now. Name another folder."
        ) from error
    finally:
        os.close(folder)


@contextlib.contextmanager
def place_for(place: Path) -> Iterator[None]:
    """Makes the folder, and those above it, where they are missing; removes again what it made."""
    made = [path for path in (place, *place.parents) if not path.exists()]
    with storage_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    try:
        with _alone(place):
            yield
    finally:
        for path in made:
            with contextlib.suppress(OSError):  # in use, or filled by somebody: then it stays
                path.rmdir()
