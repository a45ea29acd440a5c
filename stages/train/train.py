"""train: trains the score network on a corpus, by denoising score matching (SM-GAN eq. 10).

Writes score-net/ model.safetensors (averaged weights), model.json (architecture, ladder, how it
was trained, its loss per noise band) and train.jsonl; last/ has the state to resume from.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.errors import ConfigError, Interrupted
from ...manifests.files.atomic import write_bytes, write_json
from ...manifests.files.crash_points import crash_point
from ...manifests.plan.random_streams import image_seed
from ...manifests.run_folder import TRAINING_LOG, TRAINING_STATE
from ...models.method.ladder import noise_ladder, sigma_at
from ...models.method.loss import dsm_loss, edm_weight
from ...models.network.checkpoint import (
    FACTS,
    WEIGHTS,
    build,
    load_weights,
    read_facts,
    weights_bytes,
)
from ...models.network.compiled import BEFOREHAND, compile_trunk
from ...models.network.compilers import missing_compiler
from ...models.network.device import set_deterministic
from ...models.network.ema import Ema
from ...models.network.score_net import ScoreNet
from ..common.out_of_memory import explain_out_of_memory
from ..common.progress import Progress
from ..corpus.store import Corpus
from .batches import Batches, BatchShare, check_share
from .checkpoint import BEST, load_state, save_best, save_state
from .config import TrainConfig
from .facts import architecture_of, describe_training, drawn_classes, median_norm, sigma_1_of
from .guide import drop_early_states, is_guide_step, keep_guide, save_guide
from .identity import identity_at
from .log import TrainLog
from .loss_guard import LossGuard
from .optimiser import make_optimiser, set_rate
from .tracking import Tracking, tracked_accelerator
from .validation import band_losses, is_long_past, known_classes, overall


def train(
    config: TrainConfig,
    corpus: Corpus,
    out: Path,
    *,
    seed: int,
    t0: float,
    device: str,
    progress: Progress,
    stopping: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Trains the network that `config` (resolved) describes; gives model.json's content.

    out: score-net/; a state of the same training found in it is resumed.
    t0: generation's; `levels: focus` and the choice of the best state consider levels below
        2 sigma(t0), or below 2 sigma(focus_t0) where that is set.
    stopping: polled at every step; when true, the state is saved and Interrupted raised.

    Raises:
        TrainingDiverged: the loss is not finite; the weights were not updated with it.
        Interrupted: `stopping()` became true; the same call resumes.
        ConfigError: the batch does not divide by the processes, or no two images differ, or other
            processes began this training.
    """
    run = _TrainingRun(config, corpus, out, seed, t0, device, progress)
    try:
        if run.steps == 0:
            run.measure(loss=1.0, rate=0.0)
        while run.state.step < run.steps and not run.has_turned():
            run.advance_to_checkpoint(stopping)
        return run.finish()
    finally:
        run.tracking.close()


