"""Options of the section `evaluate` of stages.yaml."""

from typing import Any

from pydantic import BaseModel, Field, field_validator

from .variant_catalogue import Which, check_variant

# Raised whenever equal inputs would give other metrics.
ALGORITHM = 10


class EvaluateConfig(BaseModel, frozen=True, extra="forbid"):
    """Section `evaluate`."""

    features: str = "auto"  # auto | random | pixels | inception | the path of a TorchScript file
    inception_weights: str | None = None  # path of inception-2015-12-05.pt; never downloaded
    lpips: str | None = None  # path of AlexNet's weights, alexnet-owt-7be5be79.pth: LPIPS
    classifier: str | None = None  # path of a TorchScript file that gives logits
    # FILE or FILE#SEQUENCE:LENGTH, for evaluate --generated --target, and for trial by sincut
    maps: str | None = None
    rows: int = Field(default=1200, ge=1)  # plan rows that are made again with their steps
    # Training images whose features are computed, beside the parents of those rows; never fewer
    # than `rows`. Ratios are compared where it is all of them.
    training_rows: int = Field(default=5000, ge=1)
    sheet_rows: int = Field(default=24, ge=1)  # of the contact sheet
    # What each step and option is worth on the same rows: the steps; every variant that is known;
    # or a mapping, name -> options of section `generate`.
    variants: Which | dict[str, dict[str, Any]] = "steps"
    variant_rows: int = Field(default=300, ge=1)  # plan rows that each variant is tried on

    @field_validator("variants", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML reads a bare `off` as false

    @field_validator("variants")
    @classmethod
    def _options_of_generate(cls, value: Any) -> Any:
        for name, changes in value.items() if isinstance(value, dict) else ():
            check_variant(name, changes)
        return value
