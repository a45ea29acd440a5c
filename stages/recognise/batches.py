"""The images of an update: a function of (seed, step). Classes are drawn first, then their images.

So a class with few images is seen as often as one with many. Classes come in seeded permutations
laid end to end, and so do the images of each class: all are seen equally often, but for one.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...manifests.errors import ConfigError
from ...manifests.plan.random_streams import image_seed, stream
from ..common.tensors import to_unit
from ..train.augment import Views, apply_views
from ..train.batches import batch_rows

# Bounds of uniform draws of an affine change.
_TURN, _LOG2_SCALE, _SHIFT = math.radians(15.0), 0.2, 0.08  # of the turn; of a side for the shift

Images = NDArray[np.uint8]
Ids = NDArray[np.int64]


class ClassBatches:
    """Draws batches of images (N, H, W, C) with classes `labels` (N,).

    flip: mirror half of the images; affine: turn, scale and shift every image a little.
    """

    def __init__(
        self, images: Images, labels: Ids, size: int, *, flip: bool, affine: bool, seed: int
    ) -> None:
        self._images, self._labels, self._size, self._seed = images, labels, size, seed
        self._flip, self._affine = flip, affine
        self._classes = np.unique(labels)
        order = np.argsort(labels, kind="stable")
        self._rows_of = np.split(order, np.searchsorted(labels[order], self._classes[1:]))
        self._orders: dict[int, tuple[int, Ids]] = {}  # class -> its last pass and permutation
        if len(self._classes) < 2:
            raise ConfigError(
                f"A recogniser needs two classes or more, and the training images have"
                f" {len(self._classes)}. Give images with labels or in a folder for each class."
            )

    def rows(self, step: int) -> Ids:
        """(B,) rows of the images that the update `step` sees, counted from 0."""
        count = len(self._classes)
        chosen = batch_rows(count, self._size, step, self._seed)
        visits = np.arange(step * self._size, (step + 1) * self._size) // count
        pairs = zip(chosen.tolist(), visits.tolist(), strict=True)
        return np.array([self._row(place, visit) for place, visit in pairs])

    def _row(self, place: int, visit: int) -> int:
        """The image that a class, by its place among the classes, shows at its n-th visit."""
        rows = self._rows_of[place]
        epoch = visit // len(rows)
        if self._orders.get(place, (-1,))[0] != epoch:
            random = stream(image_seed(self._seed, f"class-{place}-{epoch}"), "recognise")
            self._orders[place] = epoch, random.permutation(rows)
        return int(self._orders[place][1][visit % len(rows)])

    def draw(self, step: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) in [0, 1], changed as the options say, and their classes (B,)."""
        rows = self.rows(step)
        x = to_unit(self._images[rows], device)
        if self._flip or self._affine:
            random = stream(image_seed(self._seed, f"views-{step}"), "recognise")
            views = draw_affine(len(rows), random, flip=self._flip, affine=self._affine)
            x = apply_views(x, views)
        return x, torch.from_numpy(self._labels[rows]).to(device)


def draw_affine(count: int, random: np.random.Generator, *, flip: bool, affine: bool) -> Views:
    """Mirrors half of the images, and turns, scales and shifts every one; as the options say."""
    mirrored = (random.random(count) < 0.5) & flip
    angle, size, across, down = random.uniform(-1.0, 1.0, (4, count)) * affine
    cosine, sine = np.cos(_TURN * angle), np.sin(_TURN * angle)
    scale = np.exp2(_LOG2_SCALE * size)
    rows = [
        [scale * cosine, -scale * sine, 2 * _SHIFT * across],
        [scale * sine, scale * cosine, 2 * _SHIFT * down],
    ]
    return Views(
        matrix=np.array(rows, dtype=np.float32).transpose(2, 0, 1),
        moved=np.full(count, affine),
        mirrored=mirrored,
        brightness=np.zeros(count, np.float32),
        contrast=np.ones(count, np.float32),
        condition=np.zeros((count, 0), np.float32),
    )
