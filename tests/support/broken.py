"""Builds corpora, sound and broken, from nothing: arrays, Pillow, zipfile, h5py, lmdb."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import lmdb
import numpy as np
import tifffile
from PIL import Image

from scoremix.stages.check.check import check_corpus
from scoremix.stages.check.rules import RULES
from scoremix.stages.common.progress import Silent

Build = Callable[[Path], Path]  # an empty folder -> the path to check


@dataclass(frozen=True)
class Case:
    """A corpus that breaks exactly the rules `rule` and `also`, for the reader `wanted`."""

    rule: str
    wanted: str
    build: Build
    file: str  # the finding's first file
    found: str = ""  # a fragment of what was found
    also: tuple[str, ...] = ()


def pixels(side: int = 16, height: int | None = None, seed: int = 0) -> Any:
    """Random uint8 (height, side, 3)."""
    shape = (height or side, side, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def picture(side: int = 16, height: int | None = None, mode: str = "RGB") -> Image.Image:
    image = Image.fromarray(pixels(side, height))
    if mode in ("I;16", "I"):
        values = np.arange(side * (height or side)).reshape(-1, side) * 251 % 65536
        return Image.fromarray(values.astype(np.uint16))
    return image.convert(mode)


def encoded(image: Image.Image | None = None, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image or picture()).save(buffer, form, **options)
    return buffer.getvalue()


def planes_of_16_bits() -> bytes:
    """RGB of 16 bits whose channels lie apart: a TIFF that Pillow scrambles without an error."""
    planes = np.arange(3 * 16 * 16, dtype=np.uint16).reshape(3, 16, 16) * 85
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, planes, photometric="rgb", planarconfig="separate")
    return buffer.getvalue()


PNG = encoded()
WIDE_PNG = encoded(picture(mode="I;16"))
PLANES_TIFF = planes_of_16_bits()
CUT_PNG = PNG[: len(PNG) // 2]


def png(side: int = 16, height: int | None = None, mode: str = "RGB") -> bytes:
    return encoded(picture(side, height, mode))


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(form="JPEG", exif=exif)


def animated() -> bytes:
    frames = [Image.fromarray(pixels(seed=seed)) for seed in (1, 2)]
    return encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])


def write(root: Path, files: dict[str, bytes]) -> Path:
    """The files below `root`; a name that ends in "/" is an empty folder."""
    for name, data in files.items():
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def labels(pairs: Any) -> bytes:
    return json.dumps({"labels": pairs}).encode()


def folder(**files: bytes) -> Build:
    """Three sound images, and `files`: "__" in a name stands for a "."; later ones replace."""
    sound = {f"{index:03d}.png": PNG for index in range(3)}
    named = {name.replace("__", "."): data for name, data in files.items()}
    return lambda root: write(root, sound | named)


def only(files: dict[str, bytes]) -> Build:
    return lambda root: write(root, files)


def labelled(pairs: Any, extra: dict[str, bytes] | None = None) -> Build:
    """000.png to 003.png and a dataset.json with these pairs."""
    files = {f"{index:03d}.png": PNG for index in range(4)} | {"dataset.json": labels(pairs)}
    return lambda root: write(root, files | (extra or {}))


def numbered(*values: Any) -> list[list[Any]]:
    """Pairs for 000.png, 001.png, ..."""
    return [[f"{index:03d}.png", value] for index, value in enumerate(values)]


def zipped(members: list[tuple[str, bytes]], name: str = "corpus.zip") -> Build:
    def build(root: Path) -> Path:
        with zipfile.ZipFile(root / name, "w") as archive:
            for member, data in members:
                archive.writestr(member, data)
        return root / name

    return build


def classes(
    names: tuple[str, ...] = ("cat", "dog"), count: int = 4, prefix: str = "", data: bytes = PNG
) -> Any:
    """{"cat/0.png": ...}: `count` images for each class."""
    return {f"{prefix}{name}/{index:02d}.png": data for name in names for index in range(count)}


def tree(extra: dict[str, bytes] | None = None, drop: tuple[str, ...] = (), **how: Any) -> Build:
    """A class tree with `extra` files and without those in `drop`."""
    files = {name: data for name, data in classes(**how).items() if name not in drop}
    return lambda root: write(root, files | (extra or {}))


def splits(first: str, second: str, extra: dict[str, bytes] | None = None) -> Build:
    files = classes(prefix=f"{first}/") | classes(prefix=f"{second}/") | (extra or {})
    return lambda root: write(root, files)


def sides(count: int = 2, extra: dict[str, bytes] | None = None) -> Build:
    """trainA, trainB, testA, testB."""
    tops = ("trainA", "trainB", "testA", "testB")
    files = {f"{top}/{index}.png": PNG for top in tops for index in range(count)}
    return lambda root: write(root, files | (extra or {}))


def hdf5(imgs: Any = None, targets: Any = None, name: str = "ILSVRC32.hdf5", **more: Any) -> Build:
    """A file of 6 RGB images, 32 px, NCHW, classes 0 to 2; None takes the sound array."""

    def build(root: Path) -> Path:
        path = root / name
        with h5py.File(path, "w") as file:
            arrays = {"imgs": imgs, "labels": targets} | more
            sound = {"imgs": batch(), "labels": np.array([0, 1, 2] * 2)}
            for key, array in arrays.items():
                if array is not False:
                    file[key] = sound[key] if array is None else array
        return path

    return build


def batch(count: int = 6, side: int = 32, axes: str = "NCHW") -> Any:
    images = np.random.default_rng(3).integers(1, 256, (count, side, side, 3), dtype=np.uint8)
    return images.transpose(0, 3, 1, 2) if axes == "NCHW" else images


def database(
    changes: dict[bytes, bytes | None] | None = None, data: bytes = PNG, side: int = 16
) -> Build:
    """Four images and their count; `changes` replace keys, None removes one."""
    content: dict[bytes, bytes | None] = {f"{side}-{i:05d}".encode(): data for i in range(4)}
    content |= {b"length": b"4"} | (changes or {})

    def build(root: Path) -> Path:
        path = root / "corpus.lmdb"
        with lmdb.open(str(path), map_size=1 << 26) as environment:
            with environment.begin(write=True) as transaction:
                for key, value in content.items():
                    if value is not None:
                        transaction.put(key, value)
        return path

    return build


def then(build: Build, change: Callable[[Path], object]) -> Build:
    """Builds, then changes what is there; `change` may give another path."""

    def both(root: Path) -> Path:
        path = build(root)
        changed = change(path)
        return changed if isinstance(changed, Path) else path

    return both


def assert_told(case: Case, root: Path) -> None:
    """The corpus breaks exactly the case's rules; the finding says what, where and what to do."""
    corpus = root / "corpus"
    corpus.mkdir()
    path = case.build(corpus)
    [verdict] = check_corpus(path, case.wanted, Silent())
    found = {one.rule: one for one in verdict.findings}
    # Most corpora here are smaller than a batch: a warning that is a case of its own.
    assert set(found) - {"small-batch"} == {case.rule, *case.also} - {"small-batch"}
    finding = found[case.rule]
    assert finding.files[0][0] == (case.file or "corpus")
    assert case.found in finding.files[0][1]
    is_database = path.suffix == ".hdf5" or (path / "data.mdb").exists()
    anew = is_database and "FILES" in RULES[case.rule].remedy  # no tool converts images in it
    assert ("make it anew" if anew else REMEDIES[case.rule]) in finding.remedy
    assert not re.search(r"{\w+}|\bSIDE\b(?!-)", finding.remedy)
    assert verdict.readable == all(one.severity == "warning" for one in found.values())


