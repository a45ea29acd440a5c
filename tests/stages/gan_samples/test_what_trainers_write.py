"""Samples as trainers leave them: classes, chunks, real images beside them; few of them; noise."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scenes import Images, judged, make_run, save, scenes, value

from scoremix.manifests.errors import ConfigError
from scoremix.models.metrics.copying import find_near_copies
from scoremix.stages.gan_samples.sets import find_sets, open_set

FEW = scenes(3, 1)
CLASSES = ("cat", "dog", "fox")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("generated"))


def filled(root: Path, *folders: str) -> Path:
    for folder in folders:
        save(FEW, root / folder)
    return root


def chunks(root: Path) -> Path:
    """As edm's generate.py --subdirs: 000000/000000.png, 001000/001000.png, ..."""
    for first in (0, 1000, 2000):
        folder = root / f"{first:06d}"
        folder.mkdir(parents=True)
        for number, pixels in enumerate(FEW, start=first):
            Image.fromarray(pixels).save(folder / f"{number:06d}.png")
    return root


def chunks_with_strays(root: Path) -> Path:
    for name in (".DS_Store", "Thumbs.db", "grid.png"):
        (root if root.exists() else chunks(root)).joinpath("000000", name).touch()
    return root


def named(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(FEW[0]).save(root / name)
    return root


def cyclegan(
    root: Path, *folders: str, ends: tuple[str, ...] = ("real_A", "fake_B", "real_B")
) -> Path:
    """As CycleGAN's test.py: 0_real_A.png, 0_fake_B.png and 0_real_B.png of three images."""
    return named(
        root, *(f"{one}/{n}_{end}.png" for one in folders for n in range(3) for end in ends)
    )


def zipped(folder: Path) -> Path:
    path = folder.with_name(f"{folder.name}.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, f"{folder.name}/{file.relative_to(folder)}")
    return path


@pytest.mark.parametrize(
    ("build", "classes", "sets", "count", "word"),
    [
        (chunks, CLASSES, 1, 9, "chunks"),
        (chunks_with_strays, CLASSES, 1, 10, "chunks"),
        (lambda root: filled(root, "class0", "class1", "class2"), CLASSES, 1, 9, "classes"),
        (lambda root: filled(root, "class_1", "class_2"), CLASSES, 1, 6, "classes"),
        (lambda root: filled(root, "0", "1", "2"), CLASSES, 1, 9, "classes"),
        (lambda root: filled(root, "00", "01", "02"), CLASSES, 1, 9, "classes"),
        (lambda root: filled(root, "0_cat", "1_dog", "2_fox"), CLASSES, 1, 9, "classes"),
        (lambda root: filled(root, "1", "0"), ("1", "0"), 1, 6, "classes"),
        (lambda root: filled(root, "021", "120"), ("0", "1"), 1, 6, "translations"),
        (lambda root: filled(root, "0_a20_b", "0_b20_a"), ("a", "b"), 1, 6, "translations"),
        # Snapshots still: other numbers, more or fewer than classes, or a corpus without any.
        (lambda root: filled(root, "0", "1", "2"), (), 3, 3, ""),
        (lambda root: filled(root, "0", "1"), CLASSES, 2, 3, ""),
        (lambda root: filled(root, "1", "2", "3"), CLASSES, 3, 3, ""),
        (lambda root: filled(root, "001000", "002000"), CLASSES, 2, 3, ""),
        (lambda root: filled(root, "000100", "000200"), CLASSES, 2, 3, ""),
        # CUT's results, at each height; StudioGAN's.
        (lambda root: filled(root, "real_A", "real_B", "fake_B"), (), 1, 3, "only fake_B/"),
        (lambda root: filled(root, "cats/test_latest/images/real_A", "cats/test_latest/images/"
                             "fake_B"), (), 1, 3, "only fake_B/"),
        (lambda root: filled(root, "train_5/images/fake_B", "train_10/images/fake_B",
                             "train_5/images/real_B", "train_10/images/real_B"), (), 2, 3,
         "only fake_B/"),
        (lambda root: filled(root, "real/0", "real/1", "fake/0", "fake/1"), ("a", "b"), 1, 6,
         "only fake/"),
        # CycleGAN's file names.
        (lambda root: named(root, "1_real_A.png", "1_fake_B.png", "2_fake_B.png"), (), 1, 2,
         "end in fake_B"),
        (lambda root: cyclegan(root, "."), (), 1, 3, "end in fake_B"),
        (lambda root: cyclegan(root, "images"), (), 1, 3, "end in fake_B"),
        (lambda root: cyclegan(root, "cyc/test_latest/images"), (), 1, 3, "end in fake_B"),
        (lambda root: cyclegan(root, "test_5/images", "test_10/images"), (), 2, 3, "end in fake_B"),
        (lambda root: cyclegan(root, ".", ends=("real", "fake")), (), 1, 3, "end in fake were"),
        (lambda root: named(cyclegan(root, "images"), "images/sheet.png", "loss.png"), (), 1, 3,
         "others were left out: loss.png, images/sheet.png"),
        (lambda root: zipped(cyclegan(root, "cyc/test_latest/images")), (), 1, 3, "end in fake_B"),
        (lambda root: zipped(filled(root, "test_latest/images/real_A", "test_latest/images/real_B",
                                    "test_latest/images/fake_B")), (), 1, 3, "only fake_B/"),
        (lambda root: zipped(filled(root, "real", "5/fake_B", "5/real_A", "10/fake_B",
                                    "10/real_B")), (), 2, 3, "others were left out: samples/real/"),
        (lambda root: zipped(filled(root, "a/fake_B", "b/fake_B")), (), 1, 6, ""),
        (lambda root: named(root, "1_fake_B.png", "2_fake_B.png"), (), 1, 2, ""),
        (lambda root: named(root, "1_fake_B.png", "else.png"), (), 1, 2, ""),
    ],
)  # fmt: skip
def test_folders_are_told_apart(
    build: Callable[[Path], Path],
    classes: tuple[str, ...],
    sets: int,
    count: int,
    word: str,
    tmp_path: Path,
) -> None:
    found = find_sets(build(tmp_path / "samples"), None, classes)
    assert len(found) == sets
    assert all(len(open_set(one).inputs) == count for one in found)
    assert all(word in " ".join(one.notes) for one in found)
    assert all(bool(one.notes) == bool(word) for one in found)


def test_snapshots_of_cut_are_in_order(tmp_path: Path) -> None:
    for epoch in (5, 10):
        filled(tmp_path, f"train_{epoch}/images/fake_B", f"train_{epoch}/images/real_A")
    assert [one.name for one in find_sets(tmp_path, None, ())] == ["train_5", "train_10"]


def test_snapshots_may_be_zips_of_results(tmp_path: Path) -> None:
    for epoch in (5, 10):
        zipped(filled(tmp_path / f"test_{epoch}", "images/fake_B", "images/real_A"))
        (tmp_path / "zips").mkdir(exist_ok=True)
        (tmp_path / f"test_{epoch}.zip").rename(tmp_path / "zips" / f"test_{epoch}.zip")
    found = find_sets(tmp_path / "zips", None, ())
    assert [one.name for one in found] == ["test_5", "test_10"]
    for one in found:
        assert [item.name for item in open_set(one).inputs] == [f"seed000{n}.png" for n in range(3)]
    zipped(filled(tmp_path / "both", "a/fake", "a/real", "b/fake", "b/real")).rename(
        tmp_path / "zips" / "test_15.zip"
    )
    with pytest.raises(ConfigError, match=r"holds 2 sets .*\(both-a, both-b\). Name this zip"):
        find_sets(tmp_path / "zips", None, ())


def test_two_sorts_of_fakes_are_refused(tmp_path: Path) -> None:
    filled(tmp_path / "a", "real_A", "fake_A", "fake_B")
    named(tmp_path / "b", "1_real_A.png", "1_fake_A.png", "1_fake_B.png")
    named(tmp_path / "c", "web/images/1_real_A.png", "web/images/1_fake_A.png",
          "web/images/1_fake_B.png")  # fmt: skip
    zipped(tmp_path / "a"), zipped(tmp_path / "b")
    for name in ("a", "b", "c", "a.zip", "b.zip"):
        with pytest.raises(ConfigError, match="fake_A and fake_B"):
            find_sets(tmp_path / name, None, ())


def test_class_folders_are_snapshots_where_that_is_asked_for(tmp_path: Path) -> None:
    assert len(find_sets(filled(tmp_path, "0", "1", "2"), True, CLASSES)) == 3


def test_cut_s_results_are_no_copying(run: Path, tmp_path: Path) -> None:
    """The training images beside the samples counted as copies."""
    from scoremix.stages.corpus.store import open_corpus

    training = np.array(open_corpus(run / "corpus").images[:60])
    save(training, tmp_path / "images" / "real_B")
    save(scenes(60, 40), tmp_path / "images" / "fake_B")
    (one,) = judged(run, tmp_path / "images", name="cut")["sets"]
    assert one["exact_copies"]["count"] == 0 and one["judged"] == 60
    assert one["copying"]["kind"] == "not copying"


@pytest.mark.parametrize("count", [1, 2, 20, 49])
def test_few_images_give_what_can_be_said_of_them(count: int, run: Path, tmp_path: Path) -> None:
    from scoremix.stages.corpus.store import open_corpus

    images = scenes(count, 41)
    images[0] = open_corpus(run / "corpus").images[7]
    report = judged(run, save(images, tmp_path / "few"), name=f"few-{count}")
    (one,) = report["sets"]
    assert one["judged"] == count and one["kernel"] is None and report["best"] is None
    assert one["exact_copies"]["first"] == [{"name": "seed0000.png", "training": "000007"}]
    assert one["nearest"][0]["training"] == "000007"
    assert value(one["records"], "copies_pixels") == pytest.approx(1 / count)
    assert {record["name"] for record in one["records"]} == {"copies_pixels"}
    assert "too few for distances" in report["text"][0]
    assert any("ARE training images" in line for line in report["text"])
    page = (run / "report" / "index.html").read_text()
    assert f"few-{count}" in page


def test_a_snapshot_of_few_images_is_not_the_best(run: Path, tmp_path: Path) -> None:
    for step, count in ((1, 60), (2, 10), (3, 60)):
        save(scenes(count, 42 + step), tmp_path / "steps" / f"{step}")
    report = judged(run, tmp_path / "steps", name="steps")
    assert report["best"]["name"] in ("1", "3")
    assert report["text"][0].startswith("Best of 2 snapshots: ")
    assert [one["kernel"] is None for one in report["sets"]] == [False, True, False]


def recompressed(images: Images, quality: int = 60) -> Images:
    import io

    files = [io.BytesIO() for _ in images]
    for pixels, file in zip(images, files, strict=True):
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.stack([np.asarray(Image.open(file)) for file in files])


def test_copying_is_said_of_changed_copies_and_not_of_noise(run: Path, tmp_path: Path) -> None:
    from scoremix.stages.corpus.store import open_corpus

    random = np.random.default_rng(5)
    training = np.array(open_corpus(run / "corpus").images)
    flat = np.broadcast_to(random.integers(40, 200, (90, 1, 1, 3)), training.shape)
    mean = training.mean(axis=0) + random.normal(0, 2, training.shape)
    sets = {
        "noise": (random.integers(0, 256, training.shape), False),
        "flat": (flat, False),
        "mean": (mean, False),
        "unseen": (scenes(90, 50), False),
        "recompressed": (recompressed(training), True),
        "grainy": (training + random.normal(0, 5, training.shape), True),
    }
    for name, (images, copied) in sets.items():
        pixels = np.clip(np.round(images), 0, 255).astype(np.uint8)
        report = judged(run, save(pixels, tmp_path / name), name=name)
        text = " ".join(report["text"])
        said = "data-copying" in text or "COPYING" in text
        assert said == copied, (name, text)
        assert report["sets"][0]["near_copies"]["more"] == copied, name
    blurred = judged(run, save(scenes(90, 51), tmp_path / "blurred", blur=4.0), name="blurred")
    assert "data-copying" not in " ".join(blurred["text"])


def test_near_copies_by_hand() -> None:
    training = np.array([[0.0], [10.0], [30.0]])
    x = np.array([[1.0], [5.0], [3.4], [12.0], [100.0]])  # 1:9, 5:5, 3.4:6.6, 2:12, 70:90
    found = find_near_copies(x, training)
    assert (found.count, found.n) == (2, 5)
    with pytest.raises(ValueError, match="two training images"):
        find_near_copies(x, training[:1])
