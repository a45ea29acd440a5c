"""Opens a run folder for mixing: its network, method, options and mean images."""

import os
from pathlib import Path

import torch

from ...manifests.errors import ConfigError
from ...manifests.plan.methods import ONE_PARENT
from ...manifests.run_folder import RunFolder
from ...stages.generate.generate import frozen_score
from ..commands.options import resolve_device
from ..finished_run import load_finished_run
from ..ledger import require_run
from ..means import open_means
from ..trained_network import open_network
from .mixer import Mixer, Pairing


def load(
    run: str | os.PathLike[str],
    *,
    device: str | torch.device = "auto",
    value_range: tuple[float, float] = (0.0, 1.0),
) -> Mixer:
    """The mixer of a run: mixes batches as the run mixed its corpus.

    run: a run folder whose plan is made (`scoremix-pipeline run ... --until plan` suffices), or the
    shards that it made; it is only read.
    device: auto (a GPU if there is one), cpu, cuda or cuda:N, on which images are mixed.
    value_range: lowest and highest value of floating-point images; uint8 ones are in [0, 255].

    Raises:
        ConfigError: no run folder, options that were changed since its plan was made, no such
            device.
        ScoreMixError: a file of the run is missing or damaged.
    """
    folder = require_run(Path(run))
    opened = load_finished_run(folder, finished=False)
    config, recipe, files = opened.config.generate, opened.planned.recipe, RunFolder(folder)
    if config.by_class:
        raise ConfigError(
            f"The method of {folder} is {config.method}, which makes images of classes and mixes no"
            " batch. Read its corpus with scoremix.Corpus, or load a run by another method."
        )
    on, (low, high) = _open_device(device), _checked_range(value_range)
    means = None
    if recipe.means_sha256 is not None:
        means = open_means(files, opened.corpus, recipe.means_sha256)
    score = None
    if config.needs_network:
        score = frozen_score(open_network(files, on), recipe, on)
    assert config.alpha is not None, "decided"
    within = config.pairing == "within" or (
        config.pairing == "auto" and bool(opened.corpus.classes)
    )
    pairing = Pairing(config.alpha, within=within, alone=config.method in ONE_PARENT)
    return Mixer(
        recipe,
        score,
        means,
        pairing,
        shape=(opened.corpus.images.shape[3], *opened.corpus.images.shape[1:3]),
        classes=tuple(opened.corpus.classes),
        device=on,
        value_range=(low, high),
    )


def _open_device(device: str | torch.device) -> torch.device:
    """Raises ConfigError for a device that this torch does not have."""
    if device == "auto":
        device = resolve_device("auto")
    try:
        return torch.empty(0, device=device).device
    except (AssertionError, RuntimeError, TypeError) as error:  # torch raises each of them
        why = str(error).partition("\n")[0].rstrip(".")
        raise ConfigError(
            f"device={str(device)!r} was asked for, and torch cannot use it ({why}). Give auto,"
            " cpu, or cuda (cuda:1 and so on) where torch sees a GPU."
        ) from error


def _checked_range(value_range: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = map(float, value_range)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not low < high:
        raise ConfigError(
            f"value_range is {value_range!r}: give the lowest and the highest value of your images,"
            " as in value_range=(-1, 1)."
        )
    return low, high
