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
    device: str = "auto",
    value_range: tuple[float, float] = (0.0, 1.0),
) -> Mixer:
    """The mixer of a run: mixes batches as the run mixed its corpus.

    run: a run folder whose plan is made (`scoremix-pipeline run ... --until plan` suffices); it is
    only read.
    device: auto (a GPU if there is one), cpu, cuda or cuda:N, on which images are mixed.
    value_range: lowest and highest value of floating-point images; uint8 ones are in [0, 255].

    Raises:
        ConfigError: no run folder, options that were changed since its plan was made, no such
            device.
        ScoreMixError: a file of the run is missing or damaged.
    """
    folder = Path(run)
    require_run(folder)
    opened = load_finished_run(folder, finished=False)
    config, recipe, files = opened.config.generate, opened.planned.recipe, RunFolder(folder)
    if config.by_class:
        raise ConfigError(
            f"The method of {folder} is {config.method}, which makes images of classes and mixes no"
            " batch. Read its corpus with scoremix.Corpus, or load a run by another method."
        )
    on = torch.device(device if device.startswith("cuda:") else resolve_device(device))
    means = None
    if recipe.means_sha256 is not None:
        means = open_means(files, opened.corpus, recipe.means_sha256)
    score = None
    if config.needs_network:
        score = frozen_score(open_network(files, on), recipe, on)
    low, high = value_range
    if not low < high:
        raise ConfigError(
            f"value_range is {value_range}: give the lowest and the highest value of your images,"
            " as in value_range=(-1, 1)."
        )
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
