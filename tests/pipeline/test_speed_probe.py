"""What a dry run counts for an image: its own network calls and those of its parents' encodings."""

from typing import Any

import pytest

from scoremix.pipeline.speed_probe import NetworkSpeed
from scoremix.stages.generate.config import GenerateConfig

SPEED = NetworkSpeed(forward=1.0, gradient=3.0)
NORMS = 3


@pytest.mark.parametrize(
    ("changes", "encodings", "wanted"),
    [
        ({"method": "bridge"}, 2.0, 54 + NORMS),  # three ways of nine steps, two calls each
        ({"method": "bridge"}, 0.1, 18 + 1.8 + NORMS),
        ({"method": "bridge", "guidance": 1.5}, 0.5, 36 + 18 + NORMS),
        ({"method": "scoremix"}, 0.1, 10 + 5 * 3 + NORMS),  # encodes nothing
        ({"method": "renoise"}, 0.1, 10 + NORMS),
        ({"method": "mixup"}, 2.0, 0),
    ],
)
def test_seconds_of_an_image(changes: dict[str, Any], encodings: float, wanted: float) -> None:
    base = {"steps": 5, "lr": 0.001, "t0": 0.5, "denoise_steps": 10, "noise_rule": "ancestral"}
    config = GenerateConfig.model_validate(base | changes)
    assert SPEED.seconds(config, encodings) == pytest.approx(wanted)
