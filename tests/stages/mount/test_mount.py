"""mount, with the real FUSE of this machine: a process of its own, signals, kills, refusals."""

import contextlib
import errno
import filecmp
import importlib.util
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import tiny
from in_process import cli
from made import make_corpus

from scoremix.manifests.errors import ConfigError
from scoremix.stages.mount import fuse, mountpoint
from scoremix.stages.mount.mount import MountConfig
from scoremix.stages.mount.mount import mount as serve
from scoremix.stages.mount.mountpoint import check_mountpoint, make_mountpoint

# Shares no code with ours: whether anything can be mounted here at all.
PROBE = """
import sys, mfusepy
class Empty(mfusepy.Operations):
    use_ns = True
    def init(self, path):
        print("mounted", flush=True)
mfusepy.FUSE(Empty(), sys.argv[1], foreground=True, ro=True)
"""
SECONDS = 30  # for what should take one


def clear(folder: Path) -> None:
    """Whatever a test left mounted there goes."""
    program = fuse.unmount_program() or "umount"
    subprocess.run([program, "-u", "-z", str(folder)], capture_output=True)


@pytest.fixture(scope="session")
def works(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where FUSE does not work."""
    folder = tmp_path_factory.mktemp("probe")
    process = subprocess.Popen(
        [sys.executable, "-c", PROBE, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        while first and first != "mounted\n" and process.poll() is None:
            first = process.stdout.readline()
        if first != "mounted\n":
            pytest.skip("FUSE does not work here: no extra `mount`, no /dev/fuse, or no right")
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)
        clear(folder)


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RGB, two classes, 300 images in 30 tars. Tests must not change it."""
    return make_corpus(tmp_path_factory.mktemp("pets"), images=100, side=16, shard_size=10)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of some 500 kB: several requests of the kernel each."""
    root = tmp_path_factory.mktemp("large")
    return make_corpus(root, images=2, side=512, classes=(), ratio=1)


@contextmanager
def mounted(
    shards: Path, folder: Path, *more: str, hangup: signal.Handlers = signal.SIG_DFL
) -> Iterator[subprocess.Popen[str]]:
    """A mount that can be read; whatever is left of it afterwards is cleared away."""
    process = subprocess.Popen(
        [sys.executable, "-m", "scoremix.pipeline.cli", "mount", shards, folder, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, hangup),  # whatever the tests' own is
    )
    try:
        assert process.stdout is not None and process.stderr is not None
        lines = iter(process.stdout.readline, "")
        told = next((line for line in lines if line.startswith("Serving")), None)
        assert told is not None, process.stderr.read()
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        clear(folder)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and standard error."""
    _, told = process.communicate(timeout=SECONDS)
    return process.returncode, told


def walk(folder: Path) -> dict[str, bytes]:
    found = {}
    for above, _, names in os.walk(folder):
        for name in names:
            path = Path(above, name)
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


# --- what is served --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ["--to", "imagefolder"],
        ["--to", "stylegan"],
        ["--to", "unpaired", "--domains", "dog,cat"],
        ["--trainer", "stargan-v2", "--to", "imagefolder", "--ratio", "1"],
    ],
    ids=lambda options: options[1],
)
def test_the_mount_is_the_export(
    options: list[str], pets: Path, works: None, tmp_path: Path
) -> None:
    if "stargan-v2" in options:
        pets = make_corpus(tmp_path / "wide", side=16, channels=1)
    assert cli("export", pets, "--out", tmp_path / "out", "--quiet", *options) == 0
    expected = walk(tmp_path / "out")
    with mounted(pets, tmp_path / "in", *options):
        for _ in range(2):  # the second time from the kernel's cache
            assert walk(tmp_path / "in") == expected
        for name, data in expected.items():
            assert (tmp_path / "in" / name).stat().st_size == len(data)
        listed = subprocess.run(["ls", "-lR", tmp_path / "in"], capture_output=True, text=True)
        assert listed.returncode == 0 and listed.stdout.count(".png") == len(
            [name for name in expected if name.endswith(".png")]
        )
    if "stylegan" in options:
        assert json.loads(expected["dataset.json"])["labels"]


