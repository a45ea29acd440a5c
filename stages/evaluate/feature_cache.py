"""Features of a set of images, worked out once: by the set's content and the extractor's weights.

    RUN/.scoremix/features/KEY.npy     (n, D), as the network gave them: float32
    RUN/.scoremix/features/KEY.json    what they are of, and the sha256 of KEY.npy

Written chunk by chunk and handed out memory-mapped, so a set's features are in memory where a
metric needs them and nowhere else. An entry that is damaged, or of other images, weights or
software, is made again. The folder may be deleted at any time.

Only networks are kept: the components of pixel features are fitted to the set itself.
"""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.files.atomic import canonical_digest, replacing, sha256_file, write_json
from ...models.features.extractors import Extractor
from ..common.progress import Advance

FORMAT = 1

_CHUNK = 256  # images between two signs of progress

Images = NDArray[np.uint8]
Features = NDArray[np.floating[Any]]


class ImageSet(Protocol):
    """Images (n, H, W, C) that are read some at a time: an array, a memory map, or `Rows`."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, some: slice, /) -> Images: ...


class Rows:
    """Some rows of a memory-mapped set, read when they are looked at."""

    def __init__(self, images: Images, rows: NDArray[np.int64]) -> None:
        self._images, self._rows = images, rows

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._rows), *self._images.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, some: slice, /) -> Images:
        return np.asarray(self._images[self._rows[some]])


_log = logging.getLogger(__name__)


class FeatureCache:
    """The folder of features; None: nothing is kept, features are in memory."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def features(self, extract: Extractor, images: ImageSet, advance: Advance) -> Features:
        """(n, D) of images (n, H, W, C): from the folder, or worked out and kept there.

        advance: told of every image, also of those that had been worked out before.

        Raises:
            FeaturesError: the network does not take these images.
            StorageError: the folder cannot be written.
        """
        if self._folder is None or extract.weights_sha256 is None or len(images) == 0:
            return _worked_out(extract, images, advance)
        facts = _facts(extract, images)
        path = self._folder / f"{canonical_digest(facts)}.npy"
        found = _kept(path, facts)
        if found is None:
            _keep(path, facts, extract, images, advance)
            found = _kept(path, facts)
            assert found is not None, path
        else:
            advance(len(images))
        return found


def _facts(extract: Extractor, images: ImageSet) -> dict[str, Any]:
    """What the features depend on, and nothing of where or when."""
    content = hashlib.sha256()
    for start in range(0, len(images), _CHUNK):
        content.update(images[start : start + _CHUNK].tobytes())
    return {
        "format": FORMAT,
        "images": {"shape": list(images.shape), "sha256": content.hexdigest()},
        "extractor": extract.describe(),
        "torch": str(torch.__version__),
    }


def _worked_out(extract: Extractor, images: ImageSet, advance: Advance) -> Features:
    if len(images) == 0:
        return extract(images[:0])
    parts = []
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        parts.append(extract(chunk))
        advance(len(chunk))
    return np.concatenate(parts)


def _keep(
    path: Path, facts: dict[str, Any], extract: Extractor, images: ImageSet, advance: Advance
) -> None:
    """The array first, then the file that vouches for it."""
    with replacing(path) as file:
        for start in range(0, len(images), _CHUNK):
            chunk = images[start : start + _CHUNK]
            given = extract(chunk)
            vectors = given.astype("<f4")
            assert np.array_equal(vectors, given), "a network's features are float32"
            if start == 0:
                shape = (len(images), vectors.shape[1])
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(vectors.tobytes())
            advance(len(chunk))
    write_json(path.with_suffix(".json"), facts | {"npy_sha256": sha256_file(path)})


def _kept(path: Path, facts: dict[str, Any]) -> Features | None:
    """The features of an entry that is whole and of these facts; None otherwise."""
    try:
        told = json.loads(path.with_suffix(".json").read_bytes())
        if told == facts | {"npy_sha256": sha256_file(path)}:
            found: Features = np.load(path, mmap_mode="r", allow_pickle=False)
            return found
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.warning("features in %s cannot be read (%s) and are made again", path, error)
        return None
    _log.warning("features in %s are damaged and are made again", path)
    return None
