"""Networks that map an image to an embedding, whose cosine says how alike two images are.

Shapes: x (B, C, R, R) in [0, 1]; embeddings (B, E), not normalised.

Sources: four blocks of convolution, batch norm, ReLU and pooling, as few-shot learning uses them
(Vinyals et al. 2016, arXiv 1606.04080); residual blocks (He et al. 2015, arXiv 1512.03385), one in
each of four stages, which with the first convolution and the last layer makes ten. Batch norm after
the embedding is ArcFace's (Deng et al. 2018, arXiv 1801.07698): it centres what cosines compare.
"""

from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor, nn

from .names import RecogniserName

SMALLEST, LARGEST = 8, 64  # sides in pixels that the networks are built for
_BLOCKS = 4
_FULL_SIDE = 16  # px: above it the residual network begins with a convolution of stride 2


@dataclass(frozen=True)
class RecogniserShape:
    """What determines the shape of a recogniser's network."""

    network: RecogniserName
    channels: int  # of the images: 1 or 3
    resolution: int  # side in pixels
    embedding: int  # E
    width: int  # channels of the first convolution; resnet10 doubles them in three stages

    def __post_init__(self) -> None:
        if self.network not in get_args(RecogniserName):
            raise ValueError(f"no recogniser {self.network!r}: use conv4 or resnet10")
        if not SMALLEST <= self.resolution <= LARGEST:
            raise ValueError(
                f"a recogniser for images of {self.resolution} px: the side must be {SMALLEST} to"
                f" {LARGEST} px"
            )


class _Embedder(nn.Module):
    """Maps (B, C, H, W) -> linear -> batch norm: the end of both networks."""

    def __init__(self, body: nn.Module, features: int, embedding: int) -> None:
        super().__init__()
        self.body = body
        self.linear = nn.Linear(features, embedding, bias=False)
        self.norm = nn.BatchNorm1d(embedding, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (B, E) in float32."""
        features = self.body(2.0 * x - 1.0).flatten(1)
        embeddings: Tensor = self.norm(self.linear(features).float())
        return embeddings


def build_recogniser(shape: RecogniserShape, seed: int) -> nn.Module:
    """A network with initial weights from `seed`. The caller's random state is unchanged."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        make = {"conv4": _conv4, "resnet10": _resnet10}[shape.network]
        net = make(shape)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _conv4(shape: RecogniserShape) -> nn.Module:
    """Four times [conv3, batch norm, ReLU, max pool 2]; below 16 px the last pools are left out.

    Pooling comes first: the greatest of four ReLUs is the ReLU of the greatest, of a quarter of the
    values.
    """
    layers: list[nn.Module] = []
    channels, side = shape.channels, shape.resolution
    for _ in range(_BLOCKS):
        layers += _convolved(channels, shape.width)
        if side > 1:
            layers.append(nn.MaxPool2d(2))
        layers.append(nn.ReLU())
        channels, side = shape.width, max(1, side // 2)
    return _Embedder(nn.Sequential(*layers), channels * side**2, shape.embedding)


def _resnet10(shape: RecogniserShape) -> nn.Module:
    """conv3, then a residual block in each of four stages that halve the side, then the mean."""
    width = shape.width
    stride = 2 if shape.resolution > _FULL_SIDE else 1
    layers: list[nn.Module] = [*_convolved(shape.channels, width, stride), nn.ReLU()]
    channels = width
    for stage in range(_BLOCKS):
        outputs = width * 2**stage
        layers.append(_Residual(channels, outputs, stride=2 if stage else 1))
        channels = outputs
    layers.append(nn.AdaptiveAvgPool2d(1))
    return _Embedder(nn.Sequential(*layers), channels, shape.embedding)


class _Residual(nn.Module):
    """Two convolutions and a shortcut, which is a convolution of one pixel where shapes differ."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        first, second = _convolved(inputs, outputs, stride), _convolved(outputs, outputs)
        self.inner = nn.Sequential(*first, nn.ReLU(), *second)
        self.stride = stride
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(*_convolved(inputs, outputs, side=1))

    def forward(self, x: Tensor) -> Tensor:
        # Not a convolution of one pixel with a stride: with fewer than 8 channels, channels last,
        # oneDNN's gradient of it for AVX2 (brgconv_strided, torch 2.13) writes beyond its memory.
        strided = x[..., :: self.stride, :: self.stride]
        summed: Tensor = self.shortcut(strided) + self.inner(x)
        return summed.relu()


def _convolved(inputs: int, outputs: int, stride: int = 1, side: int = 3) -> list[nn.Module]:
    """A convolution without bias, and batch norm, which has one."""
    convolution = nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]
