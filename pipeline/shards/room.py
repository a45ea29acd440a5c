"""Whether the shards will fit, before hours of training are spent on them."""

import shutil
from pathlib import Path

from ...manifests.errors import StorageError
from ...manifests.storage.location import Place
from ...stages.common.units import format_bytes
from ...stages.corpus.store import Corpus
from ...stages.images.png import select_encoder
from ...stages.write.write import sample_bytes
from ..config import Config
from .destination import DISK_MARGIN

_SAMPLED = 50  # images whose size as PNG is measured


def check_room_before_training(config: Config, corpus: Corpus, shards: Place) -> None:
    """Raises StorageError where shards on a disk will not fit beside what is there.

    By the size of training images; what lies in `shards` already counts as room, since it is a
    part of them or will be replaced. Classes that are made count when they are planned.
    """
    if not isinstance(shards, Path) or config.generate.by_class:
        return
    images = corpus.training_images
    some = images[:: max(1, len(images) // _SAMPLED)]
    each = sample_bytes(some, select_encoder(config.write.encoder))
    wanted = int(len(images) * (1 + config.generate.ratio) * each)
    there = next(path for path in (shards, *shards.parents) if path.exists())
    free = shutil.disk_usage(there).free
    held = sum(path.stat().st_size for path in shards.glob("*")) if shards.is_dir() else 0
    if free + held < DISK_MARGIN * wanted:
        raise StorageError(
            f"The shards will take about {format_bytes(wanted)}; {shards} has"
            f" {format_bytes(free)} left. Nothing was trained. Free some space, or name another"
            " folder with augment --out; the same command goes on."
        )