def test_gray_as_rgb_is_what_the_export_encodes(works: None, tmp_path: Path) -> None:
    gray = make_corpus(tmp_path / "gray", side=16, channels=1)
    assert (
        cli("export", gray, "--out", tmp_path / "out", "--quiet", "--to", "stylegan", "--rgb") == 0
    )
    with mounted(gray, tmp_path / "in", "--to", "stylegan", "--rgb"):
        assert walk(tmp_path / "in") == walk(tmp_path / "out")


def test_odd_places_of_large_images(large: Path, works: None, tmp_path: Path) -> None:
    assert cli("export", large, "--out", tmp_path / "out", "--quiet", "--to", "stylegan") == 0
    with mounted(large, tmp_path / "in", "--to", "stylegan"):
        for name, data in walk(tmp_path / "out").items():
            assert len(data) > 300_000
            descriptor = os.open(tmp_path / "in" / name, os.O_RDONLY)
            try:
                for start in (200_001, 131_071, 4095, 0, len(data) - 3, len(data), len(data) + 9):
                    assert os.pread(descriptor, 70_001, start) == data[start : start + 70_001]
            finally:
                os.close(descriptor)


def test_threads_and_processes_read_at_once(pets: Path, works: None, tmp_path: Path) -> None:
    assert cli("export", pets, "--out", tmp_path / "out", "--quiet", "--to", "imagefolder") == 0
    expected = walk(tmp_path / "out")
    with mounted(pets, tmp_path / "in", "--to", "imagefolder"):
        with ThreadPoolExecutor(8) as threads:
            assert all(found == expected for found in threads.map(walk, [tmp_path / "in"] * 8))
        with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as processes:
            done = list(processes.map(filecmp_all, [(tmp_path / "in", tmp_path / "out")] * 4))
        assert done == [len(expected)] * 4


def filecmp_all(folders: tuple[Path, Path]) -> int:
    """Files that are equal in both."""
    filecmp.clear_cache()
    names = [path.relative_to(folders[0]) for path in folders[0].rglob("*.png")]
    return sum(filecmp.cmp(folders[0] / name, folders[1] / name, shallow=False) for name in names)


def test_writing_is_refused(pets: Path, works: None, tmp_path: Path) -> None:
    with mounted(pets, tmp_path / "in", "--to", "stylegan"):
        path = tmp_path / "in" / "dataset.json"
        before = path.read_bytes()
        acts: list[Callable[[], object]] = [
            lambda: path.write_bytes(b"new"),
            lambda: os.close(os.open(path, os.O_RDWR)),
            lambda: os.truncate(path, 0),
            lambda: path.unlink(),
            lambda: path.rename(tmp_path / "in" / "other"),
            lambda: path.chmod(0o666),
            lambda: os.utime(path),
            lambda: (tmp_path / "in" / "new").mkdir(),
            lambda: (tmp_path / "in" / "new").symlink_to("dataset.json"),
        ]
        for act in acts:
            with pytest.raises(OSError) as caught:
                act()
            assert caught.value.errno == errno.EROFS
        assert path.read_bytes() == before


# --- its end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_unmounts(number: signal.Signals, pets: Path, works: None, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "in"
    with mounted(pets, folder, "--to", "stylegan") as process:
        (folder / "dataset.json").read_bytes()
        process.send_signal(number)
        code, told = ended(process)
    assert code == 0 and f"{folder} is unmounted." in told and "in use" not in told
    assert not (tmp_path / "new").exists(), "it was not there before"


def test_what_nohup_started_outlives_the_session(pets: Path, works: None, tmp_path: Path) -> None:
    with mounted(pets, tmp_path / "in", "--to", "stylegan", hangup=signal.SIG_IGN) as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.7)
        assert (tmp_path / "in" / "dataset.json").read_bytes()
        process.terminate()
        assert ended(process)[0] == 0


