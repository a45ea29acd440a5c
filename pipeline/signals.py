"""Stopping on request: the first signal asks, stages stop at a safe place, exit code 75."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

INTERRUPTED = "interrupted: the same command resumes."  # then Interrupted.exit_code

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@contextlib.contextmanager
def interrupt_on_term(*, final: bool = False) -> Iterator[None]:
    """SIGTERM acts like control-C: in every command, and before a stage has begun.

    A second one is ignored: it would cut short what the first one ends. final: the process ends
    after this, and a SIGTERM that comes while it does changes nothing any more.

    Without a handler the kernel drops the SIGTERM of a container's first process (pid 1), and the
    engine kills it ten seconds later. Nothing under a final name is torn by an interruption.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        _ignore(signal.SIGTERM)
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        if final:
            _ignore(signal.SIGTERM)
        else:
            signal.signal(signal.SIGTERM, previous)


def forget_interrupt() -> None:
    """Lets the exit code of `sys.exit` hold after a KeyboardInterrupt was caught.

    Once one has left code that was compiled from a string, as the methods of a dataclass are,
    Python ends by SIGINT in the end (`python -m` does). Running another such code resets that.
    """
    exec("")


def _ignore(number: signal.Signals) -> None:
    """Ignores a signal from now on, and says nothing of one that comes at this very moment.

    Of such a one Python writes "ignored due to race condition" with a traceback.
    """
    usual = sys.unraisablehook

    def hook(found: "sys.UnraisableHookArgs") -> None:
        if "ignored due to race condition" not in str(found.exc_value):
            usual(found)

    sys.unraisablehook = hook
    try:
        signal.signal(number, signal.SIG_IGN)
    finally:
        sys.unraisablehook = usual


class _Answer:
    """Says that a request to stop was heard, whatever the main thread is at.

    Python runs signal handlers in the main thread between two of its own instructions: not while
    that computes a matrix product of seconds. The interpreter's wake-up descriptor gets the
    signal's number at once, and a thread that waits for it writes the answer.
    """

    def __enter__(self) -> "_Answer":
        self._inbox, self._outbox = socket.socketpair()
        self._outbox.setblocking(False)
        self._previous = signal.set_wakeup_fd(self._outbox.fileno(), warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._wait, name="stop answer", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._previous)
        self._outbox.close()  # the thread reads the end and returns
        self._thread.join(1.0)
        self._inbox.close()

    def _wait(self) -> None:
        while numbers := self._inbox.recv(64):
            if signal.SIGINT in numbers:
                os.write(2, b"\nStopping after this batch; again: stop now\n")
                return


@contextlib.contextmanager
def stop_on_signal(*more: signal.Signals, patient: bool = False) -> Iterator[Callable[[], bool]]:
    """Gives a function that becomes true after SIGTERM, SIGINT, SIGUSR1 or one of `more`.

    A second SIGINT interrupts at once: nothing under a final name is torn by that either. For what
    must not be left half-way, `patient` takes it as the first. The first one is answered at once on
    standard error: the batch that is under way may take a while.
    """
    # No threading.Event: a signal may come while the handler of another one holds its lock.
    asked = False

    def is_asked() -> bool:
        return asked

    if threading.current_thread() is not threading.main_thread():
        yield is_asked
        return

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT and not patient:
            raise KeyboardInterrupt
        asked = True

    # What was to be ignored from the start (nohup does so with SIGHUP) is ignored.
    heard = [number for number in more if signal.getsignal(number) is not signal.SIG_IGN]
    with contextlib.nullcontext() if patient else _Answer():
        previous = {number: signal.signal(number, ask) for number in (*_SIGNALS, *heard)}
        try:
            yield is_asked
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def interrupt_at_once() -> Iterator[None]:
    """Where nothing is under way, as while a question waits: the first SIGINT raises
    KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wakeup = signal.set_wakeup_fd(-1)
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        signal.set_wakeup_fd(wakeup)
