"""Validation: loss per noise band, and score norms, of images that are not mixed."""

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.plan.random_streams import image_seed, stream
from ...models.method.ladder import SIGMA_N
from ...models.method.loss import BAND_EDGES, band_levels, dsm_loss
from ...models.method.methods import FrozenScore
from ...models.method.minimise import score_norm
from ...models.network.score_net import ScoreNet
from ..common.tensors import to_unit

MEASURED_IMAGES = 256  # at most, in a measurement
PATIENCE = 3  # checkpoints

_LEVELS_PER_BAND = 8
_BATCH, _BATCH_SIDE = 64, 64  # images at a time, of so many pixels a side; of larger ones fewer


@torch.no_grad()
def band_losses(
    net: ScoreNet,
    ladder: NDArray[np.float64],
    images: NDArray[np.uint8],
    seed: int,
    device: torch.device,
    labels: NDArray[np.int64] | None = None,
) -> dict[str, float]:
    """Denoising loss per noise band; the same images, levels and noise at every call.

    images: uint8 (N, H, W, C); a seeded choice of MEASURED_IMAGES of them is used. labels: (N,)
    their classes, the network's last for none; None for a network without classes.
    """
    random = stream(image_seed(seed, f"held-out-{len(images)}"), "bands")
    count = min(MEASURED_IMAGES, len(images))
    rows = np.sort(random.permutation(len(images))[:count])
    x = to_unit(images[rows], device)
    given = None if labels is None else torch.from_numpy(labels[rows]).to(device)
    means = {}
    for name, levels in band_levels(ladder, _LEVELS_PER_BAND).items():
        sigma = torch.tensor(np.resize(levels, count), dtype=torch.float32, device=device)
        noise = torch.from_numpy(random.standard_normal(tuple(x.shape), dtype=np.float32))
        z = noise.to(device)
        parts = []
        size = _batch_of(images)
        for start in range(0, count, size):
            part = slice(start, start + size)
            classes = None if given is None else given[part]
            parts.append(dsm_loss(net, x[part], sigma[part], z[part], classes))
        means[name] = float(torch.cat(parts).mean())
    return means


def known_classes(ids: NDArray[np.int64], classes: int) -> NDArray[np.int64] | None:
    """(N,) class ids, -1 for none, as a network that knows `classes` is given them: null for none.

    None for a network without classes.
    """
    return np.where(ids < 0, classes, ids) if classes else None


def overall(bands: dict[str, float], focus: float | None, *, geometric: bool) -> float:
    """The mean over bands of their loss, by which the best state is chosen.

    focus: only bands that reach below this sigma count; None: all. geometric: every band counts by
    the factor that its loss changes by, though that of high noise is a thousandth of low noise's.
    """
    floors = dict(zip(bands, BAND_EDGES[:-1], strict=False))
    low = [loss for band, loss in bands.items() if focus is None or floors[band] < focus]
    return float(np.exp(np.log(low).mean())) if geometric else sum(low) / len(low)


def is_long_past(step: int, best_step: int, every: int) -> bool:
    """Whether the best loss is PATIENCE checkpoints ago, and a quarter of its own step.

    every: updates between two checkpoints. A step between two counts as the one before: a training
    that was stopped there goes on to the next.
    """
    return step // every * every >= best_step + max(PATIENCE * every, best_step // 4)


def real_norms(
    net: ScoreNet,
    sigma_1: float,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    device: torch.device,
) -> NDArray[np.float32]:
    """||sigma_N S||^2 / D of unmixed images, conditioned as mixed ones are; (N,).

    labels: (N,) class ids, -1 for none.
    """
    score = FrozenScore(net, sigma_1, SIGMA_N)
    parts = []
    size = _batch_of(images)
    for start in range(0, len(images), size):
        x = to_unit(images[start : start + size], device)
        given = score.conditioned_on(torch.from_numpy(labels[start : start + size]).to(device))
        parts.append(score_norm(x, given, SIGMA_N).cpu().numpy())
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _batch_of(images: NDArray[np.uint8]) -> int:
    """How many of (N, H, W, C) at a time: with no more pixels than 64 images of 64 px."""
    side = max(_BATCH_SIDE, int(images.shape[1]))
    return max(1, _BATCH * _BATCH_SIDE**2 // side**2)
