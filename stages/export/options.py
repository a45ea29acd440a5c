"""What a user asks of a layout: the options that `export` and `mount` share."""

from typing import Literal

from pydantic import BaseModel

from ...manifests.errors import ConfigError
from ...manifests.trainers.layout import Layout, Target
from ...manifests.trainers.spec import TrainerSpec


class LayoutChoice(BaseModel, frozen=True, extra="forbid"):
    """Which files of a corpus, and in which form; a trainer's name implies its layout."""

    to: Target | None = None
    trainer: str | None = None
    ratio: int | None = None  # rounds 0..ratio; None: all there are
    real_only: bool = False
    rgb: bool = False  # also where the trainer would read gray
    hard_labels: Literal["argmax"] | None = None
    domains: tuple[str, str] | None = None  # unpaired: classes of A and B

    def layout(self, preset: TrainerSpec) -> Layout:
        """The choice for the trainer of `preset`; raises ConfigError where they disagree."""
        if self.domains and preset.target != "unpaired":
            raise ConfigError(f"--domains is for the unpaired layout, not for {preset.target}.")
        return Layout(
            target=preset.target,
            ratio=self.ratio,
            real_only=self.real_only,
            rgb=preset.rgb or self.rgb or preset.target == "hdf5",
            hard_labels=self.hard_labels is not None,
            split=preset.split,
            real_split=preset.real_split,
            flat=preset.flat,
            domains=self.domains,
        )
