"""ScoreNet: what every score network offers to training and to the methods.

Shapes: x (B, C, R, R) in [0, 1] plus noise; sigma (B,) or (1,) in units of the [0, 1] range;
labels (B,) class numbers, or (B, m) of classes whose embeddings are mixed; view (B, VIEW).
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .architecture import Architecture

VIEW = 9  # numbers that describe how training changed an image (stages/train/augment.py)


class MixedClasses(NamedTuple):
    """Classes of each image whose embeddings are mixed into one condition."""

    ids: Tensor  # (B, m) class numbers
    weights: Tensor  # (B, m)


Labels = Tensor | MixedClasses


class ScoreNet(nn.Module, ABC):
    """S(x, sigma), an estimate of grad_x log q_sigma(x), as sigma S: of order one at every level.

    `trunk_dtype` lets everything between the first and last convolution run in half precision; who
    uses a network says by `compute_in` what it wants, because others may have wanted another.
    """

    conditioning: nn.Module  # noise level, class and view -> what `condition` gives

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.trunk_dtype: torch.dtype | None = None

    def compute_in(self, precision: str) -> None:
        """How the trunk computes from now on: float32 or bfloat16."""
        self.trunk_dtype = torch.bfloat16 if precision == "bfloat16" else None

    @abstractmethod
    def condition(
        self, sigma: Tensor, labels: Labels | None = None, view: Tensor | None = None
    ) -> Any:
        """What the network computes from the noise level and the conditions, without an image.

        labels: None for the null class, or where the network knows no classes. view: how training
        changed the images, None where they are as they are.
        """

    @abstractmethod
    def residual_given(self, x: Tensor, condition: Any) -> Tensor:
        """sigma S(x, sigma) with the condition computed before; (B, C, R, R)."""

    def residual(
        self, x: Tensor, sigma: Tensor, labels: Labels | None = None, view: Tensor | None = None
    ) -> Tensor:
        """sigma S(x, sigma), (B, C, R, R); of order one per pixel at every level."""
        return self.residual_given(x, self.condition(sigma, labels, view))

    def forward(
        self, x: Tensor, sigma: Tensor, labels: Labels | None = None, view: Tensor | None = None
    ) -> Tensor:
        """sigma S at (x, sigma): what training differentiates."""
        return self.residual(x, sigma, labels, view)

    def score(self, x: Tensor, sigma: Tensor) -> Tensor:
        """S(x, sigma); (B, C, R, R)."""
        return self.residual(x, sigma) / sigma.reshape(-1, 1, 1, 1)

    def count_parameters(self) -> tuple[int, int]:
        """Parameters of the network proper, and of its conditioning."""
        conditioning = sum(p.numel() for p in self.conditioning.parameters())
        return sum(p.numel() for p in self.parameters()) - conditioning, conditioning
