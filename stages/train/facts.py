"""model.json: the network's shape, its noise ladder, and how it was trained."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import sha256_file
from ...manifests.plan.random_streams import some_rows
from ...models.method.diameter import diameter
from ...models.method.ladder import SIGMA_N
from ...models.network.architecture import Architecture
from ...models.network.checkpoint import FORMAT, GUIDE, WEIGHTS
from ...models.network.score_net import ScoreNet
from ..common.progress import Progress
from ..corpus.store import Corpus
from .config import TrainConfig
from .validation import MEASURED_IMAGES, real_norms


def architecture_of(config: TrainConfig, shape: tuple[int, ...], classes: int) -> Architecture:
    """The network that `config` (resolved) asks for.

    shape: of the training images, (N, H, W, C). classes: how many the corpus has; 0 without.

    Raises ConfigError where an option is the other network's, or labels are asked for without any.
    """
    assert config.width and config.network
    _, side, _, channels = shape
    if config.network == "refinenet":
        _refuse_options_of_unet(config)
        return Architecture(channels, side, config.width, config.conditioning)
    if config.labels and not classes:
        raise ConfigError(
            "train.labels is true, and the images have no classes. Leave it out, or put the images"
            " of each class into a folder of its own."
        )
    return Architecture(
        channels,
        side,
        config.width,
        network="unet",
        dropout=config.dropout or 0.0,
        classes=classes if config.labels else 0,
        views=bool(config.augment),
        block=config.block,
    )


def drawn_classes(config: TrainConfig, corpus: Corpus) -> NDArray[np.int64] | None:
    """(N,) classes by which `config` (resolved) draws images; None: every image as often.

    Raises ConfigError where images without classes are to be drawn by class.
    """
    check_draw(config, len(corpus.classes))
    return corpus.training_ids if config.draw == "classes" else None


def check_draw(config: TrainConfig, classes: int) -> None:
    """Raises ConfigError where images of no class are to be drawn by class."""
    if config.draw == "classes" and not classes:
        raise ConfigError(
            "train.draw is classes, and the images have no classes. Leave it out, or put the images"
            " of each class into a folder of its own."
        )


def _refuse_options_of_unet(config: TrainConfig) -> None:
    wrong = [name for name in ("dropout", "augment", "labels", "block") if getattr(config, name)]
    wrong += ["levels"] if config.levels == "lognormal" else []
    if wrong:
        value = getattr(config, wrong[0])
        raise ConfigError(
            f"train.{wrong[0]} is {value}, which the RefineNet does not know. Leave it out, or set"
            " train.network: unet."
        )


def describe_training(
    net: ScoreNet,
    folder: Path,
    ladder: NDArray[np.float64],
    corpus: Corpus,
    *,
    seed: int,
    algorithm: int,
    norm_real: dict[str, Any],
    training: dict[str, Any],
) -> dict[str, Any]:
    """The content of model.json; the weights in `folder` are written before it."""
    proper, conditioning = net.count_parameters()
    guide = folder / GUIDE
    has_guide = net.architecture.network == "unet" and guide.exists()
    return {
        "format": FORMAT,
        "algorithm": algorithm,
        "architecture": net.architecture.describe(),
        "parameters": {"network": proper, "conditioning": conditioning},
        "ladder": {
            "sigma_1": float(ladder[0]),
            "sigma_N": SIGMA_N,
            "levels": ladder.tolist(),
        },
        "corpus_digest": corpus.digest,
        "seed": seed,
        "weights_sha256": sha256_file(folder / WEIGHTS),
        **({"guide_sha256": sha256_file(guide)} if has_guide else {}),
        "training": training,
        "norm_real": norm_real,
    }


def median_norm(
    net: ScoreNet, ladder: NDArray[np.float64], corpus: Corpus, seed: int, device: torch.device
) -> dict[str, Any]:
    """Median ||sigma_N S||^2 / D of real images, where `generate.stop: real` stops.

    Measured on a seeded choice of MEASURED_IMAGES of them.
    """
    held_out = len(corpus.reference) > 0
    every = corpus.reference if held_out else corpus.images
    ids = corpus.reference_ids if held_out else corpus.training_ids
    places = np.arange(len(every)) if held_out else corpus.training_rows
    rows = places[some_rows(len(places), MEASURED_IMAGES, seed, "norms of real images")]
    norms = real_norms(net, float(ladder[0]), every[rows], ids[rows], device)
    return {"median": float(np.median(norms)), "of": "held out" if held_out else "training"}


def sigma_1_of(corpus: Corpus, progress: Progress) -> float:
    """The exact largest distance between two training images; ConfigError where all are equal."""
    with progress.task("sigma_1", len(corpus.images), "images") as advance:
        found = diameter(corpus.images, advance)
    if found.squared == 0:
        raise ConfigError(
            f"All {len(corpus.images)} training images are the same: there is nothing to mix."
            " Give at least two different images."
        )
    return found.sigma_1
