"""What is a run's own and what is not: copies, runs at one moment, foreign files, lost records."""

import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import tiny
from earlier import edit_ledger, list_foreign, without_id
from fsspec.implementations.memory import MemoryFileSystem
from in_process import cli
from PIL import Image
from remote_runs import augment, build, digests, store_at

from scoremix.manifests.errors import ConfigError, Interrupted, StorageError
from scoremix.manifests.published.owner import OWNER, read_owner
from scoremix.manifests.published.sums import SUMS
from scoremix.manifests.published.verify import Problem, verify
from scoremix.manifests.storage.location import URL
from scoremix.manifests.storage.remote import RemoteStore
from scoremix.manifests.storage.store import LocalStore, Store
from scoremix.pipeline.ledger import Ledger
from scoremix.pipeline.shards.claimant import Claimant
from scoremix.pipeline.shards.home import Standing, standing_of
from scoremix.pipeline.shards.ownership import (
    Tenure,
    check_owner,
    claim,
    record_claim,
    release,
)

WRITE = ("--until", "write")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_images(tmp_path_factory.mktemp("made") / "images")


@pytest.fixture(scope="module")
def made(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """photos and photos.run, to be copied."""
    out = tmp_path_factory.mktemp("done") / "photos"
    assert augment(images, out, *WRITE) == 0
    return out


@pytest.fixture
def photos(images: Path, made: Path, tmp_path: Path) -> Path:
    """A run of its own: made anew from copies, so that its id is at home here."""
    for name in ("photos", "photos.run"):
        shutil.copytree(made.with_name(name), tmp_path / name)
    assert augment(images, tmp_path / "photos", *WRITE) == 0
    return tmp_path / "photos"


def run(folder: Path, *more: object) -> int:
    return cli("run", folder / "stages.yaml", "--quiet", *WRITE, *more)


def owner_of(shards: Path) -> str:
    owner = read_owner(LocalStore(shards))
    assert owner is not None
    return owner.run_id


# --- copies


def test_a_copied_run_folder_does_not_touch_the_originals_shards(
    photos: Path, images: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, copy = tiny.digests(photos), photos.with_name("experiment.run")
    shutil.copytree(photos.with_name("photos.run"), copy)
    assert run(copy, "--set", "seed=9") == 2
    error = capsys.readouterr().err
    assert f"{copy} is a copy of the run {photos}.run" in error and "--out ../OTHER" in error
    assert run(copy, "--dry-run") == 2
    assert cli("forget", copy, "000003") == 2
    assert f"{photos}.run" in capsys.readouterr().err
    assert tiny.digests(photos) == before and cli("verify", photos) == 0

    # What the message says: a place of its own, and from then on a run of its own.
    monkeypatch.chdir(copy)
    assert cli("augment", "--run", ".", "--out", "../other", *WRITE, "--set", "seed=9") == 0
    other = photos.with_name("other")
    assert cli("verify", other) == 0 and tiny.digests(other) != before
    assert owner_of(other) != owner_of(photos) and tiny.digests(photos) == before
    assert run(copy, "--set", "seed=9") == 0  # goes on where it was
    assert augment(images, photos, *WRITE, generate__ratio=3) == 0  # and so does the original


def test_a_copy_does_not_touch_what_the_original_made_before(photos: Path, images: Path) -> None:
    """The original has gone on to another place: the first one is its own all the same."""
    before, folder = tiny.digests(photos), photos.with_name("photos.run")
    shutil.copytree(folder, photos.with_name("early.run"))
    assert augment(images, photos.with_name("second"), "--run", folder, *WRITE) == 0
    shutil.copytree(folder, photos.with_name("late.run"))
    assert run(photos.with_name("early.run"), "--set", "seed=9") == 2
    late = ("--run", photos.with_name("late.run"), *WRITE)
    assert augment(images, photos, *late, seed=9) == 2
    assert tiny.digests(photos) == tiny.digests(photos.with_name("second")) == before
    assert augment(images, photos, "--run", folder, *WRITE) == 0  # the original's still


def test_a_copy_of_a_run_that_was_renamed_is_a_copy(
    photos: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, first = tiny.digests(photos), photos.with_name("first.run")
    photos.with_name("photos.run").rename(first)
    second = photos.with_name("second.run")
    shutil.copytree(first, second)
    assert run(second, "--set", "seed=9") == 2
    assert f"{second} is a copy of the run {first}" in capsys.readouterr().err
    assert tiny.digests(photos) == before
    assert run(first, "--set", "seed=9") == 0  # renamed, and the same run


def test_a_copy_with_its_shards_is_a_run_of_its_own(photos: Path, images: Path) -> None:
    before, backup = tiny.digests(photos), photos.parent / "backup"
    for name in ("photos", "photos.run"):
        shutil.copytree(photos.with_name(name), backup / name)
    assert run(backup / "photos.run", "--set", "seed=9") == 0
    assert tiny.digests(photos) == before
    assert tiny.digests(backup / "photos") != before
    assert owner_of(photos) != owner_of(backup / "photos")
    assert run(photos.with_name("photos.run")) == 0


def test_shards_inside_the_run_folder_are_copied_with_it(images: Path, tmp_path: Path) -> None:
    (tmp_path / "stages.yaml").write_text(f"run: one\ningest: {{source: {images}}}\n")
    quick = tiny.options(generate__method="mixup")
    assert cli("run", tmp_path / "stages.yaml", "--quiet", *WRITE, *quick) == 0
    before = tiny.digests(tmp_path / "one" / "shards")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert run(tmp_path / "two", "--set", "seed=9") == 0
    assert tiny.digests(tmp_path / "one" / "shards") == before
    # A link in the place of the folder leads to the same shards, in the copy too.
    (tmp_path / "one" / "shards").rename(tmp_path / "disk")
    (tmp_path / "one" / "shards").symlink_to(tmp_path / "disk")
    assert run(tmp_path / "one") == 0
    shutil.copytree(tmp_path / "one", tmp_path / "three", symlinks=True)
    assert run(tmp_path / "three", "--set", "seed=9") == 2
    assert tiny.digests(tmp_path / "disk") == before


def test_a_moved_run_stays_the_same_run(photos: Path) -> None:
    known, elsewhere = owner_of(photos), photos.parent / "deeper"
    elsewhere.mkdir()
    for name in ("photos", "photos.run"):
        photos.with_name(name).rename(elsewhere / name)
    assert run(elsewhere / "photos.run", "--set", "generate.ratio=3") == 0
    assert owner_of(elsewhere / "photos") == known
    assert cli("verify", elsewhere / "photos") == 0


@pytest.mark.parametrize("moved", ["project", "run"])
@pytest.mark.parametrize("disk", ["this", "another"])
def test_a_run_that_was_moved_and_left_a_link_stays_the_same_run(
    moved: str, disk: str, photos: Path, images: Path
) -> None:
    known, elsewhere = owner_of(photos), photos.parent / "big"
    (photos.parent / "project").mkdir()
    for name in ("photos", "photos.run"):
        photos.with_name(name).rename(photos.parent / "project" / name)
    shards = photos.parent / "project" / "photos"
    assert run(shards.with_name("photos.run")) == 0  # is at home here
    elsewhere.mkdir()
    left = shards.parent if moved == "project" else shards.with_name("photos.run")
    left.rename(elsewhere / left.name)
    left.symlink_to(elsewhere / left.name)
    if disk == "another":  # inode numbers are others there
        edit_ledger(
            shards.with_name("photos.run"),
            lambda content: content["identity"].update(inodes=[1, 2]),
        )
    assert cli("forget", shards.with_name("photos.run"), "000003", "--quiet") == 0
    assert augment(images, shards, *WRITE, seed=9) == 0
    real = (elsewhere / "project" if moved == "project" else elsewhere) / "photos.run"
    assert run(real) == 0 and cli("verify", real) == 0
    assert owner_of(shards) == known and not (elsewhere / "photos").exists()


def test_a_run_folder_behind_a_link_is_one_run_by_both_paths(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, link = tmp_path / "big" / "deep" / "photos.run", tmp_path / "photos.run"
    real.mkdir(parents=True)
    link.symlink_to(real)
    assert augment(images, tmp_path / "photos", *WRITE) == 0
    before = tiny.digests(tmp_path / "photos")
    assert run(real) == 0 and cli("verify", real) == cli("verify", link) == 0
    assert Ledger(real).place() == Ledger(link).place() == tmp_path / "photos"
    capsys.readouterr()
    assert cli("status", real) == 0 and "files are gone" not in capsys.readouterr().out
    assert os.listdir(real.parent) == ["photos.run"]
    assert tiny.digests(tmp_path / "photos") == before
    # A link on the way to the shards is kept, so that both may move together.
    (tmp_path / "to").symlink_to(tmp_path / "big")
    Ledger(link).record_place(tmp_path / "to" / "deep" / "photos")
    assert Ledger(real).place() == real.parent / "photos"


def test_a_ledger_is_no_authority_over_a_folder_that_it_names(
    photos: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = photos.with_name("victim")
    assert augment(images, victim, *WRITE, seed=4) == 0
    before, folder = tiny.digests(victim), photos.with_name("photos.run")
    edit_ledger(folder, lambda content: content.update(shards="../victim"))
    assert run(folder, "--set", "seed=9") == 2
    assert "belongs to another run" in capsys.readouterr().err
    assert run(folder, "--set", "seed=9", "--replace") == 2
    assert cli("forget", folder, "000003") != 0
    assert cli("repair", victim, "--run", folder, "--accept-new") != 0
    assert tiny.digests(victim) == before and verify(victim) == []


# --- a run folder whose original cannot be seen


def claimant(tmp_path: Path, **more: Any) -> Claimant:
    (tmp_path / "a.run" / ".scoremix").mkdir(parents=True, exist_ok=True)
    return Claimant(tmp_path / "a.run", tmp_path / "a", **more)


def from_elsewhere(folder: Path, **changed: Any) -> None:
    """As a copy that came from another machine."""
    seal = {"host": "elsewhere", "folder": "/nowhere/a.run", "inodes": [1, 2]}
    edit_ledger(folder, lambda content: content["identity"].update(seal | changed))


def test_a_run_from_another_machine_takes_shards_that_came_with_it_alone(tmp_path: Path) -> None:
    asks = claimant(tmp_path)
    assert claim(asks) is Tenure.NEW and check_owner(asks) is Tenure.OWN
    known = Ledger(asks.run).run_id
    from_elsewhere(asks.run)  # and the shards are the very folder: both machines see it
    assert standing_of(asks.run, Ledger(asks.run).identity) is Standing.ELSEWHERE
    with pytest.raises(ConfigError, match="moved or copied from .*--replace"):
        claim(asks)
    assert claim(claimant(tmp_path, replace=True)) is Tenure.OWN
    from_elsewhere(asks.run, shards=[3])  # the shards were copied, too
    assert claim(asks) is Tenure.OWN and Ledger(asks.run).run_id == known
    assert standing_of(asks.run, Ledger(asks.run).identity) is Standing.HOME
    # A mount under another name, on another host, is the same folder.
    edit_ledger(asks.run, lambda content: content["identity"].update(host="pod-7", folder="/r"))
    assert claim(asks) is Tenure.OWN and Ledger(asks.run).run_id == known


def test_a_copy_whose_original_was_moved_away_does_not_replace_its_shards(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A move to another file system looks the same: then --replace says that it was one."""
    folder, copy = photos.with_name("photos.run"), photos.with_name("copy.run")
    shutil.copytree(folder, copy)
    (photos.parent / "archive").mkdir()
    folder.rename(photos.parent / "archive" / "photos.run")
    before = tiny.digests(photos)
    assert run(copy, "--set", "seed=7") == 2
    error = capsys.readouterr().err
    assert f"moved or copied from {folder}, which is not there" in error and "--replace" in error
    assert tiny.digests(photos) == before
    assert run(copy, "--replace") == 0 and run(copy) == 0  # asked for once
    assert tiny.digests(photos) == before and verify(photos) == []
    # With its shards it needs no answer.
    other = photos.parent / "disk"
    for name in ("photos", "copy.run"):
        shutil.copytree(photos.with_name(name), other / name)
        shutil.rmtree(photos.with_name(name))
    assert run(other / "copy.run", "--set", "generate.ratio=3") == 0


def test_a_claim_that_came_to_nothing_leaves_nothing(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asks = claimant(tmp_path)
    claim(asks)
    (tmp_path / "a" / f".{OWNER}.4194303.tmp").touch()  # of a process that was killed
    claim(asks)
    assert os.listdir(tmp_path / "a") == [OWNER]
    release(asks, [asks.shards])
    assert not (tmp_path / "a").exists()
    (tmp_path / "a").mkdir()
    claim(asks)
    (tmp_path / "a" / "real-000000.tar").touch()
    release(asks, [asks.shards])  # not empty any more
    assert (tmp_path / "a" / OWNER).exists()
    (tmp_path / "empty").mkdir()
    assert augment(tmp_path / "empty", tmp_path / "out", *WRITE) != 0
    assert not (tmp_path / "out").exists()


# --- runs at one moment


def test_of_three_runs_at_once_one_builds_and_two_are_refused_at_their_start(
    images: Path, tmp_path: Path
) -> None:
    out, runs = tmp_path / "shared", [tmp_path / name for name in "abc"]
    crew = []
    for number, folder in enumerate(runs):
        quick = tiny.options(generate__method="mixup", seed=number)
        words = ["augment", "--data", images, "--out", out, "--run", folder, "--quiet", *quick]
        crew.append(tiny.start([*words, *WRITE]))
    errors = [process.communicate()[1] for process in crew]
    assert sorted(process.returncode for process in crew) == [0, 2, 2], errors
    assert sum("did not make" in error for error in errors) == 2
    assert sum((folder / "corpus").exists() for folder in runs) == 1  # the others never began
    assert cli("verify", out) == 0
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_unfinished_files_of_another_run_stay(photos: Path, images: Path) -> None:
    others = photos.with_name(".photos.scoremix-tmp-0123456789ab")
    others.mkdir()
    (others / "aug-000000.0.tar.tmp").write_bytes(b"under way")
    shutil.rmtree(photos)
    assert augment(images, photos, *WRITE) == 0
    assert (others / "aug-000000.0.tar.tmp").read_bytes() == b"under way"


def test_shards_that_changed_hands_are_not_written(
    photos: Path, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another folder is mounted there while the run works."""
    from scoremix.pipeline.shards.builder import ShardBuilder

    def changed(self: ShardBuilder) -> None:
        (photos / OWNER).unlink()

    (photos / "aug-000001.json").unlink()
    monkeypatch.setattr(ShardBuilder, "probe", changed)
    monkeypatch.setattr("scoremix.pipeline.steps.write.record_claim", lambda claimant: None)
    assert augment(images, photos, *WRITE) == 2
    assert "does not say any more" in capsys.readouterr().err
    assert not (photos / "aug-000001.json").exists()


# --- foreign files


@pytest.mark.parametrize("name", ["backup.tar", "notes/readme.txt", ".env", "images.png"])
def test_a_folder_with_foreign_files_is_refused(
    name: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    assert augment(images, tmp_path / "out", *WRITE) == 2
    assert f"holds {name}, which the run" in capsys.readouterr().err
    assert tiny.digests(tmp_path / "out").keys() == {name}
    assert not (tmp_path / "out.run").exists()


def test_a_file_that_comes_later_is_named_and_never_listed(
    photos: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "backup.tar").write_bytes(b"mine")
    assert verify(photos) == [Problem("backup.tar", f"is foreign: {SUMS} does not list it")]
    assert augment(images, photos, *WRITE, generate__ratio=3) == 2
    assert "backup.tar, which no run makes" in capsys.readouterr().err
    (photos / "index.json").unlink()  # repair writes the small files again, without it
    assert cli("repair", photos, "--quiet") == 3
    assert "backup.tar" not in (photos / SUMS).read_text()
    (photos / "backup.tar").unlink()
    (photos / ".DS_Store").touch()  # nobody's doing: no reason to stop, and not listed
    assert augment(images, photos, *WRITE, generate__ratio=3) == 0
    assert ".DS_Store" not in (photos / SUMS).read_text()


def test_links_in_the_place_of_shards_are_named(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "aug-000001.tar").rename(photos.with_name("elsewhere"))
    (photos / "aug-000001.tar").symlink_to("../elsewhere")
    capsys.readouterr()
    assert cli("verify", photos) == 0
    shown = capsys.readouterr().out
    assert "1 of the files are symbolic links (aug-000001.tar -> ../elsewhere)" in shown


# --- shards of earlier versions, and records that were lost


def test_shards_of_an_earlier_version_are_adopted_once(
    photos: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without_id(photos)
    before = {path: path.stat().st_mtime_ns for path in photos.iterdir()}
    assert verify(photos) == []
    quick = tiny.options(generate__method="mixup")
    again = ("augment", "--data", images, "--out", photos, *quick, *WRITE)
    assert cli(*again) == 0
    assert "is recorded as made by this run" in capsys.readouterr().err
    assert before == {p: p.stat().st_mtime_ns for p in photos.iterdir() if p.name != OWNER}
    assert cli(*again) == 0
    assert "is recorded" not in capsys.readouterr().err
    assert owner_of(photos) == Ledger(photos.with_name("photos.run")).run_id


@pytest.mark.parametrize("gone", [(), ("plan.parquet", "index.json"), (SUMS, "plan.parquet")])
def test_they_are_known_by_plan_index_or_markers(
    gone: tuple[str, ...], photos: Path, images: Path
) -> None:
    without_id(photos)
    for name in gone:
        (photos / name).unlink()
    assert augment(images, photos, *WRITE, generate__ratio=3) == 0
    assert cli("verify", photos) == 0


def test_what_does_not_follow_from_the_ledger_is_not_adopted(
    photos: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = photos.with_name("other")
    assert augment(images, other, *WRITE, seed=4) == 0
    without_id(photos)
    (other / OWNER).unlink()
    before, folder = tiny.digests(other), photos.with_name("photos.run")
    edit_ledger(folder, lambda content: content.update(shards="../other"))
    shutil.rmtree(photos.with_name("other.run"))
    assert run(folder) == 2
    assert "neither plan, index nor markers" in capsys.readouterr().err
    assert tiny.digests(other) == before


def test_of_copies_of_an_earlier_version_the_one_beside_its_shards_owns_them(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without_id(photos)
    before, copy = tiny.digests(photos), photos.with_name("experiment.run")
    shutil.copytree(photos.with_name("photos.run"), copy)
    assert run(copy, "--set", "seed=9") == 2
    assert f"{photos}.run all name it" in capsys.readouterr().err
    assert tiny.digests(photos) == before and not (photos / OWNER).exists()
    assert run(photos.with_name("photos.run")) == 0
    assert run(copy, "--set", "seed=9") == 2
    assert tiny.digests(photos) == before


def test_files_that_an_earlier_version_listed_stay_listed(photos: Path, images: Path) -> None:
    without_id(photos)
    list_foreign(photos, "LICENCE.txt", b"mine")
    assert verify(photos) == []
    assert augment(images, photos, *WRITE, generate__ratio=3) == 0
    assert "LICENCE.txt" in (photos / SUMS).read_text() and verify(photos) == []


def test_a_damaged_record_is_named_and_repaired(
    photos: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known, raw = owner_of(photos), (photos / OWNER).read_bytes()
    (photos / OWNER).write_bytes(raw.replace(known[:4].encode(), b"0000"))
    assert [problem.file for problem in verify(photos)] == [OWNER]
    assert augment(images, photos, *WRITE) == 2
    assert "says which run the shards belong to, was changed" in capsys.readouterr().err
    assert cli("repair", photos, "--quiet") == 0
    assert owner_of(photos) == known and verify(photos) == []
    (photos / OWNER).unlink()
    assert augment(images, photos, *WRITE) == 0
    assert owner_of(photos) == known


# --- object stores


def test_a_prefix_is_claimed_as_a_folder_is(
    bucket: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, store, first = f"s3://{bucket}/pets", store_at(bucket), tmp_path / "first"
    assert build(images, url, "--run", first) == 0
    before = digests(store)
    assert build(images, url, "--run", tmp_path / "second", seed=4) == 2
    assert "belongs to another run" in capsys.readouterr().err
    assert not (tmp_path / "second").exists()
    shutil.copytree(first, tmp_path / "copy")
    assert build(images, url, "--run", tmp_path / "copy") == 0  # the same plan
    assert build(images, url, "--run", tmp_path / "copy", seed=4) == 2
    assert "belongs to another folder of this run" in capsys.readouterr().err
    shutil.copytree(first, tmp_path / "second-copy")
    assert cli("forget", tmp_path / "second-copy", "000003") == 2
    assert f"is a copy of the run {first}" in capsys.readouterr().err
    assert digests(store) == before and verify(store) == []
    assert build(images, url, "--run", first, generate__ratio=3) == 0
    # Earlier versions left no record: adopted by what lies there.
    store.remove(OWNER)
    edit_ledger(first, lambda content: content.pop("identity"))
    edit_ledger(tmp_path / "second-copy", lambda content: content.pop("identity"))
    assert build(images, url, "--run", tmp_path / "second-copy", "--worker", "0/2") == 2
    assert build(images, url, "--run", first, generate__ratio=3) == 0
    assert read_owner(store) is None  # which of three folders made it, nobody can say
    for name in ("copy", "second-copy"):
        shutil.rmtree(tmp_path / name)
    assert build(images, url, "--run", first, generate__ratio=3) == 0
    assert read_owner(store) is not None and verify(store) == []


def test_of_two_that_create_an_object_one_has_it(bucket: str) -> None:
    one, other = store_at(bucket), store_at(bucket)
    assert one.create(OWNER, b"one") and one.create(OWNER, b"one")
    assert not other.create(OWNER, b"other") and other.read(OWNER) == b"one"
    real = other.facts
    other.remove(OWNER)
    seen = iter([None])  # it saw nothing yet when the other wrote
    other.facts = lambda name: next(seen, None) or (real(name) if one.size(name) else None)  # type: ignore[method-assign]
    one.write(OWNER, b"one")
    assert not other.create(OWNER, b"other") and one.read(OWNER) == b"one"


# --- other data


def test_other_data_does_not_replace_what_was_made_unasked(
    photos: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(images, tmp_path / "other")
    for path in other.rglob("*.png"):
        os.utime(path, (1, 1))
    (other / "left" / "000.png").unlink()
    before = tiny.digests(photos.parent)
    for more in ((), ("--dry-run",)):
        assert augment(other, photos, *WRITE, *more) == 2
        error = capsys.readouterr().err
        assert f"was made from {images}, and {other} was asked for" in error
        assert f"9 shards in {photos}" in error and "--replace" in error
    assert tiny.digests(photos.parent) == before
    with open(photos.with_name("photos.run") / "stages.yaml") as saved:
        text = saved.read().replace(str(images), str(other))
    (tmp_path / "stages.yaml").write_text(text.replace("run: .", f"run: {photos}.run"))
    assert cli("run", tmp_path / "stages.yaml", *WRITE) == 2
    assert cli("run", tmp_path / "stages.yaml", *WRITE, "--replace") == 0
    assert cli("verify", photos) == 0 and tiny.digests(photos) != before
    # The same files under another path, or more of them, are no other data.
    shutil.copytree(other, tmp_path / "moved")
    assert augment(tmp_path / "moved", photos, *WRITE) == 0
    shutil.copy(images / "left" / "000.png", tmp_path / "moved" / "left" / "new.png")
    assert augment(tmp_path / "moved", photos, *WRITE) == 0
    assert cli("run", tmp_path / "stages.yaml", *WRITE, "--set", "ingest.source=digits") == 2
    assert "digits was asked for" in capsys.readouterr().err


def test_other_data_does_not_leave_a_finished_corpus_without_its_run(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another --out, and the run of before: what it made is in no run then."""
    other, folder = tiny.make_images(tmp_path / "other"), photos.with_name("photos.run")
    for path in other.rglob("*.png"):
        os.utime(path, (1, 1))
    (other / "left" / "000.png").unlink()
    more = ("--run", folder, *WRITE)
    for last in ((), ("--dry-run",)):
        assert augment(other, tmp_path / "new", *more, *last) == 2
        assert f"namely 9 shards in {photos}. Nothing was changed" in capsys.readouterr().err
    assert not (tmp_path / "new").exists() and cli("repair", photos, "--quiet") == 0
    copy = shutil.copytree(folder, tmp_path / "copy.run")  # whose original keeps the corpus
    assert augment(other, tmp_path / "others", "--run", copy, *WRITE) == 0
    (folder / "trial").mkdir()
    (folder / "trial" / "gan.json").touch()
    shutil.rmtree(photos)
    assert augment(other, tmp_path / "new", *more) == 2
    assert f"namely the trial in {folder / 'trial'}. Nothing" in capsys.readouterr().err
    assert augment(other, tmp_path / "new", *more, "--replace") == 0


def test_a_folder_whose_files_were_exchanged_is_other_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, photos = tiny.make_images(tmp_path / "images"), tmp_path / "photos"
    assert augment(images, photos, *WRITE) == 0
    # Touched, or with fewer images, it is the same source.
    files = sorted(images.rglob("*.png"))
    for path in files:
        os.utime(path, (1, 1))
    files[0].unlink()
    assert augment(images, photos, *WRITE) == 0
    capsys.readouterr()
    for path in files[1:]:
        Image.open(path).rotate(90).save(path, compress_level=0)
    before = tiny.digests(tmp_path)
    for more in ((), ("--dry-run",)):
        assert augment(images, photos, *WRITE, *more) == 2
        error = capsys.readouterr().err
        assert f"{len(files) - 1} images in {images}, and none of them is there" in error
        assert f"shards in {photos}" in error and "--replace" in error
    assert tiny.digests(tmp_path) == before
    assert augment(images, photos, *WRITE, "--replace") == 0
    assert cli("verify", photos) == 0 and tiny.digests(tmp_path) != before
    assert augment(images, photos, *WRITE) == 0


@pytest.mark.parametrize("remote", [False, True])
def test_a_claim_that_fails_when_it_is_written_is_given_back(
    remote: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run folder goes, as of any run that fails at its start, and its id with it."""
    images = tiny.make_images(tmp_path / "images")
    kind = RemoteStore if remote else LocalStore
    name = "create" if remote else "write"
    place = f"memory://claimed-{tmp_path.name}" if remote else tmp_path / "photos"
    whole = getattr(kind, name)

    def written_but_refused(store: Store, path: str, data: bytes) -> bool:
        whole(store, path, data)
        raise StorageError("the disk says no")

    monkeypatch.setattr(kind, name, written_but_refused)
    words = ("--run", tmp_path / "a.run", *WRITE)
    assert augment(images, place, *words) == 6
    monkeypatch.undo()
    assert not (tmp_path / "a.run").exists()
    assert augment(images, place, *words) == 0


def test_a_zip_whose_images_were_exchanged_is_other_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a folder is; packed again, or with more images, it is the same source."""
    images, photos = tiny.make_images(tmp_path / "images"), tmp_path / "photos"
    archive = Path(shutil.make_archive(str(tmp_path / "images"), "zip", images))
    assert augment(archive, photos, *WRITE) == 0
    files = sorted(images.rglob("*.png"))
    shutil.copy(files[0], images / "left" / "new.png")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in [*files, images / "left" / "new.png"]:
            packed.write(path, path.relative_to(images))
    assert cli("status", tmp_path / "photos.run") == 0
    assert "1 file added: left/new.png" in capsys.readouterr().out
    assert augment(archive, photos, *WRITE) == 0
    with zipfile.ZipFile(archive, "w") as packed:
        for path in files:
            packed.writestr(str(path.relative_to(images)), path.read_bytes() + b"other")
    capsys.readouterr()
    before = tiny.digests(tmp_path)
    assert augment(archive, photos, *WRITE) == 2
    assert f"{len(files) + 1} images in {archive}, and none of them is" in capsys.readouterr().err
    assert tiny.digests(tmp_path) == before


def test_a_stop_ends_the_wait_for_a_store_at_the_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> bytes:
        raise ConnectionError("the store does not answer")

    for name in ("cat_file", "_open"):
        monkeypatch.setattr(MemoryFileSystem, name, failing)
    stopped = Claimant(tmp_path / "run", URL("memory://claimed"), stopping=lambda: True)
    for action in (claim, record_claim):
        with pytest.raises(Interrupted, match="Stopped while"):
            action(stopped)
