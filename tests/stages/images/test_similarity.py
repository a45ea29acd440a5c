"""Equal images are kept once and never split; similar images are named in the corpus."""

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ingest_inputs import folder, names, png, reasons, tree
from PIL import Image, ImageEnhance

from scoremix.manifests.errors import InputError
from scoremix.stages.common.progress import Silent
from scoremix.stages.corpus.store import Corpus
from scoremix.stages.images.decode_pool import DecodePool
from scoremix.stages.images.input import Input
from scoremix.stages.images.preparation import Preparation
from scoremix.stages.images.similarity import nearest_earlier, perceptual_hashes
from scoremix.stages.ingest.ingest import IngestConfig, ingest


def take(tmp_path: Path, files: dict[str, bytes], **options: Any) -> Corpus:
    source = folder(tmp_path / "in", files)
    nothing_else = not options.keys() & {"limit", "fraction"}  # which hold the rest out
    given = {"resolution": 8, "holdout": 0 if nothing_else else None} | options
    config = IngestConfig(source=str(source), **given)
    return ingest(config, tmp_path / "corpus", seed=0, progress=Silent(), workers=2)


def test_equal_pixels_are_kept_once_and_listed(tmp_path: Path) -> None:
    bmp = png(1)  # the same pixels in another file
    with Image.open(folder(tmp_path / "x", {"a.png": bmp}) / "a.png") as image:
        image.save(tmp_path / "copy.bmp")
    files = {"a/1.png": png(1), "a/2.png": png(2), "b/1.bmp": (tmp_path / "copy.bmp").read_bytes()}
    corpus = take(tmp_path, files | {"b/2.png": png(3), "b/3.png": png(2)})
    assert names(corpus, "train") == ["a/1.png", "a/2.png", "b/2.png"]
    assert reasons(corpus, "duplicate") == {
        "b/1.bmp": "same pixels as a/1.png",
        "b/3.png": "same pixels as a/2.png",
    }
    hashes = {row["name"]: row["pixel_sha256"] for row in corpus.sources.to_pylist()}
    assert hashes["b/1.bmp"] == hashes["a/1.png"] and hashes["b/3.png"] == hashes["a/2.png"]


def test_equal_gray_pixels_have_equal_hashes_too(tmp_path: Path) -> None:
    files = {f"{i}.png": png(seed, mode="L") for i, seed in enumerate([1, 2, 3, 2])}
    corpus = take(tmp_path, files)
    assert corpus.images.shape == (3, 8, 8, 1)
    hashes = corpus.sources["pixel_sha256"].to_pylist()
    assert hashes[3] == hashes[1] and len(set(hashes)) == 3


def test_a_limit_counts_different_images(tmp_path: Path) -> None:
    files = {f"{i}.png": png(seed) for i, seed in enumerate([1, 1, 1, 2, 3, 4])}
    assert names(take(tmp_path, files, limit=3), "train") == ["0.png", "3.png", "4.png"]


@pytest.mark.parametrize("duplicates", ["drop", "keep"])
@pytest.mark.parametrize("options", [{"limit": 30}, {"holdout": 0.5}, {"fraction": 0.5}])
def test_duplicates_are_never_split(
    tmp_path: Path, duplicates: str, options: dict[str, Any]
) -> None:
    files = {f"{i:03d}.png": png(i % 40) for i in range(60)}
    corpus = take(tmp_path, files, duplicates=duplicates, **options)
    trained = {image.tobytes() for image in corpus.images}
    held = {image.tobytes() for image in corpus.reference}
    assert trained and held and not trained & held
    if duplicates == "drop":
        assert len(trained) == len(corpus.images) and len(held) == len(corpus.reference)
    elif options == {"holdout": 0.5}:
        assert len(trained) < len(corpus.images), "kept, all copies on one side"


def test_a_reference_of_its_own_loses_what_is_trained_on(tmp_path: Path) -> None:
    other = folder(tmp_path / "held", {"x.png": png(0), "y.png": png(100)})
    files = {f"{i}.png": png(i) for i in range(4)}
    for duplicates in ("drop", "keep"):
        corpus = take(tmp_path, files, reference=str(other), duplicates=duplicates)
        assert names(corpus, "reference") == ["y.png"]
        assert reasons(corpus, "duplicate") == {"x.png": "same pixels as 0.png"}
    (other / "y.png").unlink()
    with pytest.raises(InputError, match=r"every image of it is a training image too \(x.png"):
        take(tmp_path, files, reference=str(other))


