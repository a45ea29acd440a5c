"""The hdf5 target: `imgs` uint8 and `labels`, NCHW for BigGAN and LeCam, NHWC for StudioGAN.

All of `imgs` is read, block by block. Links out of the file are never followed.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...manifests.errors import ConfigError
from ..progress import Progress
from .findings import Findings
from .needs import Need

MAGIC = b"\x89HDF\r\n\x1a\n"
_BLOCK = 32 << 20  # bytes of pixels in memory at once
_KEYS = ("imgs", "labels")


def judge_hdf5(path: Path, need: Need, findings: Findings, progress: Progress) -> dict[str, Any]:
    """Adds what is wrong with the file at `path`; returns the facts of the corpus.

    Raises:
        ConfigError: h5py is not installed.
    """
    h5py = _import()
    try:
        with h5py.File(path, "r") as file:
            return _judge(file, path, need, findings, progress)
    except (OSError, RuntimeError, KeyError, ValueError) as error:  # all come from damaged files
        findings.add("hdf5-damaged", path.name, str(error)[:120])
        return {}


def _import() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ConfigError(
            f"Reading an HDF5 file takes h5py, and that could not be imported ({error}). Install"
            ' it: pip install "scoremix-pipeline[export]"'
        ) from error
    return h5py


def _judge(
    file: Any, path: Path, need: Need, findings: Findings, progress: Progress
) -> dict[str, Any]:
    arrays = {key: _array(file, key, path.name, findings) for key in _KEYS}
    known: dict[str, Any] = {}
    imgs, labels = arrays["imgs"], arrays["labels"]
    if imgs is not None:
        known = _judge_imgs(imgs, path, need, findings)
        if known and known["images"] and known["uint8"]:
            _judge_pixels(imgs, path.name, findings, progress)
    if labels is not None:
        known |= _judge_labels(labels, path.name, need, findings)
        if imgs is not None and labels.shape[:1] != imgs.shape[:1]:
            found = f"labels {labels.shape}, imgs {imgs.shape}"
            findings.add("hdf5-label-count", f"{path.name}: labels", found)
    return known


def _array(file: Any, key: str, name: str, findings: Findings) -> Any:
    """The dataset of this key, or None; one that leads out of the file is refused."""
    h5py = _import()
    link = file.get(key, getlink=True)
    if link is None:
        there = ", ".join(sorted(file)[:5]) or "nothing"
        findings.add("hdf5-key-missing", f"{name}: {key}", f"there are: {there}")
        return None
    if not isinstance(link, h5py.HardLink):
        findings.add("hdf5-external", f"{name}: {key}", type(link).__name__)
        return None
    array = file[key]
    if not isinstance(array, h5py.Dataset):
        findings.add("hdf5-key-missing", f"{name}: {key}", "is a group, not an array")
        return None
    if array.external or array.is_virtual:
        findings.add("hdf5-external", f"{name}: {key}", "data in other files")
        return None
    return array


def _judge_imgs(imgs: Any, path: Path, need: Need, findings: Findings) -> dict[str, Any]:
    """Shape, type and file name; {} where the shape is no batch of RGB images."""
    name, shape = f"{path.name}: imgs", tuple(imgs.shape)
    uint8 = imgs.dtype == np.uint8
    if not uint8:
        findings.add("hdf5-imgs-type", name, f"dtype {imgs.dtype}")
    axes = axis_order(shape)
    if axes is None:
        findings.add("hdf5-imgs-shape", name, f"shape {shape}")
        return {}
    if need.axes and axes != need.axes:
        findings.add("hdf5-axes", name, f"shape {shape} is {axes}; {need.trainer} has {need.axes}")
    height, width = shape[2:] if axes == "NCHW" else shape[1:3]
    if shape[0] == 0:
        findings.add("no-images", name, f"shape {shape}")
    if height != width:
        findings.add("not-square", name, f"{width}x{height}")
    elif need.sides and width not in need.sides:
        found = f"{width}x{height}; it has {', '.join(map(str, need.sides))}"
        findings.add("side-unknown", name, found)
    elif need.advised_sides and width not in need.advised_sides:
        found = (
            f"{width}x{height}; its usual networks have {', '.join(map(str, need.advised_sides))}"
        )
        findings.add("side-not-advised", name, found)
    pattern = need.file_pattern.replace("{side}", str(width))
    if pattern and not re.fullmatch(pattern, path.name):
        example = need.file_example.replace("{side}", str(width))
        findings.add("hdf5-file-name", path.name, f"it looks for {example}")
    size = f"{width}x{height}"
    facts = {"images": shape[0], "size": size, "side": width, "mode": f"RGB, {axes}"}
    return facts | {"format": f"{imgs.dtype}", "uint8": bool(uint8)}


def axis_order(shape: tuple[int, ...]) -> str | None:
    """NCHW or NHWC of a batch of RGB images, None for anything else."""
    if len(shape) != 4:
        return None
    if shape[1] == 3 and (shape[3] != 3 or shape[2] == 3):
        return "NCHW"
    return "NHWC" if shape[3] == 3 else None


def _judge_pixels(imgs: Any, name: str, findings: Findings, progress: Progress) -> None:
    """Reads every block (a damaged one raises) and names the images that are all zeros."""
    with progress.task("check", len(imgs), "images") as advance:
        for begin, block in _blocks(imgs):
            blank = ~block.reshape(len(block), -1).any(axis=1)
            for place in np.flatnonzero(blank):
                findings.add("hdf5-blank", f"{name}: imgs[{begin + place}]")
            advance(len(block))


def _blocks(imgs: Any) -> Iterator[tuple[int, Any]]:
    rows = max(1, _BLOCK // max(int(np.prod(imgs.shape[1:])), 1))
    for begin in range(0, len(imgs), rows):
        yield begin, imgs[begin : begin + rows]


def _judge_labels(labels: Any, name: str, need: Need, findings: Findings) -> dict[str, Any]:
    where = f"{name}: labels"
    if labels.dtype.kind not in "biuf":
        findings.add("hdf5-label-type", where, f"dtype {labels.dtype}")
        return {}
    if labels.ndim != 1:
        findings.add("hdf5-soft-labels", where, f"shape {tuple(labels.shape)}")
        return {}
    values = labels[:]
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        findings.add("label-not-finite", f"{where}[{place}]", str(values[place]))
        return {}
    if values.dtype.kind in "fb":
        findings.add("hdf5-label-type", where, f"dtype {labels.dtype}")
        return {}
    return _judge_classes(values, where, need, findings)


def _judge_classes(values: Any, where: str, need: Need, findings: Findings) -> dict[str, Any]:
    numbers, counts = np.unique(values, return_counts=True)
    if len(numbers) == 0:
        return {}
    for place in np.flatnonzero(values < 0):
        findings.add("label-negative", f"{where}[{place}]", str(values[place]))
    highest = int(numbers[-1])
    if need.most_classes is not None and highest >= need.most_classes:
        for place in np.flatnonzero(values >= need.most_classes):
            findings.add("hdf5-label-range", f"{where}[{place}]", str(values[place]))
    elif highest >= 0 and len(numbers) != highest + 1:
        findings.add("hdf5-label-gaps", where, f"highest {highest}, {len(numbers)} in use")
    if len(numbers) == 1:
        findings.add("one-class", where, f"every label is {highest}")
    classes = {str(number): int(count) for number, count in zip(numbers, counts, strict=True)}
    return {"labels": str(values.dtype), "classes": classes, "class_count": max(highest + 1, 0)}
