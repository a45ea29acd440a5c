"""Applies the recipe's method to a micro-batch: loads the parents, calls the method's function."""

from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from ...manifests.plan.random_streams import stream
from ...models.method.augmix import augmix
from ...models.method.masks import box_mask, fourier_mask
from ...models.method.methods import (
    FrozenScore,
    MixResult,
    compose,
    encode,
    in_one_step,
    mixup,
    mixup_with_contrast,
    noise_diffusion,
    paste,
    renoise,
    sample,
    scoremix,
)
from ...models.method.options import (
    BridgeOptions,
    ConditionOptions,
    RenoiseOptions,
    SampleOptions,
    ScoreMixOptions,
    SeamOptions,
    SolverOptions,
)
from ...models.network.score_net import MixedClasses
from ..common.tensors import to_unit
from .encodings import Encodings, Parent, parents_of
from .means import MeanImages
from .mixtures import ClassMixtures
from .noise import NoiseStreams
from .recipe import Recipe


@dataclass(frozen=True)
class MicroBatch:
    """Plan rows with what their images are made from; its tail is padded to the full size."""

    rows: pa.Table
    padded: NDArray[np.int64]  # (B,) places in `rows`
    images: NDArray[np.uint8]  # the corpus, (N, H, W, C)
    means: MeanImages | None
    device: torch.device
    noise_pool: Executor | None  # threads that draw noise ahead
    # Of methods that make images class by class; None for the others.
    mixtures: ClassMixtures | None = field(default=None, kw_only=True)
    # Of method `bridge`, kept over micro-batches; None: made for this one alone.
    encodings: Encodings | None = field(default=None, kw_only=True)
    later: pa.Table | None = field(default=None, kw_only=True)  # rows that are made next

    def column(self, name: str) -> NDArray[np.generic]:
        """A column of the plan, (B,)."""
        values: NDArray[np.generic] = self.rows[name].to_numpy()[self.padded]
        return values

    def images_at(self, rows: NDArray[np.generic]) -> torch.Tensor:
        """Images of the corpus by row, (len(rows), C, H, W) in [0, 1]."""
        return to_unit(self.images[rows], self.device)

    @cached_property
    def x1(self) -> torch.Tensor:
        """Parent 1, (B, C, H, W) in [0, 1]."""
        return self.images_at(self.column("row_1"))

    @cached_property
    def x2(self) -> torch.Tensor:
        """Parent 2."""
        return self.images_at(self.column("row_2"))

    @property
    def lambda_(self) -> torch.Tensor:
        """Weight of parent 1, (B,) float32.

        1 for an image that pairs with itself, where mixing keeps variance about the mean: that
        scales by what averaging two images takes away, and takes nothing from one.
        """
        lambdas = self.column("lambda")
        if self.means is not None:
            lambdas = np.where(self.column("row_1") == self.column("row_2"), 1.0, lambdas)
        return torch.from_numpy(lambdas).to(self.device, torch.float32)

    @property
    def mean(self) -> torch.Tensor | None:
        """Mean image of each row's class, (B, C, H, W); None where the recipe names no means.

        That of a new class is the mean of its classes' by their weights.
        """
        if self.means is None:
            return None
        if self.mixtures is None:
            return to_unit(self.means.pixels[self.column("class_id")], self.device)
        ids, weights = self.members
        total: torch.Tensor | float = 0.0
        for column, weight in zip(ids.unbind(1), weights.unbind(1), strict=True):
            mean = to_unit(self.means.pixels[column.cpu().numpy()], self.device)
            total = total + weight.reshape(-1, 1, 1, 1) * mean
        assert isinstance(total, torch.Tensor)
        return total

    @cached_property
    def members(self) -> MixedClasses:
        """Real classes of each row's class and their weights, (B, m) each."""
        assert self.mixtures is not None
        rows = self.column("class_id")
        ids, weights = self.mixtures.ids[rows], self.mixtures.weights[rows]
        return MixedClasses(
            torch.from_numpy(ids).to(self.device), torch.from_numpy(weights).to(self.device)
        )

    @property
    def labels(self) -> torch.Tensor:
        """Class id of each row, (B,) int64, -1 without one class."""
        return torch.from_numpy(self.column("class_id").astype(np.int64)).to(self.device)

    @cached_property
    def noise(self) -> NoiseStreams:
        """Noise like x1, each image's from its own streams."""
        _, height, width, channels = self.images.shape
        seeds = self.column("seed").astype(np.int64)
        return NoiseStreams(seeds, (channels, height, width), self.device, self.noise_pool)

    def streams(self, purpose: str) -> list[np.random.Generator]:
        """Each image's own random stream for `purpose`."""
        return [stream(int(seed), purpose) for seed in self.column("seed").tolist()]


