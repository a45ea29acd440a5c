"""How a device must be set so that equal work gives equal bits."""

import os

import torch


def settle(device: torch.device) -> None:
    """Deterministic kernels and no autotuning on a GPU; nothing to do on a CPU.

    Where an operation has no deterministic form torch warns. TF32 convolutions are within the
    method's tolerance and stay on.
    """
    if device.type != "cuda":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)
