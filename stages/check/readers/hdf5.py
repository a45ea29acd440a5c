"""Checks the hdf5 target: `imgs` uint8 and `labels`, NCHW for BigGAN and LeCam, NHWC for StudioGAN.

All of `imgs` is read once, block by block, in a child process with limits, as ingest does it
(sources/isolation.py). Links out of the file are never followed.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ....manifests.errors import InputError
from ....manifests.extras import require
from ....manifests.trainers.spec import TrainerSpec
from ...common.progress import Progress
from ...images.unusable import Unusable
from ...sources import isolation
from ...sources.arrays import check_array, open_hdf5_file, own_array
from ...sources.base import MAX_INPUT_BYTES, SourceFile, source_file
from ...sources.isolation import isolated
from ...sources.limits import check_bytes
from ..images import check_size
from ..report import CheckFindings

MAGIC = b"\x89HDF\r\n\x1a\n"
_BLOCK = 32 << 20  # bytes of pixels in memory at once
_MAX_BLANK_NAMED = 1000  # of the images that are all zeros
_LONGEST_REASON = 120  # characters of a library's error


@dataclass
class Hdf5Contents:
    """What a file holds, and what is wrong with it for every reader."""

    name: str
    problems: list[tuple[str, str, str]] = field(default_factory=list)  # rule, file, found
    shape: tuple[int, ...] | None = None  # of imgs
    dtype: str = ""
    axes: str | None = None  # NCHW | NHWC
    labels: Any = None  # whole numbers (N,), where they are that
    has_pixels: bool = False  # imgs are images of 8 bits, which can be read

    def add(self, rule: str, where: str, found: str = "") -> None:
        """`where`: below the file's own name."""
        self.problems.append((rule, f"{self.name}{where}", found))


def read_hdf5(path: Path, progress: Progress) -> Hdf5Contents:
    """Reads the file to its end.

    Raises:
        ConfigError: h5py is not installed.
    """
    require("h5py", "export", "Reading an HDF5 file")
    contents = Hdf5Contents(path.name)
    try:
        file = source_file(str(path), path.name)
        contents = isolated(file, _list_contents, path.name)
        if contents.has_pixels:
            _read_pixels(file, contents, progress)
    except (Unusable, InputError, OSError) as error:
        contents.add("hdf5-damaged", "", str(error)[:_LONGEST_REASON])
    finally:
        isolation.close()
    return contents


def _list_contents(file: SourceFile, name: str) -> Hdf5Contents:
    """Everything but the pixels."""
    contents = Hdf5Contents(name)
    try:
        _list(file, open_hdf5_file(file), contents)
    except MemoryError:
        raise
    except Exception as error:  # h5py raises many types for a damaged file
        contents.add("hdf5-damaged", "", str(error)[:_LONGEST_REASON])
    return contents


def _list(file: SourceFile, opened: Any, contents: Hdf5Contents) -> None:
    imgs, labels = (_array(opened, key, contents) for key in ("imgs", "labels"))
    if labels is not None:
        if imgs is not None and labels.shape[:1] != imgs.shape[:1]:
            found = f"labels {labels.shape}, imgs {imgs.shape}"
            contents.add("hdf5-label-count", ": labels", found)
        contents.labels = _labels(file, labels, contents)
    if imgs is None:
        return
    contents.shape, contents.dtype = tuple(imgs.shape), str(imgs.dtype)
    contents.axes = image_axis_order(contents.shape)
    if imgs.dtype != np.uint8:
        contents.add("hdf5-imgs-type", ": imgs", f"dtype {imgs.dtype}")
    if contents.axes is None:
        contents.add("hdf5-imgs-shape", ": imgs", f"shape {contents.shape}")
    elif contents.shape[0] == 0:
        contents.add("no-images", ": imgs", f"shape {contents.shape}")
    elif int(np.prod(contents.shape[1:])) > MAX_INPUT_BYTES:
        contents.add("too-large", ": imgs", f"shape {contents.shape}")
    elif imgs.dtype == np.uint8:
        contents.has_pixels = _is_possible(file, imgs, contents)


def _is_possible(file: SourceFile, imgs: Any, contents: Hdf5Contents) -> bool:
    """Whether a file of this size can hold such an array."""
    try:
        check_array(file, imgs)
    except InputError as error:
        contents.add("too-large", ": imgs", str(error))
        return False
    return True


def _array(file: Any, key: str, contents: Hdf5Contents) -> Any:
    """The dataset of this key, or None; one that leads out of the file is refused."""
    try:
        array = own_array(file, key)
    except Unusable as error:
        contents.add("hdf5-external", f": {key}", str(error))
        return None
    if array is None:
        there = ", ".join(sorted(map(str, file))[:5]) or "nothing"
        contents.add("hdf5-key-missing", f": {key}", f"there are: {there}")
    elif not hasattr(array, "shape"):
        contents.add("hdf5-key-missing", f": {key}", "is a group, not an array")
        return None
    return array