# A fragment of what each finding tells its reader to do.
REMEDIES = {
    "no-images": "scoremix-pipeline export SHARDS",
    "wrong-kind": "--for",
    "unreadable": "chmod -R u+rX /",
    "empty-file": "Fetch or make",
    "not-an-image": "__MACOSX",
    "damaged-image": "Fetch or make",
    "too-large": "Scale",
    "sixteen-bit": "mogrify -depth 8",
    "sixteen-bit-planes": "planarconfig='contig'",
    "exif-orientation": "-auto-orient",
    "several-frames": "files of their own",
    "odd-name": "000123.png",
    "zip-name": "corpus.dat.zip`",
    "damaged-zip": "unzip -t /",
    "duplicate-members": "Make the zip again",
    "mixed-sizes": "ingest.resolution",
    "mixed-modes": "-type TrueColor",
    "mode": "-alpha off",
    "needs-rgb": "repeats the channel",
    "not-square": "ingest.resolution",
    "not-power-of-two": "ingest.resolution",
    "side-multiple": "ingest.resolution",
    "odd-side": "ingest.resolution",
    "too-small": "ingest.resolution",
    "not-png-inside": "mogrify -format png",
    "linked-folder": "Copy the folder",
    "labels-in-subfolder": "Move dataset.json to the root",
    "labels-misnamed": "Rename it to dataset.json",
    "folders-are-no-labels": '"cat/0001.png", 0',
    "labels-unreadable": "json.dump",
    "label-missing": "Add the pair",
    "label-backslash": "sed -i",
    "label-dangling": "Remove the pair",
    "label-twice": "one pair",
    "label-scalar-float": "[0.3, 0.7]",
    "label-type": "whole numbers 0..K-1",
    "label-kinds-mixed": "lists for all",
    "label-lengths": "same length K",
    "label-negative": "0..K-1",
    "label-not-finite": "finite",
    "label-gaps": "without a gap",
    "one-class": "Leave the labels out",
    "split-missing": "the folder above",
    "no-classes": "<split>/<class>/",
    "empty-folder": "-type d -empty -delete",
    "hidden-folder": "rm -r FOLDER",
    "hidden-images": "Remove the hidden folder",
    "file-at-class-root": "Move it out",
    "image-at-class-root": "class folder",
    "stray-file": "StarGAN v2",
    "ending-ignored": "mogrify -format png",
    "unpadded-classes": "02, 10",
    "case-collision": "rename",
    "split-classes": "same class folders",
    "too-many-classes": "Merge classes",
    "too-few-images": "--batch_size",
    "images-too-deep": "one folder",
    "alpha-dropped": "-background white",
    "sizes-vary": "ingest.resolution",
    "not-square-resized": "ingest.resolution",
    "side-not-advised": "ingest.resolution",
    "side-unknown": "ingest.resolution",
    "no-full-batch": "Pass the trainer a batch",
    "small-batch": "Pass the trainer a batch",
    "label-no-caption": "--trainer stylegan-t",
    "side-empty": "Put the images",
    "one-image-a-side": "--batch_size 2 --load_size 16 --crop_size 16`",
    "no-test-folders": "--phase train",
    "hdf5-damaged": "Make or copy the file again",
    "hdf5-external": "h5repack",
    "hdf5-key-missing": "`imgs` and `labels`",
    "hdf5-imgs-type": "uint8",
    "hdf5-imgs-shape": "three channels",
    "hdf5-axes": "numpy.transpose(imgs, (0, 2, 3, 1))",
    "hdf5-file-name": "Rename it",
    "hdf5-label-type": "int64",
    "hdf5-soft-labels": "--hard-labels argmax",
    "hdf5-label-count": "one label for each image",
    "hdf5-label-range": "at most 1,000",
    "hdf5-label-gaps": "without a gap",
    "hdf5-blank": "again",
    "lmdb-is-file": "data.mdb",
    "lmdb-damaged": "again",
    "lmdb-length": "ASCII digits",
    "lmdb-key-missing": "64-00000",
    "lmdb-odd-key": "64-00000",
    "lmdb-size": "ingest.resolution",
}
