"""The resumable state of a training run: one safetensors file, replaced atomically."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ...manifests.errors import ScoreMixError
from ...manifests.files.atomic import write_bytes
from ...models.network.checkpoint import weights_bytes
from ...models.network.ema import Ema
from ...models.network.score_net import ScoreNet


@dataclass
class TrainingProgress:
    """Where training stands; `identity` says for which options and corpus."""

    identity: str
    step: int = 0
    best_step: int = 0
    best_loss: float | None = None
    best_bands: dict[str, Any] = field(default_factory=dict)


def save_state(
    folder: Path,
    progressed: TrainingProgress,
    net: ScoreNet,
    ema: Ema[ScoreNet],
    optimiser: torch.optim.Adam,
) -> None:
    """Writes folder/state.safetensors: weights, averages, Adam's moments, the step."""
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in net.named_parameters():
        tensors[f"net.{name}"] = parameter.detach()
        moments = optimiser.state[parameter]
        tensors[f"adam1.{name}"] = moments["exp_avg"]
        tensors[f"adam2.{name}"] = moments["exp_avg_sq"]
    for name, parameter in ema.net.named_parameters():
        tensors[f"ema.{name}"] = parameter
    held = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"progressed": json.dumps(vars(progressed))}
    write_bytes(folder / "state.safetensors", save(held, metadata))


def load_state(
    folder: Path,
    identity: str,
    net: ScoreNet,
    ema: Ema[ScoreNet],
    optimiser: torch.optim.Adam,
    *,
    at_most: int,
) -> TrainingProgress:
    """Continues from folder/state.safetensors where `resumable` says so; else from 0."""
    progressed = resumable(folder, identity, at_most=at_most)
    if progressed is None:
        return TrainingProgress(identity)
    path = folder / "state.safetensors"
    with _readable(path), safe_open(path, framework="pt") as file:
        averages = dict(ema.net.named_parameters())
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                parameter.copy_(file.get_tensor(f"net.{name}"))
                averages[name].copy_(file.get_tensor(f"ema.{name}"))
                optimiser.state[parameter] = {
                    "step": torch.tensor(float(progressed.step), device=parameter.device),
                    "exp_avg": _like(file.get_tensor(f"adam1.{name}"), parameter),
                    "exp_avg_sq": _like(file.get_tensor(f"adam2.{name}"), parameter),
                }
    return progressed


def resumable(folder: Path, identity: str, *, at_most: int) -> TrainingProgress | None:
    """Where a training of this identity and so many steps would go on; None: it begins anew.

    A state beyond `at_most` steps is of no use: its best averages may be of a later step. So may
    those of a run that was killed between saving them and its state; otherwise they are made
    again, from the same weights, before anything reads them.

    Raises ScoreMixError where a file cannot be read: hours may lie in it.
    """
    path = folder / "state.safetensors"
    if not path.exists():
        return None
    with _readable(path), safe_open(path, framework="pt") as file:
        progressed = TrainingProgress(**json.loads(file.metadata()["progressed"]))
    if progressed.identity != identity or max(progressed.step, _best_step(folder)) > at_most:
        return None
    return progressed


def save_best(folder: Path, ema: Ema[ScoreNet], step: int) -> None:
    """folder/best.safetensors: the averages with the best held-out loss so far, of `step`."""
    write_bytes(folder / "best.safetensors", weights_bytes(ema.net, {"step": str(step)}))


def _best_step(folder: Path) -> int:
    path = folder / "best.safetensors"
    if not path.exists():
        return 0
    with _readable(path), safe_open(path, framework="pt") as file:
        return int(file.metadata()["step"])


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ScoreMixError(
            f"{path}, from which training would go on, is damaged ({error}). Restore it, or delete"
            f" the folder {path.parent}: the same command then trains from the start."
        ) from error


def _like(tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """The same device and memory layout as the parameter it belongs to."""
    return torch.empty_like(parameter).copy_(tensor)
