"""The shards, the run's own files and what was there before it stay apart."""

import os
import shutil
from pathlib import Path

import h5py
import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny
from earlier import edit_ledger
from in_process import cli
from numpy.typing import NDArray
from PIL import Image
from remote_runs import augment
from source_kinds import png, write

from scoremix.manifests.published.owner import OWNER

WRITE = ("--until", "write")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_images(tmp_path_factory.mktemp("made") / "images")


def below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# --- shards among the run's own files


@pytest.mark.parametrize(
    "out", ["run/report", "run/trial/mine", "run/.scoremix/x", "run/means.safetensors", "run", "."]
)
def test_shards_among_the_runs_own_files_are_refused(
    out: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ((), ("--dry-run",)):
        assert augment(images, tmp_path / out, "--run", tmp_path / "run", *WRITE, *more) == 2
        assert "as " + str(tmp_path / "run" / "shards") in capsys.readouterr().err
    assert below(tmp_path) == []


def test_links_into_the_runs_own_files_are_followed(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "disk").mkdir()
    (tmp_path / "run" / "report").symlink_to(tmp_path / "disk")
    (tmp_path / "out").symlink_to(tmp_path / "run" / "corpus")
    for out in ("disk/photos", "out"):
        assert augment(images, tmp_path / out, "--run", tmp_path / "run", *WRITE) == 2
        assert "lies in" in capsys.readouterr().err
    assert below(tmp_path) == ["disk", "out", "run", "run/report"]


def test_forget_does_not_remove_shards_that_lie_among_the_runs_own_files(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert augment(images, run / "photos", "--run", run, *WRITE) == 0
    (run / "report").mkdir()
    (run / "photos").rename(run / "report" / "photos")
    edit_ledger(run, lambda content: content.update(shards="report/photos"))
    before = tiny.digests(run)
    assert cli("forget", run, "000003", "--quiet") == 2
    assert f"{run}/report, which the run itself fills" in capsys.readouterr().err
    assert tiny.digests(run) == before
    # What the message says.
    (run / "report" / "photos").rename(tmp_path / "photos")
    assert augment(images, tmp_path / "photos", "--run", run, *WRITE) == 0
    assert cli("forget", run, "000003", "--quiet") == 0
    assert cli("verify", tmp_path / "photos") == 0
    assert not (run / "report").exists()


# --- a run folder with what is not a run's


@pytest.mark.parametrize(
    "name",
    ["corpus/images.npy", "report/metrics.json", "stages.yaml", "trial/a/b", "means.safetensors"],
)
def test_files_in_the_place_of_a_runs_are_not_replaced(
    name: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = tmp_path / "project", tmp_path / "out"
    (run / name).parent.mkdir(parents=True)
    (run / name).write_text("mine: 1")
    before = tiny.digests(tmp_path)
    for more in ((), ("--dry-run",)):
        assert augment(images, out, "--run", run, *WRITE, *more) == 2
        assert f"holds {name}, where a run puts its own" in capsys.readouterr().err
    assert tiny.digests(tmp_path) == before and not out.exists()


def test_a_folder_of_ones_own_with_other_files_may_be_the_run_folder(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(images, tmp_path / "images")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "report").mkdir()  # empty
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / ".DS_Store").touch()
    quick = tiny.options(generate__method="mixup")
    (tmp_path / "stages.yaml").write_text("run: .\ningest: {source: images}\n")
    monkeypatch.chdir(tmp_path)
    assert cli("run", "stages.yaml", "--quiet", *WRITE, *quick) == 0
    assert cli("verify", "shards") == 0 and (tmp_path / "notes.txt").read_text() == "mine"
    assert cli("run", "stages.yaml", "--quiet", *WRITE) == 0  # now the run's own


def test_a_stages_yaml_here_may_be_that_of_the_run_folder(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = tiny.options(generate__method="mixup")
    (tmp_path / "stages.yaml").write_text(f"ingest: {{source: {images}}}\n")
    monkeypatch.chdir(tmp_path)
    assert cli("augment", "--run", ".", "--out", "photos", "--quiet", *WRITE, *quick) == 0
    assert cli("verify", "photos") == 0


@pytest.mark.parametrize("until", ["ingest", "write"])
def test_a_run_that_was_killed_before_its_first_record_goes_on(
    until: str, images: Path, tmp_path: Path
) -> None:
    """A part of the corpus is there, and no ledger."""
    run, more = tmp_path / "photos.run", ("--until", until)
    assert augment(images, tmp_path / "photos", "--until", "ingest") == 0
    (run / "stages.lock.json").unlink()
    (run / ".scoremix" / "stages.lock.json").unlink()
    (run / "corpus" / ".images.npy.tmp").write_bytes(b"under way")
    assert augment(images, tmp_path / "photos", *more) == 0


def test_shards_of_others_inside_the_run_folder_are_not_taken_over(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "project" / "photos"
    assert augment(images, other, *WRITE) == 0
    before = tiny.digests(other)
    assert augment(images, other, "--run", tmp_path / "project", *WRITE, seed=9) == 2
    assert "belongs to another run" in capsys.readouterr().err
    (tmp_path / "project" / "shards").mkdir()
    (tmp_path / "project" / "shards" / "aug-000000.tar").write_bytes(b"mine")
    assert augment(images, tmp_path / "project" / "shards", "--run", other.parent, *WRITE) == 2
    assert "did not make" in capsys.readouterr().err
    assert tiny.digests(other) == before


def project(folder: Path, images: Path, *more: str) -> Path:
    """A finished run with its shards in its folder, by stages.yaml."""
    folder.mkdir()
    (folder / "stages.yaml").write_text(f"ingest: {{source: {images}}}\nrun: .\n")
    quick = tiny.options(generate__method="mixup")
    assert cli("run", folder / "stages.yaml", "--quiet", *WRITE, *quick, *more) == 0
    return folder


@pytest.mark.parametrize("kind", ["other options", "equal plan", "no record"])
def test_another_runs_corpus_in_the_place_of_the_shards_stays(
    kind: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Corpora of as many images have one plan: the images differ."""
    theirs = tiny.make_images(tmp_path / "images") if kind == "equal plan" else images
    for path in (tmp_path / "images").rglob("*.png"):
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    one = project(tmp_path / "one", images)
    two = project(tmp_path / "two", theirs, *(("--set", "seed=9") if theirs == images else ()))
    (one / "shards").rename(one / "before")
    shutil.copytree(two / "shards", one / "shards")
    if kind == "no record":
        (one / "shards" / OWNER).unlink()
    before = tiny.digests(one / "shards")
    for more in ((), ("--dry-run",)):
        assert cli("run", one / "stages.yaml", "--quiet", *WRITE, *more) == 2
        error = capsys.readouterr().err
        assert ("--replace" if kind == "no record" else "belongs to another run") in error
    assert cli("verify", one / "shards") == 3
    error = capsys.readouterr().err
    assert ("belongs to another run" in error) is (kind != "no record")
    assert cli("verify", one / "shards", "--json") == 3
    assert '"whole": false' in capsys.readouterr().out
    assert tiny.digests(one / "shards") == before
    shutil.rmtree(one / "shards")  # what the message says
    (one / "before").rename(one / "shards")
    assert cli("run", one / "stages.yaml", "--quiet", *WRITE) == 0


def test_a_copy_that_was_killed_before_it_recorded_its_new_id_goes_on(
    images: Path, tmp_path: Path
) -> None:
    one = project(tmp_path / "one", images)
    shutil.copytree(one, tmp_path / "two")
    edit_ledger(tmp_path / "two", lambda content: content["identity"].update(id="0" * 32))
    assert cli("run", tmp_path / "two" / "stages.yaml", "--quiet", *WRITE) == 0
    assert cli("verify", tmp_path / "two") == cli("verify", one) == 0


# --- fewer rounds


def test_another_seed_with_a_lower_ratio_is_another_corpus(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lower ratio alone is refused, after `forget` too; with other options it replaces."""
    photos, direct = tmp_path / "photos", tmp_path / "direct"
    assert augment(images, photos, *WRITE, generate__ratio=3) == 0
    assert cli("forget", tmp_path / "photos.run", "000003", "--quiet") == 0
    before, saved = tiny.digests(photos), (tmp_path / "photos.run" / "stages.yaml").read_text()
    for more in ((), ("--dry-run",)):
        assert augment(images, photos, *WRITE, *more, generate__ratio=1) == 2
        assert "finished rounds up to 3" in capsys.readouterr().err
    assert tiny.digests(photos) == before
    assert (tmp_path / "photos.run" / "stages.yaml").read_text() == saved
    assert augment(images, photos, *WRITE, "--dry-run", generate__ratio=1, seed=5) == 0
    assert augment(images, photos, *WRITE, generate__ratio=1, seed=5) == 0
    assert cli("verify", photos) == 0 and cli("repair", photos, "--quiet") == 0
    assert augment(images, photos, *WRITE, generate__ratio=3, seed=5) == 0
    other = {"generate__ratio": 1, "generate__alpha": 3, "seed": 5}
    assert augment(images, photos, *WRITE, **other) == 0
    # As where there never were other rounds.
    shutil.copytree(tmp_path / "photos.run", tmp_path / "direct.run")
    assert augment(images, direct, *WRITE, **other) == 0
    assert tiny.digests(direct) == tiny.digests(photos)


# --- files that a command writes where the user says


def test_files_of_a_run_and_of_a_corpus_are_no_place_for_results(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, run = tmp_path / "photos", tmp_path / "photos.run"
    assert augment(images, photos, *WRITE) == 0
    assert augment(images, tmp_path / "other", *WRITE) == 0
    (run / "report").mkdir()
    (tmp_path / "link").symlink_to(run / "report")
    weights = tmp_path / "weights.pt"
    weights.touch()
    taken = (
        (run / "report" / "x", "lies in"),
        (run / "trial" / "x.zip", "lies in"),
        (tmp_path / "other.run" / "corpus" / "x", "lies in"),
        (tmp_path / "link" / "x", "lies in"),
        (run / "stages.yaml", "is a run's own"),
        (photos / "real-000000.tar", "inside the shards"),
        (tmp_path / "other" / "real-000000.tar", "inside the shards"),
    )
    before = tiny.digests(tmp_path)
    for path, why in taken:
        for words in (
            ("inspect", photos, "000001", "--image", path),
            ("export", photos, "--to", "imagefolder", "--overwrite", "--out", path),
            ("compare", run, run, "--out", path),
        ):
            assert cli(*words) == 2, words
            error = capsys.readouterr().err
            assert why in error, (words, error)
    assert cli("features", "--make", run / "report" / "x.pt", "--from", weights) == 2
    assert "lies in" in capsys.readouterr().err
    out = tmp_path / "other.run" / "report" / "more"
    assert augment(images, out, "--run", tmp_path / "third.run", *WRITE) == 2
    assert "lies in" in capsys.readouterr().err
    assert tiny.digests(tmp_path) == before


def test_an_image_replaces_no_other_file(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, image = tmp_path / "photos", tmp_path / "one.png"
    assert augment(images, photos, *WRITE) == 0
    for _ in range(2):  # the same again is no other
        assert cli("inspect", photos, "000001", "--image", image) == 0
    image.write_bytes(b"mine")
    for path in (image, tmp_path):
        assert cli("inspect", photos, "000001", "--image", path) == 2
        assert f"{path} exists already and was left as it is" in capsys.readouterr().err
    assert image.read_bytes() == b"mine"


# --- other images under the same path


def exchangeable(root: Path, kind: str, pixels: NDArray[np.uint8]) -> Path:
    """A file of these images (N, H, W, 3), under names that depend on their number alone."""
    if kind == "h5":
        with h5py.File(root / "in.h5", "w") as file:
            file["imgs"] = pixels
        return root / "in.h5"
    if kind == "parquet":
        rows = [{"bytes": png(each), "path": None} for each in pixels]
        pq.write_table(pa.table({"image": rows}), root / "in.parquet")
        return root / "in.parquet"
    if kind == "tars":
        write(root / "in", "tar", {f"{n}.png": png(each) for n, each in enumerate(pixels)})
        return root / "in"
    if kind == "lmdb":
        shutil.rmtree(root / "in", ignore_errors=True)
        opened = lmdb.open(str(root / "in"), map_size=1 << 20)
        with opened as database, database.begin(write=True) as change:
            for number, each in enumerate(pixels):
                change.put(f"16-{number:05}".encode(), png(each))
        return root / "in"
    return Path(write(root, "tar", {f"{n}.png": png(each) for n, each in enumerate(pixels)}))


@pytest.mark.parametrize("kind", ["tar", "tars", "parquet", "h5", "lmdb"])
def test_other_images_in_one_file_are_other_data(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, more = tmp_path / "photos", (*WRITE, "--set", "ingest.holdout=0")
    pixels = np.random.default_rng(1).integers(0, 255, (9, 16, 16, 3), np.uint8)
    source = exchangeable(tmp_path, kind, pixels[:8])
    assert augment(source, photos, *more) == 0
    os.utime(source, (5, 5))
    assert augment(source, photos, *more) == 0  # touched
    exchangeable(tmp_path, kind, pixels)
    assert augment(source, photos, *more) == 0  # one image more
    before = tiny.digests(photos)
    exchangeable(tmp_path, kind, 255 - pixels)
    for last in ((), ("--dry-run",)):
        assert augment(source, photos, *more, *last) == 2
        assert (
            f"9 images in {source}, and none of them is there as it was" in capsys.readouterr().err
        )
    assert tiny.digests(photos) == before
    assert augment(source, photos, *more, "--replace") == 0
    assert tiny.digests(photos) != before


def bitmaps(folder: Path, seed: int) -> Path:
    """Eight images of equal names and sizes, and of other content for another seed."""
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(seed)
    for number in range(8):
        pixels = random.integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.bmp")
        os.utime(folder / f"{number}.bmp", (seed, seed))
    return folder


@pytest.mark.parametrize("linked", [False, True])
def test_files_of_the_same_names_and_sizes_may_be_other_data(
    linked: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, photos = bitmaps(tmp_path / "images", 1), tmp_path / "photos"
    source = tmp_path / "current"
    source.symlink_to(images)
    more = (*WRITE, "--set", "ingest.holdout=0")
    assert augment(source, photos, *more) == 0
    before = tiny.digests(photos)
    for path in images.iterdir():
        os.utime(path, (5, 5))
    assert augment(source, photos, *more) == 0  # touched
    if linked:
        source.unlink()
        source.symlink_to(bitmaps(tmp_path / "later", 2))
    else:
        bitmaps(images, 2)
    for last in ((), ("--dry-run",)):
        assert augment(source, photos, *more, *last) == 2
        assert "none of them is there as it was" in capsys.readouterr().err
    assert tiny.digests(photos) == before
    assert augment(source, photos, *more, "--replace") == 0
    assert tiny.digests(photos) != before
