"""Loads FUSE or says why this machine cannot mount; unmounts."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from ...manifests.errors import ConfigError
from ...manifests.extras import require

DEVICE = Path("/dev/fuse")
UNMOUNT_PROGRAMS = ("fusermount3", "fusermount")  # libfuse 3's, libfuse 2's

CONTAINER = (
    "In a container it needs `--device /dev/fuse --cap-add SYS_ADMIN` (with AppArmor also "
    "`--security-opt apparmor:unconfined`)"
)
INSTEAD = "or use `scoremix-pipeline export`, which needs no FUSE"
_YEAR = 365 * 86400
_THREADS = 8
_UNMOUNT_SECONDS = 10.0  # that an unmount may take

# The tree never changes, so the kernel may cache every answer. use_ino: our own inode numbers,
# which are the same in every mount.
_OPTIONS = {
    "foreground": True,
    "ro": True,
    "use_ino": True,
    "kernel_cache": True,
    "attr_timeout": _YEAR,
    "entry_timeout": _YEAR,
    "negative_timeout": _YEAR,
    "fsname": "scoremix-pipeline",
    "subtype": "scoremix",
}


def load_fuse() -> ModuleType:
    """mfusepy, where this machine can mount. Raises ConfigError with the remedy where it cannot."""
    if sys.platform != "linux":
        raise ConfigError(
            f"mount works on Linux alone, and this is {sys.platform}. Use `scoremix-pipeline "
            "export`, which writes the same files."
        )
    fuse = _package()
    _check_device()
    if os.geteuid() != 0 and unmount_program() is None:
        raise ConfigError(
            "Mounting without root's rights needs the program fusermount3, which is not there. "
            f"Install it (Debian, Ubuntu: `apt install fuse3`; Fedora: `dnf install fuse3`), "
            f"{INSTEAD}."
        )
    return fuse


def mount_options(fuse: ModuleType) -> dict[str, Any]:
    """Mount options for the loaded version of libfuse."""
    version = (fuse.fuse_version_major, fuse.fuse_version_minor)
    # Older versions refuse unknown options; newer ones warn about their own default of this one.
    return _OPTIONS | ({"max_idle_threads": _THREADS} if version >= (3, 12) else {})


def _package() -> ModuleType:
    try:
        found: ModuleType = require("mfusepy", "mount", "mount")
    except (OSError, AttributeError) as error:  # what it raises without libfuse, or with an old one
        raise ConfigError(
            f"mount needs the library libfuse, which cannot be loaded ({error}). Install it "
            f"(Debian, Ubuntu: `apt install fuse3`; Fedora: `dnf install fuse3-libs`), {INSTEAD}."
        ) from error
    return found


def _check_device() -> None:
    if not DEVICE.exists():
        raise ConfigError(
            f"{DEVICE} is not there: the kernel offers no FUSE here. {CONTAINER}; on a machine of "
            f"your own, `modprobe fuse`; {INSTEAD}."
        )
    try:
        os.close(os.open(DEVICE, os.O_RDWR))
    except OSError as error:
        raise ConfigError(
            f"{DEVICE} may not be used here ({error.strerror}). {CONTAINER}; on a machine of your "
            f"own, `chmod 666 {DEVICE}` as root is what most systems have; {INSTEAD}."
        ) from error


def mount_error(mountpoint: Path) -> ConfigError:
    """The error for a mount that libfuse could not make; it has printed the system's reason."""
    return ConfigError(
        f"{mountpoint} could not be mounted; the line above says what the system answered."
        f" {CONTAINER}; {INSTEAD}."
    )


def unmount_program() -> str | None:
    """The program that unmounts without root's rights; None where there is none."""
    return next((name for name in UNMOUNT_PROGRAMS if shutil.which(name)), None)


def unmount_command(mountpoint: Path) -> str:
    """The shell command that unmounts."""
    return shlex.join([unmount_program() or UNMOUNT_PROGRAMS[0], "-u", str(mountpoint)])


def unmount(mountpoint: Path) -> str | None:
    """Unmounts a mount that is not in use; returns the system's message where that failed."""
    program = unmount_program()
    if program is None:
        return f"{UNMOUNT_PROGRAMS[0]} is not installed"
    try:
        done = subprocess.run(
            [program, "-u", str(mountpoint)],
            capture_output=True,
            text=True,
            errors="replace",
            start_new_session=True,  # control-C at a terminal goes to a whole group
            env={**os.environ, "LC_ALL": "C"},
            timeout=_UNMOUNT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{program}: {error}"
    return None if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"
