"""One recogniser on one set of labelled images with one seed: a function of these alone.

Resumed from its last state. On a CPU the caller computes in one thread, so that the weights do not
depend on the number of processors.
"""

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ...manifests.errors import Interrupted, ScoreMixError
from ...manifests.files.atomic import write_bytes
from ...manifests.files.crash_points import crash_point
from ...manifests.files.json_reader import parse_json
from ...manifests.plan.random_streams import image_seed
from ...models.recognition.heads import Head
from ...models.recognition.networks import RecogniserShape, build_recogniser
from ..common.progress import Advance
from ..common.tensors import to_unit
from .batches import ClassBatches
from .config import RecogniseConfig

WEIGHTS, STATE = "model.safetensors", "state.safetensors"
_STATES = 10  # that a training saves from its beginning to its end
_WARM_UP = 0.02  # of the updates, over which the learning rate rises
_EMBEDDED = 256  # images at once

Images = NDArray[np.uint8]
Ids = NDArray[np.int64]


class RecogniserDiverged(ScoreMixError):
    """A loss that is not finite: with these options this recogniser cannot be trained."""


@dataclass(frozen=True)
class RecogniserOptions:
    """What is trained, and for how long."""

    config: RecogniseConfig  # resolved
    updates: int

    @classmethod
    def over(cls, config: RecogniseConfig, images: int) -> "RecogniserOptions":
        """As many updates as `epochs` passes over so many images take; one at least."""
        return cls(config, max(1, math.ceil(config.epochs * images / config.batch)))


