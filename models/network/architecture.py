"""Architecture: everything that determines a network's shape."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Network = Literal["refinenet", "unet"]


@dataclass(frozen=True)
class Architecture:
    """Everything that determines the network's shape; saved in model.json."""

    channels: int  # of the images: 1 or 3
    resolution: int  # side in pixels
    width: int  # g: the one size knob; RefineNet at full size has 128
    conditioning: str = "fourier"  # of the RefineNet; or "table"
    network: Network = "refinenet"
    dropout: float = 0.0  # of the U-Net, while it trains
    classes: int = 0  # of the U-Net; 0: not class-conditional
    views: bool = False  # of the U-Net: conditioned on how training changed an image
    block: int | None = None  # of the U-Net: side of the square that is one position; None: by side

    def describe(self) -> dict[str, Any]:
        """Its entry of model.json; a RefineNet's has no more than it always had."""
        fields = asdict(self)
        unused = (
            ("network", "dropout", "classes", "views", "block")
            if self.network == "refinenet"
            else ("conditioning", *(("block",) if self.block is None else ()))
        )
        return {name: value for name, value in fields.items() if name not in unused}
