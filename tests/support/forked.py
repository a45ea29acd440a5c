"""The commands in processes forked from one that has imported everything.

A new interpreter takes three seconds of processor time until a build can begin, most of it torch;
tests start more than a hundred. A forked process is as real: it has its own number, environment,
files and end, by SIGKILL too. `Popen` with a new interpreter is for tests of how a process starts.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

# Imported on a build's way, by ourselves or by torch.
LATER = ("torch._dynamo", "matplotlib.figure", "pandas")

PRELOADED = [
    "tiny", "quick_charts", "scoremix.pipeline.run", "scoremix.pipeline.dry_run", *LATER
]  # fmt: skip

FROM = multiprocessing.get_context("forkserver")
FROM.set_forkserver_preload(PRELOADED)


def run(
    arguments: Sequence[str], environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """scoremix-pipeline with exactly this environment, in the caller's folder."""
    with TemporaryDirectory() as told:
        out, error = Path(told, "out"), Path(told, "error")
        process = FROM.Process(target=_be, args=(arguments, dict(environment), out, error))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(list(arguments), timeout, out.read_text())
        return subprocess.CompletedProcess(
            list(arguments), process.exitcode, out.read_text(), error.read_text()
        )


def _be(arguments: Sequence[str], environment: Mapping[str, str], out: Path, error: Path) -> None:
    """Makes this process the command: its environment, its files, its exit code."""
    for path, number in ((out, sys.stdout.fileno()), (error, sys.stderr.fileno())):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    from scoremix.pipeline.cli import main

    main(list(arguments))
