"""Whether a file can be renamed from one folder to another: only within one mount."""

import os
import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_POINT = 4  # the field of a line that is the mount point (proc_pid_mountinfo(5))
_OCTAL = re.compile(r"\\([0-7]{3})")


def on_one_mount(first: Path, second: Path) -> bool:
    """Whether both folders are on one file system and below the same mount point.

    A folder may be mounted into another one of the same file system (docker run -v twice, two
    subPaths of a volume): its device is the same, and a rename across fails with EXDEV all the
    same. Where the system does not list its mounts, the device decides.
    """
    if os.stat(first).st_dev != os.stat(second).st_dev:
        return False
    return _mount_point(first) == _mount_point(second)


def _mount_point(folder: Path) -> str | None:
    """The deepest mount point that the folder is in; None where they are not known."""
    try:
        lines = _MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    real = folder.resolve()
    points = (_OCTAL.sub(_character, line.split()[_POINT]) for line in lines)
    return max((point for point in points if real.is_relative_to(point)), key=len, default=None)


def _character(found: re.Match[str]) -> str:
    return chr(int(found[1], 8))
