"""export, judged by readers that share no code with it: zipfile, PIL, h5py, lmdb, a plain walk."""

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny
from in_process import cli
from made import make_corpus
from numpy.typing import NDArray
from PIL import Image

from scoremix.manifests.trainers.layout import (
    Layout,
    class_folder,
    file_name,
    key_from_path,
    read_layout,
)
from scoremix.stages.export.zip import ZipWriter


def export(shards: Path, out: Path, *more: str | Path) -> int:
    return cli("export", shards, "--out", out, "--quiet", *more)


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RGB, two classes, two rounds of six. Tests must not change it."""
    return make_corpus(tmp_path_factory.mktemp("pets"))


@pytest.fixture(scope="module")
def gray(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gray, 32 px, twelve classes, 300 images: more than one block of HDF5 rows."""
    names = tuple(f"class {index}" for index in range(12))
    root = tmp_path_factory.mktemp("gray")
    return make_corpus(root, images=100, side=32, channels=1, classes=names, shard_size=50)


@pytest.fixture(scope="module")
def soft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("soft"), soft=True, images=9)


@pytest.fixture(scope="module")
def unclassed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("unclassed"), classes=())


def members(shards: Path) -> dict[str, bytes]:
    """Key -> image file, read with tarfile."""
    found = {}
    for path in sorted(shards.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                if member.name.endswith(".png") and file:
                    found[member.name.removesuffix(".png")] = file.read()
    return found


def rows(shards: Path) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in pq.read_table(shards / "manifest.parquet").to_pylist()}


def pixels(data: bytes) -> NDArray[np.uint8]:
    """(H, W, 3), gray repeated."""
    found = np.asarray(Image.open(io.BytesIO(data)))
    return np.stack([found] * 3, axis=2) if found.ndim == 2 else found


