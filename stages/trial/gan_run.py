"""One GAN on one corpus with one seed: a function of these alone, resumed from a saved state."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ...manifests.errors import Interrupted, ScoreMixError
from ...manifests.files.atomic import write_bytes
from ...manifests.files.crash_points import crash_point
from ...manifests.files.json_reader import parse_json
from ...manifests.plan.random_streams import image_seed
from ...models.gan.changes import Change
from ...models.gan.diffaugment import augment
from ...models.gan.networks import LATENT, Discriminator, GanShape, Generator
from ...models.network.ema import Ema
from ..common.progress import Advance
from ..common.tensors import to_unit
from ..train.batches import batch_rows
from .snapshots import Ids, Images, Sampler, half_precision

ALGORITHM = 3  # raised whenever equal inputs would train another GAN, or judge other moments
ALGORITHM_OF_GROWING = 2  # the same of a growing corpus alone

STOPPED = "The trial was stopped; the same command goes on."

_SCORED = 256  # images that D scores at once
_STATE = "state.safetensors"


class Diverged(ScoreMixError):
    """A loss that is not finite: with these options this GAN cannot be trained."""


@dataclass(frozen=True)
class GanOptions:
    """How a GAN is trained."""

    images: int  # shown, with repetition
    snapshot_every: int  # images
    batch: int
    lr: float
    ema: float
    augment: Sequence[Change]
    flip: bool
    dtype: torch.dtype | None = None  # of convolutions; None: float32

    @property
    def steps(self) -> int:
        return -(-self.images // self.batch)

    def seen(self, step: int, total: int, rises: "Rise | None") -> int:
        """How many of `total` images the update `step` draws from, the first ones."""
        if rises is None:
            return total
        rounds = (rises.rounds + 1) * step // self.steps  # each number of rounds equally long
        return rises.real + (total - rises.real) * rounds // rises.rounds

    @property
    def snapshots(self) -> list[int]:
        """The updates after which there is a snapshot; the last update is one.

        All others are those of a longer training, too, which so goes on from this one.
        """
        whole = range(self.snapshot_every, self.images + 1, self.snapshot_every)
        return sorted({*(-(-images // self.batch) for images in whole), self.steps})

    @property
    def judged(self) -> list[int]:
        """The snapshots that are judged: not those that are near the last one."""
        near = self.snapshot_every / self.batch / 2
        return [step for step in self.snapshots if step == self.steps or self.steps - step > near]


@dataclass(frozen=True)
class Rise:
    """A growing corpus: `real` images at first, round after round, and all rounds at the end."""

    real: int
    rounds: int


class GanRun:
    """Trains G and D on images (N, H, W, C) of classes `labels` (N,), None for unconditional.

    rises: of a growing corpus, whose images lie in the order in which they come; None: all at once.
    """

    def __init__(
        self,
        images: Images,
        labels: Ids | None,
        shape: GanShape,
        options: GanOptions,
        seed: int,
        device: torch.device,
        rises: Rise | None = None,
    ) -> None:
        self.images, self.labels, self.options, self.rises = images, labels, options, rises
        self.seed, self.device, self.step = seed, device, 0
        self.sampler = Sampler(seed, labels, device, options.dtype)
        torch.manual_seed(image_seed(seed, "gan-weights"))
        layout = torch.channels_last
        self.generator = Generator(shape).to(device, memory_format=layout)  # type: ignore[call-overload]
        self.discriminator = Discriminator(shape).to(device, memory_format=layout)  # type: ignore[call-overload]
        self.averaged = Ema(self.generator, options.ema)
        self._adam = {
            name: torch.optim.Adam(net.parameters(), lr=options.lr, betas=(0.0, 0.99), fused=True)
            for name, net in (("g", self.generator), ("d", self.discriminator))
        }

    def advance(self, stopping: Callable[[], bool], advance: Advance) -> Iterator[int]:
        """Trains on, and gives the step of every snapshot once it is reached.

        Raises:
            Interrupted: `stopping()` became true; the last snapshot is where it goes on.
            Diverged: a loss is not finite.
        """
        wanted = frozenset(self.options.snapshots)
        while self.step < self.options.steps:
            if stopping():
                raise Interrupted(STOPPED)
            self.update()
            self.step += 1
            advance(self.options.batch)
            if self.step in wanted:
                yield self.step

    def update(self) -> None:
        """One update of D and one of G."""
        # Draw images, classes, latents and augmentation: a function of (seed, step).
        random = torch.Generator(self.device).manual_seed(image_seed(self.seed, f"gan-{self.step}"))
        seen = self.options.seen(self.step, len(self.images), self.rises)
        rows = batch_rows(seen, self.options.batch, self.step, self.seed)
        real = 2.0 * to_unit(self.images[rows], self.device) - 1.0
        if self.options.flip:
            flips = torch.rand(len(real), generator=random, device=self.device) < 0.5
            real = torch.where(flips[:, None, None, None], real.flip(3), real)
        labels = None if self.labels is None else torch.from_numpy(self.labels[rows])
        labels = None if labels is None else labels.to(self.device)

        # D: real images score above 1, generated ones below -1 (hinge loss).
        fake = self._fake(random, labels)
        both = torch.cat([real, fake.detach()])
        twice = None if labels is None else torch.cat([labels, labels])
        on_real, on_fake = self._scores(both, twice, random).chunk(2)
        loss = (1.0 - on_real).relu().mean() + (1.0 + on_fake).relu().mean()
        self._descend("d", loss)

        # G: the same images score high by the D that has just learned.
        self.discriminator.requires_grad_(False)
        self._descend("g", -self._scores(fake, labels, random).mean())
        self.discriminator.requires_grad_(True)
        self.averaged.update(self.generator, self.step + 1)

    def _fake(self, random: torch.Generator, labels: Tensor | None) -> Tensor:
        size = self.options.batch
        z = torch.randn((size, LATENT), generator=random, device=self.device)
        with half_precision(self.device, self.options.dtype):
            made: Tensor = self.generator(z, labels)
        return made

    def _scores(self, x: Tensor, labels: Tensor | None, random: torch.Generator) -> Tensor:
        changed = augment(x, self.options.augment, random)
        with half_precision(self.device, self.options.dtype):
            scores: Tensor = self.discriminator(changed, labels)
        return scores

    def _descend(self, which: str, loss: Tensor) -> None:
        if not torch.isfinite(loss):
            raise Diverged(
                f"the GAN's loss is {loss.item()} at update {self.step:,}. Set trial.lr lower."
            )
        adam = self._adam[which]
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()

    def settled(self) -> Generator:
        """The averaged generator, ready to be drawn from."""
        net: Generator = self.averaged.net
        self.sampler.settle(net, self.options.batch)
        return net

    def sample(self, count: int, purpose: str) -> Images:
        """(count, H, W, C) of the averaged generator; the same latents at every snapshot."""
        return self.sampler.draw(self.settled(), count, purpose)

    @torch.no_grad()
    def mean_score(self, images: Images, labels: Ids | None) -> float:
        """D's mean score of real images as they are."""
        total = 0.0
        self.discriminator.eval()
        for start in range(0, len(images), _SCORED):
            x = 2.0 * to_unit(images[start : start + _SCORED], self.device) - 1.0
            given = None
            if labels is not None:
                given = torch.from_numpy(labels[start : start + _SCORED]).to(self.device)
            total += float(self.discriminator(x, given).sum())
        self.discriminator.train()
        return total / len(images)

    def save(self, folder: Path, identity: str) -> None:
        """Writes folder/state.safetensors, from which another process goes on."""
        tensors = {
            f"{name}.{key}": value.detach().cpu().contiguous()
            for name, net in self._nets().items()
            for key, value in net.state_dict().items()
        }
        for name, adam in self._adam.items():
            for place, moments in adam.state_dict()["state"].items():
                for key in ("exp_avg", "exp_avg_sq"):
                    tensors[f"adam-{name}.{place}.{key}"] = moments[key].cpu().contiguous()
        facts = {"identity": identity, "step": self.step}
        write_bytes(folder / _STATE, save(tensors, {"progressed": json.dumps(facts)}))
        crash_point("gan-saved")

    def load(self, folder: Path, identity: str) -> None:
        """Goes on from folder/state.safetensors, where it is of this training.

        Raises ScoreMixError for a damaged file.
        """
        path = folder / _STATE
        if not path.exists():
            return
        try:
            with safe_open(path, framework="pt") as file:
                facts = parse_json(file.metadata()["progressed"])
                if facts["identity"] != identity:
                    return
                for name, net in self._nets().items():
                    keys = net.state_dict().keys()
                    net.load_state_dict({key: file.get_tensor(f"{name}.{key}") for key in keys})
                for name, adam in self._adam.items():
                    self._load_moments(name, adam, file, facts["step"])
                self.step = int(facts["step"])
        except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ScoreMixError(
                f"{path}, from which the trial would go on, is damaged ({error}). Delete the folder"
                f" {folder}: the same command trains that GAN from the start."
            ) from error

    def _load_moments(self, name: str, adam: torch.optim.Adam, file: Any, step: int) -> None:
        for place, parameter in enumerate(adam.param_groups[0]["params"]):
            moments = {
                key: torch.empty_like(parameter).copy_(
                    file.get_tensor(f"adam-{name}.{place}.{key}")
                )
                for key in ("exp_avg", "exp_avg_sq")
            }
            steps = torch.tensor(float(step), device=parameter.device)
            adam.state[parameter] = {"step": steps, **moments}

    def _nets(self) -> dict[str, nn.Module]:
        return {"g": self.generator, "d": self.discriminator, "averaged": self.averaged.net}
