"""trial --dry-run: what a trial would train, and how long that takes here."""

import numpy as np
import torch

from ...manifests.run_folder import RunFolder
from ...models.method.ladder import sigma_at
from ...models.method.methods import FrozenScore
from ...models.network.device import device_type, one_thread
from ...stages.common.tensors import to_unit
from ...stages.common.units import format_duration
from ...stages.generate.encodings import encodings_each
from ...stages.trial.arms import Arm
from ...stages.trial.command import TrainerCall
from ...stages.trial.config import TrialConfig
from ...stages.trial.gan_run import GanRun
from ...stages.trial.judge import check_held_out
from ...stages.trial.one import gan_folder
from ...stages.trial.trial import TrialSpec
from ..finished_run import FinishedRun
from ..speed_probe import probe_network, timed
from ..trained_network import open_network
from ..trial_trainer import ChosenTrainer, choose_trainer, facts_of, is_one_shot
from .arms import arm_options, check_network
from .command import gans_of
from .sizes import check_sizes, seconds_of_networks
from .trial import spec_of

_PROBE_SECONDS = 2.0


def estimate_trial(run: FinishedRun, config: TrialConfig, *, device: str, processes: int) -> str:
    """The text of a dry run: corpora, GANs, time. What is there already is counted as if it were
    not. Nothing is written.

    Raises what `trial` raises before it makes anything.
    """
    arms = config.corpora
    trainer = choose_trainer(config)
    if not is_one_shot(trainer):
        check_held_out(len(run.corpus.reference))
    sizes = check_sizes(config, len(run.corpus.training_rows))
    if trainer is not None:
        return _of_command(trainer, run, config, arms, sizes, device)
    spec = spec_of(run, config, RunFolder(run.folder).trial, device)
    gans, shown = len(arms) * config.seeds, spec.options.steps * spec.options.batch
    # Several GANs at once share the cores: each has one.
    with one_thread():
        image = _seconds_of_image(run, spec)
    training = gans * shown * image / min(processes, gans)
    making = _seconds_of_making(run, _largest_of_each(arms), device)
    networks = 0.0
    if sizes:
        training *= 1 + len(sizes)
        making *= 1 + sum(sizes) / len(run.corpus.training_rows)
        networks = seconds_of_networks(run, sizes)
    return "\n".join(
        [
            _sizes(run, arms),
            *_of_sizes(sizes, networks),
            f"GANs:          {gans}, each shown {shown:,} images of {spec.shape.resolution} px;"
            f" {len(spec.options.snapshots)} snapshots of {spec.samples:,} samples",
            f"making:        about {format_duration(making)}",
            f"training:      about {format_duration(training)}, {processes} at once, judging apart",
            f"total:         about {format_duration(networks + making + training)} on this machine"
            f" ({device})",
        ]
    )


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
        ]
    )


def _seconds_of_image(run: FinishedRun, spec: TrialSpec) -> float:
    """Times a few updates of one GAN; seconds for an image that it is shown."""
    classes = run.corpus.training_ids if spec.shape.classes else None
    gan = GanRun(run.corpus.images, classes, spec.shape, spec.options, 0, torch.device(spec.device))
    return timed(gan.update, spec.device, _PROBE_SECONDS) / spec.options.batch


def _largest_of_each(arms: list[Arm]) -> list[Arm]:
    """Leaves the largest of arms that differ in their ratio alone: the others are parts of it."""
    largest = {arm.method: arm for arm in sorted(arms, key=lambda arm: arm.ratio)}
    return list(largest.values())


def _seconds_of_making(run: FinishedRun, arms: list[Arm], device: str) -> float:
    """Estimates the seconds that generating the images of all arms takes."""
    corpus, kind = run.corpus, run.ledger.device_type(device_type(device))
    side = corpus.images.shape[1]
    options = {arm: arm_options(run.config, arm, side, kind) for arm in arms if arm.method}
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
