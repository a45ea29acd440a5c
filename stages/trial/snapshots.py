"""Snapshots of a GAN: its averaged generator on disk, and the samples that it draws.

snapshots/0003125.safetensors   the generator after so many updates, with the facts of that moment
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from ...manifests.errors import ScoreMixError
from ...manifests.files.atomic import write_bytes
from ...manifests.files.json_reader import parse_json
from ...manifests.plan.random_streams import image_seed, stream
from ...models.gan.networks import LATENT, GanShape, Generator
from ..common.tensors import to_pixels

_FOLDER = "snapshots"
_SETTLING = 16  # batches from which batch norm's statistics are taken
_SAMPLED = 256  # images drawn at once

Images = NDArray[np.uint8]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Sampler:
    """Draws from generators of one GAN: the same latents and classes at every snapshot."""

    seed: int  # of the GAN
    labels: Ids | None  # of its corpus, by which classes are drawn; None for unconditional
    device: torch.device
    dtype: torch.dtype | None  # of convolutions; None: float32

    @torch.no_grad()
    def settle(self, net: Generator, batch: int) -> None:
        """Takes batch norm's statistics of this very network, over seeded latents.

        The running ones of training are those of weights that are not averaged. Standing
        statistics: Brock et al. 2019, arXiv 1809.11096.
        """
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.reset_running_stats()
                layer.momentum = None  # the mean of all batches
        net.train()
        z, labels = self._given(_SETTLING * batch, "trial-statistics")
        for start in range(0, len(z), batch):
            self._draw(net, z, labels, slice(start, start + batch))
        net.eval()

    @torch.no_grad()
    def draw(self, net: Generator, count: int, purpose: str = "trial") -> Images:
        """(count, H, W, C) of a settled generator."""
        z, labels = self._given(count, purpose)
        parts = [slice(start, start + _SAMPLED) for start in range(0, count, _SAMPLED)]
        drawn = (self._draw(net, z, labels, part) for part in parts)
        return np.concatenate([to_pixels((x + 1.0) / 2.0) for x in drawn])

    def _given(self, count: int, purpose: str) -> tuple[torch.Tensor, torch.Tensor | None]:
        random = stream(image_seed(self.seed, purpose), "latents")
        z = torch.from_numpy(random.standard_normal((count, LATENT), dtype=np.float32))
        if self.labels is None:
            return z, None
        return z, torch.from_numpy(self.labels[random.integers(len(self.labels), size=count)])

    def _draw(
        self, net: Generator, z: torch.Tensor, labels: torch.Tensor | None, part: slice
    ) -> torch.Tensor:
        given = None if labels is None else labels[part].to(self.device)
        with half_precision(self.device, self.dtype):
            made: torch.Tensor = net(z[part].to(self.device), given)
        return made


def half_precision(device: torch.device, dtype: torch.dtype | None) -> torch.autocast:
    """A context in which convolutions are computed in `dtype`; None leaves them in float32."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def write_snapshot(folder: Path, net: Generator, identity: str, facts: dict[str, Any]) -> None:
    """Writes folder/snapshots/STEP.safetensors. facts: with `step`; identity: of the training."""
    tensors = {name: each.detach().cpu().contiguous() for name, each in net.state_dict().items()}
    known = json.dumps({"identity": identity, "facts": facts})
    write_bytes(_place(folder, facts["step"]), save(tensors, {"snapshot": known}))


def has_snapshot(folder: Path, step: int, identity: str) -> bool:
    """Whether there is one of this training, or a file of which that cannot be said."""
    try:
        with safe_open(_place(folder, step), framework="pt") as file:
            return bool(parse_json(file.metadata()["snapshot"])["identity"] == identity)
    except FileNotFoundError:
        return False
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return True  # damaged: who reads it says so


def read_snapshot(
    folder: Path, step: int, identity: str, shape: GanShape, device: torch.device
) -> tuple[Generator, dict[str, Any]]:
    """A generator and its facts. Raises ScoreMixError for a file that is damaged or gone."""
    path = _place(folder, step)
    try:
        with safe_open(path, framework="pt") as file:
            known = parse_json(file.metadata()["snapshot"])
            if known["identity"] != identity:
                raise ValueError("it is of another training")
            net = Generator(shape)
            net.load_state_dict({name: file.get_tensor(name) for name in net.state_dict()})
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ScoreMixError(
            f"{path}, a snapshot of a trial's GAN, is damaged or gone ({error}). Delete the folder"
            f" {folder}: the same command trains that GAN from the start."
        ) from error
    layout = torch.channels_last
    net = net.to(device, memory_format=layout)  # type: ignore[call-overload]
    return net.requires_grad_(False).eval(), dict(known["facts"])


def _place(folder: Path, step: int) -> Path:
    return folder / _FOLDER / f"{step:07d}.safetensors"
