"""Converts 8-bit pixels to the network's tensors, and back."""

import numpy as np
import torch
from numpy.typing import NDArray


def to_unit(pixels: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """uint8 (B, H, W, C) -> float32 (B, C, H, W) in [0, 1], channels last in memory."""
    return as_unit(torch.from_numpy(np.array(pixels)).to(device))  # a copy: the map is read-only


def to_device(values: NDArray[np.generic], device: torch.device) -> torch.Tensor:
    """A copy on the device, for which the host does not wait; on a CPU the values themselves."""
    tensor = torch.from_numpy(values)
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def as_unit(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 (B, H, W, C) -> float32 (B, C, H, W) in [0, 1], on the tensor's own device."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)


def to_pixels(x: torch.Tensor) -> NDArray[np.uint8]:
    """float (B, C, H, W) -> uint8 (B, H, W, C): clamped to [0, 1], then rounded to 8 bits."""
    scaled = x.clamp(0, 1).mul(255.0).round().to(torch.uint8)
    pixels: NDArray[np.uint8] = scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels
