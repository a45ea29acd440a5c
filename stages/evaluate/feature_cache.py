"""Caches features on disk, keyed by the images' content and the extractor's weights.

    RUN/.scoremix/features/KEY.npy     (n, D), as the network gave them: float32
    RUN/.scoremix/features/KEY.json    what they depend on, and the sha256 of KEY.npy

Features are written chunk by chunk and read memory-mapped. An entry that is damaged, or of other
images, weights or software, is computed again. The folder may be deleted at any time.

Only networks' features are cached: the components of pixel features are fitted to the set itself.
"""

import hashlib
import logging
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.files.atomic import canonical_digest, replacing, sha256_file, write_json
from ...manifests.files.json_reader import parse_json
from ...models.features.errors import FeaturesError
from ...models.features.extractors import Extractor
from ..common.npy import npy_header
from ..common.progress import Advance

FORMAT = 1

_CHUNK = 256  # images that are read and counted at a time

Images = NDArray[np.uint8]
Features = NDArray[np.floating[Any]]


class ImageSet(Protocol):
    """Images (n, H, W, C) that are read by slices: an array, a memory map, or `Rows`."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, some: slice, /) -> Images: ...


class Rows:
    """Some rows of a memory-mapped set, read when they are sliced."""

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
    """A folder of cached features; None: nothing is cached, features stay in memory."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def features(self, extractor: Extractor, images: ImageSet, advance: Advance) -> Features:
        """Features (n, D) of images (n, H, W, C): from the cache, or computed and cached.

        advance: called with the number of finished images, cached ones included.

        Raises:
            FeaturesError: the network does not take these images.
            StorageError: the folder cannot be written.
        """
        if self._folder is None or extractor.weights_sha256 is None or len(images) == 0:
            return _compute(extractor, images, advance)
        facts = _facts(extractor, images)
        path = self._folder / f"{canonical_digest(facts)}.npy"
        cached = _load(path, facts)
        if cached is None:
            _compute_and_save(path, facts, extractor, images, advance)
            cached = _load(path, facts)
            assert cached is not None, path
        else:
            advance(len(images), resumed=True)
        return cached


def _facts(extractor: Extractor, images: ImageSet) -> dict[str, Any]:
    """Everything that the features depend on; their digest is the key."""
    content = hashlib.sha256()
    for start in range(0, len(images), _CHUNK):
        content.update(images[start : start + _CHUNK].tobytes())
    return {
        "format": FORMAT,
        "images": {"shape": list(images.shape), "sha256": content.hexdigest()},
        "extractor": extractor.describe(),
        "torch": str(torch.__version__),
    }


def _compute(extractor: Extractor, images: ImageSet, advance: Advance) -> Features:
    if len(images) == 0:
        return extractor(images[:0])
    parts = []
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        parts.append(extractor(chunk))
        advance(len(chunk))
    return np.concatenate(parts)


def _compute_and_save(
    path: Path, facts: dict[str, Any], extractor: Extractor, images: ImageSet, advance: Advance
) -> None:
    """Writes the array first, then the JSON file with its sha256."""
    with replacing(path) as file:
        for start in range(0, len(images), _CHUNK):
            chunk = images[start : start + _CHUNK]
            computed = extractor(chunk)
            vectors = computed.astype("<f4")
            if not np.array_equal(vectors, computed):
                raise FeaturesError(
                    f"The network {extractor.describe().get('label')} gives values of"
                    f" {computed.dtype} that float32 cannot hold. Let it return float32, as in"
                    " `return features.float()`."
                )
            if start == 0:
                file.write(npy_header((len(images), vectors.shape[1]), "<f4"))
            file.write(vectors.tobytes())
            advance(len(chunk))
    write_json(path.with_suffix(".json"), facts | {"npy_sha256": sha256_file(path)})


def _load(path: Path, facts: dict[str, Any]) -> Features | None:
    """The features of an entry that is undamaged and of these facts; None otherwise."""
    try:
        saved = parse_json(path.with_suffix(".json").read_bytes())
        if saved == facts | {"npy_sha256": sha256_file(path)}:
            features: Features = np.load(path, mmap_mode="r", allow_pickle=False)
            return features
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.warning("features in %s cannot be read (%s) and are computed again", path, error)
        return None
    _log.warning("features in %s are damaged and are computed again", path)
    return None
