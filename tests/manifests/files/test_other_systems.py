"""Systems without what Linux has: named where nothing can work, and done without elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scoremix.stages.common.processors import usable_cores


def test_windows_is_named_with_what_works_there() -> None:
    without = 'import signal, sys; sys.modules["fcntl"] = None; del signal.SIGUSR1; '
    done = subprocess.run(
        [sys.executable, "-c", f"{without}import scoremix.pipeline.cli"],
        capture_output=True,
        text=True,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and "POSIX" in last and "WSL2" in last


def test_without_affinity_all_cores_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == os.cpu_count()


def test_cores_are_counted_in_one_place() -> None:
    """Elsewhere the call would fail on a system without affinity."""
    root = Path(__file__).parents[3]
    folders = ("pipeline", "stages", "models", "manifests")
    sources = (path for name in folders for path in (root / name).rglob("*.py"))
    naming = [path for path in sources if "sched_getaffinity" in path.read_text()]
    assert naming == [root / "stages" / "common" / "processors.py"]
