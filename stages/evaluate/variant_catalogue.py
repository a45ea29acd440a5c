"""The built-in variants: options of section `generate` that are changed, one at a time."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ValidationError

from ..common.presets import BRIDGE_T0
from ..generate.config import GenerateConfig

Changes = Mapping[str, Any]  # options of section `generate`
Which = Literal["off", "steps", "all"]

CONFIGURED = "as configured"
UNMIXED = "real images, denoised"  # lambda = 1: the effect of the network alone
MINIMISATION, DENOISING = "minimisation alone", "denoising alone"
_RESERVED = ("mixup", MINIMISATION, CONFIGURED, UNMIXED)
_T0 = (0.05, 0.15, 0.25, 0.35)
_MAY_CHANGE = (
    "method", "steps", "lr", "stop", "score_noise", "t0", "denoise", "denoise_steps", "noise_rule"
)  # fmt: skip
_PUBLISHED: Changes = {
    "steps": 100,
    "lr": 0.005,
    "stop": "none",
    "score_noise": "none",
    "t0": 0.25,
    "denoise": "stochastic",
    "denoise_steps": 25,
    "noise_rule": "ancestral",
}


def changes_of(which: Which | Mapping[str, Changes], config: GenerateConfig) -> dict[str, Changes]:
    """Variant name -> changed options, without those equal to `config` or to an earlier variant."""
    chosen = dict(which) if isinstance(which, Mapping) else _built_in(config, all_=which == "all")
    known = [config]
    different: dict[str, Changes] = {}
    for name, changes in chosen.items():
        changed = config.model_copy(update=dict(changes))
        if changed not in known:
            known.append(changed)
            different[name] = changes
    return different


def check_variant(name: str, changes: Changes) -> None:
    """Raises ValueError for a reserved name, an option no variant may change, or a wrong value."""
    if name in _RESERVED:
        raise ValueError(f"variant {name!r}: a built-in row has that name. Give it another name.")
    wrong = {
        key: f"{key} is not an option that it may change ({', '.join(_MAY_CHANGE)})"
        for key in changes
        if key not in _MAY_CHANGE
    }
    try:
        GenerateConfig.model_validate(dict(changes))
    except ValidationError as error:
        for problem in error.errors():
            key = str(problem["loc"][0])
            wrong.setdefault(key, f"{key} is {changes.get(key)!r}: {problem['msg']}")
    if wrong:
        raise ValueError(f"variant {name!r}: {'; '.join(wrong.values())}.")


def _built_in(config: GenerateConfig, *, all_: bool) -> dict[str, Changes]:
    scoremix: Changes = {"method": "scoremix"} if config.method != "scoremix" else {}
    if config.method == "bridge":
        scoremix = {"method": "scoremix", "t0": _PUBLISHED["t0"]}
    steps: dict[str, Changes] = {DENOISING: {**scoremix, "steps": 0}}
    if not all_:
        return {} if scoremix else steps
    assert config.steps is not None and config.lr is not None
    steps |= {
        "as published": {**scoremix, **_PUBLISHED},
        "gentle minimisation": {**scoremix, "steps": 20, "lr": 0.001},
        "twice the steps": {**scoremix, "steps": 2 * config.steps},
        "a fifth of the step size": {**scoremix, "lr": config.lr / 5},
        "stop at real norms": {**scoremix, "stop": "real"},
        "fresh noise in the score": {**scoremix, "score_noise": "fresh"},
    }
    steps |= {f"t0 {t0:g}": {**scoremix, "t0": t0} for t0 in _T0}
    steps |= {f"{DENOISING}, t0 {t0:g}": {**scoremix, "steps": 0, "t0": t0} for t0 in _T0}
    steps |= {
        f"denoise {kind}": {**scoremix, "denoise": kind}
        for kind in ("stochastic", "drift", "ode", "tweedie")
    }
    steps |= {
        f"noise rule {rule}": {**scoremix, "noise_rule": rule}
        for rule in ("ancestral", "reverse-sde")
    }
    steps |= {
        f"bridge, t0 {t0:g}": {"method": "bridge", "t0": t0} for t0 in (0.35, BRIDGE_T0, 0.65)
    }
    return steps


def evaluations(config: GenerateConfig, *, minimises: bool = True) -> tuple[int, int]:
    """Network evaluations per image, norms not counted: forward alone, and with the gradient.

    config: resolved. minimises: False for images that skip the minimisation.
    """
    assert config.steps is not None and config.denoise_steps is not None
    if config.method == "mixup":
        return 0, 0
    if config.method == "bridge":
        return 6 * (config.denoise_steps - 1), 0
    levels = {"off": 0, "tweedie": 1}.get(config.denoise, config.denoise_steps)
    return levels, config.steps if minimises else 0
