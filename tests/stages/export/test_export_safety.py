"""An export is whole or not there: damage, full disks, kills, second runs; and it is the same."""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forked
import pytest
import tiny
from in_process import cli
from made import make_corpus

from scoremix.manifests.errors import StorageError
from scoremix.manifests.files.atomic_tree import staged_tree
from scoremix.manifests.files.crash_points import EXPORT_POINTS
from scoremix.manifests.trainers.image_bytes import ShardImages
from scoremix.stages.common.progress import Silent
from scoremix.stages.export import export as export_module
from scoremix.stages.export.export import ExportConfig
from scoremix.stages.export.export import export as write

# One of every writer.
TARGETS = {
    "folder": ["--to", "imagefolder"],
    "a.zip": ["--to", "stylegan"],
    "arrays": ["--trainer", "studiogan"],
    "database": ["--to", "lmdb"],
    "tables": ["--to", "parquet"],
}


def export(shards: Path, out: Path, *more: str | Path) -> int:
    return cli("export", shards, "--out", out, "--quiet", *more)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """160 images in 20 shards. Tests must not change it."""
    return make_corpus(tmp_path_factory.mktemp("made"), images=40, ratio=3, shard_size=8)


@pytest.fixture(scope="module")
def undisturbed(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    for name, options in TARGETS.items():
        assert export(shards, folder / name, *options) == 0
    return tiny.digests(folder)


def of(digests: dict[str, str], name: str) -> dict[str, str]:
    """Those of one target, its record included."""
    records = (name, f"{name}.export.json")
    return {path: d for path, d in digests.items() if path.split("/")[0] in records}


def test_two_exports_by_two_processes_are_the_same_bytes(
    shards: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    copy = (
        tmp_path / "elsewhere" / shards.parent.name / shards.name
    )  # names of outputs are the corpus's
    shutil.copytree(shards, copy)
    time.sleep(1.1)  # formats that keep times keep seconds
    for name, options in TARGETS.items():
        done = tiny.command(["export", copy, "--out", tmp_path / "out" / name, *options])
        assert done.returncode == 0, done.stderr
    assert tiny.digests(tmp_path / "out") == undisturbed


@pytest.mark.parametrize("name", list(TARGETS))
def test_a_second_export_says_so_and_touches_nothing(
    name: str, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / name
    assert export(shards, out, *TARGETS[name]) == 0
    before = {path: path.stat().st_mtime_ns for path in [out, *tmp_path.rglob("*")]}
    assert "Nothing to do" not in capsys.readouterr().out
    assert export(shards, out, *TARGETS[name]) == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert export(shards, out, *TARGETS[name], "--ratio", "3") == 0  # another word for all
    assert before == {path: path.stat().st_mtime_ns for path in [out, *tmp_path.rglob("*")]}


@pytest.mark.parametrize("name", list(TARGETS))
def test_something_else_is_replaced_only_when_asked(
    name: str, shards: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / name
    assert export(shards, out, *TARGETS[name], "--ratio", "1") == 0
    before = tiny.digests(tmp_path)
    assert export(shards, out, *TARGETS[name]) == 2
    assert tiny.digests(tmp_path) == before
    assert export(shards, out, *TARGETS[name], "--overwrite") == 0
    assert tiny.digests(tmp_path) == of(undisturbed, name)


def test_an_export_that_was_changed_is_told_from_a_whole_one(
    shards: Path, undisturbed: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "folder"
    assert export(shards, out, "--to", "imagefolder") == 0
    (out / "train" / "note.txt").write_text("mine")
    assert export(shards, out, "--to", "imagefolder") == 2
    assert "changed since" in capsys.readouterr().err
    assert (out / "train" / "note.txt").read_text() == "mine"
    assert export(shards, out, "--to", "imagefolder", "--overwrite") == 0
    assert tiny.digests(tmp_path) == of(undisturbed, "folder")


def test_what_no_export_made_is_never_taken_for_one(shards: Path, tmp_path: Path) -> None:
    photos, file = tmp_path / "photos", tmp_path / "a.zip"
    photos.mkdir()
    (photos / "mine.jpg").write_bytes(b"mine")
    file.write_bytes(b"mine")
    for overwrite in ([], ["--overwrite"]):  # a folder of somebody's files is not removed
        assert export(shards, photos, "--to", "imagefolder", *overwrite) == 2
        assert (photos / "mine.jpg").read_bytes() == b"mine"
    assert export(shards, file, "--to", "stylegan") == 2
    assert file.read_bytes() == b"mine"
    assert export(shards, file, "--to", "stylegan", "--overwrite") == 0
    (tmp_path / "empty").mkdir()
    assert export(shards, tmp_path / "empty", "--to", "imagefolder") == 0
    (tmp_path / "a.zip.export.json").write_text("[]")  # a record that is none
    assert export(shards, file, "--to", "stylegan") == 2


def test_another_folder_of_the_name_is_no_export(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The export was removed, its record was not, and someone else took the name."""
    out = tmp_path / "D"
    assert export(shards, out, *TARGETS["folder"]) == 0
    shutil.rmtree(out)
    out.mkdir()
    (out / "mine.png").write_bytes(b"mine")
    assert export(shards, out, *TARGETS["folder"], "--overwrite") == 2
    assert "D.export.json, beside it, is of other files" in capsys.readouterr().err
    assert (out / "mine.png").read_bytes() == b"mine"


def test_what_appears_during_an_export_is_not_replaced(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, before = tmp_path / "D", export_module._write

    def write_and_meet(*given: Any) -> None:
        before(*given)
        out.mkdir()
        (out / "mine.png").write_bytes(b"mine")

    monkeypatch.setattr(export_module, "_write", write_and_meet)
    assert export(shards, out, *TARGETS["folder"]) == 2
    assert sorted(os.listdir(tmp_path)) == ["D"] and os.listdir(out) == ["mine.png"]


@pytest.mark.parametrize("name", list(TARGETS))
def test_a_damaged_image_is_named_and_nothing_is_left(
    name: str, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow.parquet as pq

    copy = tmp_path / "copy"
    shutil.copytree(shards, copy)
    row = pq.read_table(copy / "manifest.parquet").to_pylist()[100]
    with open(copy / f"{row['shard']}.tar", "r+b") as tar:
        tar.seek(row["offset"] + row["size"] // 2)
        byte = tar.read(1)
        tar.seek(-1, os.SEEK_CUR)
        tar.write(bytes([byte[0] ^ 1]))
    out = tmp_path / "out" / name
    assert export(copy, out, *TARGETS[name]) == 3
    told = capsys.readouterr().err
    assert row["key"] in told and f"{row['shard']}.tar" in told
    assert list(out.parent.iterdir()) == []


def test_a_shard_that_is_short_or_gone_is_named(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(shards, copy)
    with open(copy / "aug-000003.tar", "r+b") as tar:
        tar.truncate(2048)
    assert export(copy, tmp_path / "a", "--to", "imagefolder") == 3
    assert "aug-000003.tar" in capsys.readouterr().err
    (copy / "aug-000003.tar").unlink()
    assert export(copy, tmp_path / "a", "--to", "imagefolder") == 3
    assert "verify" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["copy"]


@pytest.mark.parametrize("file", ["manifest.parquet", "index.json"])
def test_a_changed_manifest_or_index_is_not_believed(
    file: str, shards: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(shards, copy)
    whole = bytearray((copy / file).read_bytes())
    whole[len(whole) // 2] ^= 1
    (copy / file).write_bytes(whole)
    assert export(copy, tmp_path / "a", "--to", "imagefolder") == 3
    (copy / "SHA256SUMS").unlink()  # not finished, or being changed
    assert export(copy, tmp_path / "a", "--to", "imagefolder") == 2
    assert sorted(os.listdir(tmp_path)) == ["copy"]


@pytest.mark.parametrize("name", list(TARGETS))
@pytest.mark.parametrize("point", ["export-image:1", "export-image:3", *EXPORT_POINTS[1:]])
def test_a_kill_leaves_nothing_or_all_of_it(
    name: str, point: str, shards: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / name
    words = ["export", shards, "--out", out, "--quiet", *TARGETS[name]]
    done = tiny.command(words, SCOREMIX_FAULT=f"kill:{point}")
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert out.exists() == (point == "export-named")
    assert export(shards, out, *TARGETS[name]) == 0
    assert tiny.digests(tmp_path) == of(undisturbed, name), "and what the killed one left is gone"


def test_a_kill_while_replacing_leaves_the_old_the_new_or_nothing(
    shards: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "a.zip"
    for point in EXPORT_POINTS:
        words = ["export", shards, "--out", out, "--to", "stylegan", "--overwrite", "--quiet"]
        assert export(shards, out, "--to", "stylegan", "--ratio", "1", "--overwrite") == 0
        old = out.read_bytes()
        done = tiny.command(words, SCOREMIX_FAULT=f"kill:{point}")
        assert done.returncode == -signal.SIGKILL
        if point in ("export-image", "export-synced"):
            assert out.read_bytes() == old
        assert cli(*words) == 0
        assert tiny.digests(tmp_path) == of(undisturbed, "a.zip")


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "folder"])
def test_a_full_disk_exits_6_and_the_same_command_goes_on(
    name: str, shards: Path, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / name
    words = ["export", str(shards), "--out", str(out), "--quiet", *TARGETS[name]]
    done = forked.run(words, os.environ, 300, largest=20_000)  # none of the targets fits in it
    assert done.returncode == 6, done.stderr
    assert "run the same command again" in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert cli(*words) == 0
    assert tiny.digests(tmp_path) == of(undisturbed, name)


CALLS = ("open", "write", "mkdir", "fsync", "rename", "replace")


@pytest.mark.parametrize("old", [False, True], ids=["new", "replacing"])
def test_every_refusal_of_the_system_leaves_what_was_there_and_the_rerun_converges(
    old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The n-th call fails with "no space left", for every n of a small export."""
    shards = make_corpus(tmp_path / "small", images=3, ratio=1)
    config = ExportConfig(to="imagefolder", overwrite=True)
    write(shards, tmp_path / "wanted" / "a", config, progress=Silent())
    wanted = tiny.digests(tmp_path / "wanted")
    out = tmp_path / "out" / "a"
    if old:
        write(shards, out, ExportConfig(to="imagefolder", ratio=0), progress=Silent())
    before = tiny.digests(out.parent)
    real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in CALLS}
    left = -1

    def failing(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            there = name == "mkdir" and os.path.isdir(
                arguments[0]
            )  # says so before it has no space
            left -= not there
            if left == 0 and not there:
                raise OSError(28, "No space left on device")
            return real[name](*arguments, **options)

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, failing(name))
    for count in range(1, 200):
        left = count
        try:
            write(shards, out, config, progress=Silent())
        except Exception as error:
            assert isinstance(error, StorageError), f"call {count}: {error!r}"
        else:
            break
        finally:
            left = -1
        # What fails after the last rename has the whole of the new export under its name.
        assert tiny.digests(out.parent) in (before, wanted), f"call {count}"
    else:
        pytest.fail("still failing")
    assert count > 20
    assert tiny.digests(out.parent) == wanted


def test_a_system_that_takes_a_part_of_each_write_gets_the_rest(
    shards: Path, undisturbed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda file, data: whole(file, data[:100]))
    assert export(shards, tmp_path / "folder", "--to", "imagefolder") == 0
    monkeypatch.undo()
    assert tiny.digests(tmp_path) == of(undisturbed, "folder")


def test_what_cannot_fit_is_told_before_anything_is_written(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    for name, options in TARGETS.items():
        assert export(shards, tmp_path / name, *options) == 6
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", list(TARGETS))
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_exits_75_and_the_same_command_goes_on(
    name: str,
    number: signal.Signals,
    shards: Path,
    undisturbed: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, calls = ShardImages.read, 0

    def counted(self: ShardImages, *arguments: Any) -> bytes:
        nonlocal calls
        calls += 1
        if calls == 3:
            os.kill(os.getpid(), number)
        return read(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ShardImages, "read", counted)
        assert export(shards, tmp_path / name, *TARGETS[name]) == 75
    assert list(tmp_path.iterdir()) == []
    assert calls < 300
    assert export(shards, tmp_path / name, *TARGETS[name]) == 0
    assert tiny.digests(tmp_path) == of(undisturbed, name)


def test_a_second_process_is_told_that_the_first_is_at_it(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.zip"
    with staged_tree(out) as data:
        data.write_bytes(b"half")
        assert export(shards, out, "--to", "stylegan") == 5
        assert data.read_bytes() == b"half"
    assert "another process" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_named_with_its_pip_line(
    shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for module in ("h5py", "lmdb"):
        monkeypatch.setitem(sys.modules, module, None)
    for name in ("arrays", "database"):
        assert export(shards, tmp_path / name, *TARGETS[name]) == 2
        assert 'pip install "scoremix-pipeline[export]"' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_record_says_what_was_exported(shards: Path, tmp_path: Path) -> None:
    assert export(shards, tmp_path / "a.zip", "--to", "stylegan", "--ratio", "2") == 0
    record = json.loads((tmp_path / "a.zip.export.json").read_text())
    index = json.loads((shards / "index.json").read_text())
    assert record["request"]["corpus"] == index["index_digest"]
    assert record["request"]["layout"]["ratio"] == 2
    assert (record["images"], record["files"]) == (120, 1)
    assert record["bytes"] == (tmp_path / "a.zip").stat().st_size
    assert record["class_counts"] == [60, 60] and record["classes"] == ["cat", "dog"]


PEAK = """
import sys
from pathlib import Path
from scoremix.stages.export.export import ExportConfig, export
from scoremix.stages.common.progress import Silent
shards, out, ratio, option, name = sys.argv[1:]
config = ExportConfig.model_validate({option: name, "ratio": int(ratio)})
export(Path(shards), Path(out), config, progress=Silent())
# Not getrusage, whose peak begins with that of the process that started this one.
print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    """Three times as many images raise no writer's peak by half of their bytes."""
    shards = make_corpus(tmp_path, images=400, side=128, classes=(), ratio=2, shard_size=400)
    more = sum(path.stat().st_size for path in shards.glob("aug-*.tar"))
    assert more > 20e6
    script = tmp_path / "peak.py"
    script.write_text(PEAK)
    for name, (option, value) in TARGETS.items():
        peaks = []
        for ratio in ("0", "2"):
            words = [shards, tmp_path / f"{ratio}-{name}", ratio, option.removeprefix("--"), value]
            done = forked.run([*map(str, words)], os.environ, 300, script=script)
            assert done.returncode == 0, done.stderr
            peaks.append(int(done.stdout))
        assert peaks[1] - peaks[0] < more / 2, name
