"""Methods that make images class by class: own rows alone, real classes as a limit, refusals."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pydantic import ValidationError

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.plan.new_classes import NewClass
from scoremix.models.method.ladder import noise_ladder
from scoremix.models.method.options import ConditionOptions
from scoremix.models.network.architecture import Architecture
from scoremix.models.network.checkpoint import TrainedNet, build
from scoremix.stages.generate.config import GenerateConfig
from scoremix.stages.generate.generate import GeneratedBatch, generate
from scoremix.stages.generate.means import mean_images
from scoremix.stages.generate.mixtures import class_mixtures
from scoremix.stages.generate.recipe import Recipe

SIDE, LADDER = 8, noise_ladder(5.0)
IMAGES = np.random.default_rng(5).integers(0, 256, (9, SIDE, SIDE, 1), dtype=np.uint8)
MEANS = mean_images(IMAGES, np.arange(9), np.arange(9) % 3, 3)
CPU = torch.device("cpu")
OPTIONS = {
    "steps": 2, "lr": 0.002, "t0": 0.4, "denoise_steps": 4, "noise_rule": "ancestral",
    "batch": 3, "precision": "float32", "solver_steps": 5,
}  # fmt: skip
METHODS = ("compose", "condition-mix", "mixup-classes", "reproduce")


def network(seed: int) -> Any:
    net = build(Architecture(1, SIDE, 8, network="unet", classes=3), LADDER, seed=seed)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return net


NET, GUIDE = network(4), network(3)
FACTS = {
    "weights_sha256": "00",
    "guide_sha256": "11",
    "ladder": {"sigma_1": 5.0, "sigma_N": 0.01},
    "norm_real": {"median": 0.25},
    "architecture": NET.architecture.describe(),
}


def made(method: str, rows: pa.Table, weights: Any = (0.5, 0.5), **more: Any) -> GeneratedBatch:
    """All batches as one; classes 3 and 4 are new, of 0 and 1, and of 2 and 1."""
    config = GenerateConfig.model_validate(
        OPTIONS | {"method": method, "weights": weights, "allow_extrapolation": True} | more
    )
    new = [
        NewClass(3, "a+b", (0, 1), tuple(weights), None, "random"),
        NewClass(4, "c+b", (2, 1), tuple(weights), None, "random"),
    ]
    recipe = Recipe.from_config(config, FACTS, "c0", MEANS.sha256, "n0")
    net = TrainedNet(NET, 5.0, 0.01, FACTS, GUIDE) if config.needs_network else None
    means = MEANS if config.needs_means else None
    mixtures = class_mixtures(3, [] if method == "reproduce" else new)
    batches = list(generate(rows, IMAGES, recipe, net, means=means, mixtures=mixtures, device=CPU))
    steps = (
        np.concatenate([getattr(batch, step) for batch in batches])
        for step in ("mixup", "minimised", "final")
    )
    clipped = np.concatenate([batch.clipped for batch in batches if batch.clipped is not None])
    norms = None if net is None else np.concatenate([batch.norms for batch in batches])  # type: ignore[misc]
    return GeneratedBatch(rows, *steps, norms, clipped)


def rows_of(method: str, weight: float = 0.5) -> pa.Table:
    ids, first = [3, 4, 3, 4], np.array([0, 2, 3, 5])
    second = np.array([1, 4, 7, 1])
    if method == "reproduce":
        ids, second, weight = [0, 2, 0, 2], first, 1.0
    return pa.table({
        "key": [f"{row:06d}-001" for row in range(4)],
        "kind": ["augmented"] * 4,
        "row_1": first,
        "row_2": second,
        "lambda": [weight] * 4,
        "class_id": ids,
        "seed": np.arange(4) + 100,
    })  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_each_image_is_made_of_its_own_row_alone(method: str) -> None:
    rows = rows_of(method)
    together = made(method, rows)
    alone = np.concatenate([made(method, rows.slice(place, 1)).final for place in range(4)])
    assert np.array_equal(together.final, alone)
    other = rows.set_column(rows.column_names.index("seed"), "seed", pa.array(np.arange(4)))
    is_random = method != "mixup-classes"
    assert np.array_equal(together.final, made(method, other).final) != is_random


def test_weights_of_one_class_alone_are_that_class_made_again() -> None:
    again = made("reproduce", rows_of("reproduce"))
    for method in ("compose", "condition-mix"):
        alone = made(method, rows_of(method, 1.0), (1.0, 0.0))
        assert np.array_equal(alone.final, again.final)
        assert not np.array_equal(made(method, rows_of(method)).final, again.final)
    assert not np.array_equal(
        made("compose", rows_of("compose")).final,
        made("condition-mix", rows_of("condition-mix")).final,
    )


def test_mixed_conditions_are_as_long_as_one() -> None:
    """.5 and .5 become .71 each, so that orthogonal embeddings keep their length; or stay."""
    weights = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.8, 0.2]])
    kept = ConditionOptions(5, "length").weights(weights)
    assert torch.allclose(kept.square().sum(dim=1), torch.ones(3))
    assert torch.allclose(kept[:, 0] * weights[:, 1], kept[:, 1] * weights[:, 0])
    assert torch.equal(ConditionOptions(5, "mean").weights(weights), weights)
    rows = rows_of("condition-mix")
    images = [made("condition-mix", rows, mixed_condition=how).final for how in ("length", "mean")]
    assert not np.array_equal(*images)


def test_the_step_before_is_what_mixup_makes_of_the_parents_or_parent_1() -> None:
    pixels = made("mixup-classes", rows_of("mixup-classes")).final
    for method in ("compose", "condition-mix"):
        assert np.array_equal(made(method, rows_of(method)).mixup, pixels)
    rows = rows_of("reproduce")
    assert np.array_equal(made("reproduce", rows).mixup, IMAGES[rows["row_1"].to_numpy()])
    half = (IMAGES[0].astype(int) + IMAGES[1]) / 2
    assert np.abs(pixels[0] - half).max() <= 0.5


@pytest.mark.parametrize("guide", ["early", "null-class"])
def test_guidance_of_one_changes_nothing(guide: str) -> None:
    rows = rows_of("compose")
    plain = made("compose", rows)
    assert np.array_equal(plain.final, made("compose", rows, guidance=1.0, guide=guide).final)
    assert not np.array_equal(plain.final, made("compose", rows, guidance=2.0, guide=guide).final)


def test_the_share_of_clipped_values_is_counted() -> None:
    convex = made("mixup-classes", rows_of("mixup-classes"))
    assert convex.clipped is not None and not convex.clipped.any()
    rows = rows_of("mixup-classes", 2.0)
    beyond = made("mixup-classes", rows, (2.0, -1.0))
    exact = 2.0 * IMAGES[rows["row_1"].to_numpy()] - IMAGES[rows["row_2"].to_numpy()]
    outside = ((exact < -0.5) | (exact > 255.5)).mean(axis=(1, 2, 3))
    assert beyond.clipped is not None
    np.testing.assert_allclose(beyond.clipped, outside, atol=1 / 64)
    assert outside.min() > 0.05


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"weights": [0.5, 0.4]}, "add up to 0.9"),
        ({"weights": [1.0]}, "at least 2"),
        ({"weights": [1.5, -0.5]}, "leave the range of the data"),
        ({"weights": [0.4, 0.3, 0.3], "method": "mixup-classes"}, "pixels of two images"),
        ({"weights": [float("nan"), 0.5]}, "add up to nan"),
    ],
)
def test_weights_that_make_no_sense_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        GenerateConfig.model_validate({"method": "compose"} | options)
    if options["weights"] == [1.5, -0.5]:
        assert GenerateConfig.model_validate(options | {"allow_extrapolation": True}).extrapolates


def test_a_recipe_names_what_the_method_uses_and_nothing_else() -> None:
    def named(**options: Any) -> dict[str, Any]:
        config = GenerateConfig.model_validate(OPTIONS | options)
        recipe = Recipe.from_config(config, FACTS, "c0", "m0", "n0")
        common = {"algorithm", "method", "corpus_digest", "micro_batch", "precision"}
        assert not {"new_classes_sha256", "guide", "solver_steps"} & set(
            recipe.for_real_images().as_json()
        )
        return {name: value for name, value in recipe.as_json().items() if name not in common}

    network = {"model_sha256": "00", "sigma_1": 5.0, "sigma_N": 0.01, "solver_steps": 5}
    assert named(method="compose") == network | {"means_sha256": "m0", "new_classes_sha256": "n0"}
    assert named(method="condition-mix") == named(method="compose") | {"mixed_condition": "length"}
    assert named(method="reproduce") == network | {"means_sha256": "m0"}
    assert named(method="mixup-classes") == {"new_classes_sha256": "n0"}
    guided = named(method="compose", guidance=1.5, guide="null-class")
    assert guided.items() >= {"guidance": 1.5, "guide": "null-class"}.items()
    assert "guide_sha256" not in guided
    assert named(method="compose", guidance=1.5)["guide_sha256"] == "11"


def test_a_network_without_classes_has_no_null_class() -> None:
    config = GenerateConfig.model_validate(
        OPTIONS | {"method": "bridge", "guidance": 2.0, "guide": "null-class"}
    )
    facts = FACTS | {"architecture": {"channels": 1}}
    with pytest.raises(ConfigError, match="this network knows no classes"):
        Recipe.from_config(config, facts, "c0", "m0")
