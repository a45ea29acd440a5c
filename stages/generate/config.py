"""Section `generate` of the configuration, and how its automatic values are filled in."""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from ...manifests.plan.methods import CLASS_METHODS, extrapolates
from ...models.method.options import Keep, MixedCondition
from ...models.network.architecture import Network
from ...models.network.compilers import Compile, as_compile_word
from ..common.presets import (
    BRIDGE_T0,
    alpha_of,
    choose_preset,
    default_method,
    levels_of,
    micro_batch,
    trunk_precision,
)

Method = Literal[
    "scoremix", "mixup", "bridge", "cutmix", "fmix", "augmix", "renoise", "sample",
    "compose", "reproduce", "condition-mix", "mixup-classes",
]  # fmt: skip
# Follow the score.
SAMPLING = (
    "scoremix", "bridge", "renoise", "sample", "compose", "reproduce", "condition-mix",
)  # fmt: skip
CONDITIONED = frozenset({"compose", "reproduce", "condition-mix"})  # need classes in the network
FROM_NOISE = CONDITIONED | {"sample"}  # begin with pure noise, not with an image
# But for repaired seams.
_WITHOUT_NETWORK = ("mixup", "cutmix", "fmix", "augmix", "mixup-classes")
# Options of CLASS_METHODS, which no other method reads, and `guide`: as other methods have them.
OPTIONS_OF_CLASSES = ("new_classes", "images_per_class", "solver_steps", "weights",
    "allow_extrapolation", "mixed_condition")  # fmt: skip
_SUM = 1e-6  # to which weights must add up to 1
_DENOISING = {"denoise", "denoise_steps", "noise_rule", "guidance", "guide"}
_MIXING = {"ratio", "alpha", "lone_class"}
_COMPOSING = {*OPTIONS_OF_CLASSES, "guidance", "guide"} - {"mixed_condition"}
# What each method uses of the options that only some methods use.
_USED: dict[Method, set[str]] = {
    "scoremix": {*_MIXING, "steps", "lr", "stop", "score_noise", "t0"} | _DENOISING,
    "mixup": {*_MIXING, "contrast"},
    "bridge": {*_MIXING, "keep", "gamma", "t0", "denoise_steps", "guidance", "guide"},
    "cutmix": {*_MIXING, "repair_t0"},  # with repair_t0, what denoises too
    "fmix": {*_MIXING, "repair_t0"},
    "augmix": {"ratio"},
    "renoise": {"ratio", "t0"} | _DENOISING,
    "sample": {"ratio", "denoise_steps", "guidance", "guide"},
    "compose": _COMPOSING,
    "condition-mix": _COMPOSING | {"mixed_condition"},
    "reproduce": _COMPOSING - {"weights", "allow_extrapolation"},
    "mixup-classes": _COMPOSING - {"solver_steps", "guidance", "guide"},
}
# Of its candidates, which have `contrast` each their own.
_USED_BY_PILOTS = (_USED["scoremix"] | _USED["mixup"] | _USED["bridge"]) - {"contrast"}
_OF_SOME = frozenset[str]().union(*_USED.values())


