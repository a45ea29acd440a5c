"""Classifies errors of a conditional create, "write this object if there is none".

A store that does not know the condition refuses it each time. Then the object can only be written
without it. Every other error says nothing about conditions, and to write without one after, say, a
time-out could overwrite what another process created meanwhile.
"""

import errno
import re
from typing import Any

_NOT_IN_STORE = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
# Codes of S3's protocol for a header that a store does not take. InvalidArgument and
# InvalidRequest have other causes, too; a write without the header then meets the same refusal.
_REFUSALS = {"NotImplemented", "501", "InvalidArgument", "InvalidRequest"}
_EXISTS = {"PreconditionFailed", "412"}
_PARAMETER = "IfNoneMatch"  # of boto
_MODE = re.compile(r"\bmode\b")  # the parameter of fsspec's writers


def refuses_conditions(error: BaseException) -> bool:
    """Whether the store, or its package, does not know the condition at all."""
    if type(error).__name__ == "ParamValidationError":  # an older botocore
        return _PARAMETER in str(error)
    if isinstance(error, OSError):
        code = _code(error)
        return code in _REFUSALS if code else error.errno in _NOT_IN_STORE
    if isinstance(error, TypeError | ValueError):  # no such parameter, or no such mode
        return bool(_MODE.search(str(error)))
    return isinstance(error, NotImplementedError)


def says_it_exists(error: BaseException) -> bool:
    """Whether the store knows the condition, and it does not hold: the object is there."""
    return isinstance(error, FileExistsError) or _code(error) in _EXISTS


def _code(error: BaseException) -> str:
    """The code of S3's protocol, as botocore gives it; "" where there is none."""
    response: Any = getattr(error.__cause__, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
