"""Random patches of one image: exact pixels, the same ones for the same seed."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scoremix.manifests.errors import InputError
from scoremix.manifests.files.rows import rows_where
from scoremix.stages.common.progress import Silent
from scoremix.stages.corpus.store import Corpus
from scoremix.stages.ingest.ingest import IngestConfig, ingest


def picture(path: Path, seed: int, size: tuple[int, int] = (200, 150)) -> Path:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def take(tmp_path: Path, source: Any, count: int = 16, size: int = 24, **options: Any) -> Corpus:
    config = IngestConfig(
        source=source,
        patches={"per_image": count, "size": size},
        **{"resolution": size} | options,
    )
    return ingest(config, tmp_path / "corpus", seed=options.pop("seed", 0), progress=Silent())


def test_patches_are_squares_of_the_image_where_the_rows_say(tmp_path: Path) -> None:
    path = picture(tmp_path / "one.png", 0)
    corpus = take(tmp_path, str(path))
    whole = np.asarray(Image.open(path))
    places = set()
    for row in corpus.sources.to_pylist():
        left, top = map(int, re.findall(r"patch 24x24 at (\d+),(\d+)", row["note"])[0])
        assert (corpus.images[row["row"]] == whole[top : top + 24, left : left + 24]).all()
        assert row["name"] == f"one.png#{row['index']:04d}"
        places.add((left, top))
    assert len(places) == len(corpus.images) == 16
    assert max(left for left, _ in places) > 120 and min(left for left, _ in places) < 50
    assert len(corpus.reference) == 0, "patches of one image overlap: none is unseen"


def test_more_patches_begin_with_the_same_ones(tmp_path: Path) -> None:
    path = str(picture(tmp_path / "one.png", 0))
    few, many = take(tmp_path / "a", path, 5), take(tmp_path / "b", path, 9)
    assert (many.images[:5] == few.images).all()


def test_two_domains_of_one_image_each(tmp_path: Path) -> None:
    first, second = picture(tmp_path / "one.png", 0), picture(tmp_path / "two.png", 1)
    listed = [{"source": str(first), "label": "A"}, {"source": str(second), "label": "B"}]
    corpus = take(tmp_path, listed, per_class=10, resolution=16)
    assert corpus.classes == ["A", "B"] and corpus.images.shape == (20, 16, 16, 3)
    assert corpus.counts["train"] == 20
    assert corpus.sources["class_id"].to_pylist()[:32] == [0] * 16 + [1] * 16


def test_patches_are_compared_with_patches(tmp_path: Path) -> None:
    """Of ingest.reference, too: whole images scaled to the size of a patch look like none."""
    (tmp_path / "other").mkdir()
    path, other = picture(tmp_path / "one.png", 0), picture(tmp_path / "other" / "two.png", 1)
    corpus = take(tmp_path, str(path), 6, reference=str(other.parent))
    whole = np.asarray(Image.open(other))
    held_out = [row for row in corpus.sources.to_pylist() if row["status"] == "reference"]
    assert len(corpus.reference) == len(held_out) == 6 and len(corpus.images) == 6
    cut = set()
    for row in held_out:
        left, top = map(int, re.findall(r"patch 24x24 at (\d+),(\d+)", row["note"])[0])
        cut.add(whole[top : top + 24, left : left + 24].tobytes())
    assert {image.tobytes() for image in np.asarray(corpus.reference)} == cut


def test_an_image_that_is_too_small_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    picture(tmp_path / "in" / "a.png", 0)
    picture(tmp_path / "in" / "b.png", 1, (60, 20))
    corpus = take(tmp_path, str(tmp_path / "in"))
    assert corpus.counts["train"] == 16 and corpus.counts["rejected"] == 16
    picture(tmp_path / "in" / "a.png", 0, (20, 60))
    with pytest.raises(InputError, match="short side 20 px is below ingest.patches.size 24"):
        take(tmp_path, str(tmp_path / "in"))


@pytest.mark.parametrize("options", [{"fraction": 0.5}, {"limit": 20}, {"holdout": 0.5}])
def test_patches_of_one_image_are_never_on_both_sides(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    (tmp_path / "in").mkdir()
    for seed in range(6):
        picture(tmp_path / "in" / f"{seed}.png", seed)
    corpus = take(tmp_path, str(tmp_path / "in"), 8, **options)
    sides: dict[str, set[str]] = {}
    for row in corpus.sources.to_pylist():
        if row["status"] in ("train", "reference"):
            sides.setdefault(row["name"].split("#")[0], set()).add(row["status"])
    assert all(len(found) == 1 for found in sides.values())
    assert bool(len(corpus.reference)) == ("holdout" in options)


def with_copies(folder: Path, ending: str) -> str:
    """Six images, each with the same pixels under a second name, in another file format or not."""
    folder.mkdir()
    for seed in range(6):
        first = picture(folder / f"a{seed}.png", seed, (64, 64))
        Image.open(first).save(folder / f"copy{seed}{ending}")
    return str(folder)


def images_of(corpus: Corpus, status: str) -> set[str]:
    return {
        name.split("#")[0] for name in rows_where(corpus.sources, status=status)["name"].to_pylist()
    }


@pytest.mark.parametrize("ending", [".png", ".bmp"])
def test_patches_of_a_copy_are_duplicates(tmp_path: Path, ending: str) -> None:
    corpus = take(tmp_path, with_copies(tmp_path / "in", ending), 4, 16, holdout=0.5)
    names = {f"a{seed}.png" for seed in range(6)}
    assert images_of(corpus, "train") | images_of(corpus, "reference") == names
    assert images_of(corpus, "train").isdisjoint(images_of(corpus, "reference"))
    dropped = rows_where(corpus.sources, status="duplicate")
    assert len(dropped) == 24 and set(dropped["reason"].to_pylist()) == {
        f"same pixels as {name}" for name in names
    }


def test_copies_that_are_kept_are_on_one_side(tmp_path: Path) -> None:
    source = with_copies(tmp_path / "in", ".bmp")
    corpus = take(tmp_path, source, 4, 16, holdout=0.5, duplicates="keep")
    train, held_out = images_of(corpus, "train"), images_of(corpus, "reference")
    assert len(train | held_out) == 12 and held_out
    numbers = [{re.sub(r"\D", "", name) for name in side} for side in (train, held_out)]
    assert numbers[0].isdisjoint(numbers[1])


@pytest.mark.parametrize("duplicates", ["drop", "keep"])
def test_patches_of_a_training_image_are_not_held_out(tmp_path: Path, duplicates: str) -> None:
    source, other = with_copies(tmp_path / "in", ".png"), tmp_path / "other"
    with pytest.raises(InputError, match="every image of it is a training image too"):
        take(tmp_path, source, 4, 16, reference=source, duplicates=duplicates)
    other.mkdir()
    picture(other / "b.png", 0, (64, 64))
    picture(other / "c.png", 9, (64, 64))
    corpus = take(tmp_path, source, 4, 16, reference=str(other), duplicates=duplicates)
    assert images_of(corpus, "reference") == {"c.png"}


def test_patches_that_are_left_out_say_why(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for seed in range(2):
        picture(tmp_path / "in" / f"{seed}.png", seed)
    corpus = take(tmp_path, str(tmp_path / "in"), 8, limit=8)
    assert images_of(corpus, "train") == {"0.png"} and len(corpus.reference) == 0
    unused = rows_where(corpus.sources, status="unused")
    assert set(unused["reason"].to_pylist()) == {"left out by ingest.limit 8"}