def walk(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# --- the stylegan layout ---------------------------------------------------------------------


def read_stylegan(files: dict[str, bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """As the shared reader does: all that has an image's extension; labels by archive path."""
    known = {extension for extension in Image.registered_extensions()}
    images = {name: files[name] for name in sorted(files) if Path(name).suffix.lower() in known}
    shapes = set()
    for data in images.values():
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            shapes.add((image.size, image.mode))
    assert len(shapes) == 1, "one size and one mode for all"
    labels: dict[str, Any] = {}
    if "dataset.json" in files:
        labels = dict(json.loads(files["dataset.json"])["labels"])
        assert labels.keys() == images.keys(), "every image has a label, and no other has one"
    assert files.keys() - images.keys() <= {"dataset.json"}
    return labels, images


def unzipped(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == sorted(names) and len(set(names)) == len(names)
        return {name: archive.read(name) for name in names}


def test_a_stylegan_zip_holds_every_image_as_it_is_and_its_class(
    pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(pets, tmp_path / "a.zip", "--trainer", "stylegan3") == 0
    told = capsys.readouterr().out
    assert "--cond=1" in told and "calc_metrics.py" in told and "--real-only" in told
    labels, images = read_stylegan(unzipped(tmp_path / "a.zip"))
    assert {key_from_path(name): data for name, data in images.items()} == members(pets)
    manifest = rows(pets)
    assert {key_from_path(name): label for name, label in labels.items()} == {
        key: row["class_id"] for key, row in manifest.items()
    }
    # Image 0, at which their dry run looks, is a real one; rounds follow each other.
    rounds = [manifest[key_from_path(name)]["round"] for name in images]
    assert rounds == sorted(rounds) and rounds[0] == 0


def test_a_stylegan_folder_is_the_zip_unpacked(pets: Path, tmp_path: Path) -> None:
    assert export(pets, tmp_path / "a.zip", "--to", "stylegan") == 0
    assert export(pets, tmp_path / "a", "--to", "stylegan") == 0
    assert walk(tmp_path / "a") == unzipped(tmp_path / "a.zip")


def test_soft_labels_are_equally_long_lists_of_floats(soft: Path, tmp_path: Path) -> None:
    assert export(soft, tmp_path / "a.zip", "--to", "stylegan") == 0
    labels, images = read_stylegan(unzipped(tmp_path / "a.zip"))
    manifest = rows(soft)
    mixed = 0
    for name, label in labels.items():
        assert all(type(weight) is float for weight in label) and len(label) == 2
        assert sum(label) == pytest.approx(1.0)
        assert label == manifest[key_from_path(name)]["soft_label"]
        mixed += 0.0 < label[0] < 1.0
    assert mixed > 3


def test_hard_labels_are_the_class_of_the_largest_weight(soft: Path, tmp_path: Path) -> None:
    assert export(soft, tmp_path / "a.zip", "--to", "stylegan", "--hard-labels", "argmax") == 0
    labels, _ = read_stylegan(unzipped(tmp_path / "a.zip"))
    manifest = rows(soft)
    for name, label in labels.items():
        weights = manifest[key_from_path(name)]["soft_label"]
        assert type(label) is int and weights[label] == max(weights)
    assert export(soft, tmp_path / "b", "--to", "imagefolder", "--hard-labels", "argmax") == 0
    folders = {key_from_path(name): name.split("/")[1] for name in walk(tmp_path / "b")}
    assert folders == {key_from_path(n): class_folder(("cat", "dog"), i) for n, i in labels.items()}


def test_without_classes_there_is_no_dataset_json(
    unclassed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(unclassed, tmp_path / "a.zip", "--trainer", "stylegan2-ada") == 0
    labels, images = read_stylegan(unzipped(tmp_path / "a.zip"))
    assert labels == {} and len(images) == 18
    assert "--cond" not in capsys.readouterr().out


def test_gray_stays_gray_unless_the_trainer_needs_rgb(gray: Path, tmp_path: Path) -> None:
    assert export(gray, tmp_path / "gray.zip", "--trainer", "stylegan3", "--real-only") == 0
    _, images = read_stylegan(unzipped(tmp_path / "gray.zip"))
    stored = members(gray)
    assert all(data == stored[key_from_path(name)] for name, data in images.items())
    assert export(gray, tmp_path / "rgb.zip", "--trainer", "projected-gan", "--real-only") == 0
    _, images = read_stylegan(unzipped(tmp_path / "rgb.zip"))
    for name, data in images.items():
        assert Image.open(io.BytesIO(data)).mode == "RGB"
        assert np.array_equal(pixels(data), pixels(stored[key_from_path(name)]))


def test_the_zip_has_constant_times_and_attributes(pets: Path, tmp_path: Path) -> None:
    assert export(pets, tmp_path / "a.zip", "--to", "stylegan") == 0
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        found = {
            (m.date_time, m.compress_type, m.create_system, m.external_attr >> 16, m.flag_bits)
            for m in archive.infolist()
        }
    assert found == {((1980, 1, 1, 0, 0, 0), zipfile.ZIP_STORED, 3, 0o100644, 0)}


def test_zips_beyond_the_limits_of_the_old_format(tmp_path: Path) -> None:
    count = 70_000  # more than 65,535 members
    with open(tmp_path / "many.zip", "wb") as file:
        archive = ZipWriter(file)
        for index in range(count):
            archive.add(f"{index:05d}.txt", b"%d" % index)
        archive.finish()
    with zipfile.ZipFile(tmp_path / "many.zip") as found:
        assert len(found.namelist()) == count and found.read("69999.txt") == b"69999"
    with open(tmp_path / "far.zip", "wb") as file:
        archive = ZipWriter(file)
        archive.add("near.txt", b"near")
        archive.size = file.seek(5 << 30)  # a hole, as if five gigabytes lay there
        archive.add("far.txt", b"far")
        archive.finish()
    with zipfile.ZipFile(tmp_path / "far.zip") as found:
        assert (found.read("near.txt"), found.read("far.txt")) == (b"near", b"far")


# --- folders ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trainer", "train", "real"),
    [
        ("stargan-v2", "train/", "val/"),
        ("studiogan", "train/", "valid/"),
        ("lecam", "train/", None),
        ("biggan", "ImageNet/", None),
        ("dcgan", "train/", None),
    ],
)
def test_class_folders_are_where_the_trainer_looks(
    trainer: str, train: str, real: str | None, gray: Path, tmp_path: Path
) -> None:
    options = ("--trainer", trainer, "--to", "imagefolder")
    assert export(gray, tmp_path / "a", *options) == 0
    files, stored, manifest = walk(tmp_path / "a"), members(gray), rows(gray)
    training = {name: data for name, data in files.items() if name.startswith(train)}
    assert {key_from_path(name): data for name, data in training.items()} == stored
    others = files.keys() - training.keys()
    reals = {key for key, row in manifest.items() if row["kind"] == "real"}
    assert {key_from_path(name) for name in others} == (reals if real else set())
    assert all(name.startswith(str(real)) and files[name] for name in others)
    folders = sorted({name.split("/")[1] for name in files})
    # Sorted names give the class ids again, ten and more classes included.
    assert len(folders) == 12 and all(name.isascii() for name in folders)
    for name in files:
        assert folders.index(name.split("/")[1]) == manifest[key_from_path(name)]["class_id"]
        assert name.endswith(".png") and len(name.split("/")) == 3
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(
        {train.strip("/"), (real or train).strip("/")}
    ), "no plain file at the root"


def test_a_corpus_without_classes_is_one_class_folder(unclassed: Path, tmp_path: Path) -> None:
    assert export(unclassed, tmp_path / "a", "--to", "imagefolder") == 0
    assert {name.rpartition("/")[0] for name in walk(tmp_path / "a")} == {"train/images"}


def test_fastgan_gets_one_flat_folder(pets: Path, tmp_path: Path) -> None:
    assert export(pets, tmp_path / "a", "--trainer", "fastgan") == 0
    files = walk(tmp_path / "a")
    assert {key_from_path(name): data for name, data in files.items()} == members(pets)
    assert not [name for name in files if "/" in name]


def test_unpaired_sides_are_the_classes_in_order_or_as_named(
    pets: Path, gray: Path, tmp_path: Path
) -> None:
    assert export(pets, tmp_path / "a", "--trainer", "cut") == 0
    stored, manifest = members(pets), rows(pets)
    files = walk(tmp_path / "a")
    assert {key_from_path(name): data for name, data in files.items()} == stored
    for name in files:
        side = ("trainA", "trainB")[manifest[key_from_path(name)]["class_id"]]
        assert name == f"{side}/{Path(name).name}"
    named = ("--domains", "class 10,class 3")
    assert export(gray, tmp_path / "b", "--to", "unpaired", *named) == 0
    manifest = rows(gray)
    for name in walk(tmp_path / "b"):
        assert (
            manifest[key_from_path(name)]["class_id"]
            == {"trainA": 10, "trainB": 3}[name.split("/")[0]]
        )


# --- hdf5 and lmdb ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trainer", "file", "axes"),
    [
        ("biggan", "ILSVRC32.hdf5", (0, 2, 3, 1)),
        ("lecam", "ILSVRC32.hdf5", (0, 2, 3, 1)),
        ("studiogan", "NAME-augmented-2_32_wo_resize_train.hdf5", (0, 1, 2, 3)),
    ],
)
def test_hdf5_is_exact_to_the_pixel_in_the_trainers_axis_order(
    trainer: str, file: str, axes: tuple[int, ...], gray: Path, tmp_path: Path
) -> None:
    h5py = pytest.importorskip("h5py")
    assert export(gray, tmp_path / "a", "--trainer", trainer, "--to", "hdf5") == 0
    file = file.replace("NAME", gray.parent.name)  # of the folder that holds shards/
    assert os.listdir(tmp_path / "a") == [file]
    with h5py.File(tmp_path / "a" / file) as found:
        assert set(found) == {"imgs", "labels"}
        assert found["imgs"].dtype == np.uint8 and found["labels"].dtype == np.int64
        images = found["imgs"][:].transpose(axes)
        labels = found["labels"][:].tolist()
    manifest = pq.read_table(gray / "manifest.parquet").to_pylist()
    stored = members(gray)
    assert images.shape == (300, 32, 32, 3)
    assert labels == [row["class_id"] for row in manifest]
    for image, row in zip(images, manifest, strict=True):
        assert np.array_equal(image, pixels(stored[row["key"]]))


def test_hdf5_of_colour_images_without_classes(unclassed: Path, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    assert export(unclassed, tmp_path / "a", "--trainer", "studiogan") == 0
    [file] = (tmp_path / "a").glob("*_8_wo_resize_train.hdf5")
    with h5py.File(file) as found:
        stored = [pixels(data) for data in members(unclassed).values()]
        assert {image.tobytes() for image in found["imgs"]} == {i.tobytes() for i in stored}
        assert found["labels"][:].tolist() == [0] * 18


@pytest.mark.parametrize("corpus", ["gray", "pets"])
def test_lmdb_has_the_keys_that_readers_ask_for(
    corpus: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    lmdb = pytest.importorskip("lmdb")
    shards: Path = request.getfixturevalue(corpus)
    assert export(shards, tmp_path / "a.lmdb", "--trainer", "rosinality") == 0
    assert os.listdir(tmp_path / "a.lmdb") == ["data.mdb"]
    manifest = pq.read_table(shards / "manifest.parquet").to_pylist()
    stored = members(shards)
    side = manifest[0]["width"]
    environment = lmdb.open(
        str(tmp_path / "a.lmdb"), max_readers=32, readonly=True, lock=False, readahead=False
    )
    with environment.begin() as transaction:
        length = int(transaction.get(b"length").decode("utf-8"))
        assert length == len(manifest)
        assert transaction.stat()["entries"] == length + 1
        for index, row in enumerate(manifest):
            data = transaction.get(f"{side}-{str(index).zfill(5)}".encode())
            assert Image.open(io.BytesIO(data)).mode == "RGB"
            assert np.array_equal(pixels(data), pixels(stored[row["key"]]))
            assert corpus == "gray" or data == stored[row["key"]]
    environment.close()


# --- ratio, real images ----------------------------------------------------------------------


def test_a_smaller_ratio_is_the_corpus_that_was_built_with_it(tmp_path: Path) -> None:
    data = tiny.make_images(tmp_path / "images")
    for ratio in (1, 3):
        options = tiny.options(generate__ratio=ratio)
        out = tmp_path / f"mu{ratio}"
        assert cli("augment", "--data", data, "--out", out, "--quiet", *options) == 0
    assert export(tmp_path / "mu3", tmp_path / "a", "--to", "imagefolder", "--ratio", "1") == 0
    assert export(tmp_path / "mu1", tmp_path / "b", "--to", "imagefolder") == 0
    files = walk(tmp_path / "a")
    assert files == walk(tmp_path / "b") and len(files) == 32
    # A run folder names its shards too.
    assert export(tmp_path / "mu3.run", tmp_path / "c", "--to", "imagefolder", "--ratio", "1") == 0
    assert walk(tmp_path / "c") == files


def test_real_only_is_round_0(pets: Path, tmp_path: Path) -> None:
    assert export(pets, tmp_path / "a.zip", "--to", "stylegan", "--real-only") == 0
    labels, images = read_stylegan(unzipped(tmp_path / "a.zip"))
    reals = {key for key, row in rows(pets).items() if row["kind"] == "real"}
    assert {key_from_path(name) for name in images} == reals
    # The same content by another name is the same export.
    assert export(pets, tmp_path / "a.zip", "--to", "stylegan", "--ratio", "0") == 0


# --- what a trainer cannot read --------------------------------------------------------------


@pytest.mark.parametrize(
    ("corpus", "options", "told"),
    [
        ("pets", ["--trainer", "biggan"], "ingest.resolution: 32"),
        ("pets", ["--trainer", "fastgan", "--to", "lmdb"], "1024"),
        ("pets", ["--to", "hdf5"], "--trainer biggan"),
        ("pets", ["--trainer", "stylegan9"], "stylegan2-ada, stylegan3"),
        ("pets", ["--trainer", "cut", "--to", "lmdb"], "--to unpaired"),
        ("pets", [], "--to"),
        ("pets", ["--to", "stylegan", "--ratio", "3"], "ratios 0 to 2"),
        ("pets", ["--to", "stylegan", "--ratio", "1", "--real-only"], "Leave one"),
        ("pets", ["--to", "unpaired", "--domains", "cat,cow"], "'cat', 'dog'"),
        ("pets", ["--to", "unpaired", "--domains", "cat"], "two classes"),
        ("pets", ["--to", "imagefolder", "--domains", "cat,dog"], "unpaired"),
        ("gray", ["--to", "unpaired"], "--domains A,B"),
        ("unclassed", ["--to", "unpaired"], "sub-folder"),
        ("unclassed", ["--trainer", "stargan-v2"], "sub-folder"),
        ("soft", ["--to", "imagefolder"], "--hard-labels argmax"),
        ("soft", ["--trainer", "studiogan"], "--hard-labels argmax"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_remedy(
    corpus: str,
    options: list[str],
    told: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert export(request.getfixturevalue(corpus), tmp_path / "out", *options) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("trainer", "side", "built"),
    [("stylegan3", 12, 8), ("rosinality", 12, 8), ("sincut", 12, 8), ("edm", 10, 8), ("edm", 2, 4)],
)
def test_a_side_that_a_trainer_cannot_read_is_refused(
    trainer: str, side: int, built: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = make_corpus(tmp_path, side=side, images=4, ratio=1)
    assert export(shards, tmp_path / "out", "--trainer", trainer) == 2
    assert f"ingest.resolution: {built}." in capsys.readouterr().err
    assert export(shards, tmp_path / "out", "--trainer", "dcgan") == 0


@pytest.mark.parametrize(
    ("trainer", "size"),
    [
        ("stargan-v2", "--img_size 32"),
        ("stylegan2-pytorch", "--image-size 16"),
        ("lightweight-gan", "--image-size 32"),
        ("edm", "--data="),
    ],
)
def test_a_trainer_that_scales_images_is_given_its_nearest_size(
    trainer: str, size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = make_corpus(tmp_path, side=12, images=4, ratio=1)
    assert export(shards, tmp_path / "out", "--trainer", trainer) == 0
    assert size in capsys.readouterr().out


def test_sincut_gets_its_own_mode_for_one_image_a_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = make_corpus(tmp_path, side=12, images=2, ratio=1)
    assert export(shards, tmp_path / "real", "--trainer", "sincut", "--real-only") == 0
    printed = capsys.readouterr().out
    assert "--model sincut" in printed and "--dataset_mode unaligned" not in printed
    assert export(shards, tmp_path / "all", "--trainer", "sincut") == 2


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.hdf5", ["--trainer", "studiogan"]),
        ("a.zip", ["--to", "imagefolder"]),
        ("a.tar", ["--to", "stylegan"]),
    ],
)
def test_a_name_that_does_not_fit_the_layout_is_refused(
    name: str, options: list[str], pets: Path, tmp_path: Path
) -> None:
    assert export(pets, tmp_path / name, *options) == 2
    assert list(tmp_path.iterdir()) == []


def test_an_export_into_the_shards_is_refused(
    pets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tiny.digests(pets)
    for out in (pets, pets / "a.zip", pets / "deep" / "a"):
        assert export(pets, out, "--to", "stylegan", "--overwrite") == 2
        assert "inside the shards" in capsys.readouterr().err
    assert tiny.digests(pets) == before


def test_a_folder_that_is_no_corpus_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert export(tmp_path / "empty", tmp_path / "a", "--to", "stylegan") == 2
    assert export(tmp_path / "nothing", tmp_path / "a", "--to", "stylegan") == 2


# --- names -----------------------------------------------------------------------------------


def test_names_say_the_key_and_sort_real_images_first(pets: Path) -> None:
    assert file_name("000123", 0) == "000_000123.png"
    assert key_from_path("train/0_cat/" + file_name("000123-007", 7)) == "000123-007"
    listing = read_layout(pets, Layout("imagefolder"))
    for row, entry in zip(listing.images(), listing.entries(), strict=True):
        assert key_from_path(entry.path) == row.key
    assert file_name("999999", 0) < file_name("000000-001", 1) < file_name("000000-010", 10)


def test_class_folders_are_ascii_unique_and_in_order() -> None:
    names = ("zebra/ü", "ZEBRA", "10", "..", "a" * 300, *"bcdefgh")
    folders = [class_folder(names, id_) for id_ in range(len(names))]
    assert folders == sorted(folders) and len({name.lower() for name in folders}) == len(names)
    assert folders[:4] == ["00_zebra", "01_ZEBRA", "02_10", "03"]
    assert all(name.isascii() and "/" not in name and len(name) < 60 for name in folders)
    assert [class_folder(("0", "1"), id_) for id_ in (0, 1, -1)] == ["0", "1", "images"]


@pytest.mark.parametrize("options", [["--to", "lmdb"], ["--to", "imagefolder", "--real-only"]])
def test_soft_labels_do_not_matter_where_none_are_kept_or_all_are_one(
    options: list[str], soft: Path, tmp_path: Path
) -> None:
    assert export(soft, tmp_path / "out", *options) == 0


def test_a_link_is_not_replaced(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    assert export(pets, tmp_path / "link", "--to", "imagefolder") == 2
    assert (tmp_path / "link").is_symlink() and not list((tmp_path / "disk").iterdir())
