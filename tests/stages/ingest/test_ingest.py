"""ingest at its boundary: what is on disk afterwards, and which messages a user gets."""

import errno
import hashlib
import io
import json
import os
import stat
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ingest_inputs import archive, classed, flat, folder, names, png, reasons, tree
from PIL import Image
from pydantic import ValidationError

from scoremix.manifests.errors import ConfigError, InputError, StorageError, VerifyError
from scoremix.manifests.plan.schema import SOURCES
from scoremix.models.metrics import copying
from scoremix.stages.common.progress import Silent
from scoremix.stages.corpus.store import Corpus, open_corpus
from scoremix.stages.ingest.ingest import IngestConfig, ingest
from scoremix.stages.ingest.inventory import JUDGED, TRIED, default_holdout
from scoremix.stages.ingest.preview import preview_ingest
from scoremix.stages.pilot import rule as pilot_rule
from scoremix.stages.sources import base, folders, zips
from scoremix.stages.sources.spec import SourceSpec
from scoremix.stages.trial import judge as trial_judge

FILES = ["classes.json", "corpus.json", "images.npy", "reference.npy", "sources.parquet"]


class NoteRecorder(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


Take = Callable[..., Corpus]


@pytest.fixture
def take(tmp_path: Path) -> Take:
    def run(source: Path | str, out: str = "corpus", workers: int = 2, **options: Any) -> Corpus:
        seed, progress = options.pop("seed", 0), options.pop("progress", Silent())
        config = IngestConfig(source=str(source), **options)
        return ingest(config, tmp_path / out, seed=seed, progress=progress, workers=workers)

    return run


# --- what is written


def test_a_folder_with_classes(take: Take, tmp_path: Path) -> None:
    files = classed(dog=3, cat=2)
    recorder = NoteRecorder()
    corpus = take(folder(tmp_path / "in", files), progress=recorder)
    assert corpus.classes == ["cat", "dog"]
    assert corpus.images.shape == (5, 8, 8, 3) and corpus.images.dtype == np.uint8
    assert corpus.reference.shape == (0, 8, 8, 3)
    assert isinstance(corpus.images, np.memmap) and not corpus.images.flags.writeable
    assert corpus.sources.schema == SOURCES
    for index, (row, name) in enumerate(
        zip(corpus.sources.to_pylist(), sorted(files), strict=True)
    ):
        data = files[name]
        pixels = np.asarray(Image.open(io.BytesIO(data)))
        assert (corpus.images[index] == pixels).all()
        assert row == {
            "index": index,
            "source": 0,
            "name": name,
            "status": "train",
            "reason": None,
            "row": index,
            "key": f"{index:06d}",
            "class_id": 0 if name.startswith("cat") else 1,
            "class_name": name[:3],
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "pixel_sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
            "format": "PNG",
            "mode": "RGB",
            "width": 8,
            "height": 8,
            "note": None,
            "phash": None,
            "near": None,
            "license": None,
        }
    assert recorder.notes == [
        "ingest: 5 training images in 2 classes, 8 px RGB; 0 held out, 0 rejected, 0 duplicates,"
        " 0 unused"
    ]


def test_exactly_these_files_are_left(take: Take, tmp_path: Path) -> None:
    corpus = take(folder(tmp_path / "in", flat(3)))
    assert sorted(os.listdir(corpus.folder)) == FILES
    assert json.loads((corpus.folder / "classes.json").read_text()) == []
    facts = json.loads((corpus.folder / "corpus.json").read_text())
    assert facts["counts"] == {
        "train": 3,
        "reference": 0,
        "duplicate": 0,
        "rejected": 0,
        "unused": 0,
    }
    assert (facts["resolution"], facts["channels"], facts["digest"]) == (8, 3, corpus.digest)


def test_a_zip_is_its_folder(take: Take, tmp_path: Path) -> None:
    files = {"SOURCE.txt": b"from me", **classed(a=3, b=2)}
    below = {f"top/train/{name}": data for name, data in files.items()}
    below["top/other/x.png"] = png(99)
    plain = take(folder(tmp_path / "in", files))
    zipped = take(archive(tmp_path / "in.zip", below), "zipped", path="top/train/")
    walked = take(folder(tmp_path / "deep", below), "walked", path="top/train")
    assert plain.digest == zipped.digest == walked.digest
    assert plain.classes == ["a", "b"]
    assert reasons(plain) == {"SOURCE.txt": "not an image"}


@pytest.mark.parametrize("options", [{"limit": 40}, {"fraction": 0.4}, {"holdout": 0.2}])
def test_workers_do_not_change_a_byte(take: Take, tmp_path: Path, options: dict[str, Any]) -> None:
    files = classed(a=40, b=30) | {f"a/{i:03d}.png": b"broken" for i in range(0, 40, 5)}
    root = folder(tmp_path / "in", files)
    one = take(root, "one", workers=1, **options)
    four = take(root, "four", workers=4, **options)
    assert tree(one.folder) == tree(four.folder)


def test_again_in_the_same_place_and_after_a_kill(take: Take, tmp_path: Path) -> None:
    root = folder(tmp_path / "in", flat(4))
    first = take(root, limit=3)
    (first.folder / ".staging.tmp").write_bytes(b"left behind")
    (first.folder / ".images.npy.tmp").write_bytes(b"left behind")
    second = take(root)
    assert len(second.images) == 4 and sorted(os.listdir(second.folder)) == FILES
    assert tree(take(root, limit=3).folder) == tree(take(root, "fresh", limit=3).folder)


def test_a_failed_run_keeps_the_earlier_corpus(take: Take, tmp_path: Path) -> None:
    corpus = take(folder(tmp_path / "in", flat(4)))
    before = tree(corpus.folder)
    with pytest.raises(InputError):
        take(folder(tmp_path / "bad", {f"{i}.png": b"x" for i in range(4)} | {"z.png": png(1)}))
    assert tree(corpus.folder) == before


def test_a_full_disk_is_a_storage_error_and_leaves_no_commit(
    take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    root = folder(tmp_path / "in", flat(4))
    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, "write_array_header_1_0", full)
        with pytest.raises(StorageError, match="run the same command again"):
            take(root)
    assert os.listdir(tmp_path / "corpus") == []
    assert len(take(root).images) == 4


def test_open_corpus_says_what_is_wrong(take: Take, tmp_path: Path) -> None:
    corpus = take(folder(tmp_path / "in", flat(4)))
    again = open_corpus(corpus.folder)
    assert again.digest == corpus.digest and (again.images == corpus.images).all()
    with open(corpus.folder / "images.npy", "ab") as file:
        file.write(b"x")
    with pytest.raises(VerifyError, match="images.npy should have"):
        open_corpus(corpus.folder)
    (corpus.folder / "images.npy").unlink()
    with pytest.raises(VerifyError, match="missing"):
        open_corpus(corpus.folder)
    (corpus.folder / "corpus.json").write_text("{")
    with pytest.raises(VerifyError, match="damaged"):
        open_corpus(corpus.folder)
    with pytest.raises(ConfigError, match="no finished corpus"):
        open_corpus(tmp_path / "nothing")


# --- bundled sets


def test_digits(take: Take) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    data = datasets.load_digits()
    plain = take("digits", "plain", limit=300, classes="none")
    assert (plain.images[..., 0] == np.rint(data.images[:300] / 16 * 255)).all()
    corpus = take("digits", limit=300)
    assert corpus.images.shape == (300, 8, 8, 1) and corpus.reference.shape == (1497, 8, 8, 1)
    first = sorted(np.concatenate([np.flatnonzero(data.target == n)[:30] for n in range(10)]))
    assert (corpus.images[..., 0] == np.rint(data.images[first] / 16 * 255)).all()
    assert corpus.classes == [str(digit) for digit in range(10)]
    train = [row for row in corpus.sources.to_pylist() if row["status"] == "train"]
    assert [row["class_id"] for row in train] == data.target[first].tolist()


def test_faces(take: Take) -> None:
    pytest.importorskip("skimage.data")
    corpus = take("faces", holdout=0)
    assert corpus.images.shape == (100, 24, 24, 1) and corpus.classes == []
    assert len(take("faces", "held").reference) == 10


@pytest.mark.parametrize(("name", "package"), [("digits", "sklearn"), ("faces", "skimage")])
def test_a_missing_package_is_named_with_its_pip_line(
    take: Take, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    for module in [*sys.modules]:
        if module.split(".")[0] == package:
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=r'pip install "scoremix-pipeline\[demo\]"'):
        take(name)


# --- which train, which are held out


def test_limit_takes_the_first_good_ones(take: Take, tmp_path: Path) -> None:
    root = folder(tmp_path / "in", flat(10) | {"0001.png": b"broken"})
    corpus = take(root, limit=4)
    assert names(corpus, "train") == ["0000.png", "0002.png", "0003.png", "0004.png"]
    assert len(names(corpus, "reference")) == 5 and [*reasons(corpus)] == ["0001.png"]


def test_limit_takes_one_of_every_class_in_turn(take: Take, tmp_path: Path) -> None:
    root = folder(tmp_path / "in", classed(a=9, b=1, c=9, d=9) | {"c/000.png": b"broken"})
    chosen = names(take(root, limit=8), "train")
    assert chosen == [
        *("a/000.png", "a/001.png", "a/002.png", "b/000.png"),
        *("c/001.png", "c/002.png", "d/000.png", "d/001.png"),
    ]
    assert take(root, "few", limit=3).classes == ["a", "b", "c", "d"]
    notes = NoteRecorder()
    config = IngestConfig(source=str(root), resolution=8, limit=3, holdout=0)
    ingest(config, tmp_path / "noted", seed=0, progress=notes, workers=1)
    assert (
        "WARNING: 1 of 4 classes have no training image: c. Raise ingest.limit" in notes.notes[-1]
    )
    plain = take(root, "plain", limit=8, classes="none")
    assert names(plain, "train") == [f"a/{index:03d}.png" for index in range(8)]


def test_per_class_takes_the_first_good_ones_of_each(take: Take, tmp_path: Path) -> None:
    root = folder(tmp_path / "in", classed(a=5, b=1, c=3) | {"a/000.png": b"broken"})
    corpus = take(root, per_class=2)
    assert names(corpus, "train") == [
        "a/001.png",
        "a/002.png",
        "b/000.png",
        "c/000.png",
        "c/001.png",
    ]
    assert corpus.classes == ["a", "b", "c"]


def test_fraction_draws_within_each_class(take: Take, tmp_path: Path) -> None:
    root = folder(tmp_path / "in", classed(a=20, b=10, c=2))
    corpus = take(root, fraction=0.25)
    chosen = names(corpus, "train")
    assert [sum(name[0] == letter for name in chosen) for letter in "abc"] == [5, 2, 1]
    assert len(corpus.reference) == 24
    assert chosen == names(take(root, "again", fraction=0.25), "train")
    assert chosen != names(take(root, "other", fraction=0.25, seed=1), "train")


def test_fraction_replaces_bad_ones_and_keeps_name_order(take: Take, tmp_path: Path) -> None:
    files = flat(40) | {f"{i:04d}.png": b"broken" for i in range(0, 40, 3)}
    corpus = take(folder(tmp_path / "in", files), fraction=0.5)
    chosen = names(corpus, "train")
    assert len(chosen) == 20 and chosen == sorted(chosen)
    for row in corpus.sources.to_pylist():
        if row["status"] == "train":
            pixels = np.asarray(Image.open(io.BytesIO(files[row["name"]])))
            assert (corpus.images[row["row"]] == pixels).all()


def test_a_class_without_training_images_keeps_its_name(take: Take, tmp_path: Path) -> None:
    corpus = take(folder(tmp_path / "in", classed(a=3, b=3) | {"notes/x.txt": b"text"}), limit=3)
    assert corpus.classes == ["a", "b"]
    assert {row["class_id"] for row in corpus.sources.to_pylist() if row["row"] is None} == {-1}


def test_reference_limit_leaves_the_others_unused(take: Take, tmp_path: Path) -> None:
    corpus = take(folder(tmp_path / "in", flat(20)), limit=5, reference_limit=4)
    assert len(corpus.reference) == 4 and len(names(corpus, "unused")) == 11
    row = next(row for row in corpus.sources.to_pylist() if row["status"] == "unused")
    assert row["reason"] == "left out by ingest.limit 5; ingest.reference_limit 4 is reached"
    assert row["sha256"] is None and row["key"] is None
    assert len(take(tmp_path / "in", "none", limit=5, reference_limit=0).reference) == 0


def test_holdout_by_default_from_a_hundred_images_on(take: Take, tmp_path: Path) -> None:
    root = folder(tmp_path / "in", classed(a=60, b=38, c=2))
    corpus = take(root)
    held = names(corpus, "reference")
    assert [sum(name[0] == letter for name in held) for letter in "abc"] == [6, 4, 0]
    assert len(corpus.images) == 90 and names(corpus, "train")[0][0] == "a"
    assert len(take(root, "off", holdout=0).reference) == 0
    assert len(take(root, "capped", reference_limit=3).reference) == 3
    (root / "a" / "000.png").unlink()
    assert len(take(root, "few").reference) == 0
    assert len(take(root, "asked", holdout=0.2).reference) == 20


def test_from_250_images_on_enough_are_held_out_to_compare_with(take: Take, tmp_path: Path) -> None:
    assert JUDGED == pilot_rule.MIN_HELD_OUT == copying.MIN_IMAGES
    assert TRIED == trial_judge.MIN_HELD_OUT
    held = {count: round(count * default_holdout(count)) for count in (99, 100, 249, 250, 299)}
    assert held == {99: 0, 100: 10, 249: 25, 250: 50, 299: 60}
    assert [round(count * default_holdout(count)) for count in (300, 599, 600, 9000)] == [
        *(60, 60, 60, 900)
    ]
    root = folder(tmp_path / "in", classed(a=150, b=101))
    corpus = take(root)
    held_out = names(corpus, "reference")
    assert len(corpus.images) == 201 and sum(name[0] == "a" for name in held_out) == 30


def test_holdout_leaves_two_of_every_class(take: Take, tmp_path: Path) -> None:
    corpus = take(folder(tmp_path / "in", classed(a=3, b=2, c=4)), holdout=0.9)
    assert [sum(name[0] == letter for name in names(corpus, "train")) for letter in "abc"] == [
        2,
        2,
        2,
    ]


def test_class_ids_of_held_out_images_are_in_the_order_of_their_pixels(
    take: Take, tmp_path: Path
) -> None:
    corpus = take(folder(tmp_path / "in", classed(a=6, b=9, c=7)), holdout=0.4)
    class_ids = {row["pixel_sha256"]: row["class_id"] for row in corpus.sources.to_pylist()}
    found = [class_ids[hashlib.sha256(image.tobytes()).hexdigest()] for image in corpus.reference]
    assert corpus.reference_ids.tolist() == found
    assert set(found) == {0, 1, 2}


def test_holdout_of_a_limit_leaves_the_rest_unused(take: Take, tmp_path: Path) -> None:
    corpus = take(folder(tmp_path / "in", flat(20)), limit=10, holdout=0.2)
    assert corpus.counts == {
        "train": 8,
        "reference": 2,
        "duplicate": 0,
        "rejected": 0,
        "unused": 10,
    }
    assert all(name < "0010" for name in names(corpus, "reference"))


def test_a_holdout_of_nothing_holds_nothing_out(take: Take, tmp_path: Path) -> None:
    corpus = take(folder(tmp_path / "in", flat(20)), limit=10, holdout=0.0)
    assert corpus.counts["train"] == 10 and corpus.counts["unused"] == 10
    assert len(corpus.reference) == 0


def test_a_reference_of_its_own(take: Take, tmp_path: Path) -> None:
    root = folder(tmp_path / "in", classed(a=4, b=4))
    held = {"b/000.png": png(50), "b/001.png": png(51), "x/000.png": png(52)}
    other = archive(tmp_path / "held.zip", held | {"b/bad.png": b"", "README": b"-"})
    corpus = take(root, per_class=3, reference=str(other))
    assert corpus.counts == {"train": 6, "reference": 3, "duplicate": 0, "rejected": 2, "unused": 2}
    rows = corpus.sources.to_pylist()
    assert [row["index"] for row in rows] == list(range(13))
    assert {row["reason"] for row in rows if row["status"] == "unused"} == {
        "left out by ingest.per_class 3"
    }
    taken = [row for row in rows if row["status"] == "reference"]
    assert [row["class_id"] for row in taken] == [1, 1, -1]
    assert all(row["source"] == -1 and row["key"] is None for row in taken)
    with pytest.raises(InputError, match="none is an image"):
        take(root, reference=str(folder(tmp_path / "text", {"a.txt": b"-"})))


# --- bad inputs


def test_a_bad_file_has_a_row_and_the_rest_goes_on(take: Take, tmp_path: Path) -> None:
    good = png(1, (64, 64))
    bad = {
        "cut.png": good[: len(good) // 2],
        "empty.jpg": b"",
        "page.jpg": b"<!DOCTYPE html>",
        "long.png": png(2, (200, 8)),
        "no image.txt": b"text",
        "dataset.json": b"{}",
        ".DS_Store": b"\0",
        "__MACOSX/._0000.png": b"\0",
        ".hidden.png": good,
    }
    fine = {**flat(6), "no-extension": png(7), "wrong.jpg": png(8), "ünï cødé \n.png": png(9)}
    corpus = take(folder(tmp_path / "in", bad | fine), max_pixels=1000, resolution=8)
    assert names(corpus, "train") == sorted(fine)
    assert reasons(corpus) == {
        "cut.png": "more than twice the pixels that ingest.max_pixels allows",
        "empty.jpg": "empty file (0 bytes)",
        "page.jpg": "not an image in a known format; it begins with b'<!DOCTYPE html>'",
        "long.png": "200x8 is 1,600 pixels, above ingest.max_pixels 1,000",
        "no image.txt": "not an image",
        "dataset.json": "not an image",
        ".DS_Store": "hidden file",
        "__MACOSX/._0000.png": "hidden file",
        ".hidden.png": "hidden file",
    }
    assert len(corpus.sources) == len(bad) + len(fine)


def test_links_and_pipes_are_not_followed(take: Take, tmp_path: Path) -> None:
    root = folder(tmp_path / "in", flat(4))
    outside = folder(tmp_path / "outside", {"secret.png": png(5)})
    (root / ".hidden").mkdir()
    (root / ".hidden" / "other.png").write_bytes(png(9))
    (root / "inside.png").symlink_to(".hidden/other.png")
    (root / "leaves.png").symlink_to(outside / "secret.png")
    (root / "loop.png").symlink_to("loop.png")
    (root / "folder").symlink_to(".")
    os.mkfifo(root / "pipe.png")
    corpus = take(root)
    assert names(corpus, "train") == [*flat(4), "inside.png"]
    assert reasons(corpus) == {
        "leaves.png": "symbolic link that leaves the source's folder",
        "loop.png": "symbolic link to no regular file",
        "folder": "symbolic link to a folder",
        "pipe.png": "not a regular file",
        ".hidden/other.png": "hidden file",
    }


def test_a_name_that_is_no_unicode(take: Take, tmp_path: Path) -> None:
    root = folder(tmp_path / "in", flat(2))
    try:
        Path(os.fsdecode(os.fsencode(root) + b"/\xff.png")).write_bytes(png(3))
    except OSError:
        pytest.skip("this file system wants Unicode names")
    assert names(take(root), "train") == ["0000.png", "0001.png", "\\udcff.png"]


def test_what_a_zip_may_not_do(take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "MAX_INPUT_BYTES", 1 << 20)
    monkeypatch.setattr(base, "MAX_INPUT_BYTES", 1 << 20)
    path = archive(tmp_path / "in.zip", flat(6))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("folder/", b"")
        file.writestr("a/../../up.png", png(1))
        file.writestr("big.png", b"\0" * (2 << 20))
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")
    corpus = take(path, max_bad={"fraction": 1})
    assert reasons(corpus) == {
        "a/../../up.png": "name that leaves the archive",
        "big.png": "larger than 1 MiB",
        "link.png": "symbolic link in an archive",
    }
    assert names(corpus, "train") == [*flat(6)] and not (tmp_path / "up.png").exists()


def test_too_many_bad_in_a_row_stop(take: Take, tmp_path: Path) -> None:
    files = flat(40) | {f"0010-{i:02d}.png": b"broken" for i in range(12)}
    root = folder(tmp_path / "in", files)
    with pytest.raises(InputError) as caught:
        take(root, max_bad={"consecutive": 11})
    text = str(caught.value)
    assert caught.value.exit_code == 4 and "11 in a row" in text and "max_bad" in text
    assert "0010-09.png: not an image in a known format" in text and "0010-10.png" not in text
    assert not (tmp_path / "corpus" / "corpus.json").exists()
    assert os.listdir(tmp_path / "corpus") == []
    assert take(root, max_bad={"consecutive": 13}).counts["rejected"] == 12


def test_more_than_half_bad_stops(take: Take, tmp_path: Path) -> None:
    half = flat(4) | {f"x{i}.png": b"broken" for i in range(4)}
    assert take(folder(tmp_path / "half", half)).counts["rejected"] == 4
    more = folder(tmp_path / "more", half | {"y.jpg": b"broken"})
    with pytest.raises(InputError, match="5 of 9 images read are bad, more than a part of 0.5"):
        take(more)
    assert len(take(more, max_bad={"fraction": 0.9}).images) == 4


def test_files_that_do_not_claim_to_be_images_do_not_count(take: Take, tmp_path: Path) -> None:
    corpus = take(folder(tmp_path / "in", flat(2) | {f"{i}.txt": b"text" for i in range(200)}))
    assert corpus.counts == {
        "train": 2,
        "reference": 0,
        "duplicate": 0,
        "rejected": 200,
        "unused": 0,
    }


# --- preparation


def test_colour_auto_is_gray_only_if_every_image_is(take: Take, tmp_path: Path) -> None:
    gray = flat(3, mode="L")
    white = io.BytesIO()
    Image.new("RGB", (8, 8), (7, 7, 7)).save(white, "PNG")
    root = folder(tmp_path / "in", gray | {"rgb.png": white.getvalue()})
    corpus = take(root)
    assert corpus.images.shape == (4, 8, 8, 1) and (corpus.images[3] == 7).all()
    stored = hashlib.sha256(corpus.images[3].tobytes()).hexdigest()
    assert corpus.sources["pixel_sha256"][3].as_py() == stored
    assert tree(take(root, "gray", colour="gray").folder) == tree(corpus.folder)
    assert take(root, "rgb", colour="rgb").images.shape == (4, 8, 8, 3)
    folder(root, {"x.png": png(1)})
    assert take(root, "mixed").images.shape == (5, 8, 8, 3)
    assert take(root, "forced", colour="gray").images.shape == (5, 8, 8, 1)


def test_alpha_16_bit_and_orientation_arrive_in_the_corpus(take: Take, tmp_path: Path) -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    deep = Image.fromarray(np.full((8, 8), 25700, np.uint16))
    turned = Image.new("RGB", (8, 8), "black")
    turned.paste("white", (0, 0, 4, 8))
    exif = Image.Exif()
    exif[0x0112] = 3
    root = tmp_path / "in"
    root.mkdir()
    clear.save(root / "a.png")
    deep.save(root / "b.png")
    turned.save(root / "c.png", exif=exif)
    corpus = take(root, background="#0a141e", colour="rgb")
    assert (corpus.images[0] == (10, 20, 30)).all() and (corpus.images[1] == 100).all()
    assert (corpus.images[2, :, :4] == 0).all() and (corpus.images[2, :, 4:] == 255).all()
    assert corpus.sources["note"].to_pylist() == [
        "alpha composited",
        "16-bit values scaled by 1/257",
        "EXIF orientation 3 applied",
    ]


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_any_shape_becomes_the_square(take: Take, tmp_path: Path, fit: str) -> None:
    sizes = [(40, 20), (20, 40), (16, 16), (1, 30), (9, 9)]
    files = {f"{i}.png": png(i, size) for i, size in enumerate(sizes)}
    assert take(folder(tmp_path / "in", files), fit=fit, resolution=16).images.shape == (
        5,
        16,
        16,
        3,
    )


def test_the_resolution_follows_the_images(take: Take, tmp_path: Path) -> None:
    mixed = {f"{i}.png": png(i, (90, side)) for i, side in enumerate((20, 70, 70, 500, 63))}
    assert take(folder(tmp_path / "in", mixed)).images.shape[1] == 64
    assert take(folder(tmp_path / "small", flat(3, size=(5, 5))), "s").images.shape[1] == 8


# --- what a user is class_ids


@pytest.mark.parametrize(
    ("side", "near"),
    [(63, "62 or 64"), (66, "64 or 68"), (130, "128 or 136"), (7, "8"), (2000, "1024")],
)
def test_a_resolution_that_does_not_divide(side: int, near: str) -> None:
    with pytest.raises(ConfigError, match=f"ingest.resolution is {side};.*Nearest: {near}\\."):
        IngestConfig(resolution=side)


@pytest.mark.parametrize("side", [8, 10, 62, 64, 68, 124, 128, 136, 256, 1024])
def test_resolutions_that_divide(side: int) -> None:
    assert IngestConfig(resolution=side).resolution == side


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 5, "per_class": 2},
        {"limit": 5, "fraction": 0.5},
        {"reference": "x", "holdout": 0.1},
    ],
)
def test_options_that_exclude_each_other(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="Give one of them"):
        IngestConfig(**options)