class RecogniserRun:
    """Trains network and head on images (N, H, W, C) with classes `labels` (N,) below `classes`.

    Every label must be a class; images without one are the caller's to leave out.
    """

    def __init__(
        self,
        images: Images,
        labels: Ids,
        classes: int,
        options: RecogniserOptions,
        seed: int,
        device: torch.device,
    ) -> None:
        config = options.config
        self.options, self.seed, self.device, self.step = options, seed, device, 0
        side, channels = images.shape[2:]
        self.shape = RecogniserShape(config.network, channels, side, config.embedding, config.width)
        self.net = build_recogniser(self.shape, image_seed(seed, "recogniser")).to(device)
        given = config.head, config.embedding, classes, config.scale, config.margin
        self.head = Head(*given, seed=image_seed(seed, "recogniser-head")).to(device)
        self.both = torch.nn.ModuleDict({"net": self.net, "head": self.head})
        self._batches = ClassBatches(
            images, labels, config.batch, flip=config.flip, affine=config.affine, seed=seed
        )
        self._descent = torch.optim.SGD(
            self.both.parameters(),
            lr=config.lr,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
        self.figures: dict[str, float] = {}  # loss and accuracy of the last batch before a state

    def train(
        self,
        folder: Path,
        identity: str,
        stopping: Callable[[], bool],
        advance: Advance,
    ) -> None:
        """Trains to the end, from the state in `folder` where there is one of this identity.

        Raises:
            Interrupted: `stopping()` became true; the state is saved, and the same call goes on.
            RecogniserDiverged: the loss is not finite.
            ScoreMixError: the state is damaged.
        """
        self._load(folder, identity)
        advance(self.step * self.options.config.batch, resumed=True)
        every = max(1, self.options.updates // _STATES)
        while self.step < self.options.updates:
            if stopping():
                self._save(folder, identity)
                raise Interrupted(
                    f"The training of a recogniser stopped at update {self.step:,} of"
                    f" {self.options.updates:,}; the same command goes on from there."
                )
            self.update()
            self.step += 1
            advance(self.options.config.batch)
            if self.step % every == 0 or self.step == self.options.updates:
                self._save(folder, identity)

    def update(self) -> None:
        """One update of network and head by stochastic gradient descent."""
        # Draw classes, then images of them, and change these a little.
        x, labels = self._batches.draw(self.step, self.device)

        # Loss: the cross-entropy of the head's logits.
        self.both.train()
        with self._half():
            embeddings = self.net(x)
        logits = self.head(embeddings, labels)
        loss = F.cross_entropy(logits, labels)
        if not torch.isfinite(loss):
            raise RecogniserDiverged(
                f"The recogniser's loss is {loss.item()} at update {self.step:,}. Set recognise.lr"
                " lower."
            )

        # Descend at a rate that rises at first and then falls to 0 as a cosine.
        self._descent.param_groups[0]["lr"] = self.options.config.lr * self._rate()
        self._descent.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._descent.step()
        self.figures = {"loss": loss.item(), "accuracy": _accuracy(logits.detach(), labels)}

    def _rate(self) -> float:
        """The learning rate of this update as a share of the highest."""
        updates = self.options.updates
        rising = max(1.0, _WARM_UP * updates)
        falling = 0.5 * (1.0 + math.cos(math.pi * self.step / updates))
        return min(1.0, (self.step + 1) / rising) * falling

    def _half(self) -> torch.autocast:
        enabled = self.options.config.precision == "bfloat16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)

    @torch.no_grad()
    def embed(self, images: Images) -> NDArray[np.float32]:
        """Embeddings (N, E) of images (N, H, W, C), in float32; each independent of the others."""
        self.both.eval()
        parts = [self.net(x).cpu().numpy() for x in self._parts(images)]
        return np.concatenate([np.zeros((0, self.shape.embedding), np.float32), *parts])

    @torch.no_grad()
    def classify(self, embeddings: NDArray[np.float32], among: int) -> Ids:
        """(N,) the likeliest of the first `among` classes of each embedding (N, E)."""
        self.both.eval()
        logits = self.head(torch.from_numpy(embeddings).to(self.device))[:, :among]
        chosen: Ids = logits.argmax(dim=1).cpu().numpy()
        return chosen

    def _parts(self, images: Images) -> Iterator[Tensor]:
        for start in range(0, len(images), _EMBEDDED):
            yield to_unit(images[start : start + _EMBEDDED], self.device)

    def weights(self) -> bytes:
        """Network and head, batch norm's statistics included, as safetensors."""
        data: bytes = save(_on_cpu(self.both.state_dict()))
        return data

    def _save(self, folder: Path, identity: str) -> None:
        """Writes folder/state.safetensors, from which another process goes on."""
        tensors = _on_cpu(self.both.state_dict())
        for name, parameter in self.both.named_parameters():
            buffer = self._descent.state[parameter].get("momentum_buffer")
            if buffer is not None:
                tensors[f"momentum.{name}"] = buffer.cpu().contiguous()
        facts = {"identity": identity, "step": self.step, "figures": self.figures}
        write_bytes(folder / STATE, save(tensors, {"progressed": json.dumps(facts)}))
        crash_point("recogniser-saved")

    def _load(self, folder: Path, identity: str) -> None:
        path = folder / STATE
        if not path.exists():
            return
        with _damage_reported(path), safe_open(path, framework="pt") as file:
            facts = parse_json(file.metadata()["progressed"])
            if facts["identity"] != identity:
                return
            keys = self.both.state_dict().keys()
            self.both.load_state_dict({key: file.get_tensor(key) for key in keys})
            stored = set(file.keys())
            for name, parameter in self.both.named_parameters():
                if f"momentum.{name}" in stored:
                    buffer = file.get_tensor(f"momentum.{name}")
                    buffer = torch.empty_like(parameter).copy_(buffer)
                    self._descent.state[parameter] = {"momentum_buffer": buffer}
            self.step, self.figures = int(facts["step"]), dict(facts["figures"])


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(dim=1) == labels).float().mean())


def _on_cpu(state: dict[str, Any]) -> dict[str, Tensor]:
    return {key: value.detach().cpu().contiguous() for key, value in state.items()}


@contextlib.contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ScoreMixError(
            f"{path}, from which a recogniser's training would go on, is damaged ({error}). Delete"
            " it: the same command then trains from the start."
        ) from error
