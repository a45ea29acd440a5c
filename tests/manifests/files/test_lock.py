"""Who may work on a run at once, and what becomes of a lock whose holder dies."""

import errno
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scoremix.manifests.errors import LockedError, StorageError
from scoremix.manifests.files.lock import FOLDER_LOCK, folder_lock, run_lock, shard_lock
from scoremix.manifests.published.names import content_names
from scoremix.manifests.storage.store import LocalStore

HOLD = """
import sys
from pathlib import Path
from scoremix.manifests.files.lock import run_lock
with run_lock(Path(sys.argv[1]), shared=sys.argv[2] == "shared"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_entry_of_a_holder_has_no_secret_of_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays where the holder is killed."""
    url = "https://bucket.example/a.zip?X-Amz-Signature=deadbeef"
    signed = ["scoremix", "augment", "--data", url, "--set", f"ingest.reference={url}"]
    monkeypatch.setattr(sys, "argv", signed)
    for shared in (False, True):
        with run_lock(tmp_path, shared=shared):
            (written,) = [path.read_text() for path in tmp_path.rglob("lock")]
            assert "bucket.example/a.zip" in written and "deadbeef" not in written


@contextmanager
def holder(folder: Path, kind: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that holds the run's lock until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout and process.stdout.readline() == b"held\n"
    try:
        yield process
    finally:
        process.communicate()


def test_an_exclusive_holder_is_named_and_excludes_all(tmp_path: Path) -> None:
    with holder(tmp_path, "exclusive") as process:
        for shared in (False, True):
            with pytest.raises(LockedError, match=f"process {process.pid} on ") as caught:
                with run_lock(tmp_path, shared=shared):
                    pytest.fail("two holders")
            assert caught.value.exit_code == 5 and str(tmp_path) in str(caught.value)
    with run_lock(tmp_path):
        assert (tmp_path / ".scoremix" / "lock").exists()


def test_shared_holders_share_and_exclude_an_exclusive_one(tmp_path: Path) -> None:
    with holder(tmp_path, "shared") as process, run_lock(tmp_path, shared=True):
        with pytest.raises(LockedError) as caught, run_lock(tmp_path):
            pytest.fail("an exclusive holder among shared ones")
        assert f"process {process.pid} " in str(caught.value)
        assert f"process {os.getpid()} " in str(caught.value)
    with holder(tmp_path, "shared") as process:
        with pytest.raises(LockedError) as caught, run_lock(tmp_path):
            pytest.fail("an exclusive holder beside a shared one")
        assert f"process {os.getpid()} " not in str(caught.value), "he has left"


def test_the_kernel_frees_the_lock_of_a_killed_process(tmp_path: Path) -> None:
    with holder(tmp_path, "exclusive") as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with run_lock(tmp_path):
            with pytest.raises(LockedError) as caught, run_lock(tmp_path, shared=True):
                pytest.fail("two holders")
    assert f"process {os.getpid()} " in str(caught.value)
    assert f"process {process.pid} " not in str(caught.value), "the dead one's name is gone"


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    """Neither when its parent leaves the block, nor (below) when its parent is killed within."""
    read, write = os.pipe()
    with run_lock(tmp_path):
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)  # outlives the block
            os._exit(0)
    try:
        with run_lock(tmp_path):
            assert os.waitpid(child, os.WNOHANG) == (0, 0), "the child is still alive"
    finally:
        os.close(write)
        os.close(read)
        os.waitpid(child, 0)


FORK_AND_HOLD = HOLD.replace(
    "    print", "    import os; child = os.fork() == 0\n    child and print"
)


def test_a_forked_child_does_not_keep_the_lock_of_a_killed_parent(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", FORK_AND_HOLD, str(tmp_path), "exclusive"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout and process.stdout.readline() == b"held\n"  # said by the child
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with run_lock(tmp_path):
        assert process.stdin
        process.stdin.close()  # ends the child
    with process.stdout:
        assert process.stdout.read() == b"", "the child was alive and has ended now"
    process.wait()


def test_the_lock_is_freed_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), run_lock(tmp_path):
        raise KeyError
    with run_lock(tmp_path):
        assert list((tmp_path / ".scoremix").iterdir()) == [tmp_path / ".scoremix" / "lock"]


def test_a_spoilt_lock_file_spoils_only_the_message(tmp_path: Path) -> None:
    with run_lock(tmp_path):
        (tmp_path / ".scoremix" / "lock").write_bytes(b'\xff\n{"pid": "x"}\n[]\n{}\n')
        with pytest.raises(LockedError, match="another process"), run_lock(tmp_path):
            pytest.fail("two holders")


def test_shards_are_locked_one_by_one_and_nobody_waits(tmp_path: Path) -> None:
    with shard_lock(tmp_path, "aug-000000") as first:
        with (
            shard_lock(tmp_path, "aug-000000") as same,
            shard_lock(tmp_path, "aug-000001") as next_,
        ):
            assert (first, same, next_) == (True, False, True)
    with shard_lock(tmp_path, "aug-000000") as again:
        assert again


@pytest.mark.parametrize("number", [errno.EBADF, errno.ENOLCK, errno.EINVAL])
def test_a_folder_that_cannot_be_locked_is_locked_by_a_file(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As over NFS, where flock needs a file that is open for writing."""
    real = fcntl.flock

    def as_nfs(descriptor: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", as_nfs)
    with folder_lock(tmp_path):
        with open(tmp_path / FOLDER_LOCK, "rb") as other, pytest.raises(BlockingIOError):
            real(other.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    with folder_lock(tmp_path), open(tmp_path / FOLDER_LOCK, "rb"):
        pass  # it is free again
    assert content_names(LocalStore(tmp_path)) == []  # and no file of the corpus


def test_where_nothing_can_be_locked_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(StorageError, match="cannot be locked: No locks available. Keep the run"):
        with folder_lock(tmp_path):
            pass


def test_a_lock_file_that_was_removed_locks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that fails at its start removes its folder, lock and all, while another opens it."""
    real, opened = fcntl.flock, []

    def removed_first(descriptor: int, operation: int) -> None:
        if not opened:
            shutil.rmtree(tmp_path / "run")
        opened.append(descriptor)
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    with run_lock(tmp_path / "run"):
        monkeypatch.undo()
        with pytest.raises(LockedError), run_lock(tmp_path / "run"):
            pass
