"""How every image is prepared. Light: the options are read before any image library is."""

from dataclasses import dataclass
from typing import Literal

Fit = Literal["crop", "pad", "stretch"]


@dataclass(frozen=True)
class Preparation:
    """How every image is prepared: uint8 (resolution, resolution, 1 if gray else 3)."""

    resolution: int  # side in pixels
    fit: Fit
    gray: bool  # one channel, Pillow's L = 0.299 R + 0.587 G + 0.114 B
    background: tuple[int, int, int]  # under transparency, and around a padded image
    max_pixels: int  # width x height in the header
    min_side: int | None = None  # short side in the header, at least
    max_aspect: float | None = None  # long side / short side in the header, at most
    ignore_profile: bool = False  # take all colours for sRGB, whatever their ICC profile says
    patch_side: int = 0  # of patches, in pixels of the image they are cut from

    @property
    def channels(self) -> int:
        """Channels of the prepared images: 1 or 3."""
        return 1 if self.gray else 3
