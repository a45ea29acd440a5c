"""Section `recognition` of stages.yaml, and the arms that it names."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..ingest.config import SourceConfig

REAL, OWN = "real", "own"
_AFFINE = "+affine"


@dataclass(frozen=True)
class RecognitionArm:
    """What the recognisers of one row of the table are trained on."""

    name: str  # as tables and folders have it
    corpus: str  # REAL: the training images; OWN: with those of the run's shards
    affine: bool  # small random turns, sizes and shifts of every image


class RecognitionConfig(BaseModel):
    """Options of the command `recognition`. Recognisers are trained as section `recognise` says."""

    model_config = ConfigDict(extra="forbid")

    # real: the training images alone; own: with the images of the run's shards; each with +affine
    # as well, for random turns, sizes and shifts.
    arms: list[str] = Field(default=["real", "real+affine", "own", "own+affine"], min_length=1)
    seeds: int = Field(default=3, ge=1, le=100)  # recognisers an arm
    # Images of classes that no recogniser is trained on, for verification.
    unseen: str | SourceConfig | None = None
    pairs: int = Field(default=3_000_000, ge=1000)  # of unseen images, at most
    episodes: int = Field(default=400, ge=1)  # of one-shot recognition
    resamples: int = Field(default=200, ge=20)  # of the unseen classes, for intervals

    @model_validator(mode="after")
    def _known_arms(self) -> "RecognitionConfig":
        parse_recognition_arms(self.arms)
        return self

    @property
    def corpora(self) -> list[RecognitionArm]:
        """The arms in order."""
        return parse_recognition_arms(self.arms)


def parse_recognition_arms(texts: Sequence[str]) -> list[RecognitionArm]:
    """Raises ValueError for an unknown name, and for an arm that comes twice."""
    arms = []
    for text in (each.strip() for each in texts):
        corpus = text.removesuffix(_AFFINE)
        if corpus not in (REAL, OWN):
            raise ValueError(f"no arm {text!r}; use real, real+affine, own or own+affine")
        arms.append(RecognitionArm(text, corpus, text.endswith(_AFFINE)))
    names = [arm.name for arm in arms]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"the arm {twice} is named twice in {', '.join(texts)}")
    return arms
