"""Progress with rate and time left: bars on a terminal, timed lines elsewhere, JSON beside."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ..manifests.errors import Interrupted
from ..manifests.files.atomic import storage_errors
from ..manifests.foreign_text import fit_to_print
from ..stages.common.progress import Advance
from ..stages.common.units import format_duration
from .energy import Meter

_SECONDS_BETWEEN_LINES = 10.0


class ProgressReporter:
    """Shows the progress of stages on standard error and keeps it in `log` (JSON lines)."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.quiet = quiet
        self.log: Path | None = None
        self.stage: str | None = None  # that the run is at; logged with every line
        self.meter: Meter | None = None  # of energy, where that can be read
        self.started = time.monotonic()

    def elapsed(self) -> float:
        """Seconds since the command began to work."""
        return time.monotonic() - self.started

    def note(self, text: str) -> None:
        text = fit_to_print(text)
        self._record(note=text)
        if not self.quiet:
            self.console.print(text, markup=False)

    @contextlib.contextmanager
    def task(self, name: str, total: int, unit: str) -> Iterator[Advance]:
        if self.quiet or not self.console.is_terminal:
            yield self._counting(name, total, unit, None)
        else:
            with self._bar(name, total) as bar:
                yield self._counting(name, total, unit, bar)

    @contextlib.contextmanager
    def _bar(self, name: str, total: int) -> Iterator[Callable[[int, str, str], None]]:
        columns = (
            TextColumn("{task.description:>9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[left]}"),
        )
        with Progress(*columns, console=self.console, transient=True) as bars:
            task = bars.add_task(name, total=total, rate="", left="")
            yield lambda done, rate, left: bars.update(task, completed=done, rate=rate, left=left)

    def _counting(
        self, name: str, total: int, unit: str, bar: Callable[[int, str, str], None] | None
    ) -> Advance:
        """Counts what is done: each time on the bar, now and then as a line, and in the log."""
        begin = last = time.monotonic()
        done = made = 0  # made: without what was there before
        lines = bar is None and not self.quiet

        def advance(count: int, /, *, resumed: bool = False) -> None:
            nonlocal done, last, made
            now = time.monotonic()
            done += count
            made += 0 if resumed else count
            rate = made / max(now - begin, 1e-6)
            left = (total - done) / rate if made else None  # no rate is known at the start
            if bar is not None:
                bar(done, *_speed(rate, left, unit))
            if now - last < _SECONDS_BETWEEN_LINES:
                return
            last = now
            if lines:
                text = f"{name}: {done:,}/{total:,} {unit}"
                if left is not None:
                    text += f", {rate:,.1f}/s, {format_duration(left)} left"
                self.console.print(text, markup=False)
            if left is not None:
                self._record(task=name, done=done, total=total, rate=rate, left=left)

        return advance

    def _record(self, **values: object) -> None:
        if self.log is not None:
            if self.stage is not None:
                values["stage"] = self.stage
            drawn = self.meter.joules() if self.meter is not None else {}
            if drawn:
                values["joules"] = {kind: round(value, 1) for kind, value in drawn.items()}
            line = json.dumps({"seconds": round(self.elapsed(), 3), **values})
            with storage_errors(self.log):
                self.log.parent.mkdir(parents=True, exist_ok=True)
                with open(self.log, "a") as file:
                    file.write(f"{line}\n")


def _speed(rate: float, left: float | None, unit: str) -> tuple[str, str]:
    if left is None:
        return "", ""
    return f"{rate:,.0f} {unit}/s", f"{format_duration(left)} left"


class Stoppable:
    """A progress that ends the stage, resumably, once `stopping` is true.

    For stages that keep nothing half-done: each sign of progress is a safe place to stop.
    """

    def __init__(self, progress: ProgressReporter, stopping: Callable[[], bool]) -> None:
        self.progress, self.stopping = progress, stopping

    def note(self, text: str) -> None:
        self.progress.note(text)

    @contextlib.contextmanager
    def task(self, name: str, total: int, unit: str) -> Iterator[Advance]:
        with self.progress.task(name, total, unit) as advance:

            def checked(count: int, /, *, resumed: bool = False) -> None:
                advance(count, resumed=resumed)
                if self.stopping():
                    raise Interrupted(f"Stopped in {name}; the same command does it again.")

            yield checked
