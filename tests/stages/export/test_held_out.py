"""Held-out images in an export: where a trainer looks for them, or alone; never twice."""

import io
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny
from PIL import Image
from scenes import cli, save, scenes

from scoremix.manifests.errors import ConfigError
from scoremix.stages.check.check import check_corpus
from scoremix.stages.common.progress import Silent
from scoremix.stages.corpus.store import Corpus, open_corpus
from scoremix.stages.export.export import ExportConfig, Exported, export

SIDE = 16


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 40 images, some held out, mixup."""
    root = tmp_path_factory.mktemp("held")
    for seed, name in enumerate(("cat", "dog")):
        save(scenes(40, seed), root / "photos" / name)
    changed = tiny.options(
        generate__method="mixup", generate__ratio=1, ingest__resolution=SIDE, ingest__holdout=0.25
    )
    words = ["augment", "--data", root / "photos", "--out", root / "run" / "shards"]
    assert cli(*words, "--run", root / "run", "--quiet", *changed) == 0
    return root / "run"


def exported(run: Path, out: Path, **options: object) -> Exported:
    config = ExportConfig.model_validate(options)
    return export(run / "shards", out, config, progress=Silent(), run=run)


def pixels(folder: Path) -> set[bytes]:
    """The images at any depth, by their pixels."""
    return {np.asarray(Image.open(path)).tobytes() for path in folder.rglob("*.png")}


def held_out(corpus: Corpus, class_id: int | None = None) -> set[bytes]:
    chosen = range(len(corpus.reference))
    return {
        corpus.reference[row].tobytes()
        for row in chosen
        if class_id in (None, int(corpus.reference_ids[row]))
    }


@pytest.mark.parametrize(("trainer", "target", "folders"), [
    ("stargan-v2", None, ("val/0_cat", "val/1_dog")),
    ("studiogan", "imagefolder", ("valid/0_cat", "valid/1_dog")),
    ("cut", None, ("testA", "testB")), ("fastcut", None, ("testA", "testB")),
])  # fmt: skip
def test_the_trainer_s_folder_has_the_held_out_images_and_no_others(
    trainer: str, target: str | None, folders: tuple[str, str], run: Path, tmp_path: Path
) -> None:
    corpus = open_corpus(run / "corpus")
    done = exported(run, tmp_path / "a", trainer=trainer, to=target, held_out=True)
    for class_id, folder in enumerate(folders):
        assert pixels(done.out / folder) == held_out(corpus, class_id)
    training = [path for path in done.out.iterdir() if path.name.startswith("train")]
    assert training and not any(pixels(path) & held_out(corpus) for path in training)
    [result] = check_corpus(done.out, trainer, Silent())
    assert result.readable
    assert "no-test-folders" not in {one.rule for one in result.findings}
    assert not exported(run, done.out, trainer=trainer, to=target, held_out=True).written
    with pytest.raises(ConfigError, match="other options"):
        exported(run, done.out, trainer=trainer, to=target)


def test_a_split_of_parquet_has_the_held_out_images(run: Path, tmp_path: Path) -> None:
    corpus = open_corpus(run / "corpus")
    done = exported(run, tmp_path / "a", to="parquet", held_out=True)
    found = {}
    for split in ("train", "test"):
        rows = pq.read_table(done.out / f"{split}-00000-of-00001.parquet").to_pylist()
        images = [Image.open(io.BytesIO(row["image"]["bytes"])) for row in rows]
        found[split] = {np.asarray(image).tobytes() for image in images}
        for row, image in zip(rows, images, strict=True):
            if split == "test":
                assert np.asarray(image).tobytes() in held_out(corpus, row["label"])
    assert found["test"] == held_out(corpus) and not found["train"] & found["test"]
    alone = exported(run, tmp_path / "b", to="parquet", held_out_only=True)
    assert alone.listing.count == len(corpus.reference)


@pytest.mark.parametrize(("trainer", "name"), [
    ("stylegan3", "a.zip"), ("dcgan", "a"), ("fastgan", "a"), ("rosinality", "a.lmdb"),
    ("biggan", "a"), ("cut", "a"), ("stargan-v2", "a"),
])  # fmt: skip
def test_held_out_images_alone_are_read_by_every_layout(
    trainer: str, name: str, run: Path, tmp_path: Path
) -> None:
    options = {"to": "imagefolder"} if trainer == "biggan" else {}
    count = len(open_corpus(run / "corpus").reference)
    done = exported(run, tmp_path / name, trainer=trainer, held_out_only=True, **options)
    assert done.listing.count == count and done.listing.name == "run-held-out"
    assert not done.commands.train and not done.commands.sample
    assert str(done.out) in done.commands.evaluate
    [result] = check_corpus(done.out, trainer, Silent())
    twice = 2 if trainer == "stargan-v2" else 1  # its evaluation reads train/ and val/
    assert result.readable and result.facts["images"] == twice * count


def test_a_folder_for_a_true_reference_is_pixel_by_pixel(run: Path, tmp_path: Path) -> None:
    corpus = open_corpus(run / "corpus")
    done = exported(run, tmp_path / "reference", to="imagefolder", held_out_only=True)
    assert pixels(done.out) == held_out(corpus)
    first = {path.name: path.read_bytes() for path in done.out.rglob("*.png")}
    again = exported(run, tmp_path / "again", to="imagefolder", held_out_only=True)
    assert {path.name: path.read_bytes() for path in again.out.rglob("*.png")} == first


def test_what_cannot_be_had_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--held-out-only"):
        exported(run, tmp_path / "a.zip", trainer="stylegan3", held_out=True)
    with pytest.raises(ConfigError, match="leave --held-out"):
        exported(run, tmp_path / "a", trainer="dcgan", held_out_only=True, real_only=True)
    config = ExportConfig(trainer="dcgan", held_out_only=True)
    with pytest.raises(ConfigError, match="Name the run folder"):
        export(run / "shards", tmp_path / "a", config, progress=Silent())
    assert list(tmp_path.iterdir()) == []


def test_the_command_finds_the_run_of_its_shards(run: Path, tmp_path: Path) -> None:
    words = ("export", run / "shards", "--trainer", "cut", "--held-out", "--quiet")
    assert cli(*words, "--out", tmp_path / "a") == 0
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "testA", "testB", "trainA", "trainB"
    ]  # fmt: skip


def test_a_corpus_that_was_read_anew_has_no_held_out_images_for_these_shards(
    run: Path, tmp_path: Path
) -> None:
    """What is held out now may be in the shards."""
    again = tmp_path / "run"
    shutil.copytree(run, again)
    words = ("run", again / "stages.yaml", "--quiet", "--until", "ingest")
    assert cli(*words, "--set", "ingest.holdout=0.5") == 0
    for options in ({"held_out": True}, {"held_out_only": True}):
        with pytest.raises(ConfigError, match="read again since.* may be in the shards"):
            exported(again, tmp_path / "a", trainer="stargan-v2", **options)
    assert not (tmp_path / "a").exists()


def test_held_out_images_of_other_classes_are_left_out_and_counted(tmp_path: Path) -> None:
    for seed, name in enumerate(("cat", "dog")):
        save(scenes(12, seed), tmp_path / "photos" / name)
        save(scenes(6, 10 + seed), tmp_path / "others" / name)
    save(scenes(5, 20), tmp_path / "others" / "yak")
    changed = tiny.options(
        generate__method="mixup", generate__ratio=1, ingest__resolution=SIDE,
        ingest__reference=str(tmp_path / "others"), ingest__holdout=None,
    )  # fmt: skip
    words = ["augment", "--data", tmp_path / "photos", "--out", tmp_path / "run" / "shards"]
    assert cli(*words, "--run", tmp_path / "run", "--quiet", *changed) == 0
    corpus = open_corpus(tmp_path / "run" / "corpus")
    assert (corpus.reference_ids < 0).sum() == 5 and len(corpus.reference) == 17
    known = held_out(corpus, 0) | held_out(corpus, 1)
    for trainer, options in (
        ("stargan-v2", {"held_out": True}),
        ("stylegan3", {"held_out_only": True}),
        ("studiogan", {"held_out_only": True}),
    ):
        done = exported(tmp_path / "run", tmp_path / trainer, trainer=trainer, **options)
        assert any("5 held-out images of classes" in note for note in done.commands.notes)
    assert pixels(tmp_path / "stargan-v2" / "val") == pixels(tmp_path / "stylegan3") == known
