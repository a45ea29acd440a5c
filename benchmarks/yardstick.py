"""The yardstick: the method in plain eager PyTorch, of standard modules, in the contiguous layout.

A straightforward implementation of the paper: stock InstanceNorm, ELU and interpolate,
torch.optim.Adam with a schedule, weights frozen, the gradient on x alone. It shares the weights and
the shape of the project's network, but none of its optimised code.
"""

import copy
from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scoremix.models.method.ladder import rungs
from scoremix.models.network.blocks import ChainedPooling, RefineBlock, ResidualBlock, ResidualUnits
from scoremix.models.network.norm import Affine, ConditionalNorm
from scoremix.models.network.norm_passes import EPS
from scoremix.models.network.refinenet import RefineNet


class StockNorm(nn.Module):
    """InstanceNorm++ and ELU of stock operations."""

    def __init__(self, ours: ConditionalNorm) -> None:
        super().__init__()
        self.index = ours.index
        self.norm = nn.InstanceNorm2d(ours.channels, eps=EPS)

    def forward(self, x: Tensor, affines: list[Affine], elu: bool = False) -> Tensor:
        gamma, alpha, beta = affines[self.index]
        mean = x.mean(dim=(2, 3), keepdim=True)
        middle = mean.mean(dim=1, keepdim=True)
        variance = mean.var(dim=1, keepdim=True, unbiased=False)
        contrast = (mean - middle) / torch.sqrt(variance + EPS)
        out = gamma * (self.norm(x) + alpha * contrast) + beta
        return F.elu(out) if elu else out


class StockResidual(ResidualBlock):
    """The same block with a plain sum."""

    def forward(self, x: Tensor, affines: list[Affine]) -> Tensor:
        h = self.conv1(self.norm1(x, affines, elu=True))
        h = self.conv2(self.norm2(h, affines, elu=True))
        if self.shortcut is not None:
            x = self.shortcut(x)
        return F.avg_pool2d(h + x, 2) if self.pool else h + x


class StockUnits(ResidualUnits):
    """The same units with plain sums."""

    def forward(self, x: Tensor, affines: list[Affine]) -> Tensor:
        for unit in range(self.units):
            h = x
            for i in (2 * unit, 2 * unit + 1):
                h = self.convs[i](self.norms[i](h, affines, elu=True))
            x = x + h
        return x


class StockPooling(ChainedPooling):
    """The same pooling with the stock mean over 5x5 and plain sums."""

    def forward(self, x: Tensor, affines: list[Affine]) -> Tensor:
        x = F.elu(x)
        h = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            h = conv(F.avg_pool2d(norm(h, affines), 5, stride=1, padding=2))
            x = x + h
        return x


class StockRefine(RefineBlock):
    """The same block with the stock resizing."""

    def forward(self, inputs: list[Tensor], affines: list[Affine]) -> Tensor:
        adapted = [unit(x, affines) for unit, x in zip(self.adapt, inputs, strict=True)]
        x = adapted[0]
        if len(adapted) > 1:
            size = inputs[0].shape[2:]
            x = sum(  # type: ignore[assignment]
                F.interpolate(conv(norm(h, affines)), size, mode="bilinear", align_corners=True)
                for norm, conv, h in zip(self.fuse_norms, self.fuse_convs, adapted, strict=True)
            )
        out: Tensor = self.output(self.pooling(x, affines), affines)
        return out


_STOCK = {
    ResidualBlock: StockResidual,
    ResidualUnits: StockUnits,
    ChainedPooling: StockPooling,
    RefineBlock: StockRefine,
}


def stock(net: RefineNet) -> RefineNet:
    """A copy with the same weights, every part of it stock, contiguous."""
    plain = copy.deepcopy(net).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    plain.__dict__.pop("residual_given", None)  # compiled code, if any
    for module in list(plain.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, ConditionalNorm):
                setattr(module, name, StockNorm(child))
        if isinstance(module, nn.ModuleList):
            for index, child in enumerate(module):
                if isinstance(child, ConditionalNorm):
                    module[index] = StockNorm(child)
        module.__class__ = _STOCK.get(type(module), type(module))
    return plain


def augment(
    net: RefineNet,
    mixed: Tensor,
    noise: Callable[[], Tensor],
    *,
    steps: int,
    lr: float,
    sigma_t0: float,
    sigma_N: float,
    levels: int,
) -> Tensor:
    """Algorithm 1 and the reverse chain, as written down."""
    net.requires_grad_(False).eval()
    x = mixed.clone().contiguous().requires_grad_()
    adam = torch.optim.Adam([x], lr=lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 - step / max(steps, 1))
    low = torch.full((len(x),), sigma_N, device=x.device)
    for _ in range(steps):
        adam.zero_grad()
        (net(x, low) ** 2).sum().backward()
        adam.step()
        schedule.step()
    with torch.no_grad():
        x = x + sigma_t0 * noise().contiguous()
        for a, b in pairwise(rungs(sigma_t0, sigma_N, levels).tolist()):
            variance = a * a - b * b
            x = x + variance / a * net(x, torch.full((len(x),), a, device=x.device))
            x = x + (b * b * variance / (a * a)) ** 0.5 * noise().contiguous()
        return x + sigma_N * net(x, low)


class Trainer:
    """Denoising score matching with stock Adam and an average, parameter by parameter."""

    def __init__(self, net: RefineNet, lr: float) -> None:
        self.net = net.requires_grad_(True).train()
        self.average = copy.deepcopy(net)
        self.adam = torch.optim.Adam(net.parameters(), lr=lr)

    def update(self, x: Tensor, sigma: Tensor, noise: Tensor) -> float:
        error = self.net(x + sigma.reshape(-1, 1, 1, 1) * noise, sigma) + noise
        loss = (error**2).mean()
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        with torch.no_grad():
            for mean, current in zip(self.average.parameters(), self.net.parameters(), strict=True):
                mean.mul_(0.999).add_(current, alpha=0.001)
        return float(loss.detach())
