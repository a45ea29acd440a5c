"""Decoder processes that are killed, and decoders whose parent is: no hang, no orphan."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny

BUSY = """
import sys
from pathlib import Path
from scoremix.stages.images.preparation import Preparation
from scoremix.stages.images.decode_pool import DecodePool
from scoremix.stages.images.input import Input

inputs = [Input(f"{n}.png", Path(sys.argv[1]).read_bytes) for n in range(4000)]
preparation = Preparation(8, "crop", False, (255, 255, 255), 10_000)
with DecodePool(2, processes_from=1) as pool:
    pool.start_for(len(inputs))
    done = 0
    for decoded in pool.decode(inputs, preparation):
        done += decoded.pixels is not None
        if done == 1:
            print(*(process.process.pid for process in pool._started), flush=True)
            sys.stdin.readline()
print(done)
"""


@pytest.fixture
def busy(tmp_path: Path) -> "subprocess.Popen[str]":
    """A process that waits after its first decoded image, with two decoders."""
    image = tiny.make_images(tmp_path / "images") / "left" / "000.png"
    return subprocess.Popen(
        [sys.executable, "-c", BUSY, str(image)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def decoders_of(process: "subprocess.Popen[str]") -> list[int]:
    assert process.stdout is not None
    return [int(word) for word in process.stdout.readline().split()]


def ended(pid: int) -> bool:
    """Whether the process is gone or a zombie, which nobody here waits for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_killed_decoders_lose_nothing(busy: "subprocess.Popen[str]") -> None:
    decoders = decoders_of(busy)
    assert len(decoders) == 2
    for pid in decoders:
        os.kill(pid, signal.SIGKILL)
    out, _ = busy.communicate("\n", timeout=120)
    assert busy.returncode == 0 and out.strip() == "4000"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_decoders_end_with_their_parent(
    number: signal.Signals, busy: "subprocess.Popen[str]"
) -> None:
    decoders = decoders_of(busy)
    busy.send_signal(number)
    busy.wait(timeout=30)
    until = time.monotonic() + 30
    while not all(map(ended, decoders)) and time.monotonic() < until:
        time.sleep(0.05)
    assert [pid for pid in decoders if not ended(pid)] == []
