"""The commands of a trainer, filled in for one export: train, evaluate, export the real images."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from .layout import ExportListing
from .requirements import network_side, spec_for
from .spec import TrainerSpec


@dataclass(frozen=True)
class Commands:
    """To copy after an export; empty where the row names no trainer."""

    train: str
    evaluate: str
    real: str  # makes what `evaluate` compares with; empty where that is there
    notes: tuple[str, ...]


def commands_for(spec: TrainerSpec, listing: ExportListing, out: Path) -> Commands:
    """The row's commands with the names and numbers of this export at the absolute `out`."""
    layout, spec = listing.layout, spec_for(listing, spec)
    real = out if layout.real_only or layout.ratio == 0 else real_beside(out)
    facts = {
        "out": shlex.quote(str(out)),
        "real": shlex.quote(str(real)),
        "real_name": shlex.quote(real.stem),
        "name": listing.name,
        "resolution": listing.resolution,
        "network": network_side(spec, listing.resolution),
        "classes": max(len(listing.classes), 1),
        "last_class": max(len(listing.classes) - 1, 0),
        "count": listing.count,
        "batch": max(1, min(256, listing.count // 2)),
        "cond": spec.conditional if is_labelled(listing) else "",
    }
    words = ["scoremix-pipeline", "export", str(listing.shards.absolute()), "--real-only"]
    words += ["--to", spec.real_to or spec.target, "--trainer", spec.trainer]
    words += ["--hard-labels", "argmax"] if layout.hard_labels else []
    return Commands(
        train=spec.train.format(**facts),
        evaluate=spec.evaluate.format(**facts),
        real=shlex.join([*words, "--out", str(real)])
        if "{real}" in spec.evaluate and real != out
        else "",
        notes=tuple(note.format(**facts) for note in spec.notes),
    )


def is_labelled(listing: ExportListing) -> bool:
    """Whether there is something for a conditional GAN to learn: labels of two or more classes."""
    return listing.labels != "none" and len(listing.classes) > 1


def real_beside(out: Path) -> Path:
    """Where an export of the real images alone would go: corpus.zip -> corpus-real.zip."""
    return out.with_name(f"{out.stem}-real{out.suffix}")
