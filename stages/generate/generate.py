"""generate: plan rows become images.

An iterator over micro-batches of finished uint8 images. A micro-batch never straddles two calls
and its tail is padded, so an image does not depend on which rows are asked for beside it.
"""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field, field_validator

from ...manifests.errors import ConfigError, Interrupted, ScoreMixError
from ...models.method.methods import FrozenScore, ScoreMixOptions, Steps, bridged, mixup, scoremix
from ...models.method.minimise import score_norm
from ...models.network.checkpoint import TrainedNet
from ...models.network.compiled import Compile, compile_trunk, missing_compiler, named
from ...models.network.device import one_thread, set_deterministic
from ..common.ordered_map import ordered_map
from ..common.out_of_memory import explain_out_of_memory
from ..common.presets import BRIDGE_T0, choose_preset, micro_batch
from ..common.tensors import to_pixels, to_unit
from .noise import Streams

_DRAWERS = 4  # threads that draw a GPU's next noise
_VISIBLE = 0.25  # of the range: contrast that no denoising takes for noise

ALGORITHM = 3  # raised whenever equal options would make other pixels


class GenerateConfig(BaseModel, frozen=True, extra="forbid"):
    """Section `generate`. An unset value comes from the row of `train.preset`."""

    method: Literal["scoremix", "mixup", "bridge"] = "scoremix"  # bridge: NoiseDiffusion
    ratio: int = Field(default=10, ge=1, le=999)  # mu: augmented images per real one
    alpha: float = Field(default=0.2, gt=0, allow_inf_nan=False)  # lambda ~ Beta(alpha, alpha)
    steps: int | None = Field(default=None, ge=0)  # of Algorithm 1
    lr: float | None = Field(default=None, gt=0, allow_inf_nan=False)  # of its Adam
    stop: Literal["none", "real"] = "none"  # real: stop where held-out real images' norms lie
    score_noise: Literal["none", "fresh"] = "none"
    t0: float | None = Field(default=None, gt=0, lt=1)
    denoise: Literal["stochastic", "drift", "ode", "tweedie", "off"] = "stochastic"
    denoise_steps: int | None = Field(default=None, ge=2)
    noise_rule: Literal["ancestral", "reverse-sde"] | None = None
    pairing: Literal["auto", "within", "any"] = "auto"
    lone_class: Literal["refuse", "self"] = "refuse"  # a class with one image
    # The micro-batch, at most; evened out over shards it is part of the recipe.
    batch: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: Compile = "off"  # torch.compile; graphs: captured as CUDA graphs too

    _named = field_validator("compile", mode="before")(named)

    @field_validator("denoise", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return "off" if value is False else value  # as YAML reads the word

    def resolved(
        self, preset: str, resolution: int, width: int, device_type: str
    ) -> "GenerateConfig":
        """Every unset or automatic value filled in, from tables and never from a probe."""
        row = choose_preset(preset, resolution, device_type)[1]
        filled: dict[str, Any] = {}
        defaults = {
            "steps": row.minimise_steps,
            "lr": row.minimise_lr,
            "t0": BRIDGE_T0 if self.method == "bridge" else row.t0,
            "denoise_steps": row.denoise_steps,
            "noise_rule": row.noise_rule,
        }
        filled |= {key: value for key, value in defaults.items() if getattr(self, key) is None}
        if self.batch == "auto":
            filled["batch"] = micro_batch(device_type, resolution, width)
        if self.precision == "auto":
            filled["precision"] = "float32"
        return self.model_copy(update=filled)


def recipe(
    config: GenerateConfig, model: dict[str, Any] | None, corpus_digest: str
) -> dict[str, Any]:
    """Every choice that can change a pixel of an augmented image, but for its plan row.

    model: the content of model.json, None for a method without a score network.
    """
    common = {
        "algorithm": ALGORITHM,
        "method": config.method,
        "corpus_digest": corpus_digest,
        "micro_batch": config.batch,
        "precision": config.precision,
    }
    if model is None:
        return common
    if config.compile != "off":
        common["compile"] = config.compile
    common |= {
        "model_sha256": model["weights_sha256"],
        "sigma_1": model["ladder"]["sigma_1"],
        "sigma_N": model["ladder"]["sigma_N"],
    }
    if config.method == "bridge":
        return common | {"t0": config.t0, "denoise_steps": config.denoise_steps}
    return common | {
        "steps": config.steps,
        "lr": config.lr,
        "stop_norm": model["norm_real"]["median"] if config.stop == "real" else None,
        "score_noise": config.score_noise,
        "t0": config.t0,
        "denoise": config.denoise,
        "denoise_steps": config.denoise_steps,
        "noise_rule": config.noise_rule,
    }


def recipe_of_real(augmented: dict[str, Any]) -> dict[str, Any]:
    """What the real images' shards depend on: the corpus, and the network that gives norms."""
    kept = (
        "algorithm",
        "corpus_digest",
        "micro_batch",
        "precision",
        "compile",
        "model_sha256",
        "encoder",
    )
    return {key: augmented[key] for key in kept if key in augmented} | {"method": "real"}


def shortened(recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe with a step of each kind: as much memory in a fraction of the time."""
    fewer = {"steps": 1, "denoise_steps": 2}
    return recipe | {
        name: min(recipe[name], most) for name, most in fewer.items() if name in recipe
    }


@dataclass(frozen=True)
class GeneratedBatch:
    """Some plan rows with their images, step by step: uint8 (B, H, W, C)."""

    rows: pa.Table
    mixup: NDArray[np.uint8]
    minimised: NDArray[np.uint8]
    final: NDArray[np.uint8]
    norms: NDArray[np.float32] | None  # (B, 3): ||sigma_N S||^2 / D of the three


def generate(
    rows: pa.Table,
    images: NDArray[np.uint8],
    recipe: dict[str, Any],
    net: TrainedNet | None,
    *,
    device: torch.device,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[GeneratedBatch]:
    """Makes the images of `rows` (plan rows of one kind), a micro-batch at a time.

    On a CPU several micro-batches are made at once, each by one thread: their bits then do not
    depend on the number of processors, and threads that share nothing do not wait for each other.

    Raises:
        Interrupted: `stopping()` became true; whole shards that were finished stay.
        ScoreMixError: an image came out not finite or blank, or memory did not suffice.
    """
    size = recipe["micro_batch"]
    set_deterministic(device)
    score = None
    if net is not None:
        net.net.trunk_dtype = torch.bfloat16 if recipe["precision"] == "bfloat16" else None
        how = recipe.get("compile", "off")
        if lack := missing_compiler(how, device.type):
            raise ConfigError(f"generate.compile: {how} needs {lack}. Set generate.compile: off.")
        compile_trunk(net.net, how)
        score = FrozenScore(net.net, net.sigma_1, net.sigma_N)

    def make(start: int, ahead: Executor | None = None) -> GeneratedBatch:
        if stopping():
            raise Interrupted(
                "Generation stopped; finished shards stay, and the same command resumes."
            )
        with _fitting(size, images.shape[1], device):
            return _make(rows.slice(start, size), images, recipe, score, device, ahead)

    starts = range(0, rows.num_rows, size)
    if device.type != "cpu":
        with ThreadPoolExecutor(_DRAWERS, "noise") as ahead:
            yield from map(partial(make, ahead=ahead), starts)
        return
    with one_thread() as threads, ThreadPoolExecutor(threads, "generate") as pool:
        yield from ordered_map(pool, make, starts, ahead=threads)


def _make(
    part: pa.Table,
    images: NDArray[np.uint8],
    recipe: dict[str, Any],
    score: FrozenScore | None,
    device: torch.device,
    ahead: Executor | None = None,
) -> GeneratedBatch:
    count, size = part.num_rows, recipe["micro_batch"]
    # The tail is padded with its own last row: every batch has one shape, the plan's.
    padded = np.minimum(np.arange(size), count - 1)
    x1 = to_unit(images[part["row_1"].to_numpy()[padded]], device)
    if part["kind"][0].as_py() == "real":
        return _real(part, x1, images, score, count)
    x2 = to_unit(images[part["row_2"].to_numpy()[padded]], device)
    lambda_ = torch.from_numpy(part["lambda"].to_numpy()[padded]).to(device, torch.float32)
    if score is None:
        steps = mixup(x1, x2, lambda_)
    elif recipe["method"] == "bridge":
        steps = bridged(x1, x2, lambda_, score, t0=recipe["t0"], levels=recipe["denoise_steps"])
    else:
        noise = Streams(part["seed"].to_numpy()[padded], tuple(x1.shape[1:]), device, ahead)
        steps = scoremix(x1, x2, lambda_, score, noise, options(recipe))
    _check_finite(steps, part)
    _check_spread(steps, part)
    return GeneratedBatch(
        rows=part,
        mixup=to_pixels(steps.mixup[:count]),
        minimised=to_pixels(steps.minimised[:count]),
        final=to_pixels(steps.final[:count]),
        norms=None if steps.norms is None else steps.norms[:count].cpu().numpy(),
    )


def _real(
    part: pa.Table,
    x1: torch.Tensor,
    images: NDArray[np.uint8],
    score: FrozenScore | None,
    count: int,
) -> GeneratedBatch:
    """Real images pass through untouched; only their norms are worked out."""
    pixels = np.asarray(images[part["row_1"].to_numpy()])
    norms = None
    if score is not None:
        norm = score_norm(x1, score, score.sigma_N)[:count].cpu().numpy()
        norms = np.repeat(norm[:, None], 3, axis=1)
    return GeneratedBatch(part, pixels, pixels, pixels, norms)


def options(recipe: dict[str, Any]) -> ScoreMixOptions:
    return ScoreMixOptions(
        steps=recipe["steps"],
        lr=recipe["lr"],
        stop_norm=recipe["stop_norm"],
        fresh_score_noise=recipe["score_noise"] == "fresh",
        t0=recipe["t0"],
        denoise=recipe["denoise"],
        denoise_steps=recipe["denoise_steps"],
        noise_rule=recipe["noise_rule"],
    )


def _fitting(size: int, side: int, device: torch.device) -> contextlib.AbstractContextManager[None]:
    """A micro-batch stays as planned where it does not fit; what to set is the user's choice."""
    return explain_out_of_memory(
        f"A micro-batch of {size} images of {side} px",
        device,
        "Finished shards stay. Stop other programs and run the same command again, or set"
        f" generate.batch below {size}: that is a part of the recipe, so augmented shards are then"
        " made again.",
    )


def _check_spread(steps: Steps, part: pa.Table) -> None:
    """Refuses an image of one colour made from one that was not: the network has collapsed."""
    before, after = _spread(steps.mixup), _spread(steps.final.clamp(0, 1))
    blank = ((after < 1 / 255) & (before > _VISIBLE)).cpu().numpy()[: part.num_rows]
    if blank.any():
        keys = [key for key, bad in zip(part["key"].to_pylist(), blank, strict=True) if bad]
        raise ScoreMixError(
            f"The score network made images of one colour of {', '.join(keys[:8])}, whose parents"
            " are not. Nothing was written of them. Train longer or with a lower train.lr, or"
            " lower generate.t0."
        )


def _spread(x: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) -> (B,), the widest channel's maximum less its minimum."""
    flat = x.flatten(2)
    return (flat.amax(2) - flat.amin(2)).amax(1)


def _check_finite(steps: Steps, part: pa.Table) -> None:
    finite = steps.final.isfinite().flatten(1).all(dim=1).cpu().numpy()[: part.num_rows]
    if not finite.all():
        keys = part["key"].to_pylist()
        bad = [key for key, good in zip(keys, finite, strict=True) if not good]
        raise ScoreMixError(
            f"The score network gave values that are not numbers for {', '.join(bad[:8])}. Nothing"
            " was written of them. Train again with a lower train.lr, or set"
            " generate.precision: float32."
        )
