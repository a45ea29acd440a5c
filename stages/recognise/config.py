"""Section `recognise` of stages.yaml: how a recogniser is trained, and what new classes mix."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field

from ...manifests.plan.methods import Selection
from ...models.recognition.names import HeadName, RecogniserName
from ..common.presets import trunk_precision

ALGORITHM = 1  # raised whenever equal inputs would train another recogniser or select otherwise


class RecogniseConfig(BaseModel, frozen=True, extra="forbid"):
    """Section `recognise`."""

    network: RecogniserName = "conv4"
    width: int = Field(default=64, ge=4)  # channels of the first convolution
    embedding: int = Field(default=128, ge=2)  # dimensions
    head: HeadName = "cosface"
    scale: float = Field(default=16.0, gt=0, allow_inf_nan=False)  # of cosines, by cosface, arcface
    margin: float = Field(default=0.2, ge=0, lt=1)  # of cosface a cosine, of arcface an angle
    epochs: float = Field(default=30.0, gt=0, allow_inf_nan=False)  # passes over the real images
    batch: int = Field(default=128, ge=2)
    lr: float = Field(default=0.1, gt=0, allow_inf_nan=False)  # at first; falls to 0 as a cosine
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0, allow_inf_nan=False)
    flip: bool = False  # random horizontal flips: right only where mirror images are
    affine: bool = True  # small random turns, sizes and shifts
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    selection: Selection = "distant"  # how the classes of a new class are chosen

    def resolved(self, device_type: str) -> "RecogniseConfig":
        """With `precision` filled in for a kind of device."""
        if self.precision != "auto":
            return self
        return self.model_copy(update={"precision": trunk_precision(device_type, "unet")})

    def training_inputs(self) -> dict[str, Any]:
        """The options that decide the trained weights."""
        return self.model_dump(mode="json", exclude={"selection"})


@dataclass(frozen=True)
class ClassRequest:
    """The new classes that generation asks for."""

    count: int | None = None  # None: as many as there are real ones, if these make so many
    weights: tuple[float, ...] = (0.5, 0.5)  # of the scores of the classes that each one mixes
