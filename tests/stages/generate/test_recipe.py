"""The recipe: its JSON and digests are those of every corpus made before."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from scoremix.stages.generate.config import GenerateConfig
from scoremix.stages.generate.recipe import Recipe

FACTS = {
    "weights_sha256": "00",
    "ladder": {"sigma_1": 3.0, "sigma_N": 0.01},
    "norm_real": {"median": 0.25},
}
OPTIONS = {
    "method": "scoremix",
    "steps": 3,
    "lr": 0.002,
    "t0": 0.25,
    "denoise_steps": 4,
    "noise_rule": "ancestral",
    "batch": 4,
    "precision": "float32",
}
REAL = "f42be71fa3934ad50cc818be1d33950cd090f3c7f9f0a2cd8f8c9e3e587964b2"


def made(facts: dict[str, Any] | None = FACTS, **options: Any) -> Recipe:
    config = GenerateConfig.model_validate(OPTIONS | options)
    recipe = Recipe.from_config(config, facts, "c0", "m0")
    return replace(recipe, format="png", encoder="isal")


def test_its_json_is_one_level_of_names() -> None:
    assert made(stop="real", compile="graphs").as_json() == {
        "algorithm": 3,
        "method": "scoremix",
        "corpus_digest": "c0",
        "micro_batch": 4,
        "precision": "float32",
        "compile": "graphs",
        "model_sha256": "00",
        "sigma_1": 3.0,
        "sigma_N": 0.01,
        "steps": 3,
        "lr": 0.002,
        "stop_norm": 0.25,
        "score_noise": "none",
        "t0": 0.25,
        "denoise": "stochastic",
        "denoise_steps": 4,
        "noise_rule": "ancestral",
        "format": "png",
        "encoder": "isal",
    }
    assert made().as_json()["stop_norm"] is None


@pytest.mark.parametrize(
    ("recipe", "augmented", "real"),
    [
        (made(), "85c81107384f15390ff71124422ca7088269aea1e794e7da403ce06b09cfa8c4", REAL),
        (
            made(stop="real", score_noise="fresh", compile="graphs"),
            "049ad578cab330188aef03649abcd56f1231dab0abf5ce8827d6eebcf677e536",
            "44c56355d7c9cbbf1fbdd4b03be4dd322ee945680c7061cbac4e336d380a7650",
        ),
        (
            made(method="bridge", keep="noise"),
            "427c3ac4d09505cb39e326b2b5fad2715a3551bf90ec0b7358c879350242e7a8",
            REAL,
        ),
        (
            made(None, method="mixup"),
            "37aa498eb6727edf2a18770921e49f425cc70fda328ebd7ee3ed12417e1a118d",
            "ab6e5cde5a4b7271367d19c6f30e04f05da76c6ba09fa5b825f053d1438f69c6",
        ),
    ],
    ids=["scoremix", "scoremix, every option", "bridge", "mixup"],
)
def test_digests_are_those_of_corpora_made_before(
    recipe: Recipe, augmented: str, real: str
) -> None:
    """Literals from the version that kept recipes as plain dictionaries."""
    assert recipe.digest == augmented
    assert recipe.for_real_images().digest == real


@pytest.mark.parametrize("method", ["scoremix", "bridge"])
def test_t0_reaches_the_top_of_the_ladder_and_no_further(method: str) -> None:
    assert made(method=method, t0=1.0).as_json()["t0"] == 1.0
    for beyond in (0.0, 1.001):
        with pytest.raises(ValidationError, match="t0"):
            made(method=method, t0=beyond)


def test_means_are_named_where_images_are_mixed_about_them() -> None:
    kept = made(method="bridge").as_json()
    assert (kept["keep"], kept["means_sha256"]) == ("both", "m0") and "gamma" not in kept
    assert kept.items() >= made(method="bridge", keep="noise").as_json().items()
    plain = made(method="bridge", keep="none", gamma=0.4).as_json()
    assert (plain["keep"], plain["gamma"]) == ("none", 0.4) and "means_sha256" not in plain
    assert made(method="bridge").for_real_images().digest == REAL


DENOISING = {"denoise": "stochastic", "denoise_steps": 4, "noise_rule": "ancestral"}
NETWORK = {"model_sha256": "00", "sigma_1": 3.0, "sigma_N": 0.01}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"method": "mixup", "contrast": "kept"}, {"contrast": "kept", "means_sha256": "m0"}),
        ({"method": "cutmix"}, {}),
        ({"method": "fmix", "repair_t0": 0.3}, NETWORK | DENOISING | {"repair_t0": 0.3}),
        ({"method": "augmix"}, {}),
        ({"method": "renoise"}, NETWORK | DENOISING | {"t0": 0.25}),
        ({"method": "sample"}, NETWORK | {"denoise_steps": 4, "means_sha256": "m0"}),
        (
            {"method": "renoise", "guidance": 1.5},
            NETWORK | DENOISING | {"t0": 0.25, "guidance": 1.5, "guide_sha256": "11"},
        ),
    ],
    ids=lambda value: str(value.get("method", "")),
)
def test_a_recipe_names_what_its_method_uses_and_nothing_else(
    options: dict[str, Any], named: dict[str, Any]
) -> None:
    recipe = made(FACTS | {"guide_sha256": "11"}, **options)
    common = {"algorithm", "method", "corpus_digest", "micro_batch", "precision"}
    found = {name: value for name, value in recipe.as_json().items() if name not in common}
    assert found == named | {"format": "png", "encoder": "isal"}
    assert recipe.with_fewest_steps().method == options["method"]
    plain = made(None, method="mixup").for_real_images().digest
    assert recipe.for_real_images().digest == (REAL if "model_sha256" in named else plain)


def test_what_the_network_is_used_up_to() -> None:
    def highest(**options: Any) -> float | None:
        return GenerateConfig.model_validate(OPTIONS | options).highest_t0

    assert highest() == 0.25 and highest(method="sample") == 1.0
    assert highest(method="fmix", repair_t0=0.4) == 0.4


def test_a_memory_probe_takes_a_step_of_each_kind() -> None:
    probe = made().with_fewest_steps()
    assert probe.as_json() == made().as_json() | {"steps": 1, "denoise_steps": 2}
    assert made(steps=0).with_fewest_steps().as_json()["steps"] == 0
    assert made(method="bridge").with_fewest_steps().as_json()["denoise_steps"] == 2
    assert made(None, method="mixup").with_fewest_steps() == made(None, method="mixup")


def test_mixup_beside_a_network_is_mixup() -> None:
    """As a variant of a run whose own method has a network."""
    assert made(method="mixup") == made(None, method="mixup")
