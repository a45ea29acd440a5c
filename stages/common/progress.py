"""How a stage reports its progress, whatever shows it."""

import contextlib
from collections.abc import Iterator
from typing import Protocol


class Advance(Protocol):
    """Reports that `count` units more are finished."""

    def __call__(self, count: int, /, *, resumed: bool = False) -> None:
        """resumed: an earlier start or another process made them; no rate comes of them."""
        ...


class Progress(Protocol):
    """Shows the progress of one stage at a time; the command line shows rate and time left."""

    def task(self, name: str, total: int, unit: str) -> contextlib.AbstractContextManager[Advance]:
        """Opens a bar of `total` units; the value is a function that adds finished units."""
        ...

    def note(self, text: str) -> None:
        """A line worth keeping, such as the held-out loss at a checkpoint."""
        ...


def ignore_progress(count: int, /, *, resumed: bool = False) -> None:
    """An Advance that nobody looks at."""


class Silent:
    """Shows nothing: for tests, and for use as a library."""

    @contextlib.contextmanager
    def task(self, name: str, total: int, unit: str) -> Iterator[Advance]:
        yield ignore_progress

    def note(self, text: str) -> None:
        return None