def test_recompressed_and_brightened_copies_resemble_their_source() -> None:
    random = np.random.default_rng(0)
    coarse = [
        Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8)) for _ in range(20)
    ]
    originals = [image.resize((64, 64), Image.Resampling.BICUBIC) for image in coarse]
    brighter = [ImageEnhance.Brightness(image).enhance(1.1) for image in originals]
    smaller = [image.resize((48, 48), Image.Resampling.LANCZOS) for image in originals]
    every = [[*originals, *brighter], smaller]
    large, small = (perceptual_hashes(np.stack([np.asarray(i) for i in part])) for part in every)
    hashes = [bits for bits in large + small if bits is not None]
    expected = [None] * 20 + list(range(20)) * 2
    assert nearest_earlier(hashes) == expected


def test_hashes_do_not_depend_on_what_is_hashed_beside() -> None:
    images = np.random.default_rng(1).integers(0, 256, (9, 200, 200, 3), dtype=np.uint8)
    alone = [perceptual_hashes(image[None])[0] for image in images]
    assert perceptual_hashes(images) == alone
    assert perceptual_hashes(images[:, :8, :8]) == [None] * 9
    gray = np.repeat(images[..., :1], 3, axis=3)
    assert perceptual_hashes(gray) == perceptual_hashes(images[..., :1])


def test_the_first_earlier_one_is_named_over_blocks() -> None:
    far = [int(value) for value in np.random.default_rng(2).integers(0, 2**63, 5000)]
    found = nearest_earlier([*far, far[10] ^ 0b111, far[10] ^ 0b1, far[4999]])
    assert found[:5000] == [None] * 5000 and found[5000:] == [10, 10, 4999]


def test_what_resembles_is_named_in_the_corpus(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    source = folder(tmp_path / "in", {})
    source.mkdir(exist_ok=True)
    for number in range(4):
        image = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((32, 32))
        image.save(source / f"{number}.png")
    image.save(source / "9.jpg", quality=80)
    corpus = take(tmp_path, {}, resolution=32)
    assert corpus.sources["near"].to_pylist() == [None, None, None, None, 3]
    assert corpus.counts["train"] == 5


# --- policies


def test_small_and_long_images_are_left_out_and_do_not_stop_the_run(tmp_path: Path) -> None:
    files = {f"s{i:03d}.png": png(i, (6, 9)) for i in range(150)}
    files |= {"a.png": png(200, (12, 12)), "b.png": png(201, (12, 30)), "c.png": png(202, (40, 20))}
    corpus = take(tmp_path, files, min_side=8, max_aspect=2)
    assert names(corpus, "train") == ["a.png", "c.png"]
    assert reasons(corpus)["s000.png"] == "short side 6 px is below ingest.min_side 8"
    assert reasons(corpus)["b.png"] == "aspect ratio 2.5 is above ingest.max_aspect 2"
    with pytest.raises(InputError, match="Others were left out: a.png, .*min_side 64"):
        take(tmp_path, files, min_side=64)


# --- decoding in processes


HOW = Preparation(16, "crop", False, (255, 255, 255), 10**6)


def test_processes_and_threads_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"{i:03d}.png": png(i % 70, (20, 24)) for i in range(80)}
    files |= {"bad.png": b"no", "cut.png": png(1)[:80]}
    take(tmp_path, files, resolution=16)
    threads = tree(tmp_path / "corpus")
    monkeypatch.setattr("scoremix.stages.images.decode_pool.PROCESSES_FROM", 1)
    for workers in (2, 3):
        config = IngestConfig(source=str(tmp_path / "in"), resolution=16, holdout=0)
        ingest(config, tmp_path / "again", seed=0, progress=Silent(), workers=workers)
        assert tree(tmp_path / "again") == threads


def die(path: str) -> bytes:
    """Stands for a decoder library that crashes on a file."""
    if path.endswith("13.png"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return Path(path).read_bytes()


def test_a_decoder_that_crashes_costs_one_input(tmp_path: Path) -> None:
    root = folder(tmp_path, {f"{i:02d}.png": png(i, (16, 16)) for i in range(20)})
    items = [Input(path.name, partial(die, str(path))) for path in sorted(root.iterdir())]
    with DecodePool(2, processes_from=1) as pool:
        results = list(pool.decode(items, HOW))
    bad = {item.name: result.reason for item, result in zip(items, results, strict=True)}
    assert bad.pop("13.png") == "the decoder crashed on it (SIGSEGV)"
    assert set(bad.values()) == {None}


def test_no_process_is_left(tmp_path: Path) -> None:
    root = folder(tmp_path, {f"{i:02d}.png": png(i, (16, 16)) for i in range(64)})
    items = [Input(path.name, path.read_bytes) for path in sorted(root.iterdir())]
    with pytest.raises(KeyboardInterrupt), DecodePool(2, processes_from=1) as pool:
        for _ in pool.decode(items, HOW):
            raise KeyboardInterrupt
    assert all(process.process.poll() is not None for process in pool._started)
