"""The error tree. Each leaf has the exit code that the command line ends with.

    ScoreMixError        1   something went wrong that the message explains
    ├── ConfigError      2   the command line or stages.yaml asks for something impossible
    ├── VerifyError      3   bytes on disk are not what the manifests promise
    ├── InputError       4   too many bad inputs, or none that can be used
    ├── LockedError      5   somebody else is working on this run
    ├── StorageError     6   storage full or unwritable; the same command resumes
    └── Interrupted     75   stopped on request; the same command resumes

Every message says what was asked, what was found and what to do.
"""

import errno

# What the operating system says when storage is full or cannot be written.
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
    exit_code = 2


class VerifyError(ScoreMixError):
    exit_code = 3


class InputError(ScoreMixError):
    exit_code = 4


class LockedError(ScoreMixError):
    exit_code = 5


class StorageError(ScoreMixError):
    exit_code = 6


class Interrupted(ScoreMixError):
    exit_code = 75


class TrainingDiverged(ScoreMixError):
    """The loss stopped being a finite number; raised before the update is applied."""
