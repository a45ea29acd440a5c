"""The options of the methods, without torch: a configuration is checked before torch is loaded."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

Denoise = Literal["stochastic", "drift", "ode", "tweedie", "off"]
NoiseRule = Literal["ancestral", "reverse-sde"]
Keep = Literal["none", "noise", "both"]  # whose variance mixing by `bridge` keeps
MixedCondition = Literal["length", "mean"]  # what the embeddings of classes become together


class DenoiseOptions(Protocol):
    """How noised images are denoised."""

    @property
    def denoise(self) -> Denoise: ...
    @property
    def denoise_steps(self) -> int: ...
    @property
    def noise_rule(self) -> NoiseRule: ...


@dataclass(frozen=True)
class ScoreMixOptions:
    """Options of Algorithm 1 and of the denoising after it; the defaults are the paper's."""

    steps: int = 100
    lr: float = 0.005
    stop_norm: float | None = None
    score_noise: Literal["none", "fresh"] = "none"  # fresh: S at x + sigma_N z
    t0: float = 0.25
    denoise: Denoise = "stochastic"
    denoise_steps: int = 25
    noise_rule: NoiseRule = "ancestral"


@dataclass(frozen=True)
class RenoiseOptions:
    """Options of `renoise`."""

    t0: float
    denoise: Denoise
    denoise_steps: int
    noise_rule: NoiseRule


@dataclass(frozen=True)
class SeamOptions:
    """How the seams of `cutmix` and `fmix` are repaired."""

    repair_t0: float
    denoise: Denoise
    denoise_steps: int
    noise_rule: NoiseRule


@dataclass(frozen=True)
class SampleOptions:
    """Options of `sample`."""

    denoise_steps: int  # levels from sigma_1 down to sigma_N


@dataclass(frozen=True)
class SolverOptions:
    """Options of `compose` and `reproduce`."""

    solver_steps: int  # of Heun's method from sigma_1 to sigma_N, with the last noiseless one


@dataclass(frozen=True)
class ConditionOptions(SolverOptions):
    """Options of `condition-mix`."""

    mixed_condition: MixedCondition

    def weights(self, given: "Tensor") -> "Tensor":
        """Weighs the embeddings e_i by the weights w (B, m) of the classes.

        length: w / |w|. Embeddings of many dimensions are nearly orthogonal, so that their sum is
        then as long as one of them, where their mean, by .5 and .5, is .71 of that.
        """
        if self.mixed_condition == "mean":
            return given
        scaled: Tensor = given / given.norm(dim=1, keepdim=True)
        return scaled


@dataclass(frozen=True)
class BridgeOptions:
    """Options of NoiseDiffusion: parents are encoded up to sigma(t0)."""

    t0: float
    denoise_steps: int  # levels of the ODE, each way
    keep: Keep = "noise"  # whose variance mixing keeps
    gamma: float = 0.0  # share of fresh noise
