"""The own GAN of a trial: its options by those of the run, and how long a trial trains it."""

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from ..manifests.plan.plan import resolve_pairing
from ..models.gan.networks import GanShape
from ..models.network.device import one_thread
from ..stages.common.presets import trunk_precision
from ..stages.common.processors import usable_cores
from ..stages.ingest.preview import IngestPreview
from ..stages.trial.arms import OWN
from ..stages.trial.config import TrialConfig
from ..stages.trial.gan_run import GanOptions, GanRun
from .config import Config
from .speed_probe import timed
from .trial_check import check_side


def gan_options(config: Config, trial: TrialConfig, kind: str) -> GanOptions:
    """The options of the GANs. config: of the run, resolved. kind: of its first ingest's device."""
    precision = trial.precision
    if precision == "auto":  # as for the score network
        precision = trunk_precision(kind, "unet")
    return GanOptions(
        images=trial.images,
        snapshot_every=trial.snapshot_every,
        batch=trial.batch,
        lr=trial.lr,
        ema=trial.ema,
        augment=tuple(trial.augment),
        flip=trains_with_flips(config, trial),
        dtype=torch.bfloat16 if precision == "bfloat16" else None,
    )


def trains_with_flips(config: Config, trial: TrialConfig) -> bool:
    """Whether GANs see horizontal flips of their images; of a command, as far as it is asked."""
    return config.train.flip if trial.flip is None else trial.flip


def gan_shape(
    config: Config,
    trial: TrialConfig,
    *,
    side: int,
    channels: int,
    classes: int,
    sources: pa.Table,
) -> GanShape:
    """The shape of both networks: they know the class where images have some and mix within them.

    sources: of the corpus, schema SOURCES. Raises ConfigError for a side that none is built for.
    """
    check_side(side)
    labelled = classes > 0 and resolve_pairing(sources, config.generate.pairing) == "within"
    return GanShape(channels, side, trial.width, classes if labelled else 0)


def seconds_of_image(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64] | None,
    shape: GanShape,
    options: GanOptions,
    device: str,
    probe_seconds: float,
) -> float:
    """Times a few updates of one GAN; seconds for an image that it is shown.

    images: (N, H, W, C). labels: (N,). Several GANs at once share the cores: each has one.
    """
    with one_thread():
        gan = GanRun(images, labels, shape, options, 0, torch.device(device))
        return timed(gan.update, device, probe_seconds) / options.batch


def trial_time(
    config: Config, found: IngestPreview, kind: str, device: str, probe_seconds: float
) -> tuple[float, str]:
    """Seconds of the trial that a run ends with, and what is counted and what is not.

    config: resolved.
    """
    trial = config.trial
    gans = len(trial.corpora) * trial.seeds * (1 + len(set(trial.sizes)))
    if not trial.is_builtin:
        return 0.0, f"{gans} GANs by {trial.trainer or 'trial.command'}: not counted"
    shape = gan_shape(
        config,
        trial,
        side=found.resolution,
        channels=found.channels,
        classes=found.classes,
        sources=found.sources,
    )
    options = gan_options(config, trial, kind)
    labels = np.zeros(len(found.samples), np.int64) if shape.classes else None
    image = seconds_of_image(found.samples, labels, shape, options, device, probe_seconds)
    places = min(usable_cores() if device == "cpu" else 1, gans)
    text = f"{gans} GANs, {places} at once"
    left_out = [*_made_by_network(config), *(["networks of trial.sizes"] if trial.sizes else [])]
    if left_out:
        text += f"; not counted: {', '.join(left_out)}"
    return gans * options.steps * options.batch * image / places, text


def _made_by_network(config: Config) -> list[str]:
    """The arms whose images a network makes for the trial: not read from the run's shards."""
    generate, names = config.generate, []
    for arm in config.trial.corpora:
        is_read = arm.method == OWN and arm.ratio <= generate.ratio
        options = generate.model_copy(update={"repair_t0": None, **arm.changes})
        if arm.method is not None and not is_read and options.needs_network:
            names.append(f"making {arm.name}")
    return names
