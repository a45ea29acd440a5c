"""Stopping on request: the first signal asks, stages stop at a safe place, exit code 75."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

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
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN if final else previous)


@contextlib.contextmanager
def stop_on_signal(*more: signal.Signals, patient: bool = False) -> Iterator[Callable[[], bool]]:
    """Gives a function that becomes true after SIGTERM, SIGINT, SIGUSR1 or one of `more`.

    A second SIGINT interrupts at once: nothing under a final name is torn by that either. For what
    must not be left half-way, `patient` takes it as the first.
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
    previous = {number: signal.signal(number, ask) for number in (*_SIGNALS, *heard)}
    try:
        yield is_asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
