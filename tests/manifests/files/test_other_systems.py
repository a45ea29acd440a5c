"""Systems without what Linux has: named where nothing can work, and done without elsewhere."""

import os
import subprocess
import sys

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
