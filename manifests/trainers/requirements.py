"""Looks trainers up in the table, and decides which corpora they can read: sizes, classes."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from ..errors import ConfigError
from .layout import ExportListing
from .spec import CHECKED, Target, TrainerSpec
from .table import PLAIN, TRAINERS


def trainer_names() -> tuple[str, ...]:
    """Every trainer of the table, once."""
    return tuple(dict.fromkeys(spec.trainer for spec in TRAINERS))


def find_spec(trainer: str | None, target: Target | None) -> TrainerSpec:
    """The row for a trainer, a target, or both; raises ConfigError where there is none."""
    if trainer is None:
        return _plain(target)
    rows = [spec for spec in TRAINERS if spec.trainer == trainer]
    if not rows:
        raise ConfigError(
            f"Trainer {trainer!r} is not known; use one of {', '.join(trainer_names())}, or name a "
            "layout with --to."
        )
    fitting = [spec for spec in rows if target in (None, spec.target)]
    if not fitting:
        readable = " or ".join(spec.target for spec in rows)
        raise ConfigError(f"{trainer} does not read {target}. Use --to {readable}.")
    return fitting[0]


def _plain(target: Target | None) -> TrainerSpec:
    if target is None:
        raise ConfigError("Name a layout with --to, or a trainer with --trainer.")
    if target == "hdf5":
        raise ConfigError(
            f"--to {target} needs a trainer: BigGAN and StudioGAN want opposite axis orders under "
            "the same names. Add --trainer biggan (NCHW) or --trainer studiogan (NHWC)."
        )
    return PLAIN[target]


def reader_names() -> tuple[str, ...]:
    """What `check --for` takes: targets, then trainers."""
    return (*CHECKED, *trainer_names())


def specs_of(reader: str | None) -> list[TrainerSpec]:
    """The row of a target, all rows of a trainer, or for None those of every trainer."""
    if reader is None:
        return list(TRAINERS)
    plain = [spec for target, spec in PLAIN.items() if target == reader]
    return plain or [spec for spec in TRAINERS if spec.trainer == reader]


def size_problems(spec: TrainerSpec, width: int, height: int) -> list[str]:
    """Why the trainer cannot read an image of width x height pixels; empty where it can.

    The names are those of the rules of `check`: not-square, too-small, not-power-of-two,
    side-multiple, side-unknown. A trainer that resizes images reads every size.
    """
    if not spec.exact:
        return []
    problems = []
    if width != height:
        problems.append("not-square")
    if min(width, height) < spec.least_side:
        problems.append("too-small")
    if width == height:
        if spec.power_of_two and not is_power_of_two(width):
            problems.append("not-power-of-two")
        if width % spec.multiple_of:
            problems.append("side-multiple")
        if spec.sides and width not in spec.sides:
            problems.append("side-unknown")
    return problems


def list_sides(sides: Sequence[int]) -> str:
    """Sides in pixels, for a sentence: "256, 512, 1024"."""
    return ", ".join(map(str, sides))


def is_power_of_two(side: int) -> bool:
    """Whether `side` is 1, 2, 4, 8, ..."""
    return side > 0 and side & (side - 1) == 0


def single_image_spec(spec: TrainerSpec) -> TrainerSpec:
    """The row for one image in each of trainA and trainB, where the trainer has a mode for that."""
    if spec.single_image is None:
        return spec
    train, sample = spec.single_image
    return replace(spec, exact=False, sides=(), train=train, sample=sample, length=None)


def network_side(spec: TrainerSpec, side: int) -> int:
    """The smallest network that no image must be scaled down for, or the largest there is."""
    return min(
        (known for known in spec.networks if known >= side),
        default=max(spec.networks, default=side),
    )


def network_configuration(spec: TrainerSpec, side: int, *, labelled: bool = False) -> str:
    """The option of the networks that the trainer has for this side; "" where it has one sort."""
    known = (labelled and spec.class_configurations) or spec.configurations
    fitting = [option for least, option in known if least <= side]
    return fitting[-1] if fitting else next((option for _, option in known), "")


def fitting_batch(spec: TrainerSpec, images: int) -> int:
    """The largest batch up to the usual one of which the trainer can form the full ones it needs.

    1 where there are too few images for any.
    """
    if not spec.full_batches:
        return spec.batch
    return max(1, min(spec.batch, images // spec.full_batches))


def check_needs(listing: ExportListing, spec: TrainerSpec) -> None:
    """Raises ConfigError, with the remedy, where the trainer cannot read the listing.

    Sides, classes and the number of images; `export` checks the destination itself.
    """
    who = spec.trainer or f"the {spec.target} layout"
    _check_side(listing.resolution, spec_for(listing, spec), who)
    if spec.needs_classes and listing.labels == "none":
        raise ConfigError(
            f"{who} needs classes, and this corpus has none. Put the images of each class into a "
            "sub-folder of its own and build the corpus again."
        )
    if spec.max_classes is not None and len(listing.classes) > spec.max_classes:
        raise ConfigError(
            f"{who} has {spec.max_classes} classes; this corpus has {len(listing.classes)}. "
            "Build a corpus of fewer classes."
        )
    if listing.count < spec.least_images:
        raise ConfigError(
            f"{who} needs {spec.least_images} training images or more: its loader refuses fewer, or"
            f" forms no batch of them. This selection has {listing.count}. Take more rounds (a"
            " higher --ratio, without --real-only), or build a corpus of more images."
        )


def _check_side(side: int, spec: TrainerSpec, who: str) -> None:
    problems = size_problems(spec, side, side)
    if not problems:
        return
    if spec.sides:
        fault = f"has no {side} px; it has {list_sides(spec.sides)}"
    elif spec.multiple_of > 1:
        fault = f"needs images whose side is a multiple of {spec.multiple_of}; these have {side} px"
    elif side < spec.least_side:
        fault = f"needs images of {spec.least_side} px or more; these have {side} px"
    else:
        fault = f"needs images whose side is a power of two; these have {side} px"
    others = (row for row in TRAINERS if row.trainer == spec.trainer and row.trainer)
    reads = next((row.target for row in others if not size_problems(row, side, side)), None)
    instead = f", or add --to {reads}, which takes this side" if reads else ""
    raise ConfigError(
        f"{who} {fault}. Build the corpus with ingest.resolution: {readable_side(spec, side)}"
        f"{instead}."
    )


def readable_side(spec: TrainerSpec, side: int) -> int:
    """The largest side up to `side` that the trainer reads and usually has, or the smallest above.

    `check` has neither an error nor a warning for it. Of a trainer that scales images, or has usual
    sides: the one of its own that fits.
    """
    if known := (spec.usual_sides if spec.exact else spec.networks):
        return max((one for one in known if one <= side), default=min(known))
    smaller = (one for one in range(side, 0, -1) if _is_usual(spec, one))
    larger = (one for one in count(side) if _is_usual(spec, one))
    return next(smaller, 0) or next(larger)


def _is_usual(spec: TrainerSpec, side: int) -> bool:
    """Whether the trainer reads images of this side, without a reason to warn."""
    odd = spec.exact and spec.usual_power_of_two and not is_power_of_two(side)
    return not odd and not size_problems(spec, side, side)


def spec_for(listing: ExportListing, spec: TrainerSpec) -> TrainerSpec:
    """The row as it holds for this listing: trainers of single images read those otherwise."""
    single = listing.layout.target == "unpaired" and set(listing.class_counts()) <= {0, 1}
    return single_image_spec(spec) if single else spec
