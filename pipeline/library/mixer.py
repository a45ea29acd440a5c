"""Mixer: draws partners and lambda for a batch, and mixes it by a run's method and network."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...manifests.errors import ConfigError, ScoreMixError
from ...manifests.plan.methods import PASTING
from ...manifests.plan.plan import whole_pixels
from ...models.method.methods import FrozenScore
from ...models.method.options import BridgeOptions
from ...stages.common.tensors import to_pixels
from ...stages.generate.apply import MicroBatch, apply_method
from ...stages.generate.encodings import Encodings
from ...stages.generate.means import MeanImages
from ...stages.generate.recipe import Recipe

_SEEDS = 2**63 - 1


class Mixed(NamedTuple):
    """A batch of mixtures and what they were made from."""

    images: Tensor  # (B, C, H, W), dtype, range and device of the batch
    partners: Tensor  # (B,) int64: place in the batch of parent 2; parent 1 is at its own place
    lambdas: Tensor  # (B,) float64: weight of parent 1


@dataclass(frozen=True)
class Pairing:
    """How partners and lambda are drawn."""

    alpha: float  # lambda ~ Beta(alpha, alpha)
    within: bool  # the class, where labels are given
    alone: bool  # the method uses one parent: it is its own partner, lambda 1


@dataclass(frozen=True)
class _TensorBatch(MicroBatch):
    """A MicroBatch whose parents are not rounded to 8 bits; `images` has the rounded ones."""

    values: Tensor  # (N, C, H, W) float32 in [0, 1]

    def images_at(self, rows: NDArray[np.generic]) -> Tensor:
        return self.values[rows.tolist()]


class Mixer:
    """Mixes batches of images; made by `scoremix.load`.

    Not for several threads at once: the network caches what it is conditioned on.
    """

    def __init__(
        self,
        recipe: Recipe,
        score: FrozenScore | None,
        means: MeanImages | None,
        pairing: Pairing,
        *,
        shape: tuple[int, int, int],
        classes: tuple[str, ...],
        device: torch.device,
        value_range: tuple[float, float],
    ) -> None:
        """shape: (C, H, W) of the run's images. classes: their names by class id."""
        self.recipe, self.pairing, self.shape, self.classes = recipe, pairing, shape, classes
        self.device, self.value_range = device, value_range
        self._score, self._means = score, means

    @property
    def method(self) -> str:
        """As `generate.method`, after the pilot."""
        return self.recipe.method

    def __call__(
        self, x: Tensor, labels: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """The images of `mix`: clamped, dtype, range and device of `x`, without gradients."""
        return self.mix(x, labels, generator).images

    def mix(
        self, x: Tensor, labels: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Mixed:
        """Draws a partner of each image from the batch and a lambda, and mixes.

        x: (B, C, H, W) of the run's size and channels, uint8 or floating point in `value_range`.
        labels: (B,) class ids as `classes` has them. Where the run pairs within classes, partners
            are of the same class, an image that is the only one of its class is its own partner,
            and the method uses its class. None: partners are any of the batch, and no class is
            used.
        generator: of torch, for every number that is drawn; None: torch's default one. Equal seeds
            give equal partners, lambdas and noise on every device.

        Raises:
            ConfigError: images of another shape, dtype or range, or labels that are no class ids.
            ScoreMixError: the network gave values that are not numbers.
        """
        units = self._units(x)
        ids = self._class_ids(labels, len(x))
        partners, lambdas, seeds = self._draw(ids, generator)
        same = ids == ids[partners]
        rows = pa.table(
            {
                "kind": pa.array(["augmented"] * len(x)),
                "row_1": np.arange(len(x)),
                "row_2": partners,
                "lambda": lambdas,
                "class_id": np.where(same, ids, -1),
                "seed": seeds,
            }
        )
        made = self.apply(rows, units)
        low, high = (0.0, 255.0) if x.dtype == torch.uint8 else self.value_range
        scaled = made.to(x.device).mul(high - low).add(low).clamp(low, high)
        images = (scaled.round() if x.dtype == torch.uint8 else scaled).to(x.dtype)
        return Mixed(images, torch.from_numpy(partners), torch.from_numpy(lambdas))

    def apply(self, rows: pa.Table, units: Tensor) -> Tensor:
        """The images of plan rows, (B, C, H, W) float32 in [0, 1], by the run's method.

        rows: with the columns row_1, row_2 (places in `units`), lambda, class_id and seed.
        units: (N, C, H, W) float32 in [0, 1] on the mixer's device.
        """
        parts = []
        # Parts of one size, as near to the recipe's as there are rows: little is padded.
        pixels, count = to_pixels(units), rows.num_rows
        size = math.ceil(count / math.ceil(count / self.recipe.micro_batch))
        recipe = replace(self.recipe, micro_batch=size)
        encodings = Encodings() if isinstance(recipe.options, BridgeOptions) else None
        for start in range(0, rows.num_rows, size):
            batch = _TensorBatch(
                rows.slice(start, size),
                np.arange(min(size, rows.num_rows - start)),
                pixels,
                self._means,
                self.device,
                None,
                units,
                encodings=encodings,
                later=rows.slice(start + size),
            )
            parts.append(apply_method(recipe, batch, self._score).final.detach())
        made = torch.cat(parts)
        if not made.isfinite().all():
            raise ScoreMixError(
                "The score network gave values that are not numbers for this batch. Train again"
                " with a lower train.lr, or set generate.precision: float32."
            )
        return made.clamp(0.0, 1.0)

    def _units(self, x: Tensor) -> Tensor:
        """The batch in [0, 1] on the mixer's device; ConfigError for another than is promised."""
        if not isinstance(x, Tensor):
            raise ConfigError(f"A batch of {type(x).__name__} was given; mix takes a torch.Tensor.")
        if x.ndim != 4 or tuple(x.shape[1:]) != self.shape or not len(x):
            raise ConfigError(
                f"A batch of shape {tuple(x.shape)} was given; this run mixes (B, C, H, W) ="
                f" (B, {', '.join(map(str, self.shape))}), one image at least. Resize it, or make a"
                " run of that size."
            )
        if x.dtype == torch.uint8:
            low, high = 0.0, 255.0
        elif x.is_floating_point():
            low, high = self.value_range
        else:
            raise ConfigError(f"A batch of {x.dtype} was given; uint8 or floating point is mixed.")
        values = x.detach().to(self.device, torch.float32)
        least, most = values.amin().item(), values.amax().item()
        room = 1e-3 * (high - low)
        if not (low - room <= least and most <= high + room):  # NaN too
            raise ConfigError(
                f"The batch has values from {least:g} to {most:g}, and this mixer takes {low:g} to"
                f" {high:g}. Scale it, or load the mixer for your range, as in scoremix.load(run,"
                " value_range=(-1, 1))."
            )
        units = values.sub(low).div(high - low).clamp(0.0, 1.0)
        return units.contiguous(memory_format=torch.channels_last)

    def _class_ids(self, labels: Tensor | None, count: int) -> NDArray[np.int64]:
        """(B,) class ids; -1 where no labels are given."""
        if labels is None:
            return np.full(count, -1, dtype=np.int64)
        if not isinstance(labels, Tensor):
            raise ConfigError(
                f"Labels of {type(labels).__name__} were given; mix takes a torch.Tensor, as"
                " torch.tensor(labels)."
            )
        if labels.shape != (count,) or labels.is_floating_point() or labels.dtype == torch.bool:
            raise ConfigError(
                f"Labels of shape {tuple(labels.shape)} and {labels.dtype} were given for {count}"
                " images; give one whole number for each, the place of its class in mixer.classes."
            )
        ids = labels.detach().cpu().numpy().astype(np.int64)
        if ids.min() < -1 or ids.max() >= len(self.classes):
            raise ConfigError(
                f"Labels from {ids.min()} to {ids.max()} were given, and the run has"
                f" {len(self.classes)} classes: 0 to {len(self.classes) - 1}, -1 for none. Without"
                " classes leave labels out."
            )
        return ids

    def _draw(
        self, ids: NDArray[np.int64], generator: torch.Generator | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """Partners, lambdas and seeds of the images' noise, (B,) each."""
        device = "cpu" if generator is None else generator.device
        drawn = torch.randint(_SEEDS, (len(ids) + 1,), generator=generator, device=device)
        seeds: NDArray[np.int64] = drawn.cpu().numpy()
        random = np.random.default_rng(int(seeds[-1]))
        own = np.arange(len(ids))
        if self.pairing.alone:
            return own, np.ones(len(ids)), seeds[:-1]
        groups = ids if self.pairing.within else np.zeros_like(ids)
        partners = own.copy()
        for group in np.unique(groups):
            members = np.flatnonzero(groups == group)
            if len(members) > 1:  # one of the others, each as likely
                steps = random.integers(1, len(members), len(members))
                partners[members] = members[(np.arange(len(members)) + steps) % len(members)]
        lambdas = random.beta(self.pairing.alpha, self.pairing.alpha, len(ids))
        if self.method in PASTING:  # the exact share of the pixels that are pasted
            lambdas = whole_pixels(self.method, lambdas, self.shape[1])
        return partners, lambdas, seeds[:-1]
