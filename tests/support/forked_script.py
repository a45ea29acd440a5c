"""A Python script run as a program in a forked process, which has torch imported already."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import forked


def run(path: str | Path, *words: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """What `python PATH WORD...` does, in the caller's folder and environment."""
    given = [str(path), *map(str, words)]
    with TemporaryDirectory() as told:
        out, error = Path(told, "out"), Path(told, "error")
        process = forked.FROM.Process(target=_be, args=(given, dict(os.environ), out, error))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(given, timeout, out.read_text())
        return subprocess.CompletedProcess(
            given, process.exitcode, out.read_text(), error.read_text()
        )


def _be(given: list[str], environment: dict[str, str], out: Path, error: Path) -> None:
    """Makes this process the script: its words, its environment, its files, its exit code."""
    for path, number in ((out, sys.stdout.fileno()), (error, sys.stderr.fileno())):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = given
    sys.path.insert(0, os.path.dirname(given[0]))
    runpy.run_path(given[0], run_name="__main__")
