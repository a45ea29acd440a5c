"""Whether the shards will fit on the disk: asked before the training, and before they are made."""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import StorageError
from ...manifests.storage.location import Place
from ...stages.common.units import format_bytes
from ...stages.corpus.store import Corpus
from ...stages.images.png import select_encoder
from ...stages.write.write import sample_bytes
from ..config import Config

_MARGIN = 0.8  # refuse only where free space is below this share of the estimate
_SAMPLED = 32  # images sampled to estimate the mean size of a sample


def check_room_before_training(config: Config, corpus: Corpus, shards: Place) -> None:
    """Raises StorageError where shards on a disk will not fit beside what is there.

    By the size of training images; what lies in `shards` already counts as room, since it is a
    part of them or will be replaced. Classes that are made count when they are planned.
    """
    if not isinstance(shards, Path) or config.generate.by_class:
        return
    images = corpus.training_images
    wanted = int(len(images) * (1 + config.generate.ratio) * estimate_sample_bytes(config, images))
    held = sum(path.stat().st_size for path in shards.glob("*")) if shards.is_dir() else 0
    refuse_full_disk(shards, wanted, held)


def estimate_sample_bytes(config: Config, images: NDArray[np.uint8]) -> float:
    """About how many bytes a sample takes in a shard, from some of the images."""
    some = images[:: max(1, len(images) // _SAMPLED)]
    return sample_bytes(some, select_encoder(config.write.encoder))


def refuse_full_disk(shards: Path, wanted: int, held: int = 0) -> None:
    """Raises StorageError where `wanted` bytes more than are `held` there have no room."""
    if not fits(shards, wanted - held):
        free = shutil.disk_usage(_existing(shards)).free
        raise StorageError(
            f"The shards that are missing will take about {format_bytes(max(0, wanted - held))};"
            f" {shards} has {format_bytes(free)} left. Nothing was begun. Free some space, or name"
            " another folder with augment --out; the same command resumes."
        )


def fits(folder: Path, wanted: int) -> bool:
    """Whether the disk below `folder`, which need not be there yet, has about that many bytes."""
    return shutil.disk_usage(_existing(folder)).free >= _MARGIN * wanted


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
