"""Retries: repeats a failed request to a store for a while; raises at once what cannot pass."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ..errors import ConfigError, Interrupted, StorageError
from ..foreign_text import redact
from .web import raise_refusal, raise_status

VARIABLE = "SCOREMIX_STORE_PATIENCE"
_SECONDS = 300.0  # by default: longer than a failover, shorter than a night
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 10.0  # seconds between attempts, doubled each time
_POLL = 0.25  # seconds between checks for a stop

# Exceptions by the names of their classes: the packages that define them are not all installed.
_PACKAGES = {"aiohttp", "aiobotocore", "azure", "botocore", "gcsfs", "google", "urllib3"}
_CREDENTIALS = {
    "CredentialRetrievalError",
    "DefaultCredentialsError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "PermissionError",
    "ProfileNotFound",
    "RefreshError",
    "SSOTokenLoadError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
}
_MISCONFIGURED = {
    "InvalidRegionError",
    "NoRegionError",
    "ParamValidationError",
    "UnknownServiceError",
}
_DEFINITE = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)

logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class ReadBackMismatch(OSError):
    """What was read back is not what was sent."""


@dataclass(frozen=True)
class RetryPolicy:
    """For how long a request to a store is repeated."""

    seconds: float = _SECONDS
    stopping: Callable[[], bool] = lambda: False

    @classmethod
    def from_environment(cls, stopping: Callable[[], bool] = lambda: False) -> "RetryPolicy":
        """Seconds from SCOREMIX_STORE_PATIENCE. Raises ConfigError if it is no number."""
        text = os.environ.get(VARIABLE, str(_SECONDS))
        try:
            return cls(float(text), stopping)
        except ValueError as error:
            message = f"{VARIABLE} is {text!r}; give seconds, as in {VARIABLE}=60."
            raise ConfigError(message) from error

    def retry(self, what: str, action: Callable[[], _Result]) -> _Result:
        """The result of `action`, repeated while its errors are temporary.

        what: for messages, as in "writing s3://bucket/name".

        Raises:
            ConfigError: at once, where credentials or the address are at fault.
            FileNotFoundError, FileExistsError and the like: at once.
            StorageError: it still fails after `seconds`.
            Interrupted: `stopping()` became true.
        """
        end, wait, attempts = time.monotonic() + self.seconds, _FIRST_WAIT, 0
        while True:
            try:
                return action()
            except Exception as error:
                attempts += 1
                _raise_permanent(what, error)
                if time.monotonic() + wait > end:
                    raise StorageError(
                        f"{what} failed {attempts} times within {self.seconds:g} s, the last time:"
                        f" {one_line(error)}. Nothing that was finished is lost: when the store"
                        " answers again, run the same command."
                    ) from error
                if attempts == 2:  # a single failure is common
                    logger.warning("%s fails (%s); trying again", what, one_line(error))
            self._pause(what, wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _pause(self, what: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.stopping():
                raise Interrupted(f"Stopped while {what} failed; nothing that was done is lost.")
            time.sleep(min(left, _POLL))


def one_line(error: BaseException) -> str:
    """The message of an error in one line of at most 300 characters."""
    return redact(" ".join(str(error).split()))[:300] or type(error).__name__


def _raise_permanent(what: str, error: Exception) -> None:
    """Raises errors that repeating the request cannot cure."""
    raise_refusal(error)
    raise_status(what, error)
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & _CREDENTIALS:
        raise ConfigError(
            f"{what} was refused: {one_line(error)}. Give credentials that may read, write, list"
            " and delete there, as your cloud's own tools read them (for S3 AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, or AWS_PROFILE), then run the same command again."
        ) from error
    if names & _MISCONFIGURED:
        raise ConfigError(f"{what} is not possible: {one_line(error)}.") from error
    package = type(error).__module__.split(".")[0]
    if isinstance(error, _DEFINITE) or not (isinstance(error, OSError) or package in _PACKAGES):
        raise error
