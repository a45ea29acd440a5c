"""The blocks of the RefineNet: residual blocks on the way down, refine blocks on the way up.

Shapes: features (B, C, H, W). Every convolution of a block is preceded by a conditional norm.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .norm import Affine, ConditionalNorm
from .norm_passes import keeps_x


def conv3(inputs: int, outputs: int, bias: bool, dilation: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps height and width."""
    return nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=bias)


def add_in_place(h: Tensor, x: Tensor) -> Tensor:
    """h + x; on a CPU in h's own memory where the dtypes are equal, which costs less.

    h: a tensor that no backward pass reads: the result of a convolution, of `elu` or of a
    resizing. A hook on that convolution would see the sum.
    """
    return h.add_(x) if h.dtype == x.dtype and not keeps_x(h) else h + x


class ResidualBlock(nn.Module):
    """norm - ELU - conv3x3 - norm - ELU - conv3x3, plus the shortcut.

    A change of channels happens in the second convolution. `first` blocks of a stage have a
    convolution as shortcut: with `pool` both paths end in a 2x2 mean pool and it is 1x1,
    otherwise it is 3x3, dilated as the block's convolutions are.
    """

    def __init__(
        self, inputs: int, outputs: int, dilation: int = 1, first: bool = False, pool: bool = False
    ) -> None:
        super().__init__()
        self.norm1 = ConditionalNorm(inputs)
        self.conv1 = conv3(inputs, inputs, bias=True, dilation=dilation)
        self.norm2 = ConditionalNorm(inputs)
        self.conv2 = conv3(inputs, outputs, bias=True, dilation=dilation)
        self.pool = pool
        self.shortcut: nn.Module | None = None
        if pool:
            self.shortcut = nn.Conv2d(inputs, outputs, 1)
        elif first:
            self.shortcut = conv3(inputs, outputs, bias=True, dilation=dilation)

    def forward(self, x: Tensor, affines: list[Affine]) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W), or half the size with `pool`."""
        h = self.conv1(self.norm1(x, affines, elu=True))
        h = self.conv2(self.norm2(h, affines, elu=True))
        if self.shortcut is not None:
            x = self.shortcut(x)
        h = add_in_place(h, x)
        return F.avg_pool2d(h, 2) if self.pool else h


class ResidualUnits(nn.Module):
    """`units` residual units of two (norm - ELU - conv3x3 without bias) each."""

    def __init__(self, channels: int, units: int) -> None:
        super().__init__()
        self.units = units
        self.norms = nn.ModuleList(ConditionalNorm(channels) for _ in range(2 * units))
        self.convs = nn.ModuleList(conv3(channels, channels, bias=False) for _ in range(2 * units))

    def forward(self, x: Tensor, affines: list[Affine]) -> Tensor:
        """(B, channels, H, W) -> the same shape."""
        for unit in range(self.units):
            h = x
            for i in (2 * unit, 2 * unit + 1):
                h = self.convs[i](self.norms[i](h, affines, elu=True))
            x = add_in_place(h, x)
        return x


class ChainedPooling(nn.Module):
    """ELU, then twice: norm - 5x5 mean pool - conv3x3 without bias, each added to the sum."""

    STEPS = 2

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(ConditionalNorm(channels) for _ in range(self.STEPS))
        self.convs = nn.ModuleList(conv3(channels, channels, bias=False) for _ in range(self.STEPS))

    def forward(self, x: Tensor, affines: list[Affine]) -> Tensor:
        """(B, channels, H, W) -> the same shape."""
        x = F.elu(x)
        h = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            h = conv(mean_pool(norm(h, affines)))
            x = add_in_place(x, h)
        return x


class RefineBlock(nn.Module):
    """Adapts one or two inputs, fuses them at the first one's size, pools, and adapts again."""

    def __init__(self, inputs: list[int], outputs: int, last: bool) -> None:
        super().__init__()
        self.adapt = nn.ModuleList(ResidualUnits(channels, 2) for channels in inputs)
        self.fuse_norms = nn.ModuleList()
        self.fuse_convs = nn.ModuleList()
        if len(inputs) > 1:
            self.fuse_norms.extend(ConditionalNorm(channels) for channels in inputs)
            self.fuse_convs.extend(conv3(channels, outputs, bias=True) for channels in inputs)
        self.pooling = ChainedPooling(outputs)
        self.output = ResidualUnits(outputs, 3 if last else 1)

    def forward(self, inputs: list[Tensor], affines: list[Affine]) -> Tensor:
        """(B, C_i, H_i, W_i) each -> (B, outputs, H_0, W_0)."""
        adapted = [unit(x, affines) for unit, x in zip(self.adapt, inputs, strict=True)]
        x = adapted[0]
        if len(adapted) > 1:
            fused = [
                resize_bilinear(conv(norm(h, affines)), inputs[0].shape[2], inputs[0].shape[3])
                for norm, conv, h in zip(self.fuse_norms, self.fuse_convs, adapted, strict=True)
            ]
            x = add_in_place(fused[0], fused[1])
        out: Tensor = self.output(self.pooling(x, affines), affines)
        return out


