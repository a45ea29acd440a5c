"""Training batches: images, noise levels, noise and views as a function of (seed, step) alone."""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.plan.random_streams import image_seed, stream
from ...models.method.loss import draw_levels, draw_lognormal
from ..common.tensors import as_unit, to_device, to_unit
from .augment import apply_views, draw_views

NULL_SHARE = 0.1  # of the images: they get the null class

_RESIDENT_SHARE = 0.25  # of a GPU's free memory that training images may take
_COPY_BATCH = 1024  # images copied to the device at once

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class TrainingBatch:
    """One process's share of an update's images, levels and noise."""

    rows: NDArray[np.int64]  # (B,), of the training images
    x: torch.Tensor  # (B, C, H, W) in [0, 1], channels last
    sigma: torch.Tensor  # (B,)
    noise: torch.Tensor  # like x, standard normal
    labels: torch.Tensor | None = None  # (B,) classes, the number of classes for the null class
    view: torch.Tensor | None = None  # (B, VIEW), how x was changed


@dataclass(frozen=True)
class BatchShare:
    """This process's part of every batch: the index-th of `count` equal ones."""

    index: int = 0
    count: int = 1


def check_share(batch: int, processes: int) -> None:
    """Raises ConfigError where so many processes cannot share a batch evenly."""
    if batch % processes:
        raise ConfigError(
            f"train.batch is {batch} over all processes, which {processes} processes cannot share"
            " evenly. Set train.batch to a multiple of their number."
        )


