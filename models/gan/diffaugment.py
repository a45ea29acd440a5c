"""DiffAugment (Zhao et al. 2020, arXiv 2006.10738): random changes of what the discriminator sees.

Real and generated images alike, and differentiably, so that the generator learns images that are
not changed. x (B, C, H, W) in [-1, 1]; random numbers come from the generator that is passed.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .changes import Change

_SHIFT, _CUT = 1 / 8, 1 / 2  # shares of the side


def augment(x: Tensor, changes: Sequence[Change], random: torch.Generator) -> Tensor:
    """`x` with each of `changes` in turn."""
    for change in changes:
        x = _FUNCTIONS[change](x, random)
    return x


def _colour(x: Tensor, random: torch.Generator) -> Tensor:
    """Brightness by up to .5 either way, saturation by 0 to 2, contrast by .5 to 1.5."""
    brightness, saturation, contrast = (_uniform(x, random) for _ in range(3))
    x = x + (brightness - 0.5)
    grey = x.mean(dim=1, keepdim=True)
    x = (x - grey) * (2.0 * saturation) + grey
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return (x - mean) * (contrast + 0.5) + mean


def _translation(x: Tensor, random: torch.Generator) -> Tensor:
    """A shift by up to an eighth of the side along both axes; what comes in is 0."""
    side = x.shape[2]
    most = int(side * _SHIFT + 0.5)
    places = [_places(x, 2 * most + 1, random) - most for _ in range(2)]
    padded = torch.nn.functional.pad(x, (most, most, most, most))
    grid = torch.arange(side, device=x.device)
    rows, columns = (grid[None, :] + place[:, None] + most for place in places)
    image = torch.arange(len(x), device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2
    )


def _cutout(x: Tensor, random: torch.Generator) -> Tensor:
    """A square of half the side, anywhere, set to 0; at the border a part of it."""
    side = x.shape[2]
    size = int(side * _CUT + 0.5)
    even = 1 - size % 2
    grid = torch.arange(side, device=x.device)[None, :]
    starts = (_places(x, side + even, random)[:, None] - size // 2 for _ in range(2))
    rows, columns = ((grid >= start) & (grid < start + size) for start in starts)
    cut = rows[:, None, :, None] & columns[:, None, None, :]
    return x.masked_fill(cut, 0.0)


def _uniform(x: Tensor, random: torch.Generator) -> Tensor:
    return torch.rand((len(x), 1, 1, 1), generator=random, device=x.device)


def _places(x: Tensor, below: int, random: torch.Generator) -> Tensor:
    return torch.randint(below, (len(x),), generator=random, device=x.device)


_FUNCTIONS: dict[Change, Callable[[Tensor, torch.Generator], Tensor]] = {
    "colour": _colour,
    "translation": _translation,
    "cutout": _cutout,
}
