"""decoders: inputs become pixels in parallel; results come back in the order of the inputs.

A few inputs are decoded in threads. Many are sent, in chunks, to processes of their own, because
Python's part of decoding a small image holds the interpreter lock too long for threads to scale.
A decoder library that crashes takes one such process with it, and one input becomes a bad one.

Nothing here depends on which was faster, and at most a fixed number of inputs is under way or
waiting, so memory stays constant.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import IO, TypeVar

import numpy as np

from ..common.ordered_map import ordered_map
from .decode import Decoded, Preparation, decode, pillow_limits
from .input import Input
from .similarity import perceptual_hashes

MANY = 1000  # inputs from which on starting processes (half a second) pays
_AHEAD = 4  # inputs, or 2 chunks, under way or waiting per worker
_CHUNK = 32  # inputs sent at once, if their pixels are no more than ...
_PIPE = 1 << 20  # bytes: a chunk's answer is sent whole, and its process goes on
_CHUNK_BYTES = 8 << 20  # ... these

_DIED = (EOFError, OSError, pickle.UnpicklingError)  # how a process that is gone answers

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def prepare(items: Sequence[Input], how: Preparation) -> list[Decoded]:
    """Decodes inputs, unless they must not be opened. Never raises: see decode."""
    results = [
        Decoded(reason=item.refused) if item.refused else decode(item.read, how, item.patch)
        for item in items
    ]
    good = [result for result in results if result.pixels is not None]
    if good:
        images = np.stack([result.pixels for result in good if result.pixels is not None])
        for result, bits in zip(good, perceptual_hashes(images), strict=True):
            result.phash = bits
    return results


class Decoders:
    """Threads, and from MANY inputs on a process for each; ends them with the `with` block."""

    def __init__(self, workers: int, many: int = MANY) -> None:
        self.workers, self.many = workers, many
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="decoder")
        self._local = threading.local()  # every thread's own process
        self._started: list[_Process] = []
        self._ready: list[_Process] = []  # of those, the ones that no thread has yet
        self._taking = threading.Lock()

    def __enter__(self) -> "Decoders":
        return self

    def __exit__(self, *exception: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        for process in self._started:
            process.close()

    def expect(self, count: int) -> None:
        """So many inputs are to come: starts the processes that they will need, and goes on."""
        if count >= self.many and self.workers > 1:
            self._ready = [_Process() for _ in range(self.workers)]
            self._started += self._ready

    def map(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Iterator[_Result]:
        """function(item) in threads, in the order of `items`."""
        return self._ordered(function, items, self.workers * _AHEAD)

    def prepare(self, items: Sequence[Input], how: Preparation) -> Iterator[Decoded]:
        """What `prepare` gives, in the order of `items`."""
        if len(items) < self.many or self.workers == 1:
            yield from self.map(lambda item: prepare([item], how)[0], items)
            return
        size = max(1, min(_CHUNK, _CHUNK_BYTES // (3 * how.resolution**2)))
        rest = iter(items)
        chunks = iter(lambda: list(islice(rest, size)), [])
        decode_there = lambda chunk: self._process().prepare(chunk, how)  # noqa: E731
        for results in self._ordered(decode_there, chunks, self.workers * 2):
            yield from results

    def _ordered(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item], ahead: int
    ) -> Iterator[_Result]:
        return ordered_map(self._threads, function, items, ahead)

    def _process(self) -> "_Process":
        process: _Process | None = getattr(self._local, "process", None)
        if process is None:
            process = self._local.process = self._take()
        return process

    def _take(self) -> "_Process":
        with self._taking:
            if not self._ready:
                self._ready = [_Process()]
                self._started += self._ready
            return self._ready.pop()


class _Process:
    """A Python that decodes what it is sent, until its input ends."""

    # Its own imports alone, from where this process has them; no BLAS threads for a 32 x 32 matrix.
    _CODE = "import sys; sys.path[:] = {path!r}; from {module} import serve; serve()"

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        code = self._CODE.format(path=sys.path, module=__name__)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libtiff and libpng chat; what matters is in the rows
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            pipesize=_PIPE,
        )

    def prepare(self, items: list[Input], how: Preparation) -> list[Decoded]:
        try:
            return self._ask(items, how)
        except _DIED:
            self.process.wait()
            return [self._alone(item, how) for item in items]

    def _ask(self, items: list[Input], how: Preparation) -> list[Decoded]:
        assert self.process.stdin is not None and self.process.stdout is not None
        pickle.dump((items, how), self.process.stdin, pickle.HIGHEST_PROTOCOL)
        self.process.stdin.flush()
        results: list[Decoded] = pickle.load(self.process.stdout)
        return results

    def _alone(self, item: Input, how: Preparation) -> Decoded:
        """One input of a chunk in which the process died: is it the one?"""
        if self.process.poll() is not None:
            self.close()
            self._start()
        try:
            return self._ask([item], how)[0]
        except _DIED:
            code = self.process.wait()
            died = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return Decoded(reason=f"the decoder crashed on it ({died})")

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.close()
        except OSError:  # it is gone already
            pass
        self.process.stdout.close()
        self.process.wait()


def serve() -> None:
    """The other end: answers chunks on standard input until it ends, whoever ended it."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # for the whole group: the parent decides
        signal.signal(stop, signal.SIG_IGN)
    inward: IO[bytes] = os.fdopen(os.dup(0), "rb")
    outward: IO[bytes] = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not print into the answers
    while True:
        try:
            items, how = pickle.load(inward)
        except EOFError:
            return
        with pillow_limits(how.max_pixels):
            results = prepare(items, how)
        pickle.dump(results, outward, pickle.HIGHEST_PROTOCOL)
        outward.flush()
