"""Progress with rate and time left: bars on a terminal, timed lines elsewhere, JSON beside."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..manifests.errors import Interrupted
from ..manifests.files.atomic import storage_errors
from ..manifests.foreign_text import fit_to_print
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
    def task(self, name: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        if self.quiet or not self.console.is_terminal:
            yield self._counting(name, total, unit, None)
        else:
            with self._bar(name, total) as bar:
                yield self._counting(name, total, unit, bar)

    @contextlib.contextmanager
    def _bar(self, name: str, total: int) -> Iterator[Callable[[int, str], None]]:
        columns = (
            TextColumn("{task.description:>9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns, console=self.console, transient=True) as bars:
            task = bars.add_task(name, total=total, rate="")
            yield lambda count, rate: bars.update(task, advance=count, rate=rate)

    def _counting(
        self, name: str, total: int, unit: str, bar: Callable[[int, str], None] | None
    ) -> Callable[[int], None]:
        """Counts what is done: each time on the bar, now and then as a line, and in the log."""
        begin = last = time.monotonic()
        done = resumed = 0
        lines = bar is None and not self.quiet

        def advance(count: int) -> None:
            nonlocal done, last, resumed
            now = time.monotonic()
            # What a resumed task starts with was not done at this rate.
            resumed = count if done == 0 and now - begin < 0.01 else resumed
            done += count
            rate = (done - resumed) / max(now - begin, 1e-6)
            if bar is not None:
                bar(count, f"{rate:,.0f} {unit}/s")
            if now - last < _SECONDS_BETWEEN_LINES:
                return
            last = now
            text = f"{name}: {done:,}/{total:,} {unit}"
            if done == resumed:  # still at its start: no rate is known
                if lines:
                    self.console.print(text, markup=False)
                return
            left = (total - done) / rate
            if lines:
                text += f", {rate:,.1f}/s, {format_duration(left)} left"
                self.console.print(text, markup=False)
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


class Stoppable:
    """A progress that ends the stage, resumably, once `stopping` is true.

    For stages that keep nothing half-done: each sign of progress is a safe place to stop.
    """

    def __init__(self, progress: ProgressReporter, stopping: Callable[[], bool]) -> None:
        self.progress, self.stopping = progress, stopping

    def note(self, text: str) -> None:
        self.progress.note(text)

    @contextlib.contextmanager
    def task(self, name: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        with self.progress.task(name, total, unit) as advance:

            def checked(count: int) -> None:
                advance(count)
                if self.stopping():
                    raise Interrupted(f"Stopped in {name}; the same command does it again.")

            yield checked