def test_an_impatient_user_is_unmounted_too(pets: Path, works: None, tmp_path: Path) -> None:
    """A second control-C in the middle of the unmount left a dead mount behind."""
    for pause in (0.0, 0.005, 0.02, 0.2):
        with mounted(pets, tmp_path / "in", "--to", "stylegan") as process:
            for _ in range(4):
                process.send_signal(signal.SIGINT)
                time.sleep(pause)
            process.wait(SECONDS)
            assert not os.path.lexists(tmp_path / "in")


def test_a_folder_that_was_there_stays(pets: Path, works: None, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with mounted(pets, folder, "--to", "stylegan") as process:
        assert os.path.ismount(folder)
        assert cli("mount", pets, folder, "--to", "stylegan") == 2
        process.terminate()
        assert ended(process)[0] == 0
    assert folder.is_dir() and not os.path.ismount(folder) and not any(folder.iterdir())


def test_an_unmount_from_elsewhere_ends_it(pets: Path, works: None, tmp_path: Path) -> None:
    with mounted(pets, tmp_path / "in", "--to", "stylegan") as process:
        assert fuse.unmount(tmp_path / "in") is None
        code, told = ended(process)
    assert code == 0 and "is unmounted." in told


def test_a_mount_in_use_is_detached_with_a_word(pets: Path, works: None, tmp_path: Path) -> None:
    with mounted(pets, tmp_path / "in", "--to", "stylegan") as process:
        descriptor = os.open(tmp_path / "in" / "dataset.json", os.O_RDONLY)
        try:
            process.terminate()
            code, told = ended(process)
            with pytest.raises(OSError) as caught:
                os.read(descriptor, 10)
            assert caught.value.errno == errno.ENOTCONN
        finally:
            with contextlib.suppress(OSError):  # even closing tells of the lost connection
                os.close(descriptor)
        assert code == 0 and "is in use and is detached" in told and "Traceback" not in told
        assert not os.path.ismount(tmp_path / "in") and not (tmp_path / "in").exists()


def test_a_killed_mount_is_recognised(
    pets: Path, works: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    with mounted(pets, folder, "--to", "stylegan") as process:
        process.kill()
        process.wait(SECONDS)
        for path in (folder, folder / "below"):
            assert cli("mount", pets, path, "--to", "stylegan") == 2
            told = capsys.readouterr().err
            assert "was killed" in told and f"-u {folder}`" in told and "Traceback" not in told
        line = told.partition("`")[2].partition("`")[0].split()
        subprocess.run(line, check=True)
        with mounted(pets, folder, "--to", "stylegan"):
            assert (folder / "dataset.json").is_file()


def test_beside_forget_the_mount_stays_whole_and_the_next_one_lacks_the_image(
    works: None, tmp_path: Path
) -> None:
    shards = tmp_path / "shards"
    words = ["augment", "--data", tiny.make_images(tmp_path / "images"), "--out", shards]
    quick = tiny.options(generate__method="mixup", write__shard_size=10)
    assert cli(*words, *quick, "--until", "write") == 0
    with mounted(shards, tmp_path / "in", "--to", "imagefolder"):
        read = next(path for path in sorted((tmp_path / "in").rglob("*_000002.png")))
        expected = {read.relative_to(tmp_path / "in").as_posix(): read.read_bytes()}
        rows = pq.read_table(shards / "manifest.parquet").to_pylist()
        assert cli("forget", tmp_path / "shards.run", "000002", "--quiet") == 0
        during = walk(tmp_path / "in")
        assert len(during) == len(rows) and expected.items() <= during.items()
    with mounted(shards, tmp_path / "in", "--to", "imagefolder"):
        after = walk(tmp_path / "in")
    gone = {row["key"] for row in rows if "000002" in (row["source_1"], row["source_2"])}
    assert len(after) == len(rows) - len(gone) and after.items() < during.items()


def test_the_kernel_tells_of_a_damaged_image(works: None, tmp_path: Path) -> None:
    shards = make_corpus(tmp_path / "pets")
    with mounted(shards, tmp_path / "in", "--to", "imagefolder") as process:
        for tar in shards.glob("*.tar"):
            os.truncate(tar, 100)
        for path in sorted((tmp_path / "in").rglob("*.png")):
            with pytest.raises(OSError) as caught:
                path.read_bytes()
            assert caught.value.errno == errno.EIO
        process.terminate()
        code, told = ended(process)
    assert code == 0 and told.count("changed while it is mounted") == len(
        list(shards.glob("*.tar"))
    )


# --- refusals --------------------------------------------------------------------------------


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        act()
    return str(caught.value)


def test_where_there_is_no_fuse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each reason has its own remedy; all but the package's name export instead."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "darwin")
        told = refusal(fuse.load_fuse)
        assert "Linux" in told and "export" in told
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "mfusepy", None)
        assert 'pip install "scoremix-pipeline[mount]"' in refusal(fuse.load_fuse)
    monkeypatch.setattr(fuse, "_package", lambda: sys)
    with monkeypatch.context() as patch:
        patch.setattr(fuse, "DEVICE", tmp_path / "fuse")
        told = refusal(fuse.load_fuse)
        assert "--device /dev/fuse --cap-add SYS_ADMIN" in told and "modprobe" in told
        assert "export" in told
        (tmp_path / "fuse").mkdir()  # a thing that cannot be opened for writing, by root either
        patch.setattr(os, "geteuid", lambda: 0)
        told = refusal(fuse.load_fuse)
        assert "may not be used" in told and "--cap-add SYS_ADMIN" in told and "export" in told
    with monkeypatch.context() as patch:
        patch.setattr(fuse, "DEVICE", Path("/dev/null"))
        patch.setattr(os, "geteuid", lambda: 1000)
        patch.setenv("PATH", str(tmp_path))
        told = refusal(fuse.load_fuse)
        assert "fusermount3" in told and "apt install fuse3" in told and "export" in told
        patch.setattr(os, "geteuid", lambda: 0)
        assert fuse.load_fuse() is sys, "root needs no fusermount3"


@pytest.mark.skipif(importlib.util.find_spec("mfusepy") is None, reason="no extra `mount`")
def test_where_the_library_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "mfusepy", raising=False)
    monkeypatch.setenv("FUSE_LIBRARY_PATH", str(tmp_path / "libnone.so"))
    told = refusal(fuse.load_fuse)
    assert "libfuse" in told and "apt install fuse3" in told and "export" in told


