"""Section `trial` of stages.yaml."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ...models.gan.changes import CHANGES, Change
from .arms import Arm, parse_arms
from .command import LENGTHS, PLACEHOLDERS, check_template

DEFAULT_ARMS = ("real", "mixup", "own")
Ratio = Annotated[int, Field(ge=0, le=999)]
Size = Annotated[int, Field(ge=2)]


class TrialConfig(BaseModel):
    """Options of the stage `trial`."""

    model_config = ConfigDict(extra="forbid")

    with_run: bool = False  # after the last stage of `run` and `augment`, too
    # Corpora, as name or name:ratio. real: the training images alone; own: with the run's own
    # method; growing: the same, its ratio rising while the GAN learns; otherwise a method of
    # `generate`, with the preset's options.
    arms: list[str] = Field(default=list(DEFAULT_ARMS), min_length=1)
    ratio: int = Field(default=5, ge=1, le=999)  # of arms that name none
    ratios: list[Ratio] = []  # such an arm at each of these instead; 0: real
    sizes: list[Size] = []  # the same trial on so many of the training images, too
    seeds: int = Field(default=3, ge=1, le=100)
    images: int = Field(default=200_000, ge=1)  # shown to the GAN, with repetition
    snapshot_every: int = Field(default=25_000, ge=1)  # images
    samples: int = Field(default=2000, ge=100)  # of a snapshot
    batch: int = Field(default=64, ge=2)
    width: int = Field(default=24, ge=4)  # channels of the outermost convolutions
    lr: float = Field(default=2e-4, gt=0, allow_inf_nan=False)
    ema: float = Field(default=0.999, ge=0, lt=1)
    augment: list[Change] = Field(default=list(CHANGES))  # DiffAugment; empty: none
    flip: bool | None = None  # horizontal flips of real images; null: train.flip
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    # A trainer of the user's own instead: a command for bash with {data}, {out}, {seed}, {gpu}, or
    # the checkout of a trainer that has a preset of it.
    command: str | None = None
    trainer: str | None = None  # of `export`, for the layout of {data}; null: plain files
    checkout: str | None = None  # of trial.trainer, for its preset; a command wins
    python: str = Field(default="python", min_length=1)  # interpreter that a preset runs
    generated: str | None = None  # where samples or snapshots lie, below {out}; null: {out} itself
    minutes: float | None = Field(default=None, gt=0)  # of a command, at most

    @field_validator("command")
    @classmethod
    def _known_placeholders(cls, command: str | None) -> str | None:
        return None if command is None else check_template(command, (*PLACEHOLDERS, *LENGTHS))

    @model_validator(mode="after")
    def _known_arms(self) -> "TrialConfig":
        if any(arm.growing for arm in self.corpora) and not self.is_builtin:
            raise ValueError("the arm growing is for the built-in GAN: leave it or the trainer out")
        return self

    @property
    def is_builtin(self) -> bool:
        """Whether the trainer is our own GAN."""
        return self.command is None and self.trainer is None and self.checkout is None

    @property
    def corpora(self) -> list[Arm]:
        """The arms, each at each ratio."""
        return parse_arms(self.arms, self.ratio, self.ratios)