def apply_method(recipe: Recipe, batch: MicroBatch, score: FrozenScore | None) -> MixResult:
    """The images of a micro-batch by the recipe's method, padding included.

    score: not yet conditioned on the batch's classes.
    """
    method, options, x1 = recipe.method, recipe.options, batch.x1
    if isinstance(options, SolverOptions):
        assert score is not None
        return _of_classes(method, batch, score, options)
    if score is not None:
        score = score.conditioned_on(batch.labels)
    if method == "augmix":
        return _augmix(batch)
    parents = x1, batch.x2, batch.lambda_
    if method in ("cutmix", "fmix"):
        assert options is None or isinstance(options, SeamOptions)
        seams = None if options is None else score
        return paste(*parents, _masks(method, batch), seams, batch.noise, options)
    mean = batch.mean
    if method in ("mixup", "mixup-classes"):
        return mixup(*parents) if mean is None else mixup_with_contrast(*parents, mean)
    assert score is not None
    if isinstance(options, BridgeOptions):
        encodings = _encodings(recipe, batch, score)
        return noise_diffusion(*parents, mean, score, batch.noise, options, encodings)
    if isinstance(options, RenoiseOptions):
        return renoise(x1, score, batch.noise, options)
    if isinstance(options, SampleOptions):
        assert mean is not None
        return sample(x1, mean, score, batch.noise, options)
    assert isinstance(options, ScoreMixOptions)
    return scoremix(*parents, score, batch.noise, options)


def _of_classes(
    method: str, batch: MicroBatch, score: FrozenScore, options: SolverOptions
) -> MixResult:
    """Samples of real classes, or of new ones: composed scores, or mixed conditions."""
    mean, members = batch.mean, batch.members
    assert mean is not None
    before = batch.x1
    if method != "reproduce":
        before = mixup(before, batch.x2, batch.lambda_).final
    if isinstance(options, ConditionOptions):
        mixed = MixedClasses(members.ids, options.weights(members.weights))
        scores, weights = [score.conditioned_on(mixed)], torch.ones_like(members.weights[:, :1])
    else:
        scores = [score.conditioned_on(column) for column in members.ids.unbind(1)]
        weights = members.weights
    return compose(before, mean, scores, weights, batch.noise, options)


def _encodings(
    recipe: Recipe, batch: MicroBatch, score: FrozenScore
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Those of parents 1 and 2, (B, C, H, W) each; None where none are kept."""
    if batch.encodings is None:
        return None
    options = recipe.options
    assert isinstance(options, BridgeOptions)

    def make(parents: list[Parent]) -> torch.Tensor:
        rows, ids = (np.array(column, dtype=np.int64) for column in zip(*parents, strict=True))
        given = score.conditioned_on(torch.from_numpy(ids).to(batch.device))
        return encode(batch.images_at(rows), given, options)

    knows_classes = score.net.architecture.classes > 0
    wanted = parents_of(batch.rows.take(batch.padded), knows_classes)
    size, later = len(batch.padded), batch.rows.slice(0, 0) if batch.later is None else batch.later
    coming = (
        parent
        for start in range(0, later.num_rows, size)
        for parent in parents_of(later.slice(start, size), knows_classes)
    )
    made = batch.encodings.get(recipe, wanted, coming, make).to(batch.device)
    first, second = made.contiguous(memory_format=torch.channels_last).chunk(2)
    return first, second


def _augmix(batch: MicroBatch) -> MixResult:
    """AugMix of parent 1 alone."""
    pixels = batch.images[batch.column("row_1")]
    made = np.stack([augmix(*pair) for pair in zip(pixels, batch.streams("augmix"), strict=True)])
    final = torch.from_numpy(made).to(batch.device).permute(0, 3, 1, 2)
    return in_one_step(batch.x1, final, None)


def _masks(method: str, batch: MicroBatch) -> torch.Tensor:
    """Which pixels are parent 1's, (B, 1, H, W)."""
    draw = box_mask if method == "cutmix" else fourier_mask
    pairs = zip(batch.column("lambda").tolist(), batch.streams(method), strict=True)
    masks = np.stack([draw(lambda_, batch.images.shape[1], random) for lambda_, random in pairs])
    return torch.from_numpy(masks)[:, None].to(batch.device)
