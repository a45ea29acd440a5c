"""Section `generate`: what is set for nothing is named."""

from typing import Any, get_args

import pytest

from scoremix.stages.generate.config import GenerateConfig, Method


def config(**values: Any) -> GenerateConfig:
    return GenerateConfig.model_validate(values)


@pytest.mark.parametrize(
    ("values", "unused"),
    [
        ({"method": "mixup", "gamma": 0.4, "guidance": 3, "keep": "none"}, "keep gamma guidance"),
        ({"method": "bridge", "contrast": "kept", "repair_t0": 0.3}, "contrast repair_t0"),
        ({"method": "scoremix", "keep": "none", "lr": 0.1}, "keep"),
        ({"method": "sample", "t0": 0.5, "alpha": 1, "denoise_steps": 9}, "alpha t0"),
        ({"method": "cutmix", "denoise": "ode"}, "denoise"),
        ({"method": "cutmix", "denoise": "ode", "repair_t0": 0.2}, ""),
        ({"method": "augmix", "alpha": 0.5, "lone_class": "self"}, "alpha lone_class"),
        ({"method": "compose", "ratio": 3, "solver_steps": 9}, "ratio"),
        ({"method": "reproduce", "new_classes": 3, "weights": (0.25, 0.75)}, "weights"),
        ({"method": "mixup-classes", "guidance": 2, "new_classes": 3}, "guidance"),
        ({"method": "bridge", "ratio": 3, "images_per_class": 5}, "images_per_class"),
        ({"method": "mixup", "keep": "both", "gamma": 0.0}, ""),  # set to their defaults
        ({"method": "auto", "keep": "none", "t0": 0.5}, ""),  # hold for every candidate
        ({"method": "auto", "contrast": "kept", "repair_t0": 0.2}, "contrast repair_t0"),
        ({"method": "auto", "solver_steps": 9, "new_classes": 3}, "new_classes solver_steps"),
        ({"method": "sample", "guide": "null-class"}, "guide"),  # 1 is no guidance
        ({"method": "sample", "guide": "null-class", "guidance": 1.5}, ""),
        ({"method": "scoremix", "denoise": "off", "denoise_steps": 9}, "denoise_steps"),
        ({"method": "renoise", "denoise": "tweedie", "denoise_steps": 9}, "denoise_steps"),
        ({"method": "scoremix", "denoise": "ode", "noise_rule": "ancestral"}, "noise_rule"),
        ({"method": "scoremix", "steps": 0, "lr": 0.1, "stop": "real"}, "lr stop"),
        ({"method": "bridge", "denoise_steps": 9}, ""),
        ({"keep": "none"}, ""),
    ],
)
def test_options_that_a_method_does_not_use(values: dict[str, Any], unused: str) -> None:
    assert config(**values).unused == unused.split()


@pytest.mark.parametrize("method", get_args(Method))
def test_every_method_says_what_it_uses(method: str) -> None:
    assert config(method=method).unused == []


def test_denoising_may_be_off() -> None:
    assert config(method="scoremix", denoise=False).denoise == "off"  # YAML's word for off
    assert config(method="fmix", denoise="off").unused == ["denoise"]
