"""Calls readers of binary formats in a child process with limits.

The libraries of HDF5, LMDB, Parquet and Arrow trust what a file says of itself: a damaged or
hostile one makes them read beyond its end, which ends the process, or allocate what it claims. In a
child the file is refused instead, and the run goes on.
"""

import atexit
import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ...manifests.errors import ScoreMixError
from ..images import decode_pool
from ..images.decode_pool import PROCESS_GONE, ChildProcess
from ..images.unusable import Unusable, explain
from .base import SourceFile

# What one call may use, beside what it used before.
_MEMORY, _MEMORY_PER_BYTE = 1 << 30, 4  # bytes, and bytes of memory for each byte of the file
_SECONDS, _BYTES_PER_SECOND = 5, 20 << 20  # of processor time
_MOST_ENDED = 10  # processes that reading one file may end
_Result = TypeVar("_Result")


def isolated(file: SourceFile, function: Callable[..., _Result], *arguments: Any) -> _Result:
    """function(file, *arguments) in a child process, or here if this is one.

    function: at the top level of a module, as are its arguments and result for pickle.

    Raises:
        ScoreMixError, OSError: what `function` raises of them.
        Unusable: it raises anything else, uses more memory or time than the file's size explains,
            or its process ends.
    """
    if decode_pool.in_child:
        return _limited(file, function, arguments)
    return _reader.call(file, function, arguments)


class _Reader:
    """The child of this process, started when it is needed; one call at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: ChildProcess | None = None
        self._owner = 0  # its parent: a fork of that must have one of its own
        self._ended: Counter[SourceFile] = Counter()  # by what file, and how often

    def call(
        self, file: SourceFile, function: Callable[..., _Result], arguments: tuple[Any, ...]
    ) -> _Result:
        with self._lock:
            if self._ended[file] >= _MOST_ENDED:
                raise Unusable(f"not read: the file has ended {_MOST_ENDED} processes before")
            if self._child is None or self._owner != os.getpid():
                self._child, self._owner = ChildProcess(), os.getpid()
            child = self._child
            try:
                result, error = child.call(_answer, file, function, arguments)
            except PROCESS_GONE:
                self._child, ending = None, child.ending()
                child.close()
                self._ended[file] += 1
                raise Unusable(_why_ended(file, ending)) from None
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def close(self) -> None:
        with self._lock:
            child, self._child = self._child, None
            if child is not None and self._owner == os.getpid():
                child.close()


_reader = _Reader()
close = _reader.close  # ends the child; the next call starts another
atexit.register(close)


def _why_ended(file: SourceFile, ending: str) -> str:
    if ending == "SIGXCPU":
        return f"reading it took more than {_seconds(file)} s of processor time"
    return f"reading it ended the reader's process ({ending})"


def _answer(
    file: SourceFile, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[Any, Exception | None]:
    """Runs in the child: the result, or an error that can be sent."""
    try:
        return _limited(file, function, arguments), None
    except (ScoreMixError, Unusable) as error:
        return None, error
    except OSError as error:
        parts = (error.errno, error.strerror) if error.errno else (str(error),)
        return None, OSError(*parts)


def _limited(
    file: SourceFile, function: Callable[..., _Result], arguments: tuple[Any, ...]
) -> _Result:
    try:
        with _limits(file):
            return function(file, *arguments)
    except (ScoreMixError, Unusable, OSError):
        raise
    except MemoryError as error:  # also pyarrow's
        mebibytes = (_MEMORY + _MEMORY_PER_BYTE * file.size) >> 20
        raise Unusable(f"reading it takes more than {mebibytes:,} MiB of memory") from error
    except Exception as error:  # packages raise errors of any class for damaged files
        raise Unusable(explain(error)) from error


def _seconds(file: SourceFile) -> int:
    return _SECONDS + file.size // _BYTES_PER_SECOND


@contextlib.contextmanager
def _limits(file: SourceFile) -> Iterator[None]:
    """Bounds memory and processor time of this process, where the system can (Linux).

    Mapped files do not count as memory. The system ends a process that uses more time.
    """
    try:
        import resource

        with open("/proc/self/statm") as statm:
            used = int(statm.read().split()[5]) * resource.getpagesize()
    except (ImportError, OSError, IndexError, ValueError):
        yield
        return
    wanted = {
        resource.RLIMIT_DATA: used + _MEMORY + _MEMORY_PER_BYTE * file.size,
        resource.RLIMIT_CPU: int(time.process_time()) + 1 + _seconds(file),
    }
    before = {kind: resource.getrlimit(kind) for kind in wanted}
    for kind, limit in wanted.items():
        soft, hard = before[kind]
        known = [limit, *(one for one in (soft, hard) if one != resource.RLIM_INFINITY)]
        resource.setrlimit(kind, (min(known), hard))
    try:
        yield
    finally:
        for kind, both in before.items():
            resource.setrlimit(kind, both)
