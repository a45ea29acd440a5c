"""The commands of a trainer, filled in for one export: train, sample, evaluate."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .layout import ExportListing, domain_ids
from .presets import share_seeds
from .requirements import (
    fitting_batch,
    network_configuration,
    network_side,
    spec_for,
    specs_of,
)
from .spec import TrainerSpec
from .training_length import images_of_an_epoch, training_length

DRAWN = 5000  # samples that the commands draw
_APART = 0.02  # share by which a length in the trainer's unit may miss the images asked for


@dataclass(frozen=True)
class Commands:
    """To copy after an export, in this order; empty where there is none."""

    train: str
    sample: str
    generated: str  # `scoremix-pipeline evaluate` of the samples
    real: str  # makes what `evaluate` compares with; empty where that is there
    evaluate: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class TrainingPlan:
    """What the commands depend on beside the export."""

    run: Path | None = None  # the run that made the corpus
    shown: int | None = None  # images that a training shows; None: by the trainer's default
    alone: bool = False  # held-out images alone: for an evaluation, not for a training


def commands_for(
    spec: TrainerSpec, listing: ExportListing, out: Path, plan: TrainingPlan
) -> Commands:
    """The row's commands with the names and numbers of this export at the absolute `out`."""
    spec = spec_for(listing, spec)
    is_real = listing.last_round == 0 and spec.real_to in (None, spec.target)
    real = out if is_real else beside(out, "real")
    facts = _facts(spec, listing, out, real, plan)
    labelled = is_labelled(listing)
    sample = (labelled and spec.sample_classes) or spec.sample
    run = shlex.quote(str(plan.run)) if plan.run else "RUN"
    samples = spec.samples.format(**facts)
    evaluate = spec.evaluate.format(**facts)
    if _lacks_labels(spec, listing):
        evaluate = ""
    if plan.alone:
        return Commands("", "", "", "", evaluate.replace(str(facts["samples"]), "SAMPLES"), ())
    notes = [note.format(**facts) for note in spec.notes]
    return Commands(
        train=spec.train.format(**facts),
        sample=sample.format(**facts),
        generated=f"scoremix-pipeline evaluate {run} --generated {samples} --name {listing.name}"
        if sample
        else "",
        real=_real_command(spec, listing, real)
        if "{real}" in spec.evaluate and evaluate and real != out
        else "",
        evaluate=evaluate,
        notes=(*notes, *_notes(spec, listing, facts, plan)),
    )


def _facts(
    spec: TrainerSpec, listing: ExportListing, out: Path, real: Path, plan: TrainingPlan
) -> dict[str, Any]:
    """Placeholder -> value."""
    side = listing.resolution
    batch = fitting_batch(spec, images_of_an_epoch(listing))
    counts = listing.real_counts() if is_labelled(listing) else [1]
    samples = beside(out, "samples", is_folder=True)
    length = training_length(spec, listing, batch, plan.shown)
    averaged = length.get("iterations", 0) > spec.averaged_after
    return {
        "out": shlex.quote(str(out)),
        "real": shlex.quote(str(real)),
        "real_name": shlex.quote(real.name.removesuffix(".zip")),
        "samples": shlex.quote(str(samples)),
        "name": listing.name,
        "resolution": side,
        "network": network_side(spec, side),
        "configuration": network_configuration(spec, side, labelled=is_labelled(listing)),
        "gamma": f"{8.2 * (side / 512) ** 2:.3g}",
        "classes": max(len(listing.classes), 1),
        "last_class": max(len(listing.classes) - 1, 0),
        "count": listing.count,
        "sources": _images_of_a(listing),
        "batch": batch,
        "val_batch": max(1, min(32, *counts)),
        "cond": spec.conditional if is_labelled(listing) else "",
        "labelled": int(is_labelled(listing)),
        "drawn": DRAWN,
        "last_seed": DRAWN - 1,
        "tens": DRAWN // 10,
        "draws": share_seeds(counts, DRAWN),
        "weights": "ema" if averaged else "default",
        "weights_files": "*-ema.*" if averaged else "*[0-9].*",
    } | length


def _real_command(spec: TrainerSpec, listing: ExportListing, real: Path) -> str:
    """The export that `evaluate` compares with."""
    layout = listing.layout
    words = ["scoremix-pipeline", "export", str(listing.shards.absolute()), "--real-only"]
    target = spec.real_to or spec.target
    words += ["--to", target]
    if any(row.target == target for row in specs_of(spec.trainer)):
        words += ["--trainer", spec.trainer]
    words += ["--hard-labels", "argmax"] if layout.hard_labels else []
    words += ["--domains", ",".join(layout.domains)] if layout.domains else []
    return shlex.join([*words, "--out", str(real)])


def _notes(
    spec: TrainerSpec, listing: ExportListing, facts: dict[str, Any], plan: TrainingPlan
) -> list[str]:
    """What every trainer's user has to know of this export."""
    notes = []
    if spec.length is not None and spec.trainer:
        asked, shown = facts["asked"], facts["shown"]
        counted, apart = facts["counted_in"], abs(shown - asked) > _APART * asked
        notes.append(
            f"The training shows {shown:,} images, with repetition. Compare arms at equal numbers"
            + (f": {asked:,} were meant, which are no whole number of {counted}" if apart else "")
            + " (--images-shown sets it)."
        )
    if _lacks_labels(spec, listing):
        new = len(listing.classes) - listing.real_classes
        notes.append(
            "Its own evaluation draws the labels of its samples from the real images, which have"
            f" none of the {new:,} new classes: a network of {len(listing.classes):,} classes"
            " cannot be sampled with them. Use `scoremix-pipeline evaluate`, or train on an export"
            " with --real-classes-only."
        )
    elif plan.run and "{real}" in spec.evaluate:
        notes.append(
            "--held-out-only instead of --real-only exports the images that the run held out: a"
            " comparison with these does not reward memorising."
        )
    return notes


def _lacks_labels(spec: TrainerSpec, listing: ExportListing) -> bool:
    """Whether real images lack classes of the network, with whose labels it would be sampled."""
    fewer = listing.real_classes < len(listing.classes)
    return fewer and spec.draws_labels_of_data and is_labelled(listing)


def is_labelled(listing: ExportListing) -> bool:
    """Whether there is something for a conditional GAN to learn: labels of two or more classes."""
    return listing.labels != "none" and len(listing.classes) > 1


def _images_of_a(listing: ExportListing) -> int:
    """Images of domain A, which are translated; of all classes where there are no domains."""
    counts = listing.class_counts()
    if listing.layout.target != "unpaired" or not counts:
        return (counts or [listing.count])[0]
    return counts[domain_ids(listing.layout, listing.classes)[0]]


def beside(out: Path, word: str, *, is_folder: bool = False) -> Path:
    """A path beside an export: corpus.zip -> corpus-real.zip, or corpus-real for a folder.

    Of a folder a dot is a part of its name: arm.1 and arm.10 are two arms.
    """
    ending = out.suffix if out.suffix == ".zip" else ""
    stem = out.name.removesuffix(ending)
    return out.with_name(f"{stem}-{word}{'' if is_folder else ending}")
