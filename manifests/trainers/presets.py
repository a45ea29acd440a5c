"""The presets of `trial`, filled in for one arm: the trainer's own units, classes and samples.

Placeholders of a preset's command. Of the call: {data} the arm in the trainer's layout, {out} the
GAN's empty folder, {seed}, {gpu}. Of the machine: {checkout} of the trainer, {python} its
interpreter, {runner} our script for what the trainer cannot do. Of the corpus: {resolution},
{network} the side of the network that fits it, {classes} (1 without), {count} images of an epoch,
{cond}, {class_option}, {draws} (CLASS:SEEDS, in the proportions of the training images), {sources}
and {outputs} of a translation. Of the length: {kimg}, {ticks} between snapshots, {iterations},
{epochs}, {first_half}, {second_half}, {every} iterations or epochs between snapshots,
{early_epochs}, {copies}, {last_snapshot}, {shown} images, {batch}, {update} images of an update,
{samples}, {gamma}.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .requirements import network_side
from .spec import TrainerSpec, TrialPreset

_TICK = (
    4000  # images between two status lines of StyleGAN's trainers, which count snapshots in them
)
_APART = 0.02  # share of trial.images by which a length in the trainer's unit may miss it


@dataclass(frozen=True)
class ArmSize:
    """What a command depends on of an arm's corpus."""

    real: tuple[int, ...]  # training images of each class; one number without classes
    ratio: int  # images made for each
    resolution: int  # side in pixels
    labelled: bool  # two classes or more, which a conditional GAN can learn

    @property
    def count(self) -> int:
        """Images of the arm."""
        return sum(self.real) * (1 + self.ratio)


@dataclass(frozen=True)
class TrialLength:
    """How long every GAN of a trial is trained, and how much it is sampled."""

    images: int  # shown, with repetition
    snapshot_every: int  # images
    samples: int  # of a snapshot
    smallest: int  # images of the smallest arm, which bounds the batch of all

    @property
    def snapshots(self) -> int:
        """How many there are."""
        return max(1, round(self.images / self.snapshot_every))


def preset_facts(spec: TrainerSpec, arm: ArmSize, length: TrialLength) -> dict[str, Any]:
    """Placeholder -> value, of the corpus and the length; `shown` is what an arm is shown."""
    preset = spec.preset
    assert preset is not None
    epoch = (1 + arm.ratio) * max(arm.real) if spec.target == "unpaired" else arm.count
    if preset.whole_batches:
        epoch = max(preset.update, epoch - epoch % preset.update)
    facts = {
        "resolution": arm.resolution,
        "network": network_side(spec, arm.resolution),
        "classes": len(arm.real),
        "count": epoch,
        "cond": spec.conditional if arm.labelled else "",
        "class_option": " --class=${draw%%:*}" if arm.labelled else "",
        "draws": share_seeds(arm.real if arm.labelled else (1,), length.samples),
        "sources": min(length.samples, arm.real[0]),
        "outputs": _outputs(arm.real, length.samples),
        "samples": length.samples,
        "gamma": f"{0.0002 * arm.resolution**2 / 32:.4g}",
    }
    return facts | _length(preset, epoch, length)


def _length(preset: TrialPreset, epoch: int, length: TrialLength) -> dict[str, Any]:
    """The training in the trainer's unit. All are there, whichever the command names."""
    update = preset.update
    if preset.halves > 1:  # it drops batches that are not full, and loads so many at once
        update = preset.halves * min(update // preset.halves, length.smallest // preset.halves)
    update = max(update, preset.halves)
    snapshots, kimg = length.snapshots, max(1, round(length.images / 1000))
    if preset.unit == "epochs":
        epochs = max(1, round(length.images / epoch))
        every = max(1, round(epochs / snapshots))
        iterations = epochs * math.ceil(epoch / update)
        shown = epochs * epoch
    else:
        every = max(1, round(length.images / snapshots / update))
        iterations = snapshots * every
        # Where epochs are asked for, the last may go on after that.
        epochs = math.ceil(iterations / max(1, epoch // update))
        shown = 1000 * kimg if preset.unit == "kimg" else iterations * update
    return {
        "kimg": kimg,
        "ticks": max(1, round(length.snapshot_every / _TICK)),
        "iterations": iterations,
        "epochs": epochs,
        "first_half": math.ceil(epochs / 2),
        "second_half": epochs // 2,
        "every": every,
        "early_epochs": " ".join(map(str, range(every, epochs, every))),
        "copies": max(snapshots, epochs * (epoch // update) // every),
        "last_snapshot": snapshots - 1,
        "shown": shown,
        "batch": update // preset.halves,
        "update": update,
    }


def share_seeds(weights: Sequence[int], samples: int) -> str:
    """CLASS:FIRST-LAST for each class: seeds 0 to samples - 1, shared out by weight."""
    ends = [round(samples * sum(weights[: k + 1]) / sum(weights)) for k in range(len(weights))]
    parts = zip([0, *ends], ends, strict=False)
    return " ".join(f"{k}:{first}-{end - 1}" for k, (first, end) in enumerate(parts) if end > first)


def _outputs(real: Sequence[int], samples: int) -> int:
    """Translations of each image into each other class, so that each class gets `samples`."""
    fewest = max(1, sum(real) - max(real))
    return max(1, min(10, math.ceil(samples / fewest)))


def check_lengths(spec: TrainerSpec, facts: Mapping[str, Mapping[str, Any]], images: int) -> None:
    """Raises ConfigError where an arm would be shown another number of images than `images`.

    facts: arm -> its preset_facts.
    """
    assert spec.preset is not None
    unit, one = spec.preset.unit, max(facts.values(), key=lambda each: int(each["count"]))
    counts = [int(each["count"]) for each in facts.values()]
    whole = {"kimg": 1000, "iterations": int(one["update"]), "epochs": math.lcm(*counts)}[unit]
    counted = {
        "kimg": "thousands of images",
        "iterations": f"updates of {one['update']} images",
        "epochs": f"whole epochs, of {', '.join(f'{count:,}' for count in counts)} images",
    }[unit]
    for arm, each in facts.items():
        shown = int(each["shown"])
        if abs(shown - images) > _APART * images:
            raise ConfigError(
                f"{spec.trainer} counts its training in {counted}: of {images:,} images, arm {arm}"
                f" would be shown {shown:,}, and arms could not be compared. Set trial.images to a"
                f" multiple of {whole:,}, or to {math.ceil(max(counts) / 2 / _APART):,} or more."
            )


def check_checkout(trainer: str, preset: TrialPreset, checkout: Path) -> None:
    """Raises ConfigError where the folder lacks a file that the preset runs."""
    missing = [name for name in preset.scripts if not (checkout / name).is_file()]
    if missing:
        raise ConfigError(
            f"trial.checkout names {checkout}, which"
            f" {'has no ' + missing[0] if checkout.is_dir() else 'is no folder'}: the preset of"
            f" {trainer} runs {', '.join(preset.scripts)}. Name the folder of the trainer's"
            " checkout that holds them."
        )
