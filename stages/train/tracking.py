"""Experiment trackers, through accelerate: losses and samples of the network at checkpoints.

A tracker only watches: nothing of it goes into the network, model.json or the training's identity.
Sheets come from noise of a stream of their own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import LoggerType
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import storage_errors
from ...manifests.plan.random_streams import image_seed, stream
from ...manifests.run_folder import TRACKING
from ...models.method.ladder import SIGMA_N
from ...models.method.methods import FrozenScore
from ...models.method.sampling import draw_samples
from ...models.network.score_net import ScoreNet
from ..common.accelerator import patient_accelerator
from ..common.tensors import to_pixels, to_unit
from .config import TrainConfig

_SAMPLES = 16  # images of a sheet
_LEVELS = 18  # of the network, two evaluations each
_OF_MEAN = 1000  # images that the mean image is of, at most


def tracked_accelerator(device: str, tracker: str, out: Path) -> Accelerator:
    """The accelerator of a training into `out` (score-net/), with its tracker."""
    if tracker == "none":
        return patient_accelerator(device)
    return patient_accelerator(
        device, log_with=LoggerType(tracker), project_dir=out.parent / TRACKING
    )


class Tracking:
    """What the accelerator's tracker is given; nothing where there is none.

    identity: of the training; wandb continues its run of the same one.
    """

    def __init__(
        self, accelerator: Accelerator, config: TrainConfig, out: Path, seed: int, identity: str
    ) -> None:
        self.accelerator, self.seed = accelerator, seed
        self._mean: torch.Tensor | None = None  # of the training images, once a sheet was drawn
        self.is_on = config.tracker != "none" and accelerator.is_main_process
        if config.tracker == "none":
            return
        folder = out.parent / TRACKING
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        options = {name: value for name, value in config.model_dump().items() if value is not None}
        wandb = {
            "dir": str(folder),
            "name": out.parent.name,
            "id": identity[:16],
            "resume": "allow",
        }
        accelerator.init_trackers("scoremix", options | {"seed": seed}, {"wandb": wandb})
        if not accelerator.trackers:
            raise ConfigError(
                f"train.tracker is {config.tracker}, which accelerate does not find here. Install"
                " it, or set train.tracker: none."
            )

    def checkpoint(self, step: int, loss: float, bands: Mapping[str, Mapping[str, float]]) -> None:
        """Losses: of the updates since the last checkpoint, and per band of sigma."""
        if self.is_on:
            values = {"loss": loss}
            for kind, losses in bands.items():
                values |= {f"{kind}/sigma {band}": value for band, value in losses.items()}
            self.accelerator.log(values, step=step)

    def sheet(self, step: int, net: ScoreNet, sigma_1: float, images: NDArray[np.uint8]) -> None:
        """Samples of the averaged network from noise that is the same at every checkpoint.

        images: the training images, uint8 (N, H, W, C).
        """
        if not self.is_on:
            return
        device = self.accelerator.device
        if self._mean is None:
            some = images[:: -(-len(images) // _OF_MEAN)]
            self._mean = to_unit(np.asarray(some), device).mean(0, keepdim=True)
        mean = self._mean
        random = stream(image_seed(self.seed, "tracker-sheet"), "sample")
        shape = (_SAMPLES, *mean.shape[1:])
        z = torch.from_numpy(random.standard_normal(shape, dtype=np.float32)).to(device)
        score = FrozenScore(net, sigma_1, SIGMA_N)
        nothing = torch.full((_SAMPLES,), -1, dtype=torch.long, device=device)
        samples = draw_samples(mean, z, score.conditioned_on(nothing), sigma_1, SIGMA_N, _LEVELS)
        for tracker in self.accelerator.trackers:
            options: dict[str, Any] = {}
            if tracker.name == "tensorboard":
                options["dataformats"] = "NHWC"
            tracker.log_images({"samples": to_pixels(samples)}, step=step, **options)

    def close(self) -> None:
        """Writes what the tracker still holds.

        Not Accelerator.end_training, which ends the process group too.
        """
        if self.is_on:
            for tracker in self.accelerator.trackers:
                tracker.finish()