def image_axis_order(shape: tuple[int, ...]) -> str | None:
    """NCHW or NHWC of a batch of RGB images, None for anything else."""
    if len(shape) != 4:
        return None
    if shape[1] == 3 and (shape[3] != 3 or shape[2] == 3):
        return "NCHW"
    return "NHWC" if shape[3] == 3 else None


def _read_pixels(file: SourceFile, contents: Hdf5Contents, progress: Progress) -> None:
    """Reads every block (a damaged one raises) and names the images that are all zeros."""
    assert contents.shape is not None
    count, named = contents.shape[0], 0
    rows = max(1, _BLOCK // max(int(np.prod(contents.shape[1:])), 1))
    with progress.task("check", count, "images") as advance:
        for begin in range(0, count, rows):
            end = min(begin + rows, count)
            for place in isolated(file, _blank_images, begin, end):
                named += 1
                if named <= _MAX_BLANK_NAMED:
                    contents.add("hdf5-blank", f": imgs[{place}]")
            advance(end - begin)


def _blank_images(file: SourceFile, begin: int, end: int) -> list[int]:
    """The images of these rows that are all zeros."""
    block = open_hdf5_file(file)["imgs"][begin:end]
    blank = np.flatnonzero(~block.reshape(len(block), -1).any(axis=1))
    return [begin + int(place) for place in blank]


def _labels(file: SourceFile, labels: Any, contents: Hdf5Contents) -> Any:
    """The class numbers (N,), or None where they are something else."""
    if labels.dtype.kind not in "biuf":
        contents.add("hdf5-label-type", ": labels", f"dtype {labels.dtype}")
        return None
    if labels.ndim != 1:
        contents.add("hdf5-soft-labels", ": labels", f"shape {tuple(labels.shape)}")
        return None
    try:
        check_bytes(f"{contents.name}: labels", labels.dtype.itemsize * len(labels), file.size)
    except InputError as error:
        contents.add("too-large", ": labels", str(error))
        return None
    values = labels[:]
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        contents.add("label-not-finite", f": labels[{place}]", str(values[place]))
        return None
    if values.dtype.kind in "fb":
        contents.add("hdf5-label-type", ": labels", f"dtype {labels.dtype}")
        return None
    return values


def check_hdf5(
    contents: Hdf5Contents, spec: TrainerSpec, findings: CheckFindings
) -> dict[str, Any]:
    """Adds what is wrong for this reader; returns the facts of the corpus."""
    for problem in contents.problems:
        findings.add(*problem)
    known: dict[str, Any] = {}
    if contents.shape is not None and contents.axes is not None:
        known = _check_imgs(contents, contents.shape, spec, findings)
    if contents.labels is not None and len(contents.labels):
        known |= _check_classes(contents.labels, f"{contents.name}: labels", spec, findings)
    return known


def _check_imgs(
    contents: Hdf5Contents, shape: tuple[int, ...], spec: TrainerSpec, findings: CheckFindings
) -> dict[str, Any]:
    name, axes = f"{contents.name}: imgs", contents.axes
    if spec.axes and axes != spec.axes:
        findings.add("hdf5-axes", name, f"shape {shape} is {axes}; {spec.trainer} has {spec.axes}")
    height, width = shape[2:] if axes == "NCHW" else shape[1:3]
    size = f"{width}x{height}"
    for rule, found in check_size(spec, width, height):
        findings.add(rule, name, found)
    pattern = spec.file_pattern.format(resolution=width)
    if spec.file and not re.fullmatch(pattern, contents.name):
        example = spec.file.format(name="NAME", resolution=width)
        findings.add("hdf5-file-name", contents.name, f"it looks for {example}")
    facts = {"images": shape[0], "size": size, "side": width, "mode": f"RGB, {axes}"}
    return facts | {"format": contents.dtype}


def _check_classes(
    values: Any, where: str, spec: TrainerSpec, findings: CheckFindings
) -> dict[str, Any]:
    numbers, counts = np.unique(values, return_counts=True)
    for place in np.flatnonzero(values < 0):
        findings.add("label-negative", f"{where}[{place}]", str(values[place]))
    highest = int(numbers[-1])
    if spec.max_classes is not None and highest >= spec.max_classes:
        for place in np.flatnonzero(values >= spec.max_classes):
            findings.add("hdf5-label-range", f"{where}[{place}]", str(values[place]))
    elif highest >= 0 and len(numbers) != highest + 1:
        findings.add("hdf5-label-gaps", where, f"highest {highest}, {len(numbers)} in use")
    if len(numbers) == 1:
        findings.add("one-class", where, f"every label is {highest}")
    classes = {str(number): int(count) for number, count in zip(numbers, counts, strict=True)}
    return {"labels": str(values.dtype), "classes": classes, "class_count": max(highest + 1, 0)}
