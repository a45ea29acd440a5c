"""The error tree. Each leaf has the exit code that the command line ends with.

    ScoreMixError        1   something went wrong that the message explains
    ├── ConfigError      2   the command line or stages.yaml asks for something impossible
    ├── VerifyError      3   bytes on disk are not what the manifests promise
    ├── InputError       4   too many bad inputs, or none that can be used
    ├── LockedError      5   another process is working on this run
    ├── StorageError     6   storage full or unwritable; the same command resumes
    └── Interrupted     75   stopped on request; the same command resumes

Every message has the request, what was found, and the remedy.
"""

import errno

# Errors of the operating system where storage is full or cannot be written.
STORAGE_ERRNOS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.EROFS,
    errno.EACCES,
    errno.EFBIG,
}


class ScoreMixError(Exception):
    """Base of all errors that a user can act on; shown without a traceback."""

    exit_code = 1


class ConfigError(ScoreMixError):
    """The command line or stages.yaml is wrong, or asks for something impossible."""

    exit_code = 2


class VerifyError(ScoreMixError):
    """Bytes on disk are not what the manifests promise."""

    exit_code = 3


class InputError(ScoreMixError):
    """Too many bad inputs, or none that can be used."""

    exit_code = 4


class LockedError(ScoreMixError):
    """Another process is working on this run."""

    exit_code = 5


class StorageError(ScoreMixError):
    """Storage is full or cannot be written; the same command resumes."""

    exit_code = 6


class Interrupted(ScoreMixError):
    """Stopped on request; the same command resumes."""

    exit_code = 75


class TrainingDiverged(ScoreMixError):
    """The loss stopped being a finite number; raised before the update is applied."""
