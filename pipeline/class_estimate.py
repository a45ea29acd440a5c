"""What a dry run says of methods that make images class by class: images, and the recogniser."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from ..manifests.plan.new_classes import class_count
from ..models.network.device import one_thread
from ..stages.ingest.preview import IngestPreview
from ..stages.recognise.recognise import start_run
from ..stages.recognise.run import RecogniserOptions
from .config import Config
from .fingerprints import inputs_of_recognise
from .job import Job
from .ledger import Ledger
from .new_classes import is_recorded, needs_new_classes
from .speed_probe import timed


def images_made(config: Config, found: IngestPreview) -> int:
    """How many images are made beside the real ones.

    config: resolved.

    Raises ConfigError where there are not as many classes as are asked for.
    """
    generate = config.generate
    if not generate.by_class:
        return found.training * generate.ratio
    return _classes_made(config, found) * generate.images_per_class


def kind_made(config: Config, found: IngestPreview) -> str:
    """What they are, after "augmented": the ratio, or how many classes."""
    generate = config.generate
    if not generate.by_class:
        return f"ratio {generate.ratio}"
    new = "new " if needs_new_classes(config) else ""
    return f"{_classes_made(config, found):,} {new}classes of {generate.images_per_class:,}"


def shards_by_class(config: Config, found: IngestPreview, tried: pa.Table) -> str:
    """How many shards there are, about; with the reason where they are many.

    tried: a plan of these options, with new classes chosen at random.
    """
    size = config.write.shard_size
    count = len(pc.unique(tried["shard"]))
    if count <= 2 * (-(-found.training // size) + -(-images_made(config, found) // size)):
        return f"{count:,}"
    rounds = pc.max(tried["round"]).as_py()
    return (
        f"about {count:,}, small ones, since the class with the fewest images makes {rounds:,}"
        " rounds of them (images_per_class may be lower, or that class larger)"
    )


def _classes_made(config: Config, found: IngestPreview) -> int:
    asked = config.generate.new_classes
    if needs_new_classes(config):
        return class_count(asked, found.classes, len(config.generate.weights))
    return found.classes if asked is None else min(asked, found.classes)


def recognise_seconds(
    config: Config, found: IngestPreview, device: str, probe_seconds: float
) -> dict[str, float]:
    """{"recognise": seconds} of training the recogniser, from a few updates; {} where none is.

    config: resolved. probe_seconds: that the updates take, at least; 0 for three of them.

    Raises ConfigError for a side in pixels that no recogniser has.
    """
    if not needs_new_classes(config):
        return {}
    options = RecogniserOptions.over(config.recognise, found.training)
    repeated = np.concatenate([found.samples, found.samples])  # two images at least
    labels = np.arange(len(repeated)) % max(2, min(found.classes, len(repeated)))
    with one_thread():
        classes = max(2, found.classes)
        run = start_run(repeated, labels, classes, options, 0, torch.device(device))
        seconds = timed(run.update, run.device.type, probe_seconds)
    return {"recognise": seconds * options.updates}


def is_recognised(job: Job, config: Config, ledger: Ledger) -> bool:
    """Whether the new classes of a resolved config are selected."""
    digest = ledger.outcome("ingest").get("digest")
    if digest is None or not is_recorded(job.files, ledger):
        return False
    return ledger.why_stale("recognise", inputs_of_recognise(config, digest)) is None
