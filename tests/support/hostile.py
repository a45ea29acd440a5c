"""Reads hostile files one after the other, in a process of its own, and reports how each one ends.

Run as a script, with "ingest" or "check" and the paths as its arguments: each of them gives a line
of JSON with the outcome ("read", or the class of the error and its message), the seconds of
processor time (others may use this machine), the seconds in all, and the peak memory of the largest
process. What is no error of ours has a traceback.
"""

import json
import os
import re
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import forked

LONGEST, HANGING, LARGEST = 10.0, 100.0, 2 << 30  # seconds, seconds, bytes


@dataclass(frozen=True)
class Ending:
    """How reading one file ended."""

    path: str
    outcome: str  # "read", the name of an error's class, or "traceback"
    message: str
    seconds: float  # of processor time
    wall: float  # seconds that passed
    memory: int  # bytes at the peak, of the largest process so far

    @property
    def clean(self) -> bool:
        return (
            self.outcome in ("read", "ConfigError", "InputError")
            and self.seconds < LONGEST
            and self.wall < HANGING
            and self.memory < LARGEST
        )


def read_all(paths: list[Path], reader: str = "ingest") -> list[Ending]:
    """The ending of each; where the process dies, the last has its signal and the rest is left.

    reader: "ingest", or "check", whose findings are no errors.
    """
    words, environment = [reader, *map(str, paths)], {**os.environ, "OMP_NUM_THREADS": "1"}
    done = forked.run(words, environment, 600, script=__file__)
    endings = [Ending(**json.loads(line)) for line in done.stdout.splitlines()]
    if done.returncode or len(endings) < len(paths):
        path = str(paths[min(len(endings), len(paths) - 1)])
        reason = f"exit code {done.returncode}: {done.stderr[-2000:]}"
        endings.append(Ending(path, "died", reason, 0, 0, 0))
    return endings


def _check(path: Path, out: Path) -> None:
    from scoremix.stages.check.check import check_corpus
    from scoremix.stages.common.progress import Silent

    check_corpus(path, None, Silent())


def _read(path: Path, out: Path) -> None:
    from scoremix.stages.common.progress import Silent
    from scoremix.stages.ingest.ingest import IngestConfig, ingest
    from scoremix.stages.sources.numpy_files import SUFFIXES, open_numpy

    if path.suffix == ".yaml":
        from scoremix.pipeline.config import load_config

        load_config(path, [])
        return
    if path.suffix in SUFFIXES:
        for item in open_numpy(path).inputs:
            item.read()
        return
    bad = {"consecutive": 100, "fraction": 0.9}
    config = IngestConfig(source=str(path), resolution=8, holdout=0, max_bad=bad)
    ingest(config, out, seed=0, progress=Silent(), workers=2)


def _report(path: Path, out: Path, read: Callable[[Path, Path], None]) -> Ending:
    from scoremix.manifests.errors import ScoreMixError

    begin, used = time.monotonic(), _processor_time()
    try:
        read(path, out)
        outcome, message = "read", ""
    except ScoreMixError as error:
        outcome, message = type(error).__name__, str(error)
    except BaseException:
        outcome, message = "traceback", traceback.format_exc()
    peak = max(_own_peak(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10)
    used, wall = _processor_time() - used, time.monotonic() - begin
    return Ending(str(path), outcome, message, used, wall, peak)


def _own_peak() -> int:
    """Bytes. ru_maxrss would begin with the peak of the process that started this one."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) << 10  # type: ignore[index]


def _processor_time() -> float:
    """Seconds of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def main() -> None:
    import scoremix.stages.check.check
    import scoremix.stages.ingest.ingest
    import scoremix.stages.sources.numpy_files  # noqa: F401 - not part of the first file's time

    with tempfile.TemporaryDirectory() as folder:
        reader, *paths = sys.argv[1:]
        for number, path in enumerate(paths):
            out = Path(folder) / str(number)
            read = {"ingest": _read, "check": _check}[reader]
            ending = _report(Path(path), out, read)
            print(json.dumps(vars(ending)), flush=True)


if __name__ == "__main__":
    main()
