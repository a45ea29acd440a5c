"""generate: plan rows become images, by the method of the recipe (models/method).

Yields finished uint8 images, one micro-batch at a time. A micro-batch never straddles two calls
and its tail is padded, so an image does not depend on the rows requested with it.
"""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from ...manifests.errors import ConfigError, Interrupted, ScoreMixError
from ...models.method.methods import FrozenScore, MixResult
from ...models.method.minimise import score_norm
from ...models.network.checkpoint import TrainedNet
from ...models.network.compiled import compile_trunk
from ...models.network.compilers import missing_compiler
from ...models.network.device import one_thread, set_deterministic
from ..common.ordered_map import ordered_map
from ..common.out_of_memory import explain_out_of_memory
from ..common.tensors import to_pixels
from .apply import MicroBatch, apply_method
from .config import FROM_NOISE, SAMPLING
from .encodings import Encodings
from .means import MeanImages
from .mixtures import ClassMixtures
from .recipe import Recipe

_NOISE_THREADS = 4  # that draw a GPU's next noise
_VISIBLE_CONTRAST = 0.25  # of the range: more than denoising removes as noise


@dataclass(frozen=True)
class GeneratedBatch:
    """Some plan rows with their images, step by step: uint8 (B, H, W, C)."""

    rows: pa.Table
    mixup: NDArray[np.uint8]
    minimised: NDArray[np.uint8]
    final: NDArray[np.uint8]
    norms: NDArray[np.float32] | None  # (B, 3): ||sigma_N S||^2 / D of the three
    # (B,), of an image's values: those that rounding cut off at black or white.
    clipped: NDArray[np.float32] | None = None


