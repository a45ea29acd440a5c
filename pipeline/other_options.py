"""Images of a finished run's corpus by other options of `generate`, for arms of comparisons."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from ..manifests.errors import ConfigError
from ..manifests.plan.new_classes import NewClass
from ..manifests.run_folder import RunFolder
from ..stages.generate.config import CONDITIONED, GenerateConfig
from .config import Config
from .finished_run import FinishedRun
from .means import open_means
from .planned import plan_anew, recipe_of
from .shards.builder import ShardBuilder
from .trained_network import read_model_facts


def other_options(
    config: Config, changes: Mapping[str, object], side: int, device_type: str
) -> GenerateConfig:
    """`generate` with a method's changes; what suits only the run's method is the preset's.

    config: resolved and decided.
    """
    train = config.train
    assert train.width
    open_ones = dict.fromkeys(("alpha", "t0", "denoise_steps"))
    plain = GenerateConfig().model_dump(include={"contrast", "keep", "gamma", "repair_t0"})
    changed = config.generate.model_copy(update={**open_ones, **plain, **changes})
    return changed.resolved(train.preset, side, train.width, device_type, train.network)


def check_has_network(run: FinishedRun, options: GenerateConfig) -> None:
    """Raises ConfigError where these options need a score network, and the run has none."""
    if options.needs_network and not run.has_network:
        better = "compose" if options.method in CONDITIONED else "auto"
        raise ConfigError(
            f"An arm by {options.method} needs a score network, and {run.folder} has none: its"
            f" method is {run.config.generate.method}. Leave the arm out, or make a run with"
            f" generate.method: {better}."
        )


def builder_by(
    run: FinishedRun,
    options: GenerateConfig,
    device: str,
    stopping: Callable[[], bool],
    new_classes: tuple[NewClass, ...] = (),
) -> ShardBuilder:
    """Makes images as a run with these options would: plan, recipe and means, without the network.

    options: resolved; `run.with_network` adds the network that they need.
    """
    files, corpus = RunFolder(run.folder), run.corpus
    config = run.config.model_copy(update={"generate": options})
    model = read_model_facts(files) if options.needs_network else None
    recorded = run.planned.recipe.means_sha256
    means = open_means(files, corpus, recorded).sha256 if options.needs_means else None
    recipe = recipe_of(config, model, corpus, means, new_classes)
    planned = plan_anew(config, corpus, recipe, new_classes)
    return replace(run.builder(device), config=config, stopping=stopping, planned=planned)
