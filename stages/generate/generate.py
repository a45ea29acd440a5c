"""generate: plan rows become images.

An iterator over micro-batches of finished uint8 images. A micro-batch never straddles two calls
and its tail is padded, so an image does not depend on which rows are asked for beside it.
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
from ...models.method.methods import BridgeOptions, FrozenScore, Steps, bridged, mixup, scoremix
from ...models.method.minimise import score_norm
from ...models.network.checkpoint import TrainedNet
from ...models.network.compiled import compile_trunk, missing_compiler
from ...models.network.device import one_thread, set_deterministic
from ..common.ordered_map import ordered_map
from ..common.out_of_memory import explain_out_of_memory
from ..common.tensors import to_pixels, to_unit
from .noise import Streams
from .recipe import Recipe

_DRAWERS = 4  # threads that draw a GPU's next noise
_VISIBLE = 0.25  # of the range: contrast that no denoising takes for noise


@dataclass(frozen=True)
class GeneratedBatch:
    """Some plan rows with their images, step by step: uint8 (B, H, W, C)."""

    rows: pa.Table
    mixup: NDArray[np.uint8]
    minimised: NDArray[np.uint8]
    final: NDArray[np.uint8]
    norms: NDArray[np.float32] | None  # (B, 3): ||sigma_N S||^2 / D of the three


def generate(
    rows: pa.Table,
    images: NDArray[np.uint8],
    recipe: Recipe,
    net: TrainedNet | None,
    *,
    device: torch.device,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[GeneratedBatch]:
    """Makes the images of `rows` (plan rows of one kind), a micro-batch at a time.

    On a CPU several micro-batches are made at once, each by one thread: their bits then do not
    depend on the number of processors, and threads that share nothing do not wait for each other.

    Raises:
        Interrupted: `stopping()` became true; whole shards that were finished stay.
        ScoreMixError: an image came out not finite or blank, or memory did not suffice.
    """
    size = recipe.micro_batch
    set_deterministic(device)
    score = None
    if net is not None:
        net.net.trunk_dtype = torch.bfloat16 if recipe.precision == "bfloat16" else None
        if lack := missing_compiler(recipe.compile, device.type):
            raise ConfigError(
                f"generate.compile: {recipe.compile} needs {lack}. Set generate.compile: off."
            )
        compile_trunk(net.net, recipe.compile)
        score = FrozenScore(net.net, net.sigma_1, net.sigma_N)

    def make(start: int, ahead: Executor | None = None) -> GeneratedBatch:
        if stopping():
            raise Interrupted(
                "Generation stopped; finished shards stay, and the same command resumes."
            )
        with _fitting(size, images.shape[1], device):
            return _make(rows.slice(start, size), images, recipe, score, device, ahead)

    starts = range(0, rows.num_rows, size)
    if device.type != "cpu":
        with ThreadPoolExecutor(_DRAWERS, "noise") as ahead:
            yield from map(partial(make, ahead=ahead), starts)
        return
    with one_thread() as threads, ThreadPoolExecutor(threads, "generate") as pool:
        yield from ordered_map(pool, make, starts, ahead=threads)


def _make(
    part: pa.Table,
    images: NDArray[np.uint8],
    recipe: Recipe,
    score: FrozenScore | None,
    device: torch.device,
    ahead: Executor | None = None,
) -> GeneratedBatch:
    count, size = part.num_rows, recipe.micro_batch
    # The tail is padded with its own last row: every batch has one shape, the plan's.
    padded = np.minimum(np.arange(size), count - 1)
    x1 = to_unit(images[part["row_1"].to_numpy()[padded]], device)
    if part["kind"][0].as_py() == "real":
        return _real(part, x1, images, score, count)
    x2 = to_unit(images[part["row_2"].to_numpy()[padded]], device)
    lambda_ = torch.from_numpy(part["lambda"].to_numpy()[padded]).to(device, torch.float32)
    if score is None or recipe.options is None:
        steps = mixup(x1, x2, lambda_)
    elif isinstance(recipe.options, BridgeOptions):
        steps = bridged(x1, x2, lambda_, score, recipe.options)
    else:
        noise = Streams(part["seed"].to_numpy()[padded], tuple(x1.shape[1:]), device, ahead)
        steps = scoremix(x1, x2, lambda_, score, noise, recipe.options)
    _check_finite(steps, part)
    _check_spread(steps, part)
    return GeneratedBatch(
        rows=part,
        mixup=to_pixels(steps.mixup[:count]),
        minimised=to_pixels(steps.minimised[:count]),
        final=to_pixels(steps.final[:count]),
        norms=None if steps.norms is None else steps.norms[:count].cpu().numpy(),
    )


def _real(
    part: pa.Table,
    x1: torch.Tensor,
    images: NDArray[np.uint8],
    score: FrozenScore | None,
    count: int,
) -> GeneratedBatch:
    """Real images pass through untouched; only their norms are worked out."""
    pixels = np.asarray(images[part["row_1"].to_numpy()])
    norms = None
    if score is not None:
        norm = score_norm(x1, score, score.sigma_N)[:count].cpu().numpy()
        norms = np.repeat(norm[:, None], 3, axis=1)
    return GeneratedBatch(part, pixels, pixels, pixels, norms)


def _fitting(size: int, side: int, device: torch.device) -> contextlib.AbstractContextManager[None]:
    """A micro-batch stays as planned where it does not fit; what to set is the user's choice."""
    return explain_out_of_memory(
        f"A micro-batch of {size} images of {side} px",
        device,
        "Finished shards stay. Stop other programs and run the same command again, or set"
        f" generate.batch below {size}: that is a part of the recipe, so augmented shards are then"
        " made again.",
    )


def _check_spread(steps: Steps, part: pa.Table) -> None:
    """Refuses an image of one colour made from one that was not: the network has collapsed."""
    before, after = _spread(steps.mixup), _spread(steps.final.clamp(0, 1))
    blank = ((after < 1 / 255) & (before > _VISIBLE)).cpu().numpy()[: part.num_rows]
    if blank.any():
        keys = [key for key, bad in zip(part["key"].to_pylist(), blank, strict=True) if bad]
        raise ScoreMixError(
            f"The score network made images of one colour of {', '.join(keys[:8])}, whose parents"
            " are not. Nothing was written of them. Train longer or with a lower train.lr, or"
            " lower generate.t0."
        )


def _spread(x: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) -> (B,), the widest channel's maximum less its minimum."""
    flat = x.flatten(2)
    return (flat.amax(2) - flat.amin(2)).amax(1)


def _check_finite(steps: Steps, part: pa.Table) -> None:
    finite = steps.final.isfinite().flatten(1).all(dim=1).cpu().numpy()[: part.num_rows]
    if not finite.all():
        keys = part["key"].to_pylist()
        bad = [key for key, good in zip(keys, finite, strict=True) if not good]
        raise ScoreMixError(
            f"The score network gave values that are not numbers for {', '.join(bad[:8])}. Nothing"
            " was written of them. Train again with a lower train.lr, or set"
            " generate.precision: float32."
        )
