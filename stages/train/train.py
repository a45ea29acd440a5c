"""train: a corpus becomes a score network.

Writes score-net/ model.safetensors (averaged weights), model.json (architecture, ladder, how it
was trained, how well it does per noise band) and train.jsonl; last/ resumes a stopped run.
"""

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from pydantic import BaseModel, Field, field_validator

from ...manifests.errors import ConfigError, Interrupted
from ...manifests.files.atomic import canonical_digest, sha256_file, write_bytes, write_json
from ...manifests.files.crash_points import crash_point
from ...manifests.plan.random_streams import image_seed
from ...models.method.diameter import diameter
from ...models.method.ladder import SIGMA_N, noise_ladder, sigma_at
from ...models.method.loss import BAND_EDGES, dsm_loss
from ...models.network.checkpoint import FORMAT, build, load_weights, weights_bytes
from ...models.network.compiled import BEFOREHAND, Compile, compile_trunk, missing_compiler, named
from ...models.network.device import set_deterministic
from ...models.network.ema import Ema
from ...models.network.score_net import Architecture
from ..common.out_of_memory import explain_out_of_memory
from ..common.presets import choose_preset
from ..common.progress import Progress
from ..corpus.store import Corpus
from .batches import Batches, BatchShare
from .checkpoint import load_state, save_best, save_state
from .loss_guard import LossGuard
from .validation import HELD_IMAGES, band_losses, real_norms

ALGORITHM = 2  # raised whenever equal options would train another network


