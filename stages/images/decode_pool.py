"""Decodes inputs in parallel, in threads or processes; results come in the order of the inputs.

A few inputs are decoded in threads. Many are sent, in chunks, to processes of their own, because
Python's part of decoding a small image holds the interpreter lock too long for threads to scale.
A decoder library that crashes takes one such process with it, and one input becomes a bad one.

Results do not depend on which worker is faster. A fixed number of inputs is in work or waiting at
most, so memory stays constant.
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
from .decode import Decoded, decode, pillow_limits
from .input import Input
from .preparation import Preparation
from .similarity import perceptual_hashes

PROCESSES_FROM = 1000  # inputs; starting processes (half a second) does not pay for fewer
_AHEAD = 4  # inputs in work or waiting per thread
_CHUNKS_AHEAD = 2  # chunks in work or waiting per process
_CHUNK = 32  # inputs sent at once, if their pixels are no more than ...
_CHUNK_BYTES = 8 << 20  # ... these
_PIPE_BYTES = 1 << 20  # holds a chunk's results, so that the process need not wait for the reader

_ENVIRONMENT = {
    # No BLAS threads for a 32 x 32 matrix.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # others reserve a GiB, which a limit would count
}
PROCESS_GONE = (EOFError, OSError, pickle.UnpicklingError)  # raised by its pipes

in_child = False  # whether this is such a process

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def decode_inputs(items: Sequence[Input], preparation: Preparation) -> list[Decoded]:
    """Decodes inputs, unless they must not be opened. Never raises: see decode."""
    results = [
        Decoded(reason=item.refused) if item.refused else decode(item.read, preparation, item.patch)
        for item in items
    ]
    good = [result for result in results if result.pixels is not None]
    if good:
        images = np.stack([result.pixels for result in good if result.pixels is not None])
        for result, bits in zip(good, perceptual_hashes(images), strict=True):
            result.phash = bits
    return results


class DecodePool:
    """Threads that decode, with a process each for many inputs; a context manager ends them."""

    def __init__(self, workers: int, processes_from: int | None = None) -> None:
        """processes_from: how many inputs are decoded in processes; by default PROCESSES_FROM."""
        self.workers = workers
        self.processes_from = PROCESSES_FROM if processes_from is None else processes_from
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="decoder")
        self._local = threading.local()  # every thread's own process
        self._started: list[ChildProcess] = []
        self._unused: list[ChildProcess] = []  # of those, the ones that no thread has yet
        self._lock = threading.Lock()  # of both lists

    def __enter__(self) -> "DecodePool":
        return self

    def __exit__(self, *exception: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        for process in self._started:
            process.close()

    def start_for(self, count: int) -> None:
        """Starts the processes that so many inputs will need, without waiting for them."""
        if count >= self.processes_from and self.workers > 1:
            self._unused = [ChildProcess() for _ in range(self.workers)]
            self._started += self._unused

    def map(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Iterator[_Result]:
        """function(item) in threads, in the order of `items`."""
        return ordered_map(self._threads, function, items, self.workers * _AHEAD)

    def decode(self, items: Sequence[Input], preparation: Preparation) -> Iterator[Decoded]:
        """Decodes every input as decode_inputs does, in the order of `items`."""
        if len(items) < self.processes_from or self.workers == 1:
            yield from self.map(lambda item: decode_inputs([item], preparation)[0], items)
            return
        size = max(1, min(_CHUNK, _CHUNK_BYTES // (3 * preparation.resolution**2)))
        rest = iter(items)
        chunks = iter(lambda: list(islice(rest, size)), [])

        def decode_chunk(chunk: list[Input]) -> list[Decoded]:
            return self._process_of_thread().decode(chunk, preparation)

        ahead = self.workers * _CHUNKS_AHEAD
        for results in ordered_map(self._threads, decode_chunk, chunks, ahead):
            yield from results

    def _process_of_thread(self) -> "ChildProcess":
        process: ChildProcess | None = getattr(self._local, "process", None)
        if process is None:
            process = self._local.process = self._unused_process()
        return process

    def _unused_process(self) -> "ChildProcess":
        with self._lock:
            if not self._unused:
                self._unused = [ChildProcess()]
                self._started += self._unused
            return self._unused.pop()


class ChildProcess:
    """A Python process that runs `serve`: it calls what it is sent, until its input ends."""

    # It imports this module alone, from where this process has it.
    _CODE = "import sys; sys.path[:] = {path!r}; from {module} import serve; serve()"

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        code = self._CODE.format(path=sys.path, module=__name__)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libtiff and libpng print; a row has the reason
            env={**os.environ, **_ENVIRONMENT},
            pipesize=_PIPE_BYTES,
        )

    def decode(self, items: list[Input], preparation: Preparation) -> list[Decoded]:
        """Decodes a chunk; where that ends the process, each of its inputs by itself."""
        try:
            return self.call(_decode_chunk, items, preparation)
        except PROCESS_GONE:
            self.process.wait()
            return [self._decode_alone(item, preparation) for item in items]

    def call(self, function: Callable[..., _Result], *arguments: object) -> _Result:
        """function(*arguments), in the process; it must not raise.

        Raises one of PROCESS_GONE where the process ends instead of answering.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        pickle.dump((function, arguments), self.process.stdin, pickle.HIGHEST_PROTOCOL)
        self.process.stdin.flush()
        result: _Result = pickle.load(self.process.stdout)
        return result

    def ending(self) -> str:
        """Waits for a process that ends, and says how: "SIGSEGV", or "exit code 1"."""
        code = self.process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def _decode_alone(self, item: Input, preparation: Preparation) -> Decoded:
        """Decodes one input of a chunk that ended the process; the culprit becomes a bad input."""
        if self.process.poll() is not None:
            self.close()
            self._start()
        try:
            return self.call(_decode_chunk, [item], preparation)[0]
        except PROCESS_GONE:
            return Decoded(reason=f"the decoder crashed on it ({self.ending()})")

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.close()
        except OSError:  # the process has ended
            pass
        self.process.stdout.close()
        self.process.wait()


def _decode_chunk(items: list[Input], preparation: Preparation) -> list[Decoded]:
    with pillow_limits(preparation.max_pixels):
        return decode_inputs(items, preparation)


def serve() -> None:
    """Runs in a child process: reads calls from standard input, writes their results to output.

    Ends with its input.
    """
    global in_child
    in_child = True
    # Sent to the whole process group; the parent decides when this process ends.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.SIG_IGN)
    requests: IO[bytes] = os.fdopen(os.dup(0), "rb")
    answers: IO[bytes] = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not print into the answers
    while True:
        try:
            function, arguments = pickle.load(requests)
        except EOFError:
            return
        pickle.dump(function(*arguments), answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()
