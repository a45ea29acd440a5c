"""score-net/ of a run: is it there, open it, and what is wrong with it."""

from typing import Any

import torch
from safetensors import SafetensorError

from ..manifests.errors import ScoreMixError
from ..manifests.run_folder import RunFolder
from ..models.network.checkpoint import GUIDE, TrainedNet, load_net, read_facts


def is_trained(files: RunFolder) -> bool:
    """Whether a training was finished; not whether its files are undamaged."""
    if not (files.model_facts.exists() and files.model_weights.exists()):
        return False
    try:
        has_guide = "guide_sha256" in read_facts(files.network)
    except ValueError:
        return True  # damaged: who opens it says so
    return not has_guide or (files.network / GUIDE).exists()


def open_network(files: RunFolder, device: torch.device) -> TrainedNet:
    """Loads the network. Raises ScoreMixError where a file is missing or damaged."""
    try:
        return load_net(files.network, device)
    except FileNotFoundError as error:
        raise ScoreMixError(
            f"{error.filename} is missing, without which no image can be made. Restore it, or run"
            " the same command as before: the network is then trained again."
        ) from error
    except (ValueError, KeyError, TypeError, OSError, SafetensorError) as error:
        raise ScoreMixError(f"The network in {files.network} cannot be used: {error}") from error


def read_model_facts(files: RunFolder) -> dict[str, Any]:
    """model.json's content; the weights are not read. Raises ScoreMixError where it is damaged."""
    try:
        return read_facts(files.network)
    except (OSError, ValueError) as error:
        raise ScoreMixError(
            f"{files.model_facts} is gone or damaged ({error}), and with it what"
            " the shards were made from. Restore it, or run the same command as before: the"
            " network is then trained again, and the shards made anew."
        ) from error