@pytest.mark.parametrize("options", [{"background": "white"}, {"fraction": 0}, {"colour": "cmyk"}])
def test_values_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IngestConfig(**options)


def test_a_source_that_is_not_there(take: Take, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist; the nearest folder that does is") as e:
        take(tmp_path / "not" / "here")
    assert f"is {tmp_path}." in str(e.value)
    with pytest.raises(ConfigError, match="none of: an image, a folder of images, a zip"):
        take(folder(tmp_path, {"one.txt": b"text"}) / "one.txt")

    with pytest.raises(InputError, match="could not be opened"):
        take(folder(tmp_path, {"cut.zip": b"PK\3\4"}) / "cut.zip")


def test_a_path_that_is_not_inside(take: Take, tmp_path: Path) -> None:
    files = {"train/a/0.png": png(0), "test/a/0.png": png(1)}
    for source in (archive(tmp_path / "in.zip", files), folder(tmp_path / "in", files)):
        for path in ("training", "../in", "train/b"):
            with pytest.raises(ConfigError, match=r"At its top there are: test, train\."):
                take(source, path=path)
    with pytest.raises(ConfigError, match="no folders"):
        take("digits", path="train")


def test_images_in_and_beside_folders(take: Take, tmp_path: Path) -> None:
    root = folder(tmp_path / "in", classed(a=2, b=2) | {"loose.png": png(9)})
    with pytest.raises(
        ConfigError, match=r"1 images directly.*'loose.png'.*4 in 2 classes \(a, b\)"
    ):
        take(root)
    (root / "loose.png").write_bytes(b"broken")
    corpus = take(root)
    assert corpus.classes == ["a", "b"] and [*reasons(corpus)] == ["loose.png"]
    broken = folder(tmp_path / "flat", flat(4) | {"thumbs/x.png": b"broken"})
    assert take(broken).classes == []


def test_nothing_to_train_on(take: Take, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="is empty"):
        take(tmp_path / "empty")
    with pytest.raises(InputError, match="none is an image:\n  a.txt: not an image"):
        take(folder(tmp_path / "text", {"a.txt": b"-"}), resolution=8)
    with pytest.raises(InputError, match=r"gives 1 training image \(0000.png\)"):
        take(folder(tmp_path / "one", flat(1)))
    with pytest.raises(ConfigError, match="has no classes"):
        take(folder(tmp_path / "flat", flat(4)), per_class=2)


def test_a_run_inside_its_own_source(take: Take, tmp_path: Path) -> None:
    folder(tmp_path, flat(3))
    with pytest.raises(ConfigError, match="Put the run folder elsewhere"):
        take(tmp_path)


# --- real images


def real(name: str) -> Path:
    root = os.environ.get("SCOREMIX_TEST_DATA")
    if not root:
        pytest.skip("SCOREMIX_TEST_DATA does not name a folder with data/*.zip")
    path = Path(root) / "data" / name
    if not path.is_file():
        pytest.skip(f"SCOREMIX_TEST_DATA has no data/{name}")
    return path


def test_clothing(take: Take) -> None:
    source = real("clothing10_64_all.zip")
    corpus = take(source, path="train", per_class=10, reference_limit=20)
    assert corpus.images.shape == (100, 64, 64, 3) and len(corpus.classes) == 10
    assert corpus.counts == {
        "train": 100,
        "reference": 20,
        "duplicate": 0,
        "rejected": 0,
        "unused": 2948,
    }
    with pytest.raises(ConfigError, match="At its top there are: test, train, validation"):
        take(source, path="trian")


def test_cats(take: Take) -> None:
    corpus = take(real("afhq_cat_64_1000.zip"), limit=100, reference_limit=0)
    assert corpus.images.shape == (100, 64, 64, 3) and corpus.classes == []
    assert reasons(corpus) == {"SOURCE.txt": "not an image"}


# --- looking without writing


@pytest.mark.parametrize(
    "options", [{}, {"limit": 50}, {"per_class": 7}, {"fraction": 0.3}, {"holdout": 0.2}]
)
def test_a_preview_agrees_with_ingest(take: Take, tmp_path: Path, options: dict[str, Any]) -> None:
    root = folder(tmp_path / "in", classed(a=70, b=40) | {"b/README": b"text"})
    found = preview_ingest(IngestConfig(source=str(root), **options), seed=0, progress=Silent())
    corpus = take(root, **options)
    assert (found.inputs, found.training, found.reference) == (
        len(corpus.sources),
        len(corpus.images),
        len(corpus.reference),
    )
    assert found.samples.shape[1:] == corpus.images.shape[1:] == (8, 8, 3)
    assert (found.resolution, found.channels) == (8, 3) and found.seconds_per_image > 0
    assert 0 < len(found.samples) <= 32


def test_a_preview_of_gray_or_broken_images(tmp_path: Path) -> None:
    gray = folder(tmp_path / "gray", flat(4, mode="L"))
    found = preview_ingest(IngestConfig(source=str(gray)), seed=0, progress=Silent())
    assert found.channels == 1 and found.samples.shape == (4, 8, 8, 1)
    broken = folder(tmp_path / "broken", {f"{i}.png": b"broken" for i in range(4)})
    with pytest.raises(InputError, match="none is an image:\n  0.png: not an image in a known"):
        preview_ingest(IngestConfig(source=str(broken), resolution=8), seed=0, progress=Silent())


def test_a_class_of_bad_images_alone_is_no_class(take: Take, tmp_path: Path) -> None:
    recorder = NoteRecorder()
    files = classed(a=3, c=3) | {"b/0.png": b"no", "b/1.png": png(900)[:60]}
    corpus = take(folder(tmp_path / "in", files), progress=recorder, max_bad={"fraction": 0.6})
    assert corpus.classes == ["a", "c"]
    assert corpus.sources["class_id"].to_pylist() == [0, 0, 0, -1, -1, 1, 1, 1]
    assert "ingest: classes left out because all of their images are bad: b" in recorder.notes


def test_a_file_that_becomes_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "secret.png"
    outside.write_bytes(png(1))
    root = folder(tmp_path / "in", {"a.png": png(2)})
    (item,) = folders.open_folder(root, root, SourceSpec(str(root))).inputs
    (root / "a.png").unlink()
    (root / "a.png").symlink_to(outside)
    with pytest.raises(OSError, match="symbolic links"):
        item.read()


@pytest.mark.parametrize(
    ("side", "resolution", "warned"), [(64, 8, True), (64, 16, False), (30, 8, False)]
)
def test_photographs_of_which_little_is_left_are_named(
    side: int, resolution: int, warned: bool, take: Take, tmp_path: Path
) -> None:
    files = {f"{seed}.png": png(seed, (side, side)) for seed in range(3)}
    recorder = NoteRecorder()
    take(folder(tmp_path / "in", files), resolution=resolution, progress=recorder)
    assert (
        any(f"WARNING: images of {side} px became 8 px" in note for note in recorder.notes)
        == warned
    )
