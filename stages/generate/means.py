"""Mean images of a corpus and of its classes, about which mixing keeps contrast.

Written once, when a plan is made, and recipes carry their digest: images may be forgotten later,
while shards made about these means stay in use. Rounded to whole grey levels, which is exact enough
for a centre and keeps less of any single image.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ...manifests.files.atomic import write_bytes

# Images of the corpus's mean that a class's mean counts beside its own: the mean of a class of two
# images would be their mixture itself, which no contrast could be added to.
SHRINKAGE = 16

_BLOCK = 256  # images summed at a time
_NAME = "means"


@dataclass(frozen=True)
class MeanImages:
    """Mean images, uint8 (classes + 1, H, W, C): by class id, and of the whole corpus at -1."""

    pixels: NDArray[np.uint8]

    @cached_property
    def sha256(self) -> str:
        """Of the pixels and their shape; recipes carry it."""
        digest = hashlib.sha256(repr(self.pixels.shape).encode())
        digest.update(self.pixels.tobytes())
        return digest.hexdigest()


def mean_images(
    images: NDArray[np.uint8], rows: NDArray[np.int64], class_ids: NDArray[np.int64], classes: int
) -> MeanImages:
    """The means of images[rows]; m_c = (n_c mean_c + 16 mean) / (n_c + 16) of each class.

    images: uint8 (N, H, W, C). rows: (n,) those that count, one at least. class_ids: (n,) of each,
    -1 without a class. Sums of integers: exact, whatever the order.
    """
    mean = _sum(images, rows) / len(rows)
    means = np.empty((classes + 1, *images.shape[1:]), dtype=np.uint8)
    for id_ in range(classes):
        members = rows[class_ids == id_]
        total = _sum(images, members) + SHRINKAGE * mean
        means[id_] = np.rint(total / (len(members) + SHRINKAGE))
    means[-1] = np.rint(mean)
    return MeanImages(means)


def _sum(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    total = np.zeros(images.shape[1:], dtype=np.int64)
    for start in range(0, len(rows), _BLOCK):
        total += images[rows[start : start + _BLOCK]].sum(axis=0, dtype=np.int64)
    return total


def write_means(path: Path, means: MeanImages, corpus_digest: str) -> None:
    """Writes the file; StorageError where the disk refuses."""
    write_bytes(path, save({_NAME: means.pixels}, _facts(means, corpus_digest)))


def read_means(path: Path, corpus_digest: str) -> MeanImages | None:
    """The means in the file; None where it is gone, damaged, or of another corpus."""
    try:
        with safe_open(path, framework="numpy") as file:
            facts, means = file.metadata(), MeanImages(file.get_tensor(_NAME))
    except (OSError, SafetensorError):
        return None
    return means if facts == _facts(means, corpus_digest) else None


def _facts(means: MeanImages, corpus_digest: str) -> dict[str, str]:
    """The file's metadata; one entry, because the order of several is not fixed."""
    return {"corpus, sha256": f"{corpus_digest}, {means.sha256}"}