class Batches:
    """Draws batches; on a GPU from images that reside there, where they fit.

    images: uint8 (N, H, W, C); ladder and focus: as `draw_levels` takes them, lognormal: as
    `draw_lognormal`; size: images in a batch over all processes; flip: mirror half of the images;
    augment: probability of each change of `draw_views`; classes: (N,) of the
    images, given to the network but for NULL_SHARE of them, which get the class `null`; None for
    a network without classes; draw_by: (N,) classes by which images are drawn, see
    `rows_by_class`; None: each image as often.
    """

    def __init__(
        self,
        images: Images,
        ladder: NDArray[np.float64],
        focus: float | None,
        size: int,
        *,
        flip: bool,
        seed: int,
        device: torch.device,
        share: BatchShare,
        lognormal: bool = False,
        augment: float = 0.0,
        classes: NDArray[np.int64] | None = None,
        null: int = 0,
        draw_by: NDArray[np.int64] | None = None,
    ) -> None:
        self._images, self._ladder, self._focus, self._size = images, ladder, focus, size
        self._lognormal, self._augment = lognormal, augment
        self._classes, self._null = classes, null
        self._drawn = None if draw_by is None else _rows_of_classes(draw_by)
        self._flip, self._seed, self._device = flip, seed, device
        part = size // share.count
        self._mine = slice(part * share.index, part * (share.index + 1))
        self._resident = _images_on_gpu(images, device)

    def draw(self, step: int) -> TrainingBatch:
        """The batch of `step`, counted from 0; flips are drawn even where they are off."""
        random = stream(image_seed(self._seed, f"step-{step}"), "train")
        if self._drawn is None:
            rows = batch_rows(len(self._images), self._size, step, self._seed)[self._mine]
        else:
            rows = rows_by_class(self._drawn, self._size, step, self._seed)[self._mine]
        if self._lognormal:
            levels = draw_lognormal(self._ladder, self._size, random)[self._mine]
        else:
            levels = draw_levels(self._ladder, self._size, random, self._focus)[self._mine]
        flips = random.random(self._size)[self._mine] < 0.5
        x = self._unit(rows)
        if self._flip:
            x = torch.where(self._to_device(flips).reshape(-1, 1, 1, 1), x.flip(3), x)
        x, view = self._view(x, step)
        generator = torch.Generator(self._device)
        generator.manual_seed(image_seed(self._seed, f"noise-{step}"))
        shape = (self._size, *x.shape[1:])
        noise = torch.randn(shape, generator=generator, device=self._device)[self._mine]
        noise = noise.contiguous(memory_format=torch.channels_last)
        sigma = self._to_device(levels.astype(np.float32))
        return TrainingBatch(rows, x, sigma, noise, self._labels(rows, step), view)

    def _view(self, x: torch.Tensor, step: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        if not self._augment:
            return x, None
        random = stream(image_seed(self._seed, f"step-{step}"), "augment")
        views = draw_views(self._size, random, self._augment).part(self._mine)
        return apply_views(x, views), self._to_device(views.condition)

    def _labels(self, rows: NDArray[np.int64], step: int) -> torch.Tensor | None:
        if self._classes is None:
            return None
        random = stream(image_seed(self._seed, f"step-{step}"), "labels")
        is_null = random.random(self._size)[self._mine] < NULL_SHARE
        return self._to_device(np.where(is_null, self._null, self._classes[rows]))

    def _unit(self, rows: NDArray[np.int64]) -> torch.Tensor:
        if self._resident is None:
            return to_unit(self._images[rows], self._device)
        return as_unit(self._resident[self._to_device(rows)])

    def _to_device(self, values: NDArray[np.generic]) -> torch.Tensor:
        return to_device(values, self._device)


def batch_rows(count: int, batch: int, step: int, seed: int) -> NDArray[np.int64]:
    """Rows of the global batch at `step`: epochs are seeded permutations laid end to end."""
    places = np.arange(step * batch, (step + 1) * batch)
    rows = np.empty(batch, dtype=np.int64)
    for epoch in np.unique(places // count):
        inside = places // count == epoch
        rows[inside] = _order(count, int(epoch), seed)[places[inside] % count]
    return rows


def rows_by_class(
    members: list[NDArray[np.int64]], batch: int, step: int, seed: int
) -> NDArray[np.int64]:
    """Rows of the global batch at `step`, by class: each class as often, whatever its size.

    members: rows of each class. Classes come in seeded permutations laid end to end; in the n-th of
    them a class gives the n-th of its images, which come in seeded permutations of their own.
    """
    rows = np.empty(batch, dtype=np.int64)
    for place in range(batch):
        epoch, turn = divmod(step * batch + place, len(members))
        id_ = int(_order(len(members), epoch, seed)[turn])
        own = members[id_]
        lap, image = divmod(epoch, len(own))
        rows[place] = own[_order_in_class(len(own), id_, lap, seed)[image]]
    return rows


def _rows_of_classes(ids: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [np.flatnonzero(ids == id_) for id_ in np.unique(ids)]


@functools.lru_cache(maxsize=16_384)
def _order_in_class(count: int, id_: int, lap: int, seed: int) -> NDArray[np.int64]:
    order = stream(image_seed(seed, f"class-{id_}-{lap}"), "train").permutation(count)
    order.setflags(write=False)
    return order


@functools.lru_cache(maxsize=8)  # a batch may span two epochs, of few classes more
def _order(count: int, epoch: int, seed: int) -> NDArray[np.int64]:
    order = stream(image_seed(seed, f"epoch-{epoch}"), "train").permutation(count)
    order.setflags(write=False)  # callers share the cached array
    return order


def _images_on_gpu(images: Images, device: torch.device) -> torch.Tensor | None:
    """All images in a GPU's memory; None on a CPU, or where they take too much of it."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    if images.nbytes > _RESIDENT_SHARE * free:
        return None
    return copy_to_device(images, device)


def copy_to_device(images: Images, device: torch.device) -> torch.Tensor:
    """A copy on the device, made in parts: a memory map is never read into memory as a whole."""
    there = torch.empty(images.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(images), _COPY_BATCH):
        part = np.array(images[start : start + _COPY_BATCH])  # a copy: the map is read-only
        there[start : start + len(part)] = torch.from_numpy(part)
    return there