def generate(
    rows: pa.Table,
    images: NDArray[np.uint8],
    recipe: Recipe,
    net: TrainedNet | None,
    *,
    means: MeanImages | None = None,
    mixtures: ClassMixtures | None = None,
    encodings: Encodings | None = None,
    device: torch.device,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[GeneratedBatch]:
    """Makes the images of `rows` (plan rows of one kind), a micro-batch at a time.

    images: the corpus, uint8 (N, H, W, C). means: its mean images, where the recipe has their
    digest; a row takes that of its class. mixtures: what each class is made of, for methods that
    make images class by class. encodings: of earlier calls on this corpus by this network, for
    method `bridge`, which adds to them; the images are the same without. On a CPU each micro-batch
    is made by one thread and several at once, so the bits do not depend on the number of
    processors.

    Raises:
        Interrupted: `stopping()` became true; shards that were finished stay.
        ScoreMixError: an image came out not finite or blank, or memory did not suffice.
    """
    set_deterministic(device)
    assert recipe.means_sha256 == (means.sha256 if means else None)
    score = None if net is None else frozen_score(net, recipe, device)
    kept, size = Encodings() if encodings is None else encodings, recipe.micro_batch

    def make(start: int, noise_pool: Executor | None = None) -> GeneratedBatch:
        if stopping():
            raise Interrupted(
                "Generation stopped; finished shards stay, and the same command resumes."
            )
        batch, later = rows.slice(start, size), rows.slice(start + size)
        # Pad the tail with its own last row: every micro-batch has one shape, the plan's.
        padded = np.minimum(np.arange(size), batch.num_rows - 1)
        with _explain_out_of_memory(size, images.shape[1], device):
            # Load the parents x1 and x2 with their lambda, and mix them by the recipe's method.
            common = batch, padded, images, means, device, noise_pool
            made = MicroBatch(*common, mixtures=mixtures, encodings=kept, later=later)
            if batch["kind"][0].as_py() == "real":
                given = None if score is None else score.conditioned_on(made.labels)
                return _real_batch(batch, made.x1, images, given)
            result = apply_method(recipe, made, score)

            # Refuse images that are not finite or blank, then clamp and round to 8 bit.
            return _finished_batch(batch, result, recipe.method)

    starts = range(0, rows.num_rows, size)
    if device.type != "cpu":
        with ThreadPoolExecutor(_NOISE_THREADS, "noise") as noise_pool:
            yield from map(partial(make, noise_pool=noise_pool), starts)
        return
    with one_thread() as threads, ThreadPoolExecutor(threads, "generate") as pool:
        yield from ordered_map(pool, make, starts, ahead=threads)


def frozen_score(net: TrainedNet, recipe: Recipe, device: torch.device) -> FrozenScore:
    """The network with frozen weights, in the recipe's precision and compiled if it says so.

    Raises ConfigError where it is to be compiled and this machine cannot.
    """
    if lack := missing_compiler(recipe.compile, device.type):
        raise ConfigError(
            f"generate.compile: {recipe.compile} needs {lack}. Set generate.compile: off."
        )
    net.net.compute_in(recipe.precision)
    compile_trunk(net.net, recipe.compile)
    if recipe.guidance == 1.0:
        return FrozenScore(net.net, net.sigma_1, net.sigma_N)
    if recipe.guide == "null-class":  # classifier-free guidance: the same network without a class
        weak = FrozenScore(net.net, net.sigma_1, net.sigma_N, always_null=True)
        return FrozenScore(net.net, net.sigma_1, net.sigma_N, guide=weak, guidance=recipe.guidance)
    assert net.guide is not None, "the recipe names its weights"
    net.guide.compute_in(recipe.precision)
    weak = FrozenScore(net.guide, net.sigma_1, net.sigma_N)
    return FrozenScore(net.net, net.sigma_1, net.sigma_N, guide=weak, guidance=recipe.guidance)


def _explain_out_of_memory(
    size: int, side: int, device: torch.device
) -> contextlib.AbstractContextManager[None]:
    """Names the option to lower; the micro-batch is never made smaller silently."""
    return explain_out_of_memory(
        f"A micro-batch of {size} images of {side} px",
        device,
        "Finished shards stay. Stop other programs and run the same command again, or set"
        f" generate.batch below {size}: that is a part of the recipe, so augmented shards are then"
        " made again.",
    )


def _real_batch(
    batch: pa.Table, x1: torch.Tensor, images: NDArray[np.uint8], score: FrozenScore | None
) -> GeneratedBatch:
    """Passes real images through unchanged; only their norms are computed."""
    pixels = np.asarray(images[batch["row_1"].to_numpy()])
    norms = None
    if score is not None:
        norm = score_norm(x1, score, score.sigma_N)[: batch.num_rows].cpu().numpy()
        norms = np.repeat(norm[:, None], 3, axis=1)
    return GeneratedBatch(batch, pixels, pixels, pixels, norms)


def _finished_batch(batch: pa.Table, result: MixResult, method: str) -> GeneratedBatch:
    """The result without its padding, as 8-bit images.

    Raises:
        ScoreMixError: an image is not finite, or of one colour though its mixture is not.
    """
    _check_finite(result, batch)
    if method in SAMPLING:  # an image pasted of two backgrounds may well be blank
        _check_contrast(method, result, batch)
    count = batch.num_rows
    return GeneratedBatch(
        rows=batch,
        mixup=to_pixels(result.mixup[:count]),
        minimised=to_pixels(result.minimised[:count]),
        final=to_pixels(result.final[:count]),
        norms=None if result.norms is None else result.norms[:count].cpu().numpy(),
        clipped=_clipped(result.final[:count]),
    )


def _clipped(x: torch.Tensor) -> NDArray[np.float32]:
    """(B, C, H, W) -> (B,): the share of values that are beyond [0, 1] by half a grey level."""
    beyond = (x < -0.5 / 255) | (x > 1 + 0.5 / 255)
    shares: NDArray[np.float32] = beyond.flatten(1).float().mean(dim=1).cpu().numpy()
    return shares


def _check_finite(result: MixResult, batch: pa.Table) -> None:
    bad = ~result.final.isfinite().flatten(1).all(dim=1)
    if keys := _keys_where(bad, batch):
        raise ScoreMixError(
            f"The score network gave values that are not numbers for {keys}. Nothing was written"
            " of them. Train again with a lower train.lr, or set generate.precision: float32."
        )


def _check_contrast(method: str, result: MixResult, batch: pa.Table) -> None:
    """Refuses images of one colour made from others: the network has collapsed.

    One that began with pure noise may be blank by chance, where some of the data nearly are; so of
    these more than half of the batch must be.
    """
    before, after = _contrast(result.mixup), _contrast(result.final.clamp(0, 1))
    blank = (after < 1 / 255) & (before > _VISIBLE_CONTRAST)
    if method in FROM_NOISE and 2 * int(blank[: batch.num_rows].sum()) <= batch.num_rows:
        return
    if keys := _keys_where(blank, batch):
        raise ScoreMixError(
            f"The score network made images of one colour of {keys}, whose parents are not."
            " Nothing was written of them. Train longer or with a lower train.lr, or lower"
            " generate.t0."
        )


def _contrast(x: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) -> (B,): maximum less minimum of the channel where that is largest."""
    flat = x.flatten(2)
    return (flat.amax(2) - flat.amin(2)).amax(1)


def _keys_where(bad: torch.Tensor, batch: pa.Table) -> str:
    """The first keys of `batch` where `bad` (B,) is true, in words; empty where it never is."""
    flags = bad.cpu().numpy()[: batch.num_rows]
    keys = [key for key, is_bad in zip(batch["key"].to_pylist(), flags, strict=True) if is_bad]
    return ", ".join(keys[:8])
