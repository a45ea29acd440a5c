"""Section `recognition` of stages.yaml."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..ingest.config import SourceConfig
from .arms import RecognitionArm, parse_recognition_arms

Count = Annotated[int, Field(ge=1)]


class RecognitionConfig(BaseModel):
    """Options of the command `recognition`. Recognisers are trained as section `recognise` says."""

    model_config = ConfigDict(extra="forbid")

    # real: the training images alone; own: with the images of the run's shards; compose,
    # condition-mix, mixup-classes, reproduce: with images made for the comparison, at the run's
    # options; each with +affine as well, for random turns, sizes and shifts. METHOD@SELECTION
    # chooses the classes otherwise, METHOD:IMAGES makes so many of each class,
    # METHOD:IMAGESxCLASSES of so many classes.
    arms: list[str] = Field(default=["real", "real+affine", "own", "own+affine"], min_length=1)
    images_per_class: list[Count] = []  # arms by a method without a number: one at each of these
    new_classes: list[Count] = []  # the same, of so many new classes
    seeds: int = Field(default=3, ge=1, le=100)  # recognisers an arm
    # Images of classes that no recogniser is trained on, for verification.
    unseen: str | SourceConfig | None = None
    pairs: int = Field(default=3_000_000, ge=1000)  # of unseen images, at most
    episodes: int = Field(default=400, ge=1)  # of one-shot recognition
    resamples: int = Field(default=200, ge=20)  # of the unseen classes, for intervals

    @model_validator(mode="after")
    def _known_arms(self) -> "RecognitionConfig":
        parse_recognition_arms(self.arms, self.images_per_class, self.new_classes)
        return self

    @property
    def corpora(self) -> list[RecognitionArm]:
        """The arms in order."""
        return parse_recognition_arms(self.arms, self.images_per_class, self.new_classes)
