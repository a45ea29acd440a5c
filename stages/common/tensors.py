"""Between 8-bit pixels and what the network sees."""

import numpy as np
import torch
from numpy.typing import NDArray


def to_unit(pixels: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """uint8 (B, H, W, C) -> float32 (B, C, H, W) in [0, 1], channels last in memory."""
    return as_unit(torch.from_numpy(np.array(pixels)).to(device))  # a copy: the map is read-only


def as_unit(pixels: torch.Tensor) -> torch.Tensor:
    """The same of a tensor, where it lies."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)


def to_pixels(x: torch.Tensor) -> NDArray[np.uint8]:
    """[0, 1] float (B, C, H, W) -> uint8 (B, H, W, C): clamp, then round to 8 bit."""
    scaled = x.clamp(0, 1).mul(255.0).round().to(torch.uint8)
    pixels: NDArray[np.uint8] = scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels
