"""A trained network on disk: model.safetensors with the weights, model.json with the rest.

No pickle: safetensors and JSON hold data only.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save

from .architecture import Architecture
from .refinenet import RefineNet
from .score_net import ScoreNet
from .unet import UNet

FORMAT = 1
# The files of score-net/; the guide is an early state of a U-Net, for autoguidance.
FACTS, WEIGHTS, GUIDE = "model.json", "model.safetensors", "guide.safetensors"


@dataclass(frozen=True)
class TrainedNet:
    """A loaded network with its noise ladder and model.json."""

    net: ScoreNet
    sigma_1: float
    sigma_N: float
    facts: dict[str, Any]  # model.json as a whole
    guide: ScoreNet | None = None  # the weaker network of autoguidance


def weights_bytes(net: torch.nn.Module, metadata: dict[str, str] | None = None) -> bytes:
    """Parameters and nothing else as safetensors; `metadata` goes into the header."""
    state = {name: p.detach().cpu().contiguous() for name, p in net.named_parameters()}
    data: bytes = save(state, metadata)
    return data


def load_weights(net: torch.nn.Module, path: Path) -> None:
    """Raises ValueError where names or shapes are not the network's."""
    state = load_file(path)
    parameters = dict(net.named_parameters())
    differing = sorted(
        name
        for name in state.keys() | parameters.keys()
        if name not in state
        or name not in parameters
        or state[name].shape != parameters[name].shape
    )
    if differing:
        raise ValueError(
            f"{path} does not fit the network that model.json describes: {len(differing)} tensors"
            f" differ, {differing[0]} first. Train again or restore the matching pair of files."
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(state[name])


def build(architecture: Architecture, ladder: NDArray[np.float64], seed: int = 0) -> ScoreNet:
    """A network with initial weights from `seed`. The caller's random state is unchanged."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: ScoreNet
        if architecture.network == "unet":
            net = UNet(architecture)
        else:
            net = RefineNet(architecture, torch.from_numpy(ladder))
    # Channels last is the layout that convolutions want on CPU and GPU alike.
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def read_facts(folder: Path) -> dict[str, Any]:
    """model.json of score-net/. Raises ValueError where it is damaged or of another format."""
    try:
        facts = json.loads((folder / FACTS).read_text())
        found = facts.get("format")
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{folder}/model.json cannot be read ({error}). Restore it, or delete it and run again:"
            " the network is then trained again."
        ) from error
    if found != FORMAT:
        raise ValueError(
            f"{folder}/model.json has format {found}; this version reads {FORMAT}."
            " Train again, or use the version that wrote it."
        )
    return dict(facts)


def load_net(folder: Path, device: torch.device) -> TrainedNet:
    """Opens score-net/: model.json and model.safetensors.

    Raises:
        ValueError: damaged, another format, or weights that are not those that model.json names.
    """
    facts = read_facts(folder)
    ladder = np.array(facts["ladder"]["levels"], dtype=np.float64)

    def loaded(name: str, sha256: str) -> ScoreNet:
        _check_weights(folder / name, sha256)
        net = build(Architecture(**facts["architecture"]), ladder)
        load_weights(net, folder / name)
        return net.to(device)

    net = loaded(WEIGHTS, facts["weights_sha256"])
    guide = loaded(GUIDE, facts["guide_sha256"]) if "guide_sha256" in facts else None
    return TrainedNet(net, float(ladder[0]), float(ladder[-1]), facts, guide)


def _check_weights(path: Path, wanted: str) -> None:
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        raise ValueError(
            f"{path} has sha256 {found[:12]}..., but model.json was written for {wanted[:12]}...:"
            f" they are of two trainings, or damaged. Delete {path.parent / FACTS} and run again."
        )
