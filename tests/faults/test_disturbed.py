"""Whatever disturbs a build, and wherever: nothing invalid stays, and the same command ends it.

A few of each in the default run; `make faults` has all of them.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import forked
import pytest
import tiny
from preload import compiled

HERE = Path(__file__).resolve().parent
DRIVE = HERE / "drive.py"
all_of_them = [pytest.mark.slow, pytest.mark.faults]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """refuse.c, compiled."""
    return compiled(HERE / "refuse.c", tmp_path_factory.mktemp("shim"), "refuse")


def drive(folder: Path, *how: str, shim: Path | None = None) -> list[dict[str, Any]]:
    """The lines of tests/faults/drive.py but for its last, the count.

    shim: to be loaded before all else, for which it takes a new interpreter.
    """
    tiny.make_images(folder / "images")
    words, environment = [str(folder), *how], {**os.environ, "OMP_NUM_THREADS": "1"}
    if shim is None:
        done = forked.run(words, environment, 6000, script=DRIVE)
    else:
        done = subprocess.run(
            [sys.executable, DRIVE, *words],
            capture_output=True,
            text=True,
            env={**environment, "LD_PRELOAD": str(shim)},
        )
    assert done.returncode == 0, done.stderr
    *lines, last = map(json.loads, done.stdout.splitlines())
    assert last == {"builds": len(lines)}
    print(f"{' '.join(how)}: {len(lines)} builds")
    return lines


def check(lines: list[dict[str, Any]], codes: set[int]) -> None:
    for line in lines:
        assert line["code"] in codes, line
        assert not line["invalid"] and line["again"] == 0 and not line["differs"], line


KINDS = ("write", "fsync", "rename")
EVERY_CALL = [
    pytest.param(kind, number, 1, marks=all_of_them)
    for kind in KINDS
    for number in ("EIO", "ENOSPC")
]


@pytest.mark.parametrize(
    "kinds, number, step",
    [(",".join(KINDS), "ENOSPC", 26), *EVERY_CALL],
)
def test_the_nth_call_is_refused(
    kinds: str, number: str, step: int, shim: Path, tmp_path: Path
) -> None:
    lines = drive(tmp_path, "refuse", kinds, number, str(step), shim=shim)
    # 0 where the refused write was of no consequence: who holds a lock, for others to read. (Of
    # every 40th write there are two, and one of them is that of publish.lock; so every 26th.)
    check(lines, {0, 6})
    for kind in kinds.split(","):
        codes = [line["code"] for line in lines if line["kind"] == kind]
        assert sum(code == 6 for code in codes) > len(codes) / 2, kind
    for line in lines:
        assert line["code"] == 0 or "same command" in line["told"], line


@pytest.mark.parametrize("count", [2, pytest.param(50, marks=all_of_them)])
def test_killed_at_random_moments(count: int, tmp_path: Path) -> None:
    lines = drive(tmp_path, "kill", str(count), "7")
    assert len(lines) == count
    check(lines, {-signal.SIGKILL, 0})  # 0: it was faster than the undisturbed one
    assert sum(line["code"] != 0 for line in lines) > count / 2


@pytest.mark.slow
@pytest.mark.faults
def test_killed_at_every_named_point(tmp_path: Path) -> None:
    lines = drive(tmp_path, "points")
    check(lines, {-signal.SIGKILL})
    assert len(lines) > 30