def test_a_system_that_refuses_to_mount(
    pets: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Refusing:
        """As mfusepy where the kernel refuses: libfuse tells, and gives an exit code."""

        fuse_version_major, fuse_version_minor = 3, 14
        fuse_exit = staticmethod(lambda: None)

        def FUSE(self, *arguments: object, **options: object) -> None:
            raise RuntimeError(1)

    monkeypatch.setattr("scoremix.stages.mount.mount.load_fuse", Refusing)
    before = os.getcwd()
    told = refusal(
        lambda: serve(
            pets,
            tmp_path / "new" / "in",
            MountConfig(to="stylegan"),
            ready=lambda mounted: pytest.fail("it was not mounted"),
            stopping=lambda: True,
        )
    )
    assert "--cap-add SYS_ADMIN" in told and "export" in told
    assert not (tmp_path / "new").exists() and os.getcwd() == before


def test_places_that_are_refused(pets: Path, tmp_path: Path) -> None:
    file, link, full = tmp_path / "file", tmp_path / "link", tmp_path / "full"
    file.write_text("text")
    full.mkdir()
    (full / "kept").write_text("text")
    link.symlink_to(full)
    for path, word in {
        file: "is a file",
        link: "symbolic link",
        full: "'kept'",
        pets / "in": "inside the shards",
        Path("/proc"): "mounted on",
    }.items():
        assert word in refusal(lambda path=path: check_mountpoint(path, pets))  # type: ignore[misc]
    empty = tmp_path / "empty"
    empty.mkdir()
    check_mountpoint(empty, pets)
    check_mountpoint(tmp_path / "a" / "b", pets)


def test_of_two_at_one_moment_one_is_refused(pets: Path, tmp_path: Path) -> None:
    mountpoint = tmp_path / "in"
    with make_mountpoint(mountpoint):
        assert "just now" in refusal(lambda: make_mountpoint(mountpoint).__enter__())
        assert mountpoint.is_dir()
    assert not mountpoint.exists()
    with make_mountpoint(mountpoint):
        assert mountpoint.is_dir()


def lockless(monkeypatch: pytest.MonkeyPatch, *, files: bool) -> None:
    """A file system that locks no folders, as NFS, and files only if `files`."""
    flock = mountpoint.fcntl.flock

    def refusing(descriptor: int, operation: int) -> None:
        if not files or stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(descriptor, operation)

    monkeypatch.setattr(mountpoint.fcntl, "flock", refusing)


def test_where_no_folder_can_be_locked_a_file_beside_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lockless(monkeypatch, files=True)
    place = tmp_path / "in"
    for _ in range(2):
        with make_mountpoint(place):
            assert "just now" in refusal(lambda: make_mountpoint(place).__enter__())
            assert not list(place.iterdir()), "a mount would hide it"
            with make_mountpoint(tmp_path / "other"):
                pass
        assert not list(tmp_path.iterdir()), "nor is it left behind"


def test_a_mount_that_nothing_can_lock_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at one moment would lie above each other, and one arm be read as the other."""
    lockless(monkeypatch, files=False)
    place = tmp_path / "in"
    assert "local disk" in refusal(lambda: make_mountpoint(place).__enter__())
    assert not place.exists()


def test_a_stale_mount_is_told_by_what_the_system_says(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = tmp_path / "a b"

    def lstat(path: Path) -> os.stat_result:
        if path == stale:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN), str(path))
        return original(path)

    original = os.lstat
    monkeypatch.setattr(mountpoint.os, "lstat", lstat)
    told = refusal(lambda: check_mountpoint(stale, pets))
    assert "was killed" in told and f"-u '{stale}'`" in told


def test_the_folder_is_made_and_taken_away_but_not_with_what_is_in_it(tmp_path: Path) -> None:
    with make_mountpoint(tmp_path / "a" / "b" / "c"):
        (tmp_path / "a" / "mine").write_text("text")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "mine"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--trainer", "studiogan"], ["hdf5", "--to imagefolder", "export"]),
        (["--trainer", "rosinality"], ["lmdb", "Use `scoremix-pipeline export`"]),
        (["--to", "hdf5"], ["'hdf5' is not one of"]),
        ([], ["Name a layout with --to"]),
        (["--to", "imagefolder", "--ratio", "9"], ["Ratio 9"]),
        (["--to", "imagefolder", "--domains", "cat,dog"], ["--domains is for"]),
        (["--to", "unpaired", "--domains", "cat"], ["name two classes"]),
        (["--trainer", "lecam", "--to", "imagefolder"], ["16 px"]),
    ],
)
def test_what_cannot_be_asked_for(
    options: list[str],
    words: list[str],
    pets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("scoremix.stages.mount.mount.load_fuse", lambda: sys)
    assert cli("mount", pets, tmp_path / "in", *options) == 2
    told = capsys.readouterr().err
    assert all(word in told for word in words) and "Traceback" not in told
    assert not (tmp_path / "in").exists()


def test_shards_that_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("scoremix.stages.mount.mount.load_fuse", lambda: sys)
    assert cli("mount", tmp_path / "none", tmp_path / "in", "--to", "stylegan") == 2
    (tmp_path / "empty").mkdir()
    assert cli("mount", tmp_path / "empty", tmp_path / "in", "--to", "stylegan") == 2
    assert "no published corpus" in capsys.readouterr().err
