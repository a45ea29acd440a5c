"""Whatever disturbs a build, and wherever: nothing invalid stays, and the same command ends it.

A few of each in the default run; `make faults` has all of them.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny

HERE = Path(__file__).resolve().parent
all_of_them = [pytest.mark.slow, pytest.mark.faults]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """refuse.c, compiled."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler on Linux, to refuse system calls")
    out = tmp_path_factory.mktemp("shim") / "refuse.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", out, HERE / "refuse.c", "-ldl"], check=True)
    return out


def drive(folder: Path, *how: str, **environment: str) -> list[dict[str, Any]]:
    """The lines of tests/faults/drive.py but for its last, the count."""
    tiny.make_images(folder / "images")
    done = subprocess.run(
        [sys.executable, HERE / "drive.py", folder, *how],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
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


@pytest.mark.parametrize("kind", ["write", "fsync", "rename"])
@pytest.mark.parametrize(
    "number, step",
    [("ENOSPC", 26)] + [pytest.param(number, 1, marks=all_of_them) for number in ("EIO", "ENOSPC")],
)
def test_the_nth_call_is_refused(
    kind: str, number: str, step: int, shim: Path, tmp_path: Path
) -> None:
    lines = drive(tmp_path, "refuse", kind, number, str(step), LD_PRELOAD=str(shim))
    # 0 where the refused write was of no consequence: who holds a lock, for others to read. (Of
    # every 40th write there are two, and one of them is that of publish.lock; so every 26th.)
    check(lines, {0, 6})
    assert sum(line["code"] == 6 for line in lines) > len(lines) / 2
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