class _TrainingRun:
    """One training, from its first step to its last."""

    def __init__(
        self,
        config: TrainConfig,
        corpus: Corpus,
        out: Path,
        seed: int,
        t0: float,
        device: str,
        progress: Progress,
    ) -> None:
        assert config.steps is not None and config.batch and config.ema is not None
        self.config, self.out, self.seed, self.progress = config, out, seed, progress
        self.architecture = architecture_of(config, corpus.images.shape, len(corpus.classes))
        self.steps, self.batch = config.steps, config.batch
        self.accelerator = tracked_accelerator(device, config.tracker, out)
        self.device = self.accelerator.device
        set_deterministic(self.device)
        check_share(self.batch, self.accelerator.num_processes)

        # Fix the noise ladder, from the exact sigma_1 down to sigma_N.
        self.corpus = corpus
        self.sigma_1 = sigma_1_of(corpus, progress)
        self.ladder = noise_ladder(self.sigma_1)
        # Generation uses the levels below `focus`; None: all are drawn alike.
        focused = config.focused_on(t0)
        self.focus = None if focused is None else 2 * sigma_at(focused, self.sigma_1)

        # Build network, EMA and optimiser.
        self.bare_net = net = self._build_net()
        self.ema = Ema(net, config.ema)
        compile_trunk(net, config.compile)
        self.bare_optimiser = make_optimiser(net, config)

        # Resume from the last state of this training.
        facts = config, corpus.digest, seed, t0, self.accelerator.num_processes
        identity = identity_at(out / TRAINING_STATE, *facts)
        self.state = load_state(
            out / TRAINING_STATE, identity, net, self.ema, self.bare_optimiser, at_most=self.steps
        )
        if self.state.step:
            progress.note(f"train: going on from step {self.state.step:,}")
        self.net, self.optimiser = self.accelerator.prepare(net, self.bare_optimiser)
        self.losses = LossGuard(self.bare_optimiser, self.device, corpus.training_keys)
        self.batches = Batches(
            corpus.images,
            self.ladder,
            self.focus,
            self.batch,
            flip=config.flip,
            seed=seed,
            device=self.device,
            share=BatchShare(self.accelerator.process_index, self.accelerator.num_processes),
            lognormal=config.levels == "lognormal",
            augment=config.augment or 0.0,
            classes=corpus.training_ids if self.architecture.classes else None,
            null=self.architecture.classes,
            draw_by=drawn_classes(config, corpus),
        )
        self.log = TrainLog(out / TRAINING_LOG, self.state.step)
        self.tracking = Tracking(self.accelerator, config, out, seed, identity)

    def _build_net(self) -> ScoreNet:
        """The network with its first weights, on the device and in its precision."""
        config = self.config
        if lack := missing_compiler(config.compile, self.device.type):
            raise ConfigError(f"train.compile: {config.compile} needs {lack}. Set it to off.")
        if config.compile != "off":
            self.progress.note(f"train: {BEFOREHAND}")
        net = build(self.architecture, self.ladder, image_seed(self.seed, "weights"))
        net = net.to(self.device)
        net.compute_in(config.precision)
        return net

    def advance_to_checkpoint(self, stopping: Callable[[], bool]) -> None:
        """Trains to the next checkpoint, measures on held-out images, saves the state."""
        assert self.config.checkpoint_every
        every = self.config.checkpoint_every
        first = self.state.step
        end = min((first // every + 1) * every, self.steps)
        started = time.monotonic()
        images = self.steps * self.batch
        with (
            self._explain_out_of_memory(),
            self.progress.task("train", images, "images") as advance,
        ):
            advance(first * self.batch, resumed=True)
            for step in range(first, end):
                # Update weights and averages.
                self._update(step, stopping())
                self.state.step = step + 1
                crash_point("train-step")
                advance(self.batch)

                # Save and stop on request; at the checkpoint itself, measure first.
                if self.losses.stop_asked and step + 1 < end:
                    self.losses.check_pending()
                    self._save()
                    raise Interrupted(
                        f"Training stopped at step {step + 1:,} of {self.steps:,}; the same command"
                        " goes on from there."
                    )

        # Measure the averages per noise band, keep the best and early ones, save the state.
        loss = self.losses.take_mean()
        with self._explain_out_of_memory():
            self.measure(loss, (end - first) * self.batch / (time.monotonic() - started))
        if self.accelerator.is_main_process and is_guide_step(self.state.step, self._first_guide()):
            save_guide(self.out / TRAINING_STATE, self.ema, self.state.step, self.state.identity)
        self._save()

    def _first_guide(self) -> int | None:
        return self.config.checkpoint_every if self.config.network == "unet" else None

    def has_turned(self) -> bool:
        """Whether the held-out loss has long not fallen: then the network memorises its images."""
        judges = self.accelerator.is_main_process and len(self.corpus.reference) > 0
        may_stop = judges and self.config.may_stop_early
        every = self.config.checkpoint_every or 1
        turned = may_stop and is_long_past(self.state.step, self.state.best_step, every)
        if turned:
            self.progress.note(
                f"train: stops at step {self.state.step:,} of {self.steps:,}: the held-out loss"
                f" was lowest at step {self.state.best_step:,}; since then the network learns the"
                " training images themselves (train.early_stop)"
            )
        return self._any_process(turned)

    def _explain_out_of_memory(self) -> contextlib.AbstractContextManager[None]:
        share = self.batch // self.accelerator.num_processes
        return explain_out_of_memory(
            f"An update with {share} images of {self.corpus.images.shape[1]} px",
            self.device,
            "The last checkpoint stays. Stop other programs and run the same command again, share"
            " the batch among several GPUs with torchrun, or set train.batch or train.width lower:"
            " that trains another network.",
        )

    def _update(self, step: int, stopping: bool) -> None:
        """One update of weights and averages; the other processes learn that one is `stopping`."""
        # Draw images x, noise levels sigma and noise z: a function of (seed, step).
        batch = self.batches.draw(step)

        # Forward: || sigma S(x + sigma z, sigma) + z ||^2 / D of each image (SM-GAN eq. 10).
        if self.architecture.dropout:
            place = f"dropout-{step}-{self.accelerator.process_index}"
            torch.manual_seed(image_seed(self.seed, place))
        losses = dsm_loss(self.net, batch.x, batch.sigma, batch.noise, batch.labels, batch.view)
        if self.config.levels == "lognormal":
            losses = losses * edm_weight(batch.sigma)
        loss = losses.mean()

        # Stop before a loss that is not finite reaches the weights.
        means = torch.stack([loss.detach(), torch.full_like(loss, stopping)])
        self.losses.record(step, batch.rows, losses.detach(), self._mean_over_processes(means))

        # Accumulate gradients, averaged over all processes.
        self.optimiser.zero_grad()
        self.accelerator.backward(loss)

        # Update weights by Adam.
        set_rate(self.bare_optimiser, self.config, step)
        self.optimiser.step()

        # Update EMA.
        self.ema.update(self.bare_net, step + 1)

    def _mean_over_processes(self, value: torch.Tensor) -> torch.Tensor:
        """The mean over all processes, so that all of them stop where one has to."""
        if self.accelerator.num_processes == 1:
            return value
        mean: torch.Tensor = self.accelerator.reduce(value, "mean")
        return mean

    def _any_process(self, flag: bool) -> bool:
        """True where the flag is true in any process."""
        if self.accelerator.num_processes == 1:
            return flag
        return float(self._mean_over_processes(torch.tensor(float(flag), device=self.device))) > 0

    def measure(self, loss: float, rate: float) -> None:
        """The loss per noise band on training and held-out images; keeps the best average."""
        if not self.accelerator.is_main_process:
            return
        bands = {"train": self._bands(self.corpus.images, self.corpus.training_ids)}
        if len(self.corpus.reference):
            bands["held_out"] = self._bands(self.corpus.reference, self.corpus.reference_ids)
        step = self.state.step
        judged = bands.get("held_out", bands["train"])
        score = overall(judged, self.focus, geometric=self.config.levels == "lognormal")
        best = self.state.best_loss
        if "held_out" not in bands or best is None or score < best:
            self.state.best_loss, self.state.best_step = score, step
            self.state.best_bands = bands
            save_best(self.out / TRAINING_STATE, self.ema, self.state)
            crash_point("best-saved")
        self.log.write(step=step, images=step * self.batch, loss=loss, rate=rate, bands=bands)
        self.tracking.checkpoint(step, loss, bands)
        self.tracking.sheet(step, self.ema.net, self.sigma_1, self.corpus.images)
        shown = "held out" if "held_out" in bands else "training"
        shown += ", by class " if self.architecture.classes else " "
        self.progress.note(
            f"train: step {step:,}  loss {loss:.4f}  {shown}"
            + "  ".join(f"{name}: {value:.3f}" for name, value in judged.items())
        )

    def _bands(self, images: NDArray[np.uint8], ids: NDArray[np.int64]) -> dict[str, float]:
        labels = known_classes(ids, self.architecture.classes)
        return band_losses(self.ema.net, self.ladder, images, self.seed, self.device, labels)

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            folder = self.out / TRAINING_STATE
            save_state(folder, self.state, self.bare_net, self.ema, self.bare_optimiser)
            drop_early_states(folder, self.state.identity)
            crash_point("state-saved")
        self.accelerator.wait_for_everyone()

    def finish(self) -> dict[str, Any]:
        """Writes the chosen averages, then model.json, which commits the training."""
        chosen = "best held-out loss" if len(self.corpus.reference) else "last"
        if self.accelerator.is_main_process:
            best, identity = self.state.best_step, self.state.identity
            keep_guide(self.out, best, self._first_guide(), identity)
            load_weights(self.ema.net, self.out / TRAINING_STATE / BEST)
            write_bytes(self.out / WEIGHTS, weights_bytes(self.ema.net))
            crash_point("weights-written")
            write_json(self.out / FACTS, self._facts(chosen))
        self.accelerator.wait_for_everyone()
        return read_facts(self.out)

    def _facts(self, chosen: str) -> dict[str, Any]:
        return describe_training(
            self.bare_net,
            self.out,
            self.ladder,
            self.corpus,
            seed=self.seed,
            algorithm=self.config.algorithm,
            norm_real=median_norm(self.ema.net, self.ladder, self.corpus, self.seed, self.device),
            training={
                "options": self.config.as_recorded(),
                "steps": self.state.step,
                "images": self.state.step * self.batch,
                "chosen": chosen,
                "chosen_step": self.state.best_step,
                "loss_per_band": self.state.best_bands,
                "world_size": self.accelerator.num_processes,
                "device": self.device.type,
                "threads": self.state.threads,
                "torch": torch.__version__,
            },
        )
