"""How long a trainer trains: the length of its command, in its own unit, from images shown."""

import math
from typing import Any

from .layout import ExportListing
from .spec import TrainerSpec, TrainLength

LENGTHS = (
    "asked",
    "shown",
    "kimg",
    "mimg",
    "images",
    "eighth",
    "iterations",
    "one_more",
    "one_less",
    "save_every",
    "last_checkpoint",
    "epochs",
    "last_epoch",
    "save_epochs",
    "first_half",
    "second_half",
    "first_part",
    "last_part",
    "counted_in",
)
_SAVES = 10  # checkpoints of a trainer that keeps one every so many iterations or epochs
_MOST_SAVES = 100  # of a length that no smaller number divides
_FEW = 1000  # iterations up to which their number is not rounded to a multiple of _SAVES


def images_of_an_epoch(listing: ExportListing, *, real: bool = False) -> int:
    """Images of the export that an epoch shows, or of its real ones; unpaired: the larger side."""
    counts = listing.real_counts() if real else listing.class_counts() or [listing.count]
    return max(counts) if listing.layout.target == "unpaired" else sum(counts)


def training_length(
    spec: TrainerSpec, listing: ExportListing, batch: int, shown: int | None
) -> dict[str, Any]:
    """Placeholder -> value: the length in every unit, and how many images that shows.

    shown: images asked for; None: as many as the trainer's own default shows, whose epochs are of
        the real images, so that arms of every ratio are trained equally long.
    """
    length = spec.length
    if length is None:
        return {}
    update = max(1, length.update * batch // spec.batch)  # a smaller batch needs more of them
    own = {
        "images": 1,
        "iterations": length.update,
        "epochs": images_of_an_epoch(listing, real=True),
    }
    asked = shown or length.amount * own[length.unit]
    epoch = images_of_an_epoch(listing)
    epoch -= epoch % max(1, batch * spec.full_batches)
    epochs = max(1, round(asked / max(1, epoch)))
    iterations, save_every = _iterations(length, asked, update)
    if length.unit == "epochs":
        iterations = max(1, epochs * epoch // max(1, batch * spec.full_batches))
        save_every = _between_saves(iterations)
    images = max(1, round(asked / length.update)) * length.update
    counted = {"images": images, "iterations": iterations * update, "epochs": epochs * epoch}
    return {  # the names are LENGTHS
        "asked": asked,
        "shown": counted[length.unit],
        "kimg": images // 1000,
        "mimg": f"{images / 1e6:g}",
        "images": images,
        "eighth": images // 8,
        "iterations": iterations,
        "one_more": iterations + 1,
        "one_less": max(1, iterations - 1),
        "save_every": save_every,
        "last_checkpoint": f"{iterations:06d}",
        "epochs": epochs,
        "last_epoch": epochs - 1,
        "save_epochs": _between_saves(epochs),
        "first_half": math.ceil(epochs / 2),
        "second_half": epochs // 2,
        "first_part": math.ceil(epochs * 3 / 4),
        "last_part": epochs - math.ceil(epochs * 3 / 4),
        "counted_in": _counted_in(length, update),
    }


def _iterations(length: TrainLength, asked: int, update: int) -> tuple[int, int]:
    """How many updates of `update` images, and how many lie between two checkpoints.

    The last one is kept as a checkpoint: the first number is a multiple of the second.
    """
    iterations = max(1, round(asked / update))
    if length.kept_every:
        return math.ceil(iterations / length.kept_every) * length.kept_every, length.kept_every
    save_every = math.ceil(iterations / _SAVES)
    if iterations > _FEW:
        save_every = round(iterations / _SAVES)
    return round(iterations / save_every) * save_every, save_every


def _between_saves(total: int) -> int:
    """Epochs or updates between two checkpoints: divides `total`, so that the last one is kept."""
    parts = (*range(_SAVES, 1, -1), *range(_SAVES + 1, _MOST_SAVES + 1))
    return next((total // number for number in parts if total % number == 0), total)


def _counted_in(length: TrainLength, update: int) -> str:
    """What the length is a whole number of, for a sentence."""
    if length.kept_every:
        return f"its checkpoints, one every {length.kept_every:,} updates of {update:,} images"
    if length.unit == "epochs":
        return "its epochs"
    return f"its steps of {length.update if length.unit == 'images' else update:,} images"
