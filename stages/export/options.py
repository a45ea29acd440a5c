"""The options of a layout, which `export` and `mount` share."""

from typing import Literal

from pydantic import BaseModel

from ...manifests.errors import ConfigError
from ...manifests.trainers.layout import Layout
from ...manifests.trainers.spec import Target, TrainerSpec


class LayoutOptions(BaseModel, frozen=True, extra="forbid"):
    """Which files of a corpus, and in which form; a trainer's name implies its layout."""

    to: Target | None = None
    trainer: str | None = None
    ratio: int | None = None  # rounds 0..ratio; None: all there are
    real_only: bool = False
    real_classes_only: bool = False  # without images of new classes
    rgb: bool = False  # also where the trainer would read gray
    hard_labels: Literal["argmax"] | None = None
    domains: tuple[str, str] | None = None  # unpaired: classes of A and B
    images_shown: int | None = None  # by the training of the printed command; None: the default

    def layout(self, spec: TrainerSpec) -> Layout:
        """The layout for the trainer of `spec`; ConfigError for an option that does not fit."""
        if self.domains and spec.target != "unpaired":
            raise ConfigError(f"--domains is for the unpaired layout, not for {spec.target}.")
        return Layout(
            target=spec.target,
            ratio=self.ratio,
            real_only=self.real_only,
            real_classes_only=self.real_classes_only,
            rgb=spec.rgb or self.rgb or spec.target == "hdf5",
            hard_labels=self.hard_labels is not None,
            split=spec.split,
            real_split=spec.real_split,
            flat=spec.flat,
            domains=self.domains,
            text_labels=spec.text_labels,
        )
