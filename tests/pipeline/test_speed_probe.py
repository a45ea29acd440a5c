"""What a dry run counts: an image's own network calls, and its parents' encodings once."""

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


def test_of_a_pilots_candidates_the_first_that_encodes_does_so_for_all() -> None:
    base = {"steps": 0, "lr": 0.001, "t0": 0.5, "denoise_steps": 10, "noise_rule": "ancestral"}
    changes: dict[str, dict[str, Any]] = {
        "mixup": {"method": "mixup"},
        "bridge": {"method": "bridge"},
        "fresh": {"method": "bridge", "gamma": 0.4},
        "scoremix": {"method": "scoremix"},
    }
    candidates = {
        name: GenerateConfig.model_validate(base | each) for name, each in changes.items()
    }
    found = SPEED.of_candidates(candidates, rows=300, training=300, values=64)
    assert found == {
        "mixup": 0, "bridge": 18 + 18 + NORMS, "fresh": 18 + NORMS, "scoremix": 10 + NORMS
    }  # fmt: skip
    assert SPEED.of_candidates(candidates, 300, 5_000, 64)["bridge"] == 18 + 2 * 18 + NORMS
