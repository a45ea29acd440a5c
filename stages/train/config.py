"""Section `train` of the configuration, and how its unset values are filled in."""

from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator

from ...manifests.errors import ConfigError
from ...models.network.architecture import Network
from ...models.network.compilers import Compile, as_compile_word
from ..common.presets import (
    EMA,
    checkpoint_every,
    choose_preset,
    most_steps,
    regularisers,
    trunk_precision,
)

ALGORITHM = 2  # raised whenever equal options would train another network
# The same of networks that know classes. 3: their held-out loss, by which the best state is chosen
# and training stops early, is measured with each image's class; before with the null class.
ALGORITHM_OF_CLASSES = 3

_OF_UNET = ("network", "block", "dropout", "augment", "labels", "early_stop")
_UNTRAINED = {"tracker"}  # the network is the same whatever it says


class TrainConfig(BaseModel, frozen=True, extra="forbid"):
    """Section `train`. An unset value comes from the preset's row (stages/common/presets.py)."""

    preset: Literal["auto", "paper", "gpu", "small", "tiny"] = "auto"
    network: Network | None = None
    # Updates, at most where training may stop early; 0: an untrained network, a control.
    steps: int | None = Field(default=None, ge=0)
    width: int | None = Field(default=None, ge=4)  # g, the size of the network
    batch: int | None = Field(default=None, ge=1)  # images per update over all processes
    lr: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    levels: Literal["uniform", "focus", "lognormal"] | None = None
    # For `levels: focus`, which draws mostly below 2 sigma(focus_t0). Unset: generate.t0 is used,
    # so a change of t0 trains another network; set: t0 may change freely.
    focus_t0: float | None = Field(default=None, gt=0, le=1)
    conditioning: Literal["fourier", "table"] = "fourier"  # of the RefineNet
    # This and the next four are of the U-Net. Pixels of one position: a square with this side.
    block: Literal[1, 2, 4] | None = None
    dropout: float | None = Field(default=None, ge=0, le=0.99)
    augment: float | None = Field(default=None, ge=0, le=1)  # probability of each change
    # Class-conditional, with a null class; None: where generate.method needs it.
    labels: bool | None = None
    # classes: a class is drawn, then an image of it, so that small classes count as large ones;
    # None: where generate.method needs classes in the network, else images.
    draw: Literal["images", "classes"] | None = None
    early_stop: bool = True  # once the held-out loss has turned
    ema: float | None = Field(default=None, ge=0, lt=1)
    flip: bool = False  # horizontal flips; they enlarge the distribution, so the user decides
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # of the network's trunk
    compile: Compile = "off"  # torch.compile; graphs: captured as CUDA graphs too
    checkpoint_every: int | None = Field(default=None, ge=1)  # updates
    # Losses and sample sheets at checkpoints go to it; it changes nothing that is made.
    tracker: Literal["none", "tensorboard", "wandb"] = "none"

    _compile_word = field_validator("compile", mode="before")(as_compile_word)

    @property
    def algorithm(self) -> int:
        """The version of training, once resolved: a network that knows classes has its own."""
        return ALGORITHM_OF_CLASSES if self.labels else ALGORITHM

    def focused_on(self, t0: float | None) -> float | None:
        """The t0 that training depends on, given generation's `t0`; None: it depends on none."""
        return (self.focus_t0 or t0) if self.levels == "focus" else None

    @property
    def may_stop_early(self) -> bool:
        """Whether `steps` is a bound; of a resolved config."""
        return self.early_stop and self.network == "unet"

    @property
    def as_before(self) -> set[str]:
        """Options of later versions that have the only value of earlier ones; not recorded."""
        return {"draw"} if self.draw in (None, "images") else set()

    def for_classes(self, conditioned: bool) -> "TrainConfig":
        """`labels` and `draw` filled in; conditioned: for a method that needs classes."""
        filled: dict[str, Any] = {}
        if self.labels is None:
            filled["labels"] = conditioned
        if self.draw is None:
            filled["draw"] = "classes" if conditioned else "images"
        return self.model_copy(update=filled)

    def as_inputs(self) -> dict[str, Any]:
        """The options that decide the trained weights, `steps` included.

        Those of the U-Net are left out for a RefineNet, which is known by what it always had.
        """
        left_out = {
            "preset",
            "focus_t0",
            *_UNTRAINED,
            *(_OF_UNET if self.network == "refinenet" else ()),
        }
        left_out |= self.as_before
        return self.model_dump(mode="json", exclude=left_out)

    def as_recorded(self) -> dict[str, Any]:
        """The options as model.json records them, which is a part of what images are made from."""
        return self.model_dump(exclude=_UNTRAINED | self.as_before)

    def resolved(self, resolution: int, device_type: str, images: int) -> "TrainConfig":
        """Every unset value filled in from the preset table, for so many training images.

        Raises:
            ConfigError: `focus_t0` where the levels are not focused.
        """
        always = ("steps", "width", "batch", "lr", "levels", "checkpoint_every")
        wanted = [key for key in always if getattr(self, key) is None]
        name, network, row = choose_preset(self.preset, resolution, device_type, self.network)
        wanted += ["block"] if self.block is None else []
        filled: dict[str, Any] = {"network": network}
        filled |= {key: getattr(row, key) for key in wanted}
        filled |= {
            key: value
            for key, value in regularisers(row, images, self.steps).items()
            if getattr(self, key) is None
        }
        filled |= {"labels": bool(self.labels), "draw": self.draw or "images"}
        if self.steps is None and network == "unet":
            filled["steps"] = most_steps(row, images, self.batch or row.batch)
        if self.checkpoint_every is None and network == "unet":
            filled["checkpoint_every"] = checkpoint_every(row, images, self.batch or row.batch)
        if self.ema is None:
            filled["ema"] = EMA[network]
        if self.precision == "auto":
            filled["precision"] = trunk_precision(device_type, network)
        if self.focus_t0 and (self.levels or row.levels) != "focus":
            raise ConfigError(
                f"train.focus_t0 is {self.focus_t0:g}, and train.levels is"
                f" {self.levels or row.levels}{'' if self.levels else f', by preset {name}'}: noise"
                " is drawn alike at every level. Set train.levels to focus, or leave out focus_t0."
            )
        return self.model_copy(update={"preset": name, **filled})
