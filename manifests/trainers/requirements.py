"""What a trainer needs of a corpus: its row of the table, what it cannot read, its commands."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from .layout import ExportListing, Target
from .spec import TrainerSpec
from .table import PLAIN, TRAINERS


@dataclass(frozen=True)
class Commands:
    """To copy after an export; empty where the preset names no trainer."""

    train: str
    evaluate: str
    real: str  # makes what `evaluate` compares with; empty where that is there
    notes: tuple[str, ...]


def trainer_names() -> tuple[str, ...]:
    """Every trainer of the table, once."""
    return tuple(dict.fromkeys(preset.trainer for preset in TRAINERS))


def find_spec(trainer: str | None, target: Target | None) -> TrainerSpec:
    """The row for a trainer, a target, or both; raises ConfigError where there is none."""
    if trainer is None:
        return _plain(target)
    rows = [preset for preset in TRAINERS if preset.trainer == trainer]
    if not rows:
        raise ConfigError(
            f"Trainer {trainer!r} is not known; use one of {', '.join(trainer_names())}, or name a "
            "layout with --to."
        )
    fitting = [preset for preset in rows if target in (None, preset.target)]
    if not fitting:
        readable = " or ".join(preset.target for preset in rows)
        raise ConfigError(f"{trainer} does not read {target}. Use --to {readable}.")
    return fitting[0]


def check_needs(listing: ExportListing, preset: TrainerSpec) -> None:
    """Raises ConfigError, with the remedy, where the trainer cannot read the listing."""
    side = listing.resolution
    who = preset.trainer or f"the {preset.target} layout"
    if preset.resolutions and side not in preset.resolutions:
        known = ", ".join(map(str, preset.resolutions))
        raise ConfigError(
            f"{who} has no {side} px; it has {known}. Build the corpus with ingest.resolution: "
            f"{min(preset.resolutions, key=lambda known: abs(known - side))}."
        )
    if preset.power_of_two and (side < 4 or side & (side - 1)):
        below = 1 << max(side.bit_length() - 1, 2)
        raise ConfigError(
            f"{who} needs images whose side is a power of two; these have {side} px. Build the "
            f"corpus with ingest.resolution: {below}."
        )
    if preset.needs_classes and listing.labels == "none":
        raise ConfigError(
            f"{who} needs classes, and this corpus has none. Put the images of each class into a "
            "sub-folder of its own and build the corpus again."
        )
    if preset.max_classes is not None and len(listing.classes) > preset.max_classes:
        raise ConfigError(
            f"{who} has {preset.max_classes} classes; this corpus has {len(listing.classes)}. "
            "Build a corpus of fewer classes."
        )


def commands_for(preset: TrainerSpec, listing: ExportListing, out: Path) -> Commands:
    """The preset's commands with the names and numbers of this export at the absolute `out`."""
    layout = listing.layout
    real = out if layout.real_only or layout.ratio == 0 else real_beside(out)
    facts = {
        "out": shlex.quote(str(out)),
        "real": shlex.quote(str(real)),
        "real_name": shlex.quote(real.stem),
        "name": listing.name,
        "resolution": listing.resolution,
        "network": _network(preset, listing.resolution),
        "classes": max(len(listing.classes), 1),
        "last_class": max(len(listing.classes) - 1, 0),
        "count": listing.count,
        "batch": max(1, min(256, listing.count // 2)),
        "cond": preset.conditional if is_labelled(listing) else "",
    }
    words = ["scoremix-pipeline", "export", str(listing.shards.absolute()), "--real-only"]
    words += ["--to", preset.real_to or preset.target, "--trainer", preset.trainer]
    words += ["--hard-labels", "argmax"] if layout.hard_labels else []
    return Commands(
        train=preset.train.format(**facts),
        evaluate=preset.evaluate.format(**facts),
        real=shlex.join([*words, "--out", str(real)])
        if "{real}" in preset.evaluate and real != out
        else "",
        notes=tuple(note.format(**facts) for note in preset.notes),
    )


def is_labelled(listing: ExportListing) -> bool:
    """Whether there is something for a conditional GAN to learn: labels of two or more classes."""
    return listing.labels != "none" and len(listing.classes) > 1


def real_beside(out: Path) -> Path:
    """Where an export of the real images alone would go: corpus.zip -> corpus-real.zip."""
    return out.with_name(f"{out.stem}-real{out.suffix}")


def _network(preset: TrainerSpec, side: int) -> int:
    """The smallest network that no image must be scaled down for, or the largest there is."""
    return min(
        (known for known in preset.networks if known >= side),
        default=max(preset.networks, default=side),
    )


def _plain(target: Target | None) -> TrainerSpec:
    if target is None:
        raise ConfigError("Name a layout with --to, or a trainer with --trainer.")
    if target not in PLAIN:
        raise ConfigError(
            f"--to {target} needs a trainer: BigGAN and StudioGAN want opposite axis orders under "
            "the same names. Add --trainer biggan (NCHW) or --trainer studiogan (NHWC)."
        )
    return PLAIN[target]
