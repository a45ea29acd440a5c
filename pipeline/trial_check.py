"""Refuses, before a run makes anything, the trial that it is to end with and that cannot be."""

from ..manifests.errors import ConfigError
from ..stages.corpus.store import Corpus
from ..stages.trial.arms import OWN
from ..stages.trial.config import TrialConfig
from .config import Config
from .trial_trainer import choose_trainer, facts_of, is_one_shot


def check_asked_trial(config: Config) -> None:
    """Refuses what the options show; needs no torch. Of a config as it was written.

    Raises ConfigError: a trainer that is not there, nothing held out, arms that no such run has.
    """
    trainer, ingest, generate = choose_trainer(config.trial), config.ingest, config.generate
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


def check_held_out_for(config: TrialConfig, count: int) -> None:
    """Raises ConfigError where so many held-out images are too few to judge the trial by."""
    from ..stages.trial.judge import check_held_out  # torch

    if not is_one_shot(choose_trainer(config)):
        check_held_out(count)


def check_trial_of(config: Config, corpus: Corpus) -> None:
    """Refuses what the corpus shows: too few held-out images, classes or lengths of a trainer.

    Raises ConfigError as the trial itself.
    """
    check_held_out_for(config.trial, len(corpus.reference))
    trainer = choose_trainer(config.trial)
    if trainer is not None:
        facts_of(trainer, corpus, config.trial.corpora, config.trial)
