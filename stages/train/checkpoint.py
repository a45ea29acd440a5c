"""The state to resume training from: one safetensors file, replaced atomically."""

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
from ...manifests.files.json_reader import parse_json
from ...manifests.run_folder import STATE
from ...models.network.checkpoint import weights_bytes
from ...models.network.ema import Ema
from ...models.network.score_net import ScoreNet

BEST = "best.safetensors"  # beside STATE in score-net/last/


@dataclass
class TrainingProgress:
    """Step and best averages so far; `identity` names the options and the corpus."""

    identity: str
    step: int = 0
    best_step: int = 0
    best_loss: float | None = None
    best_bands: dict[str, Any] = field(default_factory=dict)
    # Of torch, one number after the other where it changed on the way; sums depend on it.
    threads: list[int] = field(default_factory=list)

    def note_threads(self) -> None:
        """Records how many threads the updates from here on are computed with."""
        if self.threads[-1:] != [torch.get_num_threads()]:
            self.threads.append(torch.get_num_threads())


def save_state(
    folder: Path,
    state: TrainingProgress,
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
    on_cpu = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"progressed": json.dumps(vars(state))}
    write_bytes(folder / STATE, save(on_cpu, metadata))


def load_state(
    folder: Path,
    identity: str,
    net: ScoreNet,
    ema: Ema[ScoreNet],
    optimiser: torch.optim.Adam,
    *,
    at_most: int,
) -> TrainingProgress:
    """Loads folder/state.safetensors into net, ema and optimiser; step 0 where none can be resumed.

    Raises:
        ScoreMixError: the file is damaged.
    """
    state = resumable_state(folder, identity, at_most=at_most) or TrainingProgress(identity)
    if state.step < at_most:
        state.note_threads()
    if not state.step:
        return state
    path = folder / STATE
    with _damage_reported(path), safe_open(path, framework="pt") as file:
        averages = dict(ema.net.named_parameters())
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                parameter.copy_(file.get_tensor(f"net.{name}"))
                averages[name].copy_(file.get_tensor(f"ema.{name}"))
                optimiser.state[parameter] = {
                    "step": torch.tensor(float(state.step), device=parameter.device),
                    "exp_avg": _like(file.get_tensor(f"adam1.{name}"), parameter),
                    "exp_avg_sq": _like(file.get_tensor(f"adam2.{name}"), parameter),
                }
    return state


def resumable_state(folder: Path, identity: str, *, at_most: int) -> TrainingProgress | None:
    """The state that a training of this identity would resume from; None: it starts at step 0.

    A state beyond `at_most` steps is not used, because its best averages may be of a later step.
    The best averages alone may be too, where a process was killed between saving them and the
    state; otherwise they are made again from the same weights before anything reads them.

    Raises:
        ScoreMixError: a file is damaged; it is not replaced silently, hours of training are in it.
    """
    state = state_in(folder)
    if state is None:
        return None
    best_step, of = _best_of(folder)
    fits = max(state.step, best_step) <= at_most and of in (None, identity)
    return state if state.identity == identity and fits else None


def state_in(folder: Path) -> TrainingProgress | None:
    """How far the training got whose state lies there; None without one.

    Raises ScoreMixError for a damaged file.
    """
    path = folder / STATE
    if not path.exists():
        return None
    with _damage_reported(path), safe_open(path, framework="pt") as file:
        return TrainingProgress(**parse_json(file.metadata()["progressed"]))


def save_best(folder: Path, ema: Ema[ScoreNet], state: TrainingProgress) -> None:
    """folder/best.safetensors: the averages with the best held-out loss so far."""
    facts = {"step": state.best_step, "identity": state.identity}
    # One entry: safetensors writes several in no fixed order.
    write_bytes(folder / BEST, weights_bytes(ema.net, {"best": json.dumps(facts)}))


def _best_of(folder: Path) -> tuple[int, str | None]:
    """Step of the best averages, and the training that wrote them: another may have begun to.

    None where that is not recorded: files made before it was.
    """
    path = folder / BEST
    if not path.exists():
        return 0, None
    with _damage_reported(path), safe_open(path, framework="pt") as file:
        found = file.metadata()
        facts = parse_json(found["best"]) if "best" in found else found
        return int(facts["step"]), facts.get("identity")


@contextlib.contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    """Turns errors of a damaged file into ScoreMixError with its path and the remedy."""
    try:
        yield
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ScoreMixError(
            f"{path}, from which training would go on, is damaged ({error}). Restore it, or delete"
            f" the folder {path.parent}: the same command then trains from the start."
        ) from error


def _like(tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """A copy with the parameter's device and memory layout."""
    return torch.empty_like(parameter).copy_(tensor)
