"""Section `recognition` of stages.yaml."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..ingest.config import SourceConfig
from ..trial.command import placeholders_of
from .arms import (
    AFFINE,
    REAL,
    TWICE,
    RecognitionArm,
    are_rivals,
    parse_recognition_arms,
    table_name,
)
from .template import check_recogniser_template

Count = Annotated[int, Field(ge=1)]
Length = Literal["real", "updates"]
Figure = Literal["auto", "eer", "tar_0.01", "tar_0.001", "rank_1", "one_shot", "accuracy"]


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
    # What all arms have in common: how often each real image is seen, so that arms with made images
    # are trained longer; or the number of updates, so that they see real ones less often.
    length: Length = "real"
    # What the sentence is about, chosen before the figures are known; auto: the equal error rate,
    # without unseen classes the accuracy on held-out images.
    figure: Figure = "auto"
    against: str | None = None  # an arm with which all others with made images are compared, too
    # Images of classes that no recogniser is trained on, for verification.
    unseen: str | SourceConfig | None = None
    pairs: int = Field(default=3_000_000, ge=1000)  # of unseen images, at most
    episodes: int = Field(default=400, ge=1)  # of one-shot recognition
    resamples: int = Field(default=200, ge=20)  # of the unseen classes, for intervals
    # A recogniser of the user's own instead: a command for bash with {data}, {out}, {unseen},
    # {held_out}, {affine}, {seed}, {gpu}.
    command: str | None = None
    minutes: float | None = Field(default=None, gt=0)  # of a command, at most

    @field_validator("against")
    @classmethod
    def _as_in_the_table(cls, against: str | None) -> str | None:
        return None if against is None else table_name(against)

    @field_validator("command")
    @classmethod
    def _known_placeholders(cls, command: str | None) -> str | None:
        return None if command is None else check_recogniser_template(command)

    @model_validator(mode="after")
    def _known_arms(self) -> "RecognitionConfig":
        if not self.corpora:
            raise ValueError(
                "the command does not name {affine}, so that arms with +affine are left out, and"
                " there is no other. Name {affine}, which is 0 or 1, or another arm"
            )
        if self.command is not None and any(arm.twice for arm in self.corpora):
            raise ValueError(f"{TWICE} is of the built-in recogniser: a command has its own length")
        if self.against is not None:
            self._check_against(self.against)
        return self

    def _check_against(self, against: str) -> None:
        """Raises ValueError for an arm that is not there, or that no other is compared with."""
        names = [arm.name for arm in self.corpora if arm.corpus != REAL or arm.twice]
        if against not in names:
            raise ValueError(
                f"against is {against!r}, which is no arm with made images, nor {TWICE}; there"
                f" are {', '.join(names) or 'none'}"
            )
        if not any(name != against and are_rivals(name, against) for name in names):
            without = "with" if against.endswith(AFFINE) else "without"
            raise ValueError(
                f"against is {against!r}, and no other arm with made images, nor {TWICE}, is"
                f" {without} {AFFINE}: arms with the same small changes are compared. There are"
                f" {', '.join(names)}"
            )

    @property
    def corpora(self) -> list[RecognitionArm]:
        """The arms in order, without those that the command would train on as others."""
        return [arm for arm in self._named if not (arm.affine and self._is_without_affine)]

    @property
    def left_out(self) -> list[str]:
        """Names of arms that the command would train on as others."""
        return [arm.name for arm in self._named if arm.affine and self._is_without_affine]

    @property
    def _named(self) -> list[RecognitionArm]:
        return parse_recognition_arms(self.arms, self.images_per_class, self.new_classes)

    @property
    def _is_without_affine(self) -> bool:
        return self.command is not None and "affine" not in placeholders_of(self.command)
