"""The heads of recognisers: embeddings and classes -> logits, whose cross-entropy is the loss.

Legend: e (B, E) embeddings, w (K, E) a vector of each class, theta the angle between e and w,
labels (B,), s the scale, m the margin.

    softmax   e . w + b
    cosface   s cos(theta), of the own class s (cos(theta) - m)      (Wang et al. 2018, 1801.09414)
    arcface   s cos(theta), of the own class s cos(theta + m)        (Deng et al. 2018, 1801.07698)

With m = 0 both are the softmax of scaled cosines. Evaluation has no margin.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .names import HeadName

_LEAST_SINE = 1e-6  # squared; the slope of the sine is infinite at theta = 0


class Head(nn.Module):
    """Class vectors, and the logits that a name, a scale and a margin make of their cosines."""

    def __init__(
        self, name: HeadName, embedding: int, classes: int, scale: float, margin: float, seed: int
    ) -> None:
        super().__init__()
        self.name, self.scale, self.margin = name, scale, margin
        random = torch.Generator().manual_seed(seed)
        vectors = torch.randn((classes, embedding), generator=random) / math.sqrt(embedding)
        self.weight = nn.Parameter(vectors)
        self.bias = nn.Parameter(torch.zeros(classes)) if name == "softmax" else None

    def forward(self, e: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (B, K); labels: the own classes, to whose logits the margin is applied."""
        if self.name == "softmax":
            return F.linear(e, self.weight, self.bias)
        cosines = F.linear(F.normalize(e), F.normalize(self.weight))
        if labels is not None and self.margin:
            rows = torch.arange(len(labels), device=labels.device)
            own = cosines[rows, labels]
            cosines = cosines.index_put((rows, labels), self._with_margin(own))
        return self.scale * cosines

    def _with_margin(self, cosines: Tensor) -> Tensor:
        """What the own class has instead of its cosine (B,)."""
        if self.name == "cosface":
            return cosines - self.margin
        return add_angle(cosines, self.margin)


def add_angle(cosines: Tensor, margin: float) -> Tensor:
    """cos(theta + margin) of cos(theta), elementwise.

    Where theta + margin is beyond pi the cosine would rise again, so that a worse embedding had
    the better loss. There it goes on from -1 with slope 1 in cos(theta).
    """
    sines = (1.0 - cosines**2).clamp_min(_LEAST_SINE).sqrt()
    turned = cosines * math.cos(margin) - sines * math.sin(margin)
    beyond = cosines - 1.0 + math.cos(margin)  # -1 where theta + margin = pi
    return torch.where(cosines > -math.cos(margin), turned, beyond)
