"""Images as PNG files, a folder for each class: what a recogniser of the user's own reads."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...manifests.files.atomic import storage_errors
from ...manifests.files.atomic_tree import commit_tree, record_path, staged_tree
from ...manifests.files.json_reader import parse_json
from ..common.progress import Advance
from ..images.png import encode_with_pillow


@dataclass(frozen=True)
class ImageFolder:
    """Images (N, H, W, C) of classes (N,), and the folder of each class."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    folders: Sequence[str]  # by class id
    digest: str  # of the images and labels

    def paths(self, place: Path) -> list[Path]:
        """The file of every image below `place`, in order: CLASS/ROW.png."""
        return [
            place / self.folders[label] / f"{row:07d}.png"
            for row, label in enumerate(self.labels.tolist())
        ]

    def write(
        self, place: Path, advance: Advance, *, shared: Path | None = None, first: int = 0
    ) -> list[Path]:
        """Writes the files, where they are not there, whole or not at all; gives their paths.

        shared: a folder where the first `first` images lie already: they are linked.

        Raises StorageError where the disk refuses, and what `advance` raises to stop.
        """
        paths = self.paths(place)
        if place.is_dir() and _digest_of(record_path(place)) == self.digest:
            return paths
        known = [] if shared is None else self.paths(shared)[:first]
        with staged_tree(place) as data:
            with storage_errors(place):
                for folder in self.folders:
                    (data / folder).mkdir(parents=True)
                for row, path in enumerate(self.paths(data)):
                    if not (row < len(known) and _is_linked(known[row], path)):
                        path.write_bytes(encode_with_pillow(np.asarray(self.images[row])))
                    advance(1)
                for folder in self.folders:  # readers of folders refuse an empty one
                    if not any((data / folder).iterdir()):
                        (data / folder).rmdir()
            record = {"digest": self.digest, "count": len(paths)}
            commit_tree(data, place, json.dumps(record).encode())
        return paths


def _is_linked(there: Path, path: Path) -> bool:
    """Links the file under another name; False where the file system has no such links."""
    try:
        os.link(there, path)
    except OSError:
        return False
    return True


def _digest_of(record: Path) -> str | None:
    try:
        found: str = parse_json(record.read_bytes())["digest"]
        return found
    except (OSError, ValueError, KeyError, TypeError):
        return None
