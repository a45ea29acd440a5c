"""SIGTERM ends every command with 75, at any moment and as a container's first process."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scoremix.pipeline import signals
from scoremix.pipeline.signals import stop_on_signal

# A command that is busy outside any stage, as `verify` is, or `augment` while torch is imported.
BUSY = """
import os, sys, time
from scoremix.pipeline.cli import exit_code

def busy():
    print("pid", os.getpid(), flush=True)
    time.sleep(60)

sys.exit(exit_code(busy, final=True))
"""
FIRST_PROCESS = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]


def start_busy(*prefix: str) -> tuple[subprocess.Popen[str], int]:
    """The process, and the pid that it sees as its own."""
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", BUSY],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline().split()[1])


def outcome(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and standard error; a process that the signal did not end is killed."""
    try:
        _, told = process.communicate(timeout=20)
    finally:
        process.kill()
    return process.returncode, told


def test_sigterm_outside_a_stage_ends_with_75() -> None:
    process, _ = start_busy()
    process.send_signal(signal.SIGTERM)
    assert outcome(process) == (75, "interrupted: the same command resumes.\n")


def test_the_first_process_of_a_container_is_not_deaf() -> None:
    """The kernel drops a SIGTERM that process 1 does not handle."""
    try:
        subprocess.run([*FIRST_PROCESS, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no process namespace can be made here: {error}")
    process, pid = start_busy(*FIRST_PROCESS)
    assert pid == 1
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    os.kill(int(children), signal.SIGTERM)
    assert outcome(process) == (75, "interrupted: the same command resumes.\n")


@pytest.mark.parametrize("gap", [0.0, 0.001, 0.01, 0.05])
def test_a_second_sigterm_does_not_cut_the_ending_short(gap: float) -> None:
    for _ in range(3):
        process, _ = start_busy()
        for _ in range(4):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            time.sleep(gap)
        assert outcome(process) == (75, "interrupted: the same command resumes.\n")


def test_nothing_is_said_of_a_signal_at_the_moment_of_ignoring_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python complains of it by the hook for what cannot be raised; other complaints stay."""
    race, other = OSError("Signal 15 ignored due to race condition"), ValueError("other")
    heard: list[BaseException] = []

    def ignore(number: int, handler: object) -> None:
        for error in (race, other):
            sys.unraisablehook(SimpleNamespace(exc_value=error))  # type: ignore[arg-type]

    def usual(found: Any) -> None:
        heard.append(found.exc_value)

    monkeypatch.setattr(sys, "unraisablehook", usual)
    monkeypatch.setattr(signal, "signal", ignore)
    signals._ignore(signal.SIGTERM)
    assert heard == [other] and sys.unraisablehook is usual


# A signal at every line of what the first one starts, whatever it calls.
BURST = """
import signal, sys
from scoremix.pipeline.signals import stop_on_signal

left = 200

def again(frame, event, argument):
    global left
    if left:
        left -= 1
        signal.raise_signal(signal.SIGINT)
    return again

with stop_on_signal(patient=True) as stopping:
    sys.settrace(again)
    signal.raise_signal(signal.SIGINT)
    while left:
        stopping()
    sys.settrace(None)
    print(stopping())
"""


def run_module(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "command.py").write_text(text)
    command = [sys.executable, "-m", "command"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_an_interrupt_that_leaves_compiled_text_ends_with_75(tmp_path: Path) -> None:
    """Python would end by SIGINT then: dataclasses and named tuples are such text."""
    text = (
        "import sys\n"
        "from scoremix.pipeline.cli import exit_code\n"
        "sys.exit(exit_code(lambda: exec('raise KeyboardInterrupt'), final=True))\n"
    )
    found = run_module(text, tmp_path)
    assert found.returncode == 75
    assert found.stderr.strip() == "interrupted: the same command resumes."


def test_an_interrupt_while_the_commands_are_imported_ends_with_75(tmp_path: Path) -> None:
    text = (
        "import runpy, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'click':\n"
        "            exec('raise KeyboardInterrupt')\n"
        "sys.meta_path.insert(0, Finder())\n"
        "runpy.run_module('scoremix', run_name='__main__')\n"
    )
    found = run_module(text, tmp_path)
    assert (found.returncode, found.stdout) == (75, "")
    assert found.stderr == "interrupted: the same command resumes.\n"


def test_signals_may_interrupt_each_others_handlers() -> None:
    """With a lock in the handler, the second of two waited for the first for ever."""
    done = subprocess.run([sys.executable, "-c", BURST], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


# Within a stage, in one computation of many seconds, during which Python runs no handler.
COMPUTING = """
import sys
import numpy as np
from scoremix.manifests.errors import Interrupted
from scoremix.pipeline.cli import exit_code
from scoremix.pipeline.signals import stop_on_signal

def stage():
    with stop_on_signal() as stopping:
        a = np.ones((int(sys.argv[1]), 4000))  # on one thread: seconds on any machine
        print("begun", flush=True)
        a @ a.T
        print("ended", stopping(), flush=True)
        raise Interrupted("stopped") if stopping() else SystemExit(1)

sys.exit(exit_code(stage, final=True))
"""


def start_computing(rows: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", COMPUTING, str(rows)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    return process


def test_control_c_is_answered_while_a_stage_computes() -> None:
    process = start_computing(5_000)
    try:
        assert process.stderr is not None and process.stdout is not None
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        assert process.stderr.readline() == "\n"
        assert process.stderr.readline() == "Stopping after this batch; again: stop now\n"
        answered = time.monotonic() - begin
        assert answered < 1
        assert process.stdout.readline() == "ended True\n"
        assert time.monotonic() - begin > answered + 0.2, "the computation was over already"
        assert process.wait(20) == 75
    finally:
        process.kill()


def test_sigterm_is_not_answered_by_what_a_person_may_do() -> None:
    process = start_computing(100)
    process.send_signal(signal.SIGTERM)
    code, told = outcome(process)
    assert "again: stop now" not in told and code in (1, 75)  # 1: it had ended before


def test_what_follows_a_stage_has_the_handlers_of_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signal() as stopping:
        assert signal.getsignal(signal.SIGINT) is not before and not stopping()
        inside = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(inside)
        assert inside >= 0
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.set_wakeup_fd(-1) == -1
