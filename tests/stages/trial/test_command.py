"""A trainer's command is run to its end, and ends with its trial; locks of a trial wait."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scoremix.manifests.errors import ConfigError, Interrupted
from scoremix.manifests.files.lock import shard_lock
from scoremix.manifests.foreign_text import redact_all
from scoremix.stages.trial.command import (
    TrainerCall,
    TrainerFailed,
    require_whole_command,
    run_trainer,
)
from scoremix.stages.trial.locks import waiting_lock

# A child in the background, and a shell of its own, as trainers with loaders have.
FAMILY = "sleep 600 & echo $! > {out}/child; bash -c 'echo $$ > {out}/shell; sleep 600; :'"
TRIAL = """
import sys
from pathlib import Path
from scoremix.stages.trial.command import TrainerCall, run_trainer
out = Path(sys.argv[1])
run_trainer(TrainerCall(sys.argv[2], out, out, 0, 0, None), out / "log", lambda: False)
"""


def call(out: Path, template: str) -> TrainerCall:
    return TrainerCall(template, out / "data", out, 3, 1, None)


def until(true: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


def lives(process: int) -> bool:
    """Whether it runs: a process that has ended and was not waited for does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def family(out: Path) -> list[int]:
    return [int((out / name).read_text()) for name in ("child", "shell")]


def begun(out: Path) -> bool:
    return all((out / name).exists() and (out / name).read_text() for name in ("child", "shell"))


def test_a_trainer_ends_with_a_trial_that_is_killed(tmp_path: Path) -> None:
    trial = subprocess.Popen([sys.executable, "-c", TRIAL, str(tmp_path), FAMILY])
    try:
        assert until(lambda: begun(tmp_path))
        assert all(map(lives, family(tmp_path)))
    finally:
        trial.kill()
        trial.wait()
    assert until(lambda: not any(map(lives, family(tmp_path)))), "the trainer goes on"


def test_a_stop_ends_all_of_it(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run_trainer(call(tmp_path, FAMILY), tmp_path / "log", lambda: begun(tmp_path))
    assert not any(map(lives, family(tmp_path)))


def test_the_command_gets_sigterm_as_if_alone(tmp_path: Path) -> None:
    """The supervisor's handler is not inherited: SIGTERM ends the trainer at once."""
    begin = time.monotonic()
    with pytest.raises(Interrupted):
        run_trainer(call(tmp_path, FAMILY), tmp_path / "log", lambda: begun(tmp_path))
    assert time.monotonic() - begin < 8  # before the supervisor's SIGKILL


@pytest.mark.parametrize(("template", "code"), [("exit 7", 7), ("kill -KILL $$", 137)])
def test_the_exit_code_is_the_commands(template: str, code: int, tmp_path: Path) -> None:
    with pytest.raises(TrainerFailed, match=f"exit code {code}"):
        run_trainer(call(tmp_path, template), tmp_path / "log", lambda: False)


def test_a_command_reads_nothing(tmp_path: Path) -> None:
    run_trainer(call(tmp_path, "cat; echo end"), tmp_path / "log", lambda: False)
    assert (tmp_path / "log").read_text() == "end\n"


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with waiting_lock(tmp_path, "arm.own", lambda: False):
            order.append("second")

    with shard_lock(tmp_path, "arm.own") as mine:
        assert mine
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.7)
        order.append("first")
    other.join(10)
    assert order == ["first", "second"]


def test_waiting_can_be_stopped(tmp_path: Path) -> None:
    with shard_lock(tmp_path, "arm.own"), pytest.raises(Interrupted):
        with waiting_lock(tmp_path, "arm.own", lambda: True):
            pytest.fail("it is held")


def test_a_forked_child_does_not_hold_the_pipe(tmp_path: Path) -> None:
    """A decoder that outlives the trial does not keep the trainer alive."""
    forks = TRIAL.replace("run_trainer(T", "import os, threading, time\nthreading.Timer(2, lambda: "
                          "os.fork() or (open(out / 'fork', 'w').write(str(os.getpid())), "
                          "time.sleep(60), os._exit(0))).start()\nrun_trainer(T")  # fmt: skip
    trial = subprocess.Popen([sys.executable, "-c", forks, str(tmp_path), FAMILY])
    try:
        fork = tmp_path / "fork"
        assert until(lambda: begun(tmp_path) and fork.exists() and bool(fork.read_text()))
    finally:
        trial.kill()
        trial.wait()
    try:
        assert lives(int(fork.read_text()))
        assert until(lambda: not any(map(lives, family(tmp_path)))), "the trainer goes on"
    finally:
        os.kill(int(fork.read_text()), signal.SIGKILL)


def test_a_command_that_was_stored_without_a_secret_is_not_run() -> None:
    whole = "train.py {data} {out} --init https://host/w.pt?sig=abc"
    assert require_whole_command(whole, "trial.command") == whole
    with pytest.raises(ConfigError, match="trial.command was stored without the query"):
        require_whole_command(redact_all(whole), "trial.command")
