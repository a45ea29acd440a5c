"""The optimiser: Adam, for a U-Net with EDM's second moment and a rising learning rate at first."""

import torch
from torch import nn

from .config import TrainConfig

WARM_UP = 100  # updates over which a U-Net's learning rate rises


def make_optimiser(net: nn.Module, config: TrainConfig) -> torch.optim.Adam:
    """Adam over all parameters of `net`; config: resolved."""
    assert config.lr
    betas = (0.9, 0.99) if config.network == "unet" else (0.9, 0.999)
    return torch.optim.Adam(net.parameters(), lr=config.lr, betas=betas, fused=True)


def set_rate(optimiser: torch.optim.Adam, config: TrainConfig, step: int) -> None:
    """The learning rate of the update `step`, counted from 0.

    It never falls: the averaged weights need no fall, and without one a longer training goes on
    from a shorter one.
    """
    assert config.lr
    if config.network == "unet":
        for group in optimiser.param_groups:
            group["lr"] = config.lr * min(1.0, (step + 1) / WARM_UP)
