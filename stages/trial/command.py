"""A trainer of the user's own: a command line for each GAN, its samples found below its folder."""

import contextlib
import os
import signal
import string
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ...manifests.errors import ConfigError, Interrupted, ScoreMixError
from ...manifests.foreign_text import REDACTED
from . import supervisor
from .quoting import fill_template

PLACEHOLDERS = ("data", "out", "seed", "gpu")
LENGTHS = ("images", "count", "epochs")  # of a trial's arm: to show, in it, passes over it

_POLL = 0.2  # seconds
_LAST_LINES = 15
_SUPERVISOR = Path(supervisor.__file__)
_PIPES: set[int] = set()  # ends whose closing says that this process is gone


def _close_in_child() -> None:
    """Closes inherited ends: a forked child would hold them after its parent's death."""
    for descriptor in _PIPES:
        os.close(descriptor)
    _PIPES.clear()


os.register_at_fork(after_in_child=_close_in_child)


class TrainerFailed(ScoreMixError):
    """A trainer ended with an error, ran out of its time, or left no samples."""


def placeholders_of(text: str) -> set[str]:
    """The names in braces of a template. Raises ValueError where one does not stand alone."""
    try:
        fields = [field for field in string.Formatter().parse(text) if field[1] is not None]
    except ValueError as error:
        raise ValueError(f"write a brace of the shell twice, {{{{ or }}}}: {error}") from error
    if any(form or conversion for _, _, form, conversion in fields):
        raise ValueError("placeholders stand alone, as in {data}")
    return {str(name) for _, name, _, _ in fields}


def require_whole_command(text: str, option: str) -> str:
    """The command itself; raises ConfigError for one that was stored without a URL's query."""
    if f"?{REDACTED}" in text or f"//{REDACTED}@" in text:
        raise ConfigError(
            f"{option} was stored without the query of a URL in it, which may hold a secret:"
            f" {text}. Give it again with --set '{option}=...', or let it read the URL from a file."
        )
    return text


def check_template(text: str, placeholders: Sequence[str] = PLACEHOLDERS) -> str:
    """The command template itself; raises ValueError for a placeholder that is not known."""
    names = placeholders_of(text)
    wrong = sorted(names - set(placeholders))
    if wrong:
        known = ", ".join(f"{{{name}}}" for name in placeholders)
        raise ValueError(f"no placeholder {{{wrong[0]}}}; there are {known}")
    if not {"data", "out"} <= names:
        raise ValueError("it must name {data} and {out}: what it trains on, and its own folder")
    return text


@dataclass(frozen=True)
class TrainerCall:
    """One GAN, or one recogniser, by a command."""

    template: str
    data: Path  # the corpus in the trainer's layout
    out: Path  # an empty folder, also the working folder
    seed: int
    gpu: int
    minutes: float | None  # None: as long as it takes
    facts: Mapping[str, object] = field(default_factory=dict)  # other placeholders, quoted
    section: str = "trial"  # of stages.yaml, as errors name it

    @property
    def text(self) -> str:
        """What bash runs."""
        values = {**self.facts, "seed": self.seed, "gpu": self.gpu}
        return fill_template(self.template, values, {"data": str(self.data), "out": str(self.out)})


def run_trainer(call: TrainerCall, log: Path, stopping: Callable[[], bool]) -> None:
    """Runs the command to its end; its output goes to `log`.

    It ends with this process too, even where that is killed: a supervisor ends it then.

    Raises:
        TrainerFailed: it ended with an error or took too long; with the last lines of its output.
        Interrupted: `stopping()` became true; the command was ended with all its processes.
    """
    begin = time.monotonic()
    with open(log, "wb") as file, _supervised(call, file) as process:
        while process.poll() is None:
            if stopping():
                raise Interrupted(f"The {call.section} was stopped; the same command goes on.")
            if call.minutes is not None and time.monotonic() - begin > 60 * call.minutes:
                raise TrainerFailed(
                    f"it was ended after {call.section}.minutes: {call.minutes:g}."
                    f"{_last_lines(log)}"
                )
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL)  # no longer than it runs
    if process.returncode:
        raise TrainerFailed(f"exit code {process.returncode}.{_last_lines(log)}")


@contextlib.contextmanager
def _supervised(call: TrainerCall, log: BinaryIO) -> Iterator[subprocess.Popen[bytes]]:
    """The command under its supervisor; after the block nothing of it is left."""
    theirs, ours = os.pipe()
    _PIPES.add(ours)
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SUPERVISOR), "bash", "-c", call.text],
            cwd=call.out,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=theirs,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _end(process)
    finally:
        _PIPES.discard(ours)
        os.close(ours)
        os.close(theirs)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the command and whatever it started."""
    end = time.monotonic() + supervisor.GRACE
    for signal_ in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, signal_)
            while time.monotonic() < end:
                process.poll()
                os.killpg(process.pid, 0)  # until nothing of it is left
                time.sleep(_POLL)
        except ProcessLookupError:
            break
    process.wait()


def _last_lines(log: Path) -> str:
    with open(log, encoding="utf-8", errors="backslashreplace") as file:
        lines = deque(file, maxlen=_LAST_LINES)
    text = "".join(f"\n    {line.rstrip()}" for line in lines)
    return f" Its last lines ({log}):{text}" if text else f" It wrote nothing ({log})."