class TrainConfig(BaseModel, frozen=True, extra="forbid"):
    """Section `train`. An unset value comes from the preset's row (stages/common/presets.py)."""

    preset: Literal["auto", "paper", "small", "tiny"] = "auto"
    steps: int | None = Field(default=None, ge=0)  # updates; 0: an untrained network, a control
    width: int | None = Field(default=None, ge=4)  # g, the size of the network
    batch: int | None = Field(default=None, ge=1)  # images per update over all processes
    lr: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    levels: Literal["uniform", "focus"] | None = None
    # Of levels: focus, which draws mostly below 2 sigma(focus_t0). Unset: generate.t0, so that
    # another t0 trains another network; named: t0 is free.
    focus_t0: float | None = Field(default=None, gt=0, lt=1)
    conditioning: Literal["fourier", "table"] = "fourier"
    ema: float = Field(default=0.999, ge=0, lt=1)
    flip: bool = False  # horizontal flips enlarge the distribution: the user's to say
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # of the network's trunk
    compile: Compile = "off"  # torch.compile; graphs: captured as CUDA graphs too
    checkpoint_every: int | None = Field(default=None, ge=1)  # updates

    _named = field_validator("compile", mode="before")(named)

    def focused_on(self, t0: float | None) -> float | None:
        """The t0 that training depends on, where generation's is `t0`; None: on none."""
        return (self.focus_t0 or t0) if self.levels == "focus" else None

    def resolved(self, resolution: int, device_type: str) -> "TrainConfig":
        """Every unset value filled in from the preset table.

        Raises:
            ConfigError: `focus_t0` where the levels are not focused.
        """
        name, row = choose_preset(self.preset, resolution, device_type)
        wanted = ("steps", "width", "batch", "lr", "levels", "checkpoint_every")
        filled = {key: getattr(row, key) for key in wanted if getattr(self, key) is None}
        if self.precision == "auto":
            filled["precision"] = "float32"
        if self.focus_t0 and (self.levels or row.levels) != "focus":
            raise ConfigError(
                f"train.focus_t0 is {self.focus_t0:g}, and train.levels is"
                f" {self.levels or row.levels}{'' if self.levels else f', by preset {name}'}: noise"
                " is drawn alike at every level. Set train.levels to focus, or leave out focus_t0."
            )
        return self.model_copy(update={"preset": name, **filled})


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

    t0: of the generation to come; `levels: focus` and the choice of the best state look below
        2 sigma of it, or of `focus_t0` where that is named. stopping: asked at every step; when
        true, the state is saved and Interrupted raised. The same call goes on from there.

    Raises:
        TrainingDiverged: the loss is not finite; nothing was updated with it.
    """
    run = _Run(config, corpus, out, seed, t0, device, progress)
    if run.steps == 0:
        run.measure(loss=1.0, rate=0.0)
    while run.progressed.step < run.steps:
        run.advance_to_checkpoint(stopping)
    return run.finish()


def identity_of(
    config: TrainConfig, corpus_digest: str, seed: int, t0: float, processes: int = 1
) -> str:
    """Of a training: only its own state may be continued, to whatever number of steps."""
    free = config.model_dump(exclude={"steps", "preset", "focus_t0"})
    return canonical_digest(
        [ALGORITHM, free, corpus_digest, seed, config.focused_on(t0), processes]
    )


class _Run:
    """One training run: what lives from the first step to the last."""

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
        assert config.steps is not None and config.width and config.batch and config.lr
        self.config, self.out, self.seed, self.progress = config, out, seed, progress
        self.steps, self.batch = config.steps, config.batch
        self.accelerator = Accelerator(cpu=device == "cpu")
        self.device = self.accelerator.device
        set_deterministic(self.device)
        self._check_world()
        self.corpus = corpus
        self.sigma_1 = _sigma_1(corpus, progress)
        self.ladder = noise_ladder(self.sigma_1)
        # Where generation works; of no account where all levels are drawn alike.
        focused = config.focused_on(t0)
        self.focus = None if focused is None else 2 * sigma_at(focused, self.sigma_1)
        side, channels = corpus.images.shape[1], corpus.images.shape[3]
        architecture = Architecture(channels, side, config.width, config.conditioning)
        net = build(architecture, self.ladder, image_seed(seed, "weights")).to(self.device)
        net.trunk_dtype = torch.bfloat16 if config.precision == "bfloat16" else None
        self.plain = net
        self.ema = Ema(net, config.ema)
        if lack := missing_compiler(config.compile, self.device.type):
            raise ConfigError(f"train.compile: {config.compile} needs {lack}. Set it to off.")
        compile_trunk(net, config.compile)
        if config.compile != "off":
            progress.note(f"train: {BEFOREHAND}")
        optimiser = torch.optim.Adam(net.parameters(), lr=config.lr, fused=True)
        identity = identity_of(config, corpus.digest, seed, t0, self.accelerator.num_processes)
        self.progressed = load_state(
            out / "last", identity, net, self.ema, optimiser, at_most=self.steps
        )
        if self.progressed.step:
            progress.note(f"train: going on from step {self.progressed.step:,}")
        self.net, self.optimiser = self.accelerator.prepare(net, optimiser)
        self.raw_optimiser = optimiser
        self.losses = LossGuard(optimiser, late=self.device.type == "cuda")
        self.batches = Batches(
            corpus.images,
            self.ladder,
            self.focus,
            self.batch,
            flip=config.flip,
            seed=seed,
            device=self.device,
            share=BatchShare(self.accelerator.process_index, self.accelerator.num_processes),
        )
        self.log = _Log(out / "train.jsonl", self.progressed.step)

    def _check_world(self) -> None:
        if self.batch % self.accelerator.num_processes:
            raise ConfigError(
                f"train.batch is {self.batch} over all processes, which"
                f" {self.accelerator.num_processes} processes cannot share evenly. Set train.batch"
                " to a multiple of their number."
            )

    def advance_to_checkpoint(self, stopping: Callable[[], bool]) -> None:
        """Trains to the next checkpoint, measures on held-out images, saves the state."""
        assert self.config.checkpoint_every
        every = self.config.checkpoint_every
        first = self.progressed.step
        end = min((first // every + 1) * every, self.steps)
        started = time.monotonic()
        images = self.steps * self.batch
        with self._fitting(), self.progress.task("train", images, "images") as advance:
            advance(first * self.batch)
            for step in range(first, end):
                self._update(step)
                self.progressed.step = step + 1
                crash_point("train-step")
                advance(self.batch)
                # At a checkpoint what is due there comes first: a resumed run would not do it.
                if self._any(stopping()) and step + 1 < end:
                    self.losses.check_pending()
                    self._save()
                    raise Interrupted(
                        f"Training stopped at step {step + 1:,} of {self.steps:,}; the same command"
                        " goes on from there."
                    )
        loss = self.losses.take_mean()
        self.measure(loss, (end - first) * self.batch / (time.monotonic() - started))
        self._save()

    def _fitting(self) -> contextlib.AbstractContextManager[None]:
        share = self.batch // self.accelerator.num_processes
        return explain_out_of_memory(
            f"An update with {share} images of {self.corpus.images.shape[1]} px",
            self.device,
            "The last checkpoint stays. Stop other programs and run the same command again, share"
            " the batch among several GPUs with torchrun, or set train.batch or train.width lower:"
            " that trains another network.",
        )

    def _update(self, step: int) -> None:
        """One update of weights and averages."""
        batch = self.batches.draw(step)
        each = dsm_loss(self.net, batch.x, batch.sigma, batch.noise)
        mean = each.mean()
        self.losses.record(step, batch.rows, each.detach(), self._everyones(mean.detach()))
        self.optimiser.zero_grad()
        self.accelerator.backward(mean)
        self.optimiser.step()
        self.ema.update(self.plain, step + 1)

    def _everyones(self, value: torch.Tensor) -> torch.Tensor:
        """The mean over all processes, so that all of them stop where one has to."""
        if self.accelerator.num_processes == 1:
            return value
        mean: torch.Tensor = self.accelerator.reduce(value, "mean")
        return mean

    def _any(self, flag: bool) -> bool:
        """Whether any process says so."""
        if self.accelerator.num_processes == 1:
            return flag
        return float(self._everyones(torch.tensor(float(flag), device=self.device))) > 0

    def measure(self, loss: float, rate: float) -> None:
        """The loss per noise band on training and held-out images; keeps the best average."""
        if not self.accelerator.is_main_process:
            return
        bands = {"train": self._bands(self.corpus.images)}
        if len(self.corpus.reference):
            bands["held_out"] = self._bands(self.corpus.reference)
        step = self.progressed.step
        judged = bands.get("held_out", bands["train"])
        floors = dict(zip(judged, BAND_EDGES[:-1], strict=False))
        below = float("inf") if self.focus is None else self.focus
        low = [loss for band, loss in judged.items() if floors[band] < below]
        score = sum(low) / len(low)
        best = self.progressed.best_loss
        if "held_out" not in bands or best is None or score < best:
            self.progressed.best_loss, self.progressed.best_step = score, step
            self.progressed.best_bands = bands
            save_best(self.out / "last", self.ema, step)
            crash_point("best-saved")
        self.log.write(step=step, images=step * self.batch, loss=loss, rate=rate, bands=bands)
        shown = "held out " if "held_out" in bands else "training "
        self.progress.note(
            f"train: step {step:,}  loss {loss:.4f}  {shown}"
            + "  ".join(f"{name}: {value:.3f}" for name, value in judged.items())
        )

    def _bands(self, images: NDArray[np.uint8]) -> dict[str, float]:
        return band_losses(self.ema.net, self.ladder, images, self.seed, self.device)

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            save_state(self.out / "last", self.progressed, self.plain, self.ema, self.raw_optimiser)
            crash_point("state-saved")
        self.accelerator.wait_for_everyone()

    def finish(self) -> dict[str, Any]:
        """Writes the chosen averages and model.json; the latter last, for it is the commit."""
        chosen = "best held-out loss" if len(self.corpus.reference) else "last"
        if self.accelerator.is_main_process:
            load_weights(self.ema.net, self.out / "last" / "best.safetensors")
            write_bytes(self.out / "model.safetensors", weights_bytes(self.ema.net))
            crash_point("weights-written")
            write_json(self.out / "model.json", self._facts(chosen))
        self.accelerator.wait_for_everyone()
        facts: dict[str, Any] = json.loads((self.out / "model.json").read_text())
        return facts

    def _facts(self, chosen: str) -> dict[str, Any]:
        proper, conditioning = self.plain.count_parameters()
        return {
            "format": FORMAT,
            "algorithm": ALGORITHM,
            "architecture": self.plain.architecture.describe(),
            "parameters": {"network": proper, "conditioning": conditioning},
            "ladder": {
                "sigma_1": self.sigma_1,
                "sigma_N": SIGMA_N,
                "levels": self.ladder.tolist(),
            },
            "corpus_digest": self.corpus.digest,
            "seed": self.seed,
            "weights_sha256": sha256_file(self.out / "model.safetensors"),
            "training": {
                "options": self.config.model_dump(),
                "steps": self.progressed.step,
                "images": self.progressed.step * self.batch,
                "chosen": chosen,
                "chosen_step": self.progressed.best_step,
                "loss_per_band": self.progressed.best_bands,
                "world_size": self.accelerator.num_processes,
                "device": self.device.type,
                "torch": torch.__version__,
            },
            "norm_real": self._norm_real(),
        }

    def _norm_real(self) -> dict[str, Any]:
        """||sigma_N S||^2 / D of real images: what `generate.stop: real` stops at."""
        held_out = len(self.corpus.reference) > 0
        images = self.corpus.reference if held_out else self.corpus.images
        norms = real_norms(self.ema.net, self.sigma_1, images[:HELD_IMAGES], self.device)
        return {"median": float(np.median(norms)), "of": "held out" if held_out else "training"}


class _Log:
    """train.jsonl: a line per checkpoint; lines after the step resumed from are dropped."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without its end, a line is of a run that was killed while it wrote it.
        old = path.read_text().splitlines(keepends=True) if path.exists() and step else []
        whole = (line for line in old if line.endswith("\n"))
        path.write_text("".join(line for line in whole if json.loads(line)["step"] <= step))

    def write(self, **values: Any) -> None:
        with open(self.path, "a") as file:
            file.write(json.dumps(values) + "\n")


def _sigma_1(corpus: Corpus, progress: Progress) -> float:
    """The exact largest distance between two training images; refuses images all alike."""
    with progress.task("sigma_1", len(corpus.images), "images") as advance:
        found = diameter(corpus.images, advance)
    if found.squared == 0:
        raise ConfigError(
            f"All {len(corpus.images)} training images are the same: there is nothing to mix."
            " Give at least two different images."
        )
    return found.sigma_1
