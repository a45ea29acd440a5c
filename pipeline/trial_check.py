"""Refuses, before a run makes anything, the trial that it is to end with and that cannot be."""

from ..manifests.errors import ConfigError
from ..stages.corpus.store import Corpus
from ..stages.trial.arms import OWN, REAL
from ..stages.trial.config import TrialConfig
from .config import Config
from .trial_sizes import check_plans_of_sizes
from .trial_trainer import choose_trainer, facts_of, is_one_shot

_SMALLEST = 8  # px, of the own GAN's images: this times a power of two
_SIDES = (8, 16, 32, 64, 128)  # that a message names
_SEEDS = 3  # below which no usual difference can be seen


def check_asked_trial(config: Config) -> None:
    """Refuses what the options show; needs no torch. Of a config as it was written.

    Raises ConfigError: a trainer that is not there, nothing held out, arms that no such run has.
    """
    trainer, ingest, generate = choose_trainer(config.trial), config.ingest, config.generate
    check_arms(config.trial)
    if trainer is None and ingest.resolution is not None:
        check_side(ingest.resolution)
    if is_one_shot(trainer):
        if ingest.patches is None:
            raise ConfigError(
                f"trial.trainer is {config.trial.trainer}, which translates one image into the"
                " style of one other, and whole images are read. Set ingest.patches, or take"
                " trial.trainer: cut."
            )
    elif ingest.reference is None:
        if ingest.holdout == 0:
            raise ConfigError(
                "trial.with_run is true, and ingest.holdout 0: no image is held out to judge the"
                " trial by. Hold some out (ingest.holdout, ingest.reference), or set"
                " trial.with_run to false."
            )
        if ingest.patches is not None and ingest.holdout is None:
            raise ConfigError(
                "trial.with_run is true, and ingest.patches holds out no image unless it is asked"
                " for. Set ingest.holdout or ingest.reference, or trial.with_run to false."
            )
    for arm in config.trial.corpora:
        if arm.method == OWN and generate.by_class:
            raise ConfigError(
                f"generate.method is {generate.method}, which makes images class by class, and a"
                f" trial's arms are so many images for each real one. Leave the arm {arm.name} out"
                " of trial.arms, or set trial.with_run to false."
            )
        plain = generate.model_copy(update={"repair_t0": None, **arm.changes})
        if arm.method not in (None, OWN) and plain.needs_network and not generate.needs_network:
            raise ConfigError(
                f"trial.arms names {arm.name}, which needs a score network, and by generate.method:"
                f" {generate.method} none is trained. Leave the arm out, or set generate.method to"
                " auto."
            )


def check_arms(config: TrialConfig) -> None:
    """Raises ConfigError for one arm alone, which nothing is compared with."""
    arms = config.corpora
    if len(arms) == 1:
        raise ConfigError(
            f"The trial has one arm, {arms[0].name}, and compares nothing. Name two or more in"
            " trial.arms (--arms), as real,own; GANs that are trained already are kept."
        )


def notes_on(config: TrialConfig) -> list[str]:
    """What a trial will not say, before it is made."""
    notes = []
    if config.seeds < _SEEDS:
        said = "no conclusion" if config.seeds == 1 else "only very large differences"
        notes.append(f"trial.seeds is {config.seeds}, which shows {said}: set {_SEEDS} or more")
    if all(arm.name != REAL for arm in config.corpora):
        notes.append(f"trial.arms has no {REAL}, with which the other arms are compared")
    return notes


def check_side(side: int) -> None:
    """Raises ConfigError for a side in pixels that the own GAN is not built for."""
    halved = side
    while halved > _SMALLEST and halved % 2 == 0:
        halved //= 2
    if halved == _SMALLEST:
        return
    below = max((each for each in _SIDES if each < side), default=None)
    above = min((each for each in _SIDES if each > side), default=None)
    near = " or ".join(str(each) for each in (below, above) if each is not None)
    raise ConfigError(
        f"The images have {side} px, and the trial's own GAN is built for"
        f" {', '.join(map(str, _SIDES))} px. Set ingest.resolution to {near}, or train GANs by"
        " trial.trainer or trial.command."
    )


def check_sizes(config: TrialConfig, images: int) -> list[int]:
    """The sizes, ascending, each once.

    Raises ConfigError for one that is not below `images`, and for any of a trainer of patches.
    """
    sizes = sorted(set(config.sizes))
    if sizes and is_one_shot(choose_trainer(config)):
        raise ConfigError(
            f"trial.sizes trains on fewer images, and {config.trainer} on patches of two, of which"
            " fewer are not fewer images. Leave trial.sizes out."
        )
    if sizes and sizes[-1] >= images:
        raise ConfigError(
            f"trial.sizes has {sizes[-1]:,}, and the run has {images:,} training images, which are"
            " the last size anyway. Name smaller ones."
        )
    return sizes


def check_counts(config: TrialConfig, *, side: int, training: int, held_out: int) -> list[int]:
    """Refuses what sizes show: so many training and held-out images, of a side in pixels.

    Gives what `check_sizes` gives. Raises ConfigError as the trial itself.
    """
    from ..stages.trial.judge import check_held_out  # torch

    trainer = choose_trainer(config)
    sizes = check_sizes(config, training)
    if trainer is None:
        check_side(side)
    if not is_one_shot(trainer):
        check_held_out(held_out)
    return sizes


def check_trial_of(config: Config, corpus: Corpus) -> None:
    """Refuses what the corpus shows: numbers and sides, classes or lengths of a trainer.

    Raises ConfigError as the trial itself.
    """
    side, training = corpus.images.shape[1], len(corpus.training_rows)
    sizes = check_counts(config.trial, side=side, training=training, held_out=len(corpus.reference))
    check_plans_of_sizes(config, corpus, sizes)
    trainer = choose_trainer(config.trial)
    if trainer is not None:
        facts_of(trainer, corpus, config.trial.corpora, config.trial)
