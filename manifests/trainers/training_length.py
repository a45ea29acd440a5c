"""How long a trainer trains: the length of its command, in its own unit, from images shown."""

import math
from typing import Any

from .layout import ExportListing
from .spec import TrainerSpec

LENGTHS = (
    "asked",
    "shown",
    "kimg",
    "mimg",
    "images",
    "eighth",
    "iterations",
    "one_more",
    "save_every",
    "last_checkpoint",
    "last_10000",
    "epochs",
    "last_epoch",
    "first_half",
    "second_half",
    "first_part",
    "last_part",
)
_SAVES = 10  # checkpoints of a trainer that keeps one every so many iterations
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
    iterations = max(1, round(asked / update))
    # The last one is kept as a checkpoint: it is a multiple of what lies between two of them.
    save_every = math.ceil(iterations / _SAVES)
    if iterations > _FEW:
        save_every = round(iterations / _SAVES)
    iterations = round(iterations / save_every) * save_every
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
        "save_every": save_every,
        "last_checkpoint": f"{iterations:06d}",
        "last_10000": f"{iterations // 10_000 * 10_000:06d}",
        "epochs": epochs,
        "last_epoch": epochs - 1,
        "first_half": math.ceil(epochs / 2),
        "second_half": epochs // 2,
        "first_part": math.ceil(epochs * 3 / 4),
        "last_part": epochs - math.ceil(epochs * 3 / 4),
    }
