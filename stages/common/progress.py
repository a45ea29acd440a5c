"""How a stage reports its progress, whatever shows it."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    """Shows the progress of one stage at a time; the command line shows rate and time left."""

    def task(self, name: str, total: int, unit: str) -> contextlib.AbstractContextManager[Advance]:
        """Opens a bar of `total` units; the value is a function that adds finished units."""
        ...

    def note(self, text: str) -> None:
        """A line worth keeping, such as the held-out loss at a checkpoint."""
        ...


class Silent:
    """Shows nothing: for tests, and for use as a library."""

    @contextlib.contextmanager
    def task(self, name: str, total: int, unit: str) -> Iterator[Advance]:
        yield lambda done: None

    def note(self, text: str) -> None:
        return None
