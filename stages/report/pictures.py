"""Images of the corpus as data URIs: best and worst by score norm, nearest training images."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from ...manifests.shards.shard import NORMS
from ...manifests.trainers.image_bytes import open_tars
from ...manifests.trainers.layout import Slice
from ..evaluate.row_sample import MIXED_LAMBDA
from ..images.png import to_pil
from .run_facts import RunFacts

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]

_CELL = 96  # pixels at least; smaller images are magnified by a whole factor
_SIDE = 32  # images are averaged down to this before they are compared
COMPARED = 400  # augmented images whose nearest training images are searched


@dataclass(frozen=True)
class Pair:
    """An augmented image and its nearest training image."""

    key: str
    image: str  # data URIs
    neighbour: str
    neighbour_key: str
    parent: bool  # whether the neighbour is one of its parents
    distance: float  # root mean square, in grey levels
    folded: float


def data_uri(image: Image.Image) -> str:
    """The image as a PNG inside an address."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def file_uri(path: Path) -> str:
    """A PNG file inside an address."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def extremes(facts: RunFacts, count: int = 12) -> dict[str, list[tuple[str, str, float]]]:
    """Augmented images with the lowest and highest final norm: (key, data URI, norm) each."""
    column = facts.manifest[NORMS[-1]]
    if column.null_count:
        return {}
    places = np.flatnonzero(facts.augmented & (facts.folded >= MIXED_LAMBDA))
    norms = column.to_numpy()
    order = places[np.argsort(norms[places], kind="stable")]
    keys = facts.manifest["key"]
    ends = {"lowest": order[:count], "highest": order[::-1][:count]}
    return {
        name: [
            (keys[int(at)].as_py(), data_uri(_enlarged(image)), float(norms[at]))
            for at, image in zip(some, read_pictures(facts, some), strict=True)
        ]
        for name, some in ends.items()
    }


def neighbours(facts: RunFacts, training: Images, count: int = 12) -> list[Pair]:
    """The augmented images nearest to a training image, and some at the middle distance.

    training: uint8 (N, H, W, C), as plan rows number it.
    """
    places = np.flatnonzero(facts.augmented & (facts.folded >= MIXED_LAMBDA))
    if not len(places) or not len(facts.real[0]):
        return []
    places = places[np.linspace(0, len(places) - 1, min(COMPARED, len(places))).astype(int)]
    rows = facts.manifest.take(pa.array(places))
    made = read_pictures(facts, places)
    small = np.stack([_small(np.asarray(image)) for image in made])
    real, keys = facts.real
    distances, nearest = _nearest(small, training, real)
    order = np.argsort(distances, kind="stable")
    half = count // 2
    middle = max(half, len(order) // 2)
    chosen = [*order[:half], *order[middle : middle + count - half]]
    listed = rows.select(["key", "row_1", "row_2", "lambda"]).to_pylist()
    key_of = dict(zip(real.tolist(), keys, strict=True))
    return [
        _pair(listed[at], made[at], training, (row := int(nearest[at])), key_of[row], distances[at])
        for at in chosen
    ]


def _pair(
    row: dict[str, Any],
    image: Image.Image,
    training: Images,
    nearest: int,
    key: str,
    distance: float,
) -> Pair:
    pixels = training[nearest]
    neighbour = to_pil(pixels)
    return Pair(
        key=row["key"],
        image=data_uri(_enlarged(image)),
        neighbour=data_uri(_enlarged(neighbour)),
        neighbour_key=key,
        parent=nearest in (row["row_1"], row["row_2"]),
        distance=float(distance),
        folded=min(row["lambda"], 1.0 - row["lambda"]),
    )


def _nearest(
    made: Floats, training: Images, rows: NDArray[np.int64]
) -> tuple[Floats, NDArray[np.int64]]:
    """For each of (n, D) the RMS difference to the nearest of these images, and its row."""
    best = np.full(len(made), np.inf)
    which = np.zeros(len(made), dtype=np.int64)
    squares = (made**2).sum(axis=1)
    for start in range(0, len(rows), 1024):
        part = rows[start : start + 1024]
        block = np.stack([_small(training[row]) for row in part])
        squared = squares[:, None] + (block**2).sum(axis=1) - 2 * made @ block.T
        at = squared.argmin(axis=1)
        value = squared[np.arange(len(made)), at]
        nearer = value < best
        best[nearer], which[nearer] = value[nearer], part[at[nearer]]
    return np.sqrt(np.maximum(best, 0) / made.shape[1]), which


def _small(pixels: NDArray[np.uint8]) -> Floats:
    """(H, W) or (H, W, C) -> float64 (D,), averaged down to at most 32 px."""
    image = to_pil(pixels)
    if max(image.size) > _SIDE:
        image.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(image, dtype=np.float64).ravel()


def read_pictures(facts: RunFacts, places: NDArray[np.int64]) -> list[Image.Image]:
    """Images of rows of the manifest, read from the shards."""
    columns = ["key", "shard", "offset", "size", "sha256"]
    images: dict[int, Image.Image] = {}
    with open_tars(facts.shards) as tars:
        for place in sorted(places.tolist()):  # in the order of the shards
            row = facts.manifest.select(columns).slice(place, 1).to_pylist()[0]
            data = tars.read(row.pop("key"), Slice(**row))
            images[place] = Image.open(io.BytesIO(data))
    return [images[place] for place in places.tolist()]


def _enlarged(image: Image.Image) -> Image.Image:
    factor = max(1, -(-_CELL // max(image.size)))
    size = (image.width * factor, image.height * factor)
    return image.resize(size, Image.Resampling.NEAREST)
