"""The built-in variants: options of section `generate` that are changed, one at a time."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ValidationError

from ...manifests.plan.methods import CLASS_METHODS, ONE_PARENT
from ..generate.config import GenerateConfig

Changes = Mapping[str, Any]  # options of section `generate`
Which = Literal["off", "steps", "all"]

CONFIGURED = "as configured"
UNMIXED = "one parent alone"  # noised and denoised: the effect of the network without mixing
MINIMISATION, DENOISING = "minimisation alone", "denoising alone"
_RESERVED = ("mixup", MINIMISATION, CONFIGURED, UNMIXED)
_T0 = (0.05, 0.15, 0.25, 0.35)
MAY_CHANGE = (
    "method", "contrast", "keep", "gamma", "steps", "lr", "stop", "score_noise", "t0", "repair_t0",
    "guidance", "denoise", "denoise_steps", "noise_rule",
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
_OTHER_METHODS: dict[str, Changes] = {
    **{
        f"bridge, keep {keep}, t0 {t0:g}": {"method": "bridge", "keep": keep, "t0": t0}
        for keep in ("none", "noise", "both")
        for t0 in (0.35, 0.5, 0.65, 0.8)
    },
    "mixup, contrast kept": {"method": "mixup", "contrast": "kept"},
    "cutmix": {"method": "cutmix", "repair_t0": None},
    "fmix": {"method": "fmix", "repair_t0": None},
    "augmix": {"method": "augmix"},
    "samples": {"method": "sample"},
}


def changes_of(which: Which | Mapping[str, Changes], config: GenerateConfig) -> dict[str, Changes]:
    """Variant name -> changed options, without those equal to `config` or to an earlier variant.

    None for a method of one parent, whose rows have no second one to mix with, and for images made
    class by class.
    """
    if config.method in ONE_PARENT or config.by_class:
        return {}
    chosen = _control(config)
    chosen |= which if isinstance(which, Mapping) else _built_in(config, all_=which == "all")
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
        key: f"{key} is not an option that it may change ({', '.join(MAY_CHANGE)})"
        for key in changes
        if key not in MAY_CHANGE
    }
    if changes.get("method") in CLASS_METHODS:
        wrong["method"] = f"method: {changes['method']} makes images of classes, and mixes no row"
    if changes.get("method") == "auto":
        wrong["method"] = "method: auto chooses for a whole corpus; name a method"
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
        scoremix = {"method": "scoremix", "t0": _PUBLISHED["t0"], **_levels(config)}
    steps: dict[str, Changes] = {DENOISING: {**scoremix, "steps": 0}}
    if not all_:
        return {} if scoremix else steps
    return steps | _of_scoremix(config, scoremix) | _OTHER_METHODS


def _control(config: GenerateConfig) -> dict[str, Changes]:
    """The control of every table: what re-noising does without mixing."""
    if not config.needs_network or config.denoise == "off":
        return {}
    level = {"t0": config.repair_t0} if config.repairs_seams else {}
    return {UNMIXED: {"method": "renoise", **level, **_levels(config)}}


def _levels(config: GenerateConfig) -> Changes:
    """Enough noise levels for stochastic steps, where the run's ODE takes fewer."""
    few = config.method == "bridge" and (config.denoise_steps or 0) < _PUBLISHED["denoise_steps"]
    return {"denoise_steps": _PUBLISHED["denoise_steps"]} if few else {}


def _of_scoremix(config: GenerateConfig, scoremix: Changes) -> dict[str, Changes]:
    """Its options, one at a time."""
    assert config.steps is not None and config.lr is not None
    options: dict[str, Changes] = {
        "as published": {**scoremix, **_PUBLISHED},
        "gentle minimisation": {**scoremix, "steps": 20, "lr": 0.001},
        "twice the steps": {**scoremix, "steps": 2 * config.steps},
        "a fifth of the step size": {**scoremix, "lr": config.lr / 5},
        "stop at real norms": {**scoremix, "stop": "real"},
        "fresh noise in the score": {**scoremix, "score_noise": "fresh"},
    }
    options |= {f"t0 {t0:g}": {**scoremix, "t0": t0} for t0 in _T0}
    options |= {f"{DENOISING}, t0 {t0:g}": {**scoremix, "steps": 0, "t0": t0} for t0 in _T0}
    options |= {
        f"denoise {kind}": {**scoremix, "denoise": kind}
        for kind in ("stochastic", "drift", "ode", "tweedie")
    }
    return options | {
        f"noise rule {rule}": {**scoremix, "noise_rule": rule}
        for rule in ("ancestral", "reverse-sde")
    }


def evaluations(config: GenerateConfig, *, minimises: bool = True) -> tuple[int, int]:
    """Network evaluations per image, norms not counted: forward alone, and with the gradient.

    With those of both parents' encodings, which a corpus makes less often: encoding_evaluations.
    config: resolved. minimises: False for images that skip the minimisation.
    """
    assert config.steps is not None and config.denoise_steps is not None
    if not config.needs_network:
        return 0, 0
    levels = {"off": 0, "tweedie": 1}.get(config.denoise, config.denoise_steps)
    # Heun's method takes two at each step; the bridge goes there with two parents, and back.
    heun_there = 2 * (config.denoise_steps - 1)
    of_ode = {"bridge": 3 * heun_there, "sample": heun_there + 1}
    heun = 2 * config.solver_steps - 1
    of_ode |= {"compose": len(config.weights) * heun, "condition-mix": heun, "reproduce": heun}
    forward = of_ode.get(str(config.method), levels)
    if config.guidance != 1.0:
        # The null class is the same for all classes that are composed: one evaluation more.
        once = config.method == "compose" and config.guide == "null-class"
        forward += heun if once else forward
    return forward, config.steps if config.method == "scoremix" and minimises else 0


def encoding_evaluations(config: GenerateConfig) -> int:
    """Network evaluations for the encoding of one parent; 0 for methods that encode none."""
    return evaluations(config)[0] // 3 if config.method == "bridge" else 0