class GenerateConfig(BaseModel, frozen=True, extra="forbid"):
    """Section `generate`. An unset value comes from the row of `train.preset`."""

    # auto: a pilot chooses (stages/pilot), once the network is trained.
    method: Method | Literal["auto"] | None = None
    ratio: int = Field(default=10, ge=1, le=999)  # mu: augmented images per real one
    # lambda ~ Beta(alpha, alpha)
    alpha: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    contrast: Literal["plain", "kept"] = "plain"  # mixup: keep the variance of images
    keep: Keep = "both"  # bridge: whose variance mixing keeps
    gamma: float = Field(default=0.0, ge=0, le=1)  # bridge: share of fresh noise
    steps: int | None = Field(default=None, ge=0)  # of Algorithm 1
    lr: float | None = Field(default=None, gt=0, allow_inf_nan=False)  # of its Adam
    stop: Literal["none", "real"] = "none"  # real: stop where held-out real images' norms lie
    score_noise: Literal["none", "fresh"] = "none"
    t0: float | None = Field(default=None, gt=0, le=1)
    repair_t0: float | None = Field(default=None, gt=0, le=1)  # cutmix, fmix: repair the seams
    # Weight of autoguidance, wherever the score is followed; 1: off.
    guidance: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    guide: Literal["early", "null-class"] = "early"  # null-class: classifier-free guidance
    denoise: Literal["stochastic", "drift", "ode", "tweedie", "off"] = "stochastic"
    denoise_steps: int | None = Field(default=None, ge=2)
    noise_rule: Literal["ancestral", "reverse-sde"] | None = None
    pairing: Literal["auto", "within", "any"] = "auto"
    lone_class: Literal["refuse", "self"] = "refuse"  # a class with one image
    # Of compose, condition-mix, mixup-classes and reproduce (docs/recognition.md).
    new_classes: int | None = Field(default=None, ge=1)  # None: as many as real ones
    images_per_class: int = Field(default=20, ge=1)
    solver_steps: int = Field(default=32, ge=2)  # of Heun's method, from pure noise
    weights: tuple[float, ...] = Field(default=(0.5, 0.5), min_length=2)  # of a new class's members
    allow_extrapolation: bool = False  # weights below 0: images leave the range of the data
    # condition-mix: length, embeddings summed to the length of one; mean, their weighted mean.
    mixed_condition: MixedCondition = "length"
    # The largest micro-batch; balanced over the shards, its size is part of the recipe.
    batch: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: Compile = "off"  # torch.compile; graphs: captured as CUDA graphs too

    _compile_word = field_validator("compile", mode="before")(as_compile_word)

    @field_validator("denoise", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML reads off as false

    @model_validator(mode="after")
    def _check_weights(self) -> "GenerateConfig":
        if not all(map(math.isfinite, self.weights)) or abs(sum(self.weights) - 1) > _SUM:
            raise ValueError(
                f"weights are {list(self.weights)}, which add up to {sum(self.weights):g}; they"
                " must add up to 1"
            )
        if self.extrapolates and not self.allow_extrapolation:
            raise ValueError(
                f"weights are {list(self.weights)}: outside 0 to 1 images leave the range of the"
                " data. Use weights from 0 to 1, or set allow_extrapolation: true"
            )
        if self.method == "mixup-classes" and len(self.weights) != 2:
            raise ValueError(
                f"weights are {list(self.weights)}, and mixup-classes mixes the pixels of two"
                " images. Give two weights"
            )
        return self

    @property
    def extrapolates(self) -> bool:
        """Whether the weights of new classes are not convex."""
        return extrapolates(self.weights)

    @property
    def by_class(self) -> bool:
        """Whether images are made class by class: new classes, or the real ones again."""
        return self.method in CLASS_METHODS

    @property
    def needs_network(self) -> bool:
        """Whether images are made with a score network, or may be: it must then be trained."""
        return self.method not in _WITHOUT_NETWORK or self.repairs_seams

    @property
    def unused(self) -> list[str]:
        """Options not at their defaults that do nothing by this method; before `resolved`.

        `pairing` counts for every method: it decides whether labels are soft.
        """
        if self.method is None:
            return []
        if self.method == "auto":
            used = _USED_BY_PILOTS
        else:
            used = _USED[self.method] | (_DENOISING if self.repairs_seams else set())
        if self.guidance == 1:
            used = used - {"guide"}
        if "denoise" in used and self.denoise in ("off", "tweedie"):
            used = used - {"denoise_steps"}
        if self.denoise != "stochastic":
            used = used - {"noise_rule"}
        if self.steps == 0:
            used = used - {"lr", "stop", "score_noise"}
        return [
            name
            for name, field in type(self).model_fields.items()
            if name in _OF_SOME - used and getattr(self, name) != field.default
        ]

    @property
    def repairs_seams(self) -> bool:
        """Whether pasted images are noised and denoised."""
        return self.method in ("cutmix", "fmix") and self.repair_t0 is not None

    @property
    def highest_t0(self) -> float | None:
        """The t0 up to which the method uses the network, so that training can focus below it."""
        if self.method == "sample" or self.method in CONDITIONED:
            return 1.0
        if self.method == "auto":  # it may choose `bridge`
            return self.t0 or max(BRIDGE_T0.values())
        return self.repair_t0 if self.repairs_seams else self.t0

    @property
    def needs_means(self) -> bool:
        """Whether images are mixed about the mean images of the corpus and its classes."""
        kept = {"bridge": self.keep == "both", "mixup": self.contrast == "kept", "sample": True}
        return kept.get(str(self.method), self.method in CONDITIONED)

    def resolved(
        self,
        preset: str,
        resolution: int,
        width: int,
        device_type: str,
        network: Network | None = None,
    ) -> "GenerateConfig":
        """Every unset or automatic value filled in, from tables and never from a probe.

        `method: auto` stays, and with it `t0`, `alpha` and `denoise_steps` that are not set: they
        are the pilot's to decide.
        """
        name, network, row = choose_preset(preset, resolution, device_type, network)
        if self.method is None:
            chosen = self.model_copy(update={"method": default_method(name)})
            return chosen.resolved(preset, resolution, width, device_type, network)
        filled: dict[str, Any] = {}
        defaults = {
            "steps": row.minimise_steps,
            "lr": row.minimise_lr,
            "t0": {"bridge": BRIDGE_T0[network], "auto": None}.get(self.method, row.t0),
            "alpha": alpha_of(name, self.method, self.contrast),
            "denoise_steps": levels_of(self.method, network, row),
            "noise_rule": row.noise_rule,
        }
        filled |= {key: value for key, value in defaults.items() if getattr(self, key) is None}
        if self.batch == "auto":
            filled["batch"] = micro_batch(device_type, resolution, width)
        if self.precision == "auto":
            filled["precision"] = trunk_precision(device_type, network)
        return self.model_copy(update=filled)
