"""The trainer of a trial that is not the built-in one: by a command, or by a preset of it.

Needs no torch: what cannot be trained as asked is refused before it is loaded.
"""

import hashlib
import shlex
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..manifests.errors import ConfigError
from ..manifests.files.atomic import sha256_file
from ..manifests.trainers.presets import (
    ArmSize,
    TrialLength,
    check_checkout,
    check_lengths,
    preset_facts,
)
from ..manifests.trainers.requirements import find_spec, trainer_names
from ..manifests.trainers.spec import TrainerSpec, TrialPreset
from ..stages.corpus.store import Corpus
from ..stages.trial import trainer_script
from ..stages.trial.arms import Arm
from ..stages.trial.command import LENGTHS, placeholders_of, require_whole_command
from ..stages.trial.config import TrialConfig

_SAMPLES = "samples"  # of every preset, below {out}
_APART = 0.02  # as far as the images shown to arms may be apart without a word


@dataclass(frozen=True)
class ChosenTrainer:
    """What trains the GANs of a trial."""

    spec: TrainerSpec  # for the layout of its data
    template: str  # for bash
    generated: str  # where its samples lie, below {out}
    places: dict[str, str]  # placeholders of this machine, which no result depends on
    scripts: str  # digest of the trainer's files that a preset runs; "" for a command
    preset: TrialPreset | None = None


def choose_trainer(config: TrialConfig) -> ChosenTrainer | None:
    """The trainer that was asked for; None for the built-in GAN.

    Raises:
        ConfigError: an unknown trainer, one without a preset, a checkout that is none of it.
    """
    if config.command is not None:
        require_whole_command(config.command, "trial.command")
        if config.trainer is not None and config.trainer not in trainer_names():
            raise ConfigError(
                f"trial.trainer is {config.trainer!r}, which is not known: beside trial.command it"
                f" says how {{data}} is laid out. Use one of {', '.join(trainer_names())}, or leave"
                " it out, for plain image files."
            )
        spec = find_spec(config.trainer, None if config.trainer else "imagefolder")
        return ChosenTrainer(spec, config.command, config.generated or ".", {}, "")
    if config.trainer is None and config.checkout is None:
        return None
    spec, preset = _preset_of(config)
    if config.checkout is None:
        raise ConfigError(
            f"trial.trainer is {config.trainer}, and nothing says where it is. Set trial.checkout"
            " to the folder of its checkout, or give a command of your own as trial.command."
        )
    checkout = Path(config.checkout).expanduser().absolute()
    check_checkout(spec.trainer, preset, checkout)
    python = shutil.which(Path(config.python).expanduser())
    if python is None:
        raise ConfigError(
            f"trial.python is {config.python}, which is no program that can be run. Name the"
            " interpreter of the trainer's environment, such as /opt/trainer/bin/python."
        )
    named = {"checkout": checkout, "python": python, "runner": trainer_script.__file__}
    places = {name: shlex.quote(str(path)) for name, path in named.items()}
    files = [*(checkout / name for name in preset.scripts), Path(trainer_script.__file__)]
    scripts = hashlib.sha256("".join(map(sha256_file, files)).encode()).hexdigest()
    generated = config.generated or _SAMPLES
    return ChosenTrainer(spec, preset.command, generated, places, scripts, preset)


def _preset_of(config: TrialConfig) -> tuple[TrainerSpec, TrialPreset]:
    names = [name for name in trainer_names() if find_spec(name, None).preset]
    known = f"Presets are there for {', '.join(names)}; for another trainer give trial.command."
    if config.trainer is None:
        raise ConfigError(f"trial.checkout is set without trial.trainer. {known}")
    if config.trainer not in trainer_names():
        raise ConfigError(f"trial.trainer is {config.trainer!r}, which is not known. {known}")
    spec = find_spec(config.trainer, None)
    if spec.preset is None:
        raise ConfigError(f"trial.trainer is {spec.trainer}, which has no preset. {known}")
    return spec, spec.preset


def is_one_shot(trainer: ChosenTrainer | None) -> bool:
    """Whether the trainer translates one image into the style of one other."""
    return trainer is not None and trainer.preset is not None and trainer.preset.one_shot


