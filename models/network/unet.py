"""A U-Net in the EDM parametrisation (Karras et al. 2022, arXiv 2206.00364) on blocks of pixels.

Shapes: x (B, C, R, R) in [0, 1] plus noise; sigma (B,) or (1,) in units of the [0, 1] range;
labels (B,) class numbers; view (B, VIEW) how training changed the images.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .architecture import Architecture
from .score_net import VIEW, Labels, MixedClasses, ScoreNet

SIGMA_DATA = 0.5  # standard deviation of images on [-1, 1], as in EDM

_BLOCKS = 2  # residual blocks a level, each way
_ATTENTION_SIDE = 8  # the largest side at which positions attend to each other
_GROUP = 16  # channels that a norm takes together, at least
_FREQUENCIES = 32


@dataclass(frozen=True)
class _Shape:
    """One row of the table of shapes: blocks of pixels, and multiples of the width a level."""

    up_to: int  # largest side that this row serves
    block: int  # side of the square of pixels that becomes one position
    levels: tuple[int, ...]

    @property
    def divisor(self) -> int:
        """The side of an image must be a multiple of this."""
        return int(self.block * 2 ** (len(self.levels) - 1))


_SHAPES = (
    _Shape(16, 1, (1, 2)),
    _Shape(48, 2, (1, 2, 2)),
    _Shape(96, 2, (1, 2, 2, 2)),
    _Shape(160, 4, (1, 2, 2, 2)),
    _Shape(4096, 4, (1, 2, 2, 4, 4)),
)


def shape_for(resolution: int, block: int | None = None) -> _Shape:
    """The shape for a resolution: the table's row, with fewer levels or smaller blocks where the
    side does not divide by its down-sampling. Any side has one.

    block: other blocks than the table's, with the levels of a side that has as many of the table's.
    """
    row = next(row for row in _SHAPES if resolution <= row.up_to)
    if block and block != row.block:
        alike = resolution * row.block / block
        row = _Shape(row.up_to, block, next(row for row in _SHAPES if alike <= row.up_to).levels)
    blocks = [size for size in (4, 2, 1) if size <= row.block]
    depths = range(len(row.levels), 1, -1)
    for block, depth in (*((b, d) for b in blocks for d in depths), *((b, 1) for b in blocks)):
        shape = _Shape(row.up_to, block, row.levels[:depth])
        if resolution % shape.divisor == 0:
            return shape
    raise AssertionError("a block of one pixel and one level divide every side")


class Modulation(NamedTuple):
    """What the noise level and the conditions do to the network, see `UNet.condition`."""

    sigma: Tensor  # (B or 1, 1, 1, 1), on [-1, 1]
    parts: list[Tensor]  # scale and shift of each block in turn: (B or 1, C, 1, 1)


class UNet(ScoreNet):
    """sigma S(x, sigma) = (D(x, sigma) - x) / sigma, D = c_skip x + c_out F(c_in x, ln sigma / 4).

    All of it on [-1, 1]: x becomes 2x - 1 and sigma 2 sigma, which leaves sigma S as it is. Written
    out nothing cancels: sigma S = -sigma x / (sigma^2 + s^2) + s F / sqrt(sigma^2 + s^2), s =
    SIGMA_DATA. `trunk_dtype` lets F run in half precision.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        shape = shape_for(architecture.resolution, architecture.block)
        self.block = shape.block
        g, dropout = architecture.width, architecture.dropout
        pixels = architecture.channels * shape.block**2
        side = architecture.resolution // shape.block
        channels = [g * multiple for multiple in shape.levels]
        blocks: list[ModulatedBlock] = []

        def block(inputs: int, outputs: int, side: int) -> ModulatedBlock:
            made = ModulatedBlock(inputs, outputs, dropout, attends=side <= _ATTENTION_SIDE)
            blocks.append(made)
            return made

        self.stem = nn.Conv2d(pixels, g, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        skips, here = [], g
        for level, width in enumerate(channels):
            row = nn.ModuleList()
            for _ in range(_BLOCKS):
                row.append(block(here, width, side >> level))
                here = width
                skips.append(here)
            self.down.append(row)
        self.middle = block(here, here, side >> (len(channels) - 1))
        for level, width in reversed(list(enumerate(channels))):
            row = nn.ModuleList()
            for _ in range(_BLOCKS):
                row.append(block(here + skips.pop(), width, side >> level))
                here = width
            self.up.append(row)
        self.head_norm = nn.GroupNorm(_groups(here), here)
        self.head = _zero(nn.Conv2d(here, pixels, 3, padding=1))
        self.conditioning = _Embedding(architecture, [made.channels for made in blocks])

    def condition(
        self, sigma: Tensor, labels: Labels | None = None, view: Tensor | None = None
    ) -> Modulation:
        """What depends on the noise level and conditions alone; labels None: the null class."""
        doubled = 2.0 * sigma
        return Modulation(
            doubled.reshape(-1, 1, 1, 1), self.conditioning(doubled.log() / 4, labels, view)
        )

    def residual_given(self, x: Tensor, condition: Modulation) -> Tensor:
        """sigma S with the condition computed before; (B, C, R, R)."""
        sigma = condition.sigma
        spread = (sigma.square() + SIGMA_DATA**2).sqrt()
        x = 2.0 * x - 1.0
        h = self.stem(F.pixel_unshuffle(x / spread, self.block))  # in float32: noise is faint here
        h = h if self.trunk_dtype is None else h.to(self.trunk_dtype)
        with torch.autocast(
            x.device.type, dtype=self.trunk_dtype, enabled=self.trunk_dtype is not None
        ):
            parts = iter(condition.parts)
            skips = []
            for level, row in enumerate(self.down):
                h = F.avg_pool2d(h, 2) if level else h
                assert isinstance(row, nn.ModuleList)
                for block in row:
                    h = block(h, next(parts), next(parts))
                    skips.append(h)
            h = self.middle(h, next(parts), next(parts))
            for level, row in enumerate(self.up):
                h = F.interpolate(h, scale_factor=2.0) if level else h
                assert isinstance(row, nn.ModuleList)
                for block in row:
                    h = block(torch.cat([h, skips.pop()], dim=1), next(parts), next(parts))
            h = F.silu(self.head_norm(h))
        out = F.pixel_shuffle(self.head(h.to(x.dtype)), self.block)
        return SIGMA_DATA / spread * out - sigma / spread.square() * x


class ModulatedBlock(nn.Module):
    """norm - SiLU - conv3x3 - norm, scale and shift - SiLU - dropout - conv3x3, plus the shortcut.

    With `attends`, self-attention after it. Sums are divided by sqrt 2.
    """

    def __init__(self, inputs: int, outputs: int, dropout: float, attends: bool) -> None:
        super().__init__()
        self.channels, self.dropout = outputs, dropout
        self.norm1 = nn.GroupNorm(_groups(inputs), inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = nn.GroupNorm(_groups(outputs), outputs)
        self.conv2 = _zero(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None
        self.attention = Attention(outputs) if attends else None

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.norm2(h)
        h = F.silu(torch.addcmul(shift.to(h.dtype), h, (1.0 + scale).to(h.dtype)))
        h = self.conv2(_drop(h, self.dropout) if self.training else h)
        x = x if self.shortcut is None else self.shortcut(x)
        h = (x + h) * math.sqrt(0.5)
        out: Tensor = h if self.attention is None else self.attention(h)
        return out


class Attention(nn.Module):
    """Self-attention with one head over the positions of an image, added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_groups(channels), channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = _zero(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        batch, channels, height, width = x.shape
        pixels = self.qkv(self.norm(x)).permute(0, 2, 3, 1).flatten(1, 2)  # (B, positions, 3 C)
        q, k, v = pixels.chunk(3, dim=2)
        weights = (q @ k.transpose(1, 2) * channels**-0.5).softmax(dim=2)
        h = (weights @ v).unflatten(1, (height, width)).permute(0, 3, 1, 2)
        out: Tensor = (x + self.out(h)) * math.sqrt(0.5)
        return out


class _Embedding(nn.Module):
    """Scale and shift of every block from ln(sigma) / 4, the class and the view."""

    def __init__(self, architecture: Architecture, channels: list[int]) -> None:
        super().__init__()
        hidden, classes = 4 * architecture.width, architecture.classes
        self.channels = [c for c in channels for _ in range(2)]
        # ln(sigma) / 4 spans about 2.5: periods from 5 down to 0.05 resolve levels at every scale.
        frequencies = 2 * math.pi / torch.logspace(math.log10(5), math.log10(0.05), _FREQUENCIES)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.frequencies: Tensor
        self.first = nn.Linear(2 * _FREQUENCIES, hidden)
        self.view = nn.Linear(VIEW, hidden, bias=False) if architecture.views else None
        self.classes = nn.Embedding(classes + 1, hidden) if classes else None  # the last: null
        self.second = nn.Linear(hidden, hidden)
        self.spread = nn.Linear(hidden, sum(self.channels))
        with torch.no_grad():
            self.spread.weight.mul_(0.1)
            self.spread.bias.zero_()

    def forward(self, noise: Tensor, labels: Labels | None, view: Tensor | None) -> list[Tensor]:
        """noise (B,) or (1,): one tensor (B or 1, C, 1, 1) per scale and shift."""
        phase = noise[:, None] * self.frequencies[None, :]
        h = self.first(torch.cat([phase.sin(), phase.cos()], dim=1))
        if self.view is not None and view is not None:
            h = h + self.view(view)
        if self.classes is not None:
            null = torch.full_like(noise, self.classes.num_embeddings - 1, dtype=torch.int64)
            if isinstance(labels, MixedClasses):
                h = h + (labels.weights[:, :, None] * self.classes(labels.ids)).sum(dim=1)
            else:
                h = h + self.classes(null if labels is None else labels)
        values = self.spread(F.silu(self.second(F.silu(h))))
        return list(values[:, :, None, None].split(self.channels, dim=1))


def _drop(h: Tensor, share: float) -> Tensor:
    """Dropout of `share`, in steps of 1/256: a byte of a random word decides for each value.

    h: (B, C, H, W). PyTorch's own draws a number for each value, a tenth of an update on a CPU.
    """
    dropped = round(256 * share)
    if not dropped:
        return h
    batch, channels, height, width = h.shape
    if torch.compiler.is_compiling():  # which knows no random words, but draws within the kernel
        kept = torch.rand(h.shape, device=h.device) >= dropped / 256
    else:
        words = torch.empty(-(-h.numel() // 8), dtype=torch.int64, device=h.device)
        drawn = words.random_(-(2**63), None).view(torch.uint8)[: h.numel()]
        kept = drawn.view(batch, height, width, channels).permute(0, 3, 1, 2) >= dropped
    return h * kept.to(h.dtype).mul_(256 / (256 - dropped))


def _groups(channels: int) -> int:
    """Groups of a norm: as many as divide the channels, with _GROUP of them or more each."""
    return next(n for n in range(max(1, channels // _GROUP), 0, -1) if channels % n == 0)


def _zero(conv: nn.Conv2d) -> nn.Conv2d:
    """The convolution with zero weights: a block starts as its shortcut."""
    nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
