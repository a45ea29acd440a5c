"""Decodes a sample set as the corpus was prepared; refuses sets of damaged files or grids."""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import InputError
from ...manifests.plan.random_streams import image_seed, stream
from ..common.processors import usable_cores
from ..common.progress import Progress
from ..images.decode import Decoded, pillow_limits
from ..images.decode_pool import DecodePool
from ..images.input import Input
from ..images.pixel_file import PixelFile
from ..images.preparation import Preparation
from .grids import why_no_sample
from .sets import SampleSet, open_set

_BAD = 0.5  # share of damaged files above which a set is refused
_LISTED = 5  # files that a message names
_SEARCHED = 3  # files of each size that are searched for tiles


@dataclass(frozen=True)
class Samples:
    """One set, decoded; in the order of the names."""

    name: str
    files: int  # images there, before a choice
    names: list[str]
    images: NDArray[np.uint8]  # (n, R, R, C), memory-mapped
    pixel_sha256: list[str]
    left_out: list[tuple[str, str]]  # names of damaged files, and why
    sizes: dict[str, int]  # "64x64" -> files, before they were resized
    notes: tuple[str, ...] = ()  # how its files were chosen

    @property
    def digest(self) -> str:
        """Digest of the images, whatever their names and order."""
        return hashlib.sha256("\n".join(sorted(self.pixel_sha256)).encode()).hexdigest()


@contextlib.contextmanager
def open_samples(
    sample_set: SampleSet,
    preparation: Preparation,
    *,
    most: int,
    seed: int,
    scratch: Path,
    progress: Progress,
    single: bool = False,
) -> Iterator[Samples]:
    """Decodes a set; its images are there as long as the block runs.

    most: of more images, a seeded choice is decoded. scratch: a folder for decoded pixels. single:
        each file is known to be one sample, and grids are not searched: noise of an untrained GAN,
        larger than the corpus, looks like one.

    Raises:
        ConfigError, InputError: nothing that can be judged; grids instead of samples.
        StorageError: no room for the pixels.
    """
    inputs = open_set(sample_set).inputs
    files = len(inputs)
    if files > most:
        order = stream(image_seed(seed, "generated"), "samples").permutation(files)
        inputs = [inputs[place] for place in sorted(order[:most].tolist())]
    workers = min(16, usable_cores())
    with (
        pillow_limits(preparation.max_pixels),
        DecodePool(workers) as pool,
        PixelFile(scratch, preparation.resolution, preparation.channels) as pixels,
    ):
        pool.start_for(len(inputs))
        good: list[tuple[Input, Decoded]] = []
        left_out: list[tuple[str, str]] = []
        with progress.task(f"read {sample_set.name}", len(inputs), "images") as advance:
            for item, decoded in zip(inputs, pool.decode(inputs, preparation), strict=True):
                if decoded.pixels is None:
                    left_out.append((item.name, decoded.reason or "unreadable"))
                else:
                    pixels.append(decoded.pixels)
                    decoded.pixels = None
                    good.append((item, decoded))
                advance(1)
        _refuse_bad(sample_set, len(inputs), left_out)
        if not single:
            _refuse_grids(sample_set, good, preparation.resolution)
        yield Samples(
            name=sample_set.name,
            files=files,
            names=[item.name for item, _ in good],
            images=pixels.images(),
            pixel_sha256=[decoded.pixel_sha256 or "" for _, decoded in good],
            left_out=left_out,
            sizes=dict(Counter(f"{one.width}x{one.height}" for _, one in good)),
            notes=sample_set.notes,
        )


def _refuse_bad(sample_set: SampleSet, read: int, left_out: list[tuple[str, str]]) -> None:
    if len(left_out) > _BAD * read or len(left_out) == read:
        raise InputError(
            f"{sample_set.option} {sample_set.path}: {len(left_out):,} of {read:,} images cannot be"
            f" read:{_indented_reasons(left_out)}\nHave the trainer write them again."
        )


def _refuse_grids(sample_set: SampleSet, good: list[tuple[Input, Decoded]], side: int) -> None:
    by_size: dict[tuple[int, int], list[Input]] = {}
    for item, decoded in good:
        assert decoded.width and decoded.height
        by_size.setdefault((decoded.width, decoded.height), []).append(item)
    grids = []
    for size, items in sorted(by_size.items()):
        reasons = [why_no_sample(item, *size, side) for item in items[:_SEARCHED]]
        if all(reasons):  # one image with an edge in its middle is no grid
            grids += [(item.name, reasons[0] or "") for item in items]
    if grids:
        raise InputError(
            f"{sample_set.option} {sample_set.path} holds pictures of many samples, or what is no"
            f" sample:{_indented_reasons(grids)}\nHave the trainer write one square file for each"
            " image (docs/trainers.md, Evaluating the samples), and name the folder of these alone."
        )


def _indented_reasons(named: list[tuple[str, str]]) -> str:
    lines = [f"\n  {name}: {reason}" for name, reason in named[:_LISTED]]
    more = len(named) - _LISTED
    return "".join(lines) + (f"\n  and {more:,} more" if more > 0 else "")