def facts_of(
    trainer: ChosenTrainer, corpus: Corpus, arms: Sequence[Arm], config: TrialConfig
) -> dict[str, dict[str, Any]]:
    """Arm -> the other placeholders of the command; of the user's own those that it names.

    Raises:
        ConfigError: classes that the trainer cannot use, lengths that differ between arms.
    """
    sizes = {arm.name: arm_size(corpus, arm) for arm in arms}
    if trainer.preset is None:
        return {name: _own_lengths(trainer, size, config) for name, size in sizes.items()}
    _check_classes(trainer.spec, next(iter(sizes.values())))
    smallest = min(size.count for size in sizes.values())
    length = TrialLength(config.images, config.snapshot_every, config.samples, smallest)
    facts = {name: preset_facts(trainer.spec, size, length) for name, size in sizes.items()}
    check_lengths(trainer.spec, facts, config.images)
    return facts


def _own_lengths(trainer: ChosenTrainer, size: ArmSize, config: TrialConfig) -> dict[str, int]:
    epochs = passes_of(size.count, config.images)
    lengths = dict(zip(LENGTHS, (config.images, size.count, epochs), strict=True))
    named = placeholders_of(trainer.template)
    return {name: value for name, value in lengths.items() if name in named}


def unequal_lengths(trainer: ChosenTrainer, counts: Collection[int], images: int) -> str | None:
    """What to know of a command of the user's own that shows arms of `counts` images unequal
    numbers of them; `images` is trial.images."""
    if trainer.preset is not None or len({*counts}) < 2:
        return None
    named = placeholders_of(trainer.template) & {*LENGTHS}
    if "epochs" in named and "images" not in named:
        return _unequal_epochs(sorted({*counts}), images)
    if named:
        return None
    return (
        "Note: trial.command names none of {images}, {count} and {epochs}. If it trains for a"
        f" number of epochs, the arm of {max(counts):,} images was shown"
        f" {max(counts) / min(counts):.3g} times as many as that of {min(counts):,}, and the"
        " comparison is of that, too."
    )


def _unequal_epochs(counts: list[int], images: int) -> str | None:
    shown = _shown(counts, images)
    if _is_equal(shown):
        return None
    shown_of = ", ".join(
        f"the arm of {count:,} images was shown {each:,}"
        for count, each in zip(counts, shown, strict=True)
    )
    multiples = range(counts[-1], 20 * max(images, counts[-1]), counts[-1])
    fits = [length for length in multiples if _is_equal(_shown(counts, length))]
    nearest = min(fits, key=lambda length: abs(length - images), default=None)
    remedy = "" if nearest is None else f"; {nearest:,} as trial.images shows all the same"
    return (
        f"Note: {{epochs}} are whole passes: {shown_of}, and the comparison is of that, too. Let"
        f" trial.command use {{images}}{remedy}."
    )


def _shown(counts: list[int], images: int) -> list[int]:
    return [passes_of(count, images) * count for count in counts]


def _is_equal(shown: list[int]) -> bool:
    return max(shown) <= (1 + _APART) * min(shown)


def passes_of(count: int, images: int) -> int:
    """The whole passes over `count` images that show about `images`, one at least."""
    return max(1, round(images / count))


def arm_size(corpus: Corpus, arm: Arm) -> ArmSize:
    """The arm's sizes, known before it is made."""
    ids, classes = corpus.training_ids[corpus.training_rows], len(corpus.classes)
    labelled = classes > 1 and bool((ids >= 0).all())
    real = tuple(np.bincount(ids, minlength=classes).tolist()) if labelled else (len(ids),)
    return ArmSize(real, arm.ratio, int(corpus.images.shape[1]), labelled)


def _check_classes(spec: TrainerSpec, size: ArmSize) -> None:
    needed = 2 if spec.needs_classes else 1
    if len(size.real) < needed or (spec.target == "unpaired" and len(size.real) != 2):
        exactly = "two" if spec.target == "unpaired" else "two or more"
        raise ConfigError(
            f"{spec.trainer} translates between {exactly} classes, and the training images have"
            f" {len(size.real) if size.labelled else 'none'}. Build the corpus from a folder with"
            " one sub-folder for each class."
        )
