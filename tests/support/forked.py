"""The commands in processes forked from one that has imported everything.

A new interpreter takes three seconds of processor time until a build can begin, most of it torch;
tests start more than a hundred. A forked process is as real: it has its own number, environment,
files and end, by SIGKILL too. A new interpreter is for tests of how a process starts.
"""

import multiprocessing
import os
import resource
import runpy
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import connection
from pathlib import Path
from tempfile import TemporaryDirectory

# Imported on a build's way, by ourselves or by torch.
LATER = ("torch._dynamo", "matplotlib.figure", "pandas")

BUILDING = ("scoremix.pipeline.run", "scoremix.pipeline.dry_run")
PRELOADED = ["tiny", "quick_charts", "quick_probes", *BUILDING, *LATER]

FROM = multiprocessing.get_context("forkserver")
FROM.set_forkserver_preload(PRELOADED)

# Starting one asks all others for their exit codes, which can be read once.
ALONE = threading.Lock()


class Started:
    """scoremix-pipeline in a process of its own, as subprocess.Popen would have it.

    Its environment is exactly `environment`, its folder the caller's unless another is named. Its
    output goes to files. `script`: a Python file to be run instead. `largest`: its files may not
    grow beyond so many bytes.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        folder: str = "",
        script: str | Path = "",
        largest: int = 0,
    ) -> None:
        self.arguments = list(arguments)
        self._folder = TemporaryDirectory()
        self._out, self._error = (Path(self._folder.name, name) for name in ("out", "error"))
        for path in (self._out, self._error):
            path.touch()  # it may be killed before it opens them
        given = (self.arguments, dict(environment), folder or os.getcwd(), str(script), largest)
        self._process = FROM.Process(target=_be, args=(*given, self._out, self._error))
        with ALONE:
            self._process.start()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """As `poll` gives it."""
        return self.poll()

    def poll(self) -> int | None:
        """Its exit code, the negative number of the signal that ended it, or None while it runs."""
        with ALONE:
            return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Nothing where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL to it, and to nothing that it has started."""
        self._process.kill()

    def wait(self, timeout: float) -> int:
        """Its exit code. Where it takes longer it is killed: raises TimeoutExpired."""
        connection.wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            self.kill()
            raise subprocess.TimeoutExpired(self.arguments, timeout, self._out.read_text())
        return code

    def communicate(self, timeout: float = 300) -> tuple[str, str]:
        """What it printed and what it said, after its end."""
        self.wait(timeout)
        return self._out.read_text(), self._error.read_text()


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    timeout: float,
    *,
    script: str | Path = "",
    largest: int = 0,
) -> subprocess.CompletedProcess[str]:
    """scoremix-pipeline with exactly this environment, in the caller's folder, to its end."""
    process = Started(arguments, environment, script=script, largest=largest)
    printed = process.communicate(timeout)
    return subprocess.CompletedProcess(process.arguments, process.wait(timeout), *printed)


def _be(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: str,
    script: str,
    largest: int,
    out: Path,
    error: Path,
) -> None:
    """Makes this process the command: its environment, folder, limit, files and exit code."""
    for path, number in ((out, sys.stdout.fileno()), (error, sys.stderr.fileno())):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    if script:
        sys.argv = [script, *arguments]
        sys.path.insert(0, os.path.dirname(script))
        runpy.run_path(script, run_name="__main__")
    else:
        from scoremix.pipeline.cli import main

        main(list(arguments))
