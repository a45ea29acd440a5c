"""trial --dry-run: what a trial would train, and how long that takes here."""

import numpy as np
import torch

from ...manifests.run_folder import RunFolder
from ...models.method.ladder import sigma_at
from ...models.method.methods import FrozenScore
from ...models.network.device import device_type
from ...stages.common.tensors import to_unit
from ...stages.common.units import format_duration
from ...stages.generate.encodings import encodings_each
from ...stages.trial.arms import Arm
from ...stages.trial.command import TrainerCall
from ...stages.trial.config import TrialConfig
from ...stages.trial.one import gan_folder
from ..finished_run import FinishedRun
from ..speed_probe import probe_network
from ..trained_network import open_network
from ..trial_check import check_counts, notes_on
from ..trial_gan import seconds_of_image
from ..trial_sizes import check_plans_of_sizes
from ..trial_trainer import ChosenTrainer, choose_trainer, facts_of, unequal_lengths
from .arms import arm_options, check_network, in_own_shards
from .command import gans_of
from .sizes import seconds_of_networks
from .trial import spec_of

_PROBE_SECONDS = 2.0


def estimate_trial(run: FinishedRun, config: TrialConfig, *, device: str, processes: int) -> str:
    """The text of a dry run: corpora, GANs, time. What is there already is counted as if it were
    not. Nothing is written.

    Raises what `trial` raises before it makes anything.
    """
    arms = config.corpora
    trainer, corpus = choose_trainer(config), run.corpus
    side, training = corpus.images.shape[1], len(corpus.training_rows)
    sizes = check_counts(config, side=side, training=training, held_out=len(corpus.reference))
    check_plans_of_sizes(run.config, corpus, sizes)
    if trainer is not None:
        return _of_command(trainer, run, config, arms, sizes, device)
    spec = spec_of(run, config, RunFolder(run.folder).trial, device)
    gans, shown = len(arms) * config.seeds, spec.options.steps * spec.options.batch
    labels = corpus.training_ids if spec.shape.classes else None
    given = (corpus.images, labels, spec.shape, spec.options, device)
    image = seconds_of_image(*given, _PROBE_SECONDS)
    seconds = gans * shown * image / min(processes, gans)
    making = _seconds_of_making(run, _largest_of_each(arms), device)
    networks = 0.0
    if sizes:
        seconds *= 1 + len(sizes)
        making *= 1 + sum(sizes) / training
        networks = seconds_of_networks(run, sizes)
    return "\n".join(
        [
            _sizes(run, arms),
            *_of_sizes(sizes, networks),
            f"GANs:          {gans}, each shown {shown:,} images of {spec.shape.resolution} px;"
            f" {len(spec.options.snapshots)} snapshots of {spec.samples:,} samples",
            f"making:        about {format_duration(making)}",
            f"training:      about {format_duration(seconds)}, {processes} at once, judging apart",
            f"total:         about {format_duration(networks + making + seconds)} on this machine"
            f" ({device})",
            *_notes(config),
        ]
    )


def _notes(config: TrialConfig) -> list[str]:
    return [f"note:          {note}" for note in notes_on(config)]


def _of_sizes(sizes: list[int], networks: float) -> list[str]:
    shown = ", ".join(f"{size:,}" for size in sizes)
    lines = [f"sizes:         {shown} and all training images; the times are of all of them"]
    lines += [f"networks:      about {format_duration(networks)}"] * (networks > 0)
    return lines if sizes else []


def _sizes(run: FinishedRun, arms: list[Arm]) -> str:
    training = len(run.corpus.training_rows)
    sizes = ", ".join(f"{arm.name} {training * (1 + arm.ratio):,}" for arm in arms)
    return f"arms:          {sizes} images"


def _of_command(
    trainer: ChosenTrainer,
    run: FinishedRun,
    config: TrialConfig,
    arms: list[Arm],
    sizes: list[int],
    device: str,
) -> str:
    first, folder = arms[0].name, RunFolder(run.folder).trial
    facts = facts_of(trainer, run.corpus, arms, config)[first] | trainer.places
    out = gan_folder(folder, gans_of(trainer, config), first, 0) / "out"
    call = TrainerCall(trainer.template, folder / "data" / first, out, 0, 0, None, facts)
    shown = unequal_lengths(
        trainer, [len(run.corpus.training_rows) * (1 + arm.ratio) for arm in arms], config.images
    )
    by = "trial.command" if trainer.preset is None else f"the preset of {trainer.spec.trainer}"
    return "\n".join(
        [
            _sizes(run, arms),
            *_of_sizes(sizes, seconds_of_networks(run, sizes) if sizes else 0.0),
            f"GANs:          {len(arms) * config.seeds * (1 + len(sizes))}, by {by}, as long as it"
            " takes",
            f"making:        about {format_duration(_seconds_of_making(run, arms, device))}",
            f"command of {first}, seed 0:",
            *(f"    {line}" for line in call.text.splitlines()),
            *([shown] if shown else []),
            *_notes(config),
        ]
    )


def _largest_of_each(arms: list[Arm]) -> list[Arm]:
    """Leaves the largest of arms that differ in their ratio alone: the others are parts of it."""
    largest = {arm.method: arm for arm in sorted(arms, key=lambda arm: arm.ratio)}
    return list(largest.values())


def _seconds_of_making(run: FinishedRun, arms: list[Arm], device: str) -> float:
    """Estimates the seconds that generating the images of all arms takes.

    Those in the run's finished shards are read.
    """
    corpus, kind = run.corpus, run.ledger.device_type(device_type(device))
    side = corpus.images.shape[1]
    missing = [arm for arm in arms if arm.method and not in_own_shards(run, arm)]
    options = {arm: arm_options(run.config, arm, side, kind) for arm in missing}
    for each in options.values():
        check_network(run, each)
    if not any(each.needs_network for each in options.values()):
        return 0.0
    net = open_network(RunFolder(run.folder), torch.device(device))
    score = FrozenScore(net.net, net.sigma_1, net.sigma_N)
    net.net.compute_in(run.config.generate.precision)
    batch = run.config.generate.batch
    assert isinstance(batch, int)
    x = to_unit(
        np.asarray(corpus.images[np.arange(batch) % len(corpus.images)]), torch.device(device)
    )
    speed = probe_network(x, score, sigma_at(0.5, net.sigma_1), device, _PROBE_SECONDS)
    training, values = len(corpus.images), corpus.images[0].size
    made = {arm: training * arm.ratio for arm in options}
    return sum(
        made[arm] * speed.seconds(each, encodings_each(made[arm], training, values))
        for arm, each in options.items()
    )
