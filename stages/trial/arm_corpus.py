"""The images of an arm on disk: training images, then what was made of them.

arms/NAME/images.npy    uint8 (N, H, W, C)
arms/NAME/labels.npy    int64 (N,), -1 without one class
arms/NAME/arm.json      what they are made of; written last
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import LockedError
from ...manifests.files.atomic import replacing, write_json
from ...manifests.files.durable import remove_file
from ...manifests.files.json_reader import parse_json
from ..common.npy import npy_header
from ..common.progress import Advance
from .gan_run import Rise

Images = NDArray[np.uint8]
Ids = NDArray[np.int64]

_IMAGES, _LABELS, _FACTS = "images.npy", "labels.npy", "arm.json"


@dataclass(frozen=True)
class ArmCorpus:
    """An arm whose images are on disk."""

    name: str
    folder: Path
    digest: str  # of what the images are made of
    count: int
    rises: Rise | None = None  # of a growing corpus

    def open(self) -> tuple[Images, Ids]:
        """Images, memory-mapped, and labels.

        Raises LockedError where another trial has made the arm of other images meanwhile.
        """
        try:
            images = np.load(self.folder / _IMAGES, mmap_mode="r", allow_pickle=False)
            labels = np.load(self.folder / _LABELS, allow_pickle=False)
        except FileNotFoundError:
            raise self._replaced() from None
        # Whoever replaces a file has removed the facts before; what is open stays what it is.
        if open_arm(self.name, self.folder, self.digest) is None:
            raise self._replaced()
        return images, labels

    def _replaced(self) -> LockedError:
        return LockedError(
            f"{self.folder} was made of other images by another trial of this run meanwhile. Let"
            " that one end, and run the same command again."
        )


def open_arm(name: str, folder: Path, digest: str) -> ArmCorpus | None:
    """The arm, where it is on disk, finished and of this digest."""
    try:
        facts = parse_json((folder / _FACTS).read_bytes())
    except (OSError, ValueError):
        return None
    if facts.get("digest") != digest:
        return None
    return ArmCorpus(name, folder, digest, int(facts["count"]))


def write_arm(
    name: str,
    folder: Path,
    digest: str,
    parts: Iterator[Images],
    labels: Ids,
    facts: dict[str, Any],
    advance: Advance,
) -> ArmCorpus:
    """Writes the arm; parts: its images in turn, as many as `labels`."""
    remove_file(folder / _FACTS)
    with replacing(folder / _IMAGES) as file:
        written = 0
        for part in parts:
            if not written:
                shape = (len(labels), *part.shape[1:])
                file.write(npy_header(shape, "|u1"))
            file.write(np.ascontiguousarray(part).tobytes())
            written += len(part)
            advance(len(part))
    assert written == len(labels), (written, len(labels))
    with replacing(folder / _LABELS) as file:
        np.save(file, labels, allow_pickle=False)
    write_json(folder / _FACTS, {"digest": digest, "count": written, **facts})
    return ArmCorpus(name, folder, digest, written)
