"""Generator and discriminator: convolutions that double and halve the side, from 4 px and to 4 px.

Shapes: z (B, LATENT); x (B, C, R, R) in [-1, 1]; labels (B,) class numbers, None without classes.

Sources: DCGAN (Radford et al. 2015, arXiv 1511.06434) with nearest-neighbour up-sampling (Odena et
al. 2016); spectral norm and projection of the class (Miyato et al. 2018, arXiv 1802.05957,
1802.05637).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d
from torch.nn.utils.parametrizations import spectral_norm

LATENT = 64  # dimensions of z
BOTTOM = 4  # side in pixels of the innermost maps
_SLOPE = 0.1  # of LeakyReLU


@dataclass(frozen=True)
class GanShape:
    """What determines the shape of both networks."""

    channels: int  # of the images: 1 or 3
    resolution: int  # side in pixels: BOTTOM times a power of two
    width: int  # channels of the outermost convolutions; they double with every halving
    classes: int = 0  # 0: not conditional

    def __post_init__(self) -> None:
        side = self.resolution
        if side < 2 * BOTTOM or BOTTOM * 2**self.halvings != side:
            raise ValueError(f"a GAN of {side} px: the side must be 8, 16, 32, 64 or 128 px")

    @property
    def halvings(self) -> int:
        """How often the side is halved down to BOTTOM."""
        return round(math.log2(self.resolution / BOTTOM))

    @property
    def innermost(self) -> int:
        """Channels at the side BOTTOM."""
        return int(self.width * 2**self.halvings)


class DoublingConv(nn.Conv2d):
    """nearest x 2, then conv3 without bias, as the one transposed convolution that equals both.

    A pixel of the doubled map sees two of the small one along each axis, so that 16 products do the
    work of 36.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=False)
        # Along one axis: kernel (w0, w1, w2) -> (w2, w1 + w2, w0 + w1, w0), transposed, stride 2.
        sums = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
        self.register_buffer("sums", sums, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, outputs, 2 H, 2 W) of x (B, inputs, H, W)."""
        kernel = torch.einsum("oirc,yr,xc->ioyx", self.weight, self.sums, self.sums)
        return conv_transpose2d(x, kernel, stride=2, padding=1)


class Generator(nn.Module):
    """linear to 4 x 4, then [nearest x 2, conv3, batch norm, ReLU] per doubling, conv3, tanh."""

    def __init__(self, shape: GanShape) -> None:
        super().__init__()
        inner = shape.innermost
        self.classes = nn.Embedding(shape.classes, LATENT) if shape.classes else None
        self.first = nn.Linear(LATENT * (2 if shape.classes else 1), inner * BOTTOM**2)
        layers: list[nn.Module] = [nn.BatchNorm2d(inner), nn.ReLU()]
        for _ in range(shape.halvings):
            layers += [
                DoublingConv(inner, inner // 2),
                nn.BatchNorm2d(inner // 2),
                nn.ReLU(),
            ]
            inner //= 2
        self.body = nn.Sequential(*layers)
        self.last = nn.Conv2d(inner, shape.channels, 3, padding=1)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, C, R, R) in [-1, 1]."""
        if self.classes is not None:
            assert labels is not None
            z = torch.cat([z, self.classes(labels)], dim=1)
        h = self.first(z).unflatten(1, (-1, BOTTOM, BOTTOM))
        out: Tensor = self.last(self.body(h)).float().tanh()
        return out


class Discriminator(nn.Module):
    """conv3, then [conv4 of stride 2, conv3] per halving, linear; spectral norm, LeakyReLU.

    With classes, the score has the inner product of the class's vector with the summed maps.
    """

    def __init__(self, shape: GanShape) -> None:
        super().__init__()
        width = shape.width
        layers: list[nn.Module] = [_conv(shape.channels, width, 3), nn.LeakyReLU(_SLOPE)]
        for _ in range(shape.halvings):
            layers += [
                _conv(width, 2 * width, 4, stride=2),
                nn.LeakyReLU(_SLOPE),
                _conv(2 * width, 2 * width, 3),
                nn.LeakyReLU(_SLOPE),
            ]
            width *= 2
        self.body = nn.Sequential(*layers)
        self.score = spectral_norm(nn.Linear(width * BOTTOM**2, 1))
        self.classes = spectral_norm(nn.Embedding(shape.classes, width)) if shape.classes else None

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores (B,): the higher, the more like real images."""
        h = self.body(x)
        score: Tensor = self.score(h.flatten(1))[:, 0]
        if self.classes is not None:
            assert labels is not None
            score = score + (self.classes(labels) * h.sum(dim=(2, 3))).sum(dim=1)
        return score.float()


def _conv(inputs: int, outputs: int, side: int, stride: int = 1) -> nn.Module:
    made: nn.Module = spectral_norm(nn.Conv2d(inputs, outputs, side, stride, padding=1))
    return made