def mean_pool(x: Tensor) -> Tensor:
    """Mean over 5x5 at every pixel, zeros outside counted.

    On a CPU as a depthwise convolution: five times faster than the stock pooling.
    """
    if x.device.type != "cpu":
        return F.avg_pool2d(x, 5, stride=1, padding=2)
    channels = x.shape[1]
    key = (channels, x.dtype)
    if key not in _MEANS:
        # Kept for later calls, with gradients too: no tensor of an enclosing inference mode.
        with torch.inference_mode(False):
            _MEANS[key] = torch.full((channels, 1, 5, 5), 1 / 25, dtype=x.dtype)
    return F.conv2d(x, _MEANS[key], padding=2, groups=channels)


_MEANS: dict[tuple[int, torch.dtype], Tensor] = {}


def resize_bilinear(x: Tensor, height: int, width: int) -> Tensor:
    """Bilinear resizing with aligned corners, as two matrix products.

    The map is linear and fixed, and its backward pass is then two products too: the stock
    operation's backward adds in no fixed order on CUDA.
    """
    if x.shape[2:] == (height, width):
        return x
    rows = _weights(x.shape[2], height, x)
    columns = _weights(x.shape[3], width, x)
    return torch.matmul(torch.matmul(rows, x), columns.t())


def _weights(inputs: int, outputs: int, like: Tensor) -> Tensor:
    """(outputs, inputs) weights of one axis; each row sums to 1."""
    key = (inputs, outputs, like.device, like.dtype)
    if key not in _WEIGHTS:
        with torch.inference_mode(False):  # kept, as the means above
            weights = torch.zeros(outputs, inputs, dtype=torch.float64)
            for row in range(outputs):
                place = row * (inputs - 1) / (outputs - 1) if outputs > 1 else 0.0
                left = min(int(place), max(inputs - 2, 0))
                weights[row, left] += 1.0 - (place - left)
                if inputs > 1:
                    weights[row, left + 1] += place - left
            _WEIGHTS[key] = weights.to(like.device, like.dtype)
    return _WEIGHTS[key]


_WEIGHTS: dict[tuple[int, int, torch.device, torch.dtype], Tensor] = {}


def chain(channels: list[int], dilations: list[int], pools: list[bool]) -> nn.ModuleList:
    """The encoder's stages, two residual blocks each; `channels` starts with the stem's."""
    stages = nn.ModuleList()
    steps = zip(pairwise(channels), dilations, pools, strict=True)
    for number, ((inputs, outputs), dilation, pool) in enumerate(steps):
        # The first stage continues the stem: same size, same channels, plain shortcuts.
        first = ResidualBlock(inputs, outputs, dilation, first=number > 0, pool=pool)
        stages.append(nn.ModuleList([first, ResidualBlock(outputs, outputs, dilation)]))
    return stages
