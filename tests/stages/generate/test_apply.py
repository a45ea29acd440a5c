"""Every method on a micro-batch: each image depends on its own row alone."""

import functools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from scoremix.manifests.errors import ConfigError, ScoreMixError
from scoremix.manifests.plan.methods import ONE_PARENT
from scoremix.manifests.plan.plan import whole_pixels
from scoremix.models.method.ladder import noise_ladder
from scoremix.models.method.methods import MixResult
from scoremix.models.network.architecture import Architecture
from scoremix.models.network.checkpoint import TrainedNet, build
from scoremix.stages.generate.config import GenerateConfig
from scoremix.stages.generate.generate import GeneratedBatch, _check_contrast, generate
from scoremix.stages.generate.means import mean_images
from scoremix.stages.generate.recipe import Recipe

SIDE, LADDER = 8, noise_ladder(5.0)
IMAGES = np.random.default_rng(5).integers(0, 256, (9, SIDE, SIDE, 3), dtype=np.uint8)
MEANS = mean_images(IMAGES, np.arange(9), np.arange(9) % 2, 2)
FACTS = {
    "weights_sha256": "00",
    "guide_sha256": "11",
    "ladder": {"sigma_1": 5.0, "sigma_N": 0.01},
    "norm_real": {"median": 0.25},
}
OPTIONS = {
    "steps": 2, "lr": 0.002, "t0": 0.4, "denoise_steps": 3, "noise_rule": "ancestral",
    "batch": 3, "precision": "float32",
}  # fmt: skip
CHANGES: dict[str, dict[str, Any]] = {
    "scoremix": {"method": "scoremix", "score_noise": "fresh"},
    "mixup": {"method": "mixup"},
    "mixup, contrast kept": {"method": "mixup", "contrast": "kept"},
    "bridge, none": {"method": "bridge", "keep": "none"},
    "bridge, noise": {"method": "bridge", "keep": "noise"},
    "bridge, both": {"method": "bridge", "gamma": 0.4},
    "cutmix": {"method": "cutmix"},
    "fmix": {"method": "fmix"},
    "fmix, repaired": {"method": "fmix", "repair_t0": 0.3},
    "augmix": {"method": "augmix"},
    "renoise": {"method": "renoise"},
    "sample": {"method": "sample"},
    "sample, guided": {"method": "sample", "guidance": 1.5},
}


def network(seed: int) -> Any:
    return build(Architecture(3, SIDE, 8), LADDER, seed=seed)


def rows_of(method: str) -> pa.Table:
    lambdas = np.array([0.3, 0.55, 0.9, 0.02, 0.7])
    first, second = np.arange(5), np.arange(5) + 4
    if method in ONE_PARENT:
        lambdas, second = np.ones(5), first
    elif method in ("cutmix", "fmix"):
        lambdas = whole_pixels(method, lambdas, SIDE)
    return pa.table({
        "key": [f"{row:06d}-001" for row in range(5)],
        "kind": ["augmented"] * 5,
        "row_1": first,
        "row_2": second,
        "lambda": lambdas,
        "class_id": [0, 1, 0, 1, -1],
        "seed": np.arange(5) + 100,
    })  # fmt: skip


NET, GUIDE = network(4), network(3)


def made(name: str, rows: pa.Table, **more: Any) -> GeneratedBatch:
    """All batches as one."""
    config = GenerateConfig.model_validate(OPTIONS | CHANGES[name] | more)
    means = MEANS if config.needs_means else None
    net = TrainedNet(NET, 5.0, 0.01, FACTS, GUIDE) if config.needs_network else None
    recipe = Recipe.from_config(config, FACTS, "c0", MEANS.sha256)
    cpu = torch.device("cpu")
    batches = list(generate(rows, IMAGES, recipe, net, means=means, device=cpu))
    steps = (
        np.concatenate([getattr(batch, step) for batch in batches])
        for step in ("mixup", "minimised", "final")
    )
    norms = None if net is None else np.concatenate([batch.norms for batch in batches])  # type: ignore[misc]
    return GeneratedBatch(rows, *steps, norms)


@functools.cache
def made_together(name: str) -> GeneratedBatch:
    """The five rows of its method, in batches of three and two."""
    return made(name, rows_of(CHANGES[name]["method"]))


@pytest.mark.parametrize("name", list(CHANGES))
def test_each_image_is_made_of_its_own_row_alone(name: str) -> None:
    rows = rows_of(CHANGES[name]["method"])
    together = made_together(name)
    for place in (1, 4):  # of either batch, and at another place in it
        alone = made(name, rows.slice(place, 1))
        for step in ("mixup", "minimised", "final"):
            assert np.array_equal(getattr(together, step)[place], getattr(alone, step)[0])
    other = rows.set_column(rows.column_names.index("seed"), "seed", pa.array(np.arange(5)))
    is_random = not name.startswith(("mixup", "bridge, no"))
    assert np.array_equal(together.final, made(name, other).final) != is_random


@pytest.mark.parametrize("name", list(CHANGES))
def test_the_step_before_is_mixup_or_the_one_parent(name: str) -> None:
    method = CHANGES[name]["method"]
    found = made_together(name)
    assert np.array_equal(found.mixup, made("mixup", rows_of(method)).final)
    if method in ONE_PARENT:
        assert np.array_equal(found.mixup, IMAGES[:5])
    assert np.array_equal(found.mixup, found.minimised) == (method != "scoremix")
    assert np.array_equal(found.mixup, found.final) == (name == "mixup")


@pytest.mark.parametrize("method", ["cutmix", "fmix"])
def test_pasted_images_have_exactly_the_share_that_lambda_says(method: str) -> None:
    rows = rows_of(method)
    final = made_together(method).final
    for place, row in enumerate(rows.to_pylist()):
        first = (final[place] == IMAGES[row["row_1"]]).all(axis=-1)
        second = (final[place] == IMAGES[row["row_2"]]).all(axis=-1)
        assert (first ^ second).all()
        assert first.mean() == row["lambda"]


def test_two_backgrounds_pasted_together_are_no_error() -> None:
    """Blank images are refused where a network made them: there it has collapsed."""
    images = np.zeros((2, SIDE, SIDE, 1), np.uint8)
    images[0, 3, 3] = images[1, 0, 0] = 255
    count = 20  # boxes of 7 x 7: the pixel of parent 1 is always covered, that of 2 seldom shown
    rows = pa.table({
        "key": [f"{row:06d}-001" for row in range(count)],
        "kind": ["augmented"] * count,
        "row_1": np.zeros(count, np.int64),
        "row_2": np.ones(count, np.int64),
        "lambda": np.full(count, 1 - 49 / 64),
        "class_id": np.full(count, -1),
        "seed": np.arange(count),
    })  # fmt: skip
    config = GenerateConfig.model_validate(OPTIONS | CHANGES["cutmix"])
    recipe = Recipe.from_config(config, None, "c0")
    batches = list(generate(rows, images, recipe, None, device=torch.device("cpu")))
    contrasts = np.concatenate([np.ptp(batch.final, axis=(1, 2, 3)) for batch in batches])
    assert set(contrasts.tolist()) == {0, 255}


def test_blank_images_are_refused_where_most_of_a_batch_is_blank_or_began_with_an_image() -> None:
    rows, mixture = pa.table({"key": ["a", "b", "c", "d"]}), torch.rand(4, 1, SIDE, SIDE)
    for method, blank, refused in (
        ("bridge", 1, "a"), ("sample", 2, None), ("compose", 3, "a, b, c"), ("sample", 0, None)
    ):  # fmt: skip
        final = mixture.clone()
        final[:blank] = 0.5
        result = MixResult(mixture, mixture, final, None)
        if refused is None:
            _check_contrast(method, result, rows)
            continue
        with pytest.raises(ScoreMixError, match=f"images of one colour of {refused}, whose"):
            _check_contrast(method, result, rows)


def test_guidance_of_one_is_none_and_without_a_guide_it_is_refused() -> None:
    rows = rows_of("renoise")
    plain = made("renoise", rows)
    assert np.array_equal(plain.final, made("renoise", rows, guidance=1.0).final)
    assert not np.array_equal(plain.final, made("renoise", rows, guidance=2.0).final)
    config = GenerateConfig.model_validate(OPTIONS | {"method": "bridge", "guidance": 2.0})
    without = {name: value for name, value in FACTS.items() if name != "guide_sha256"}
    with pytest.raises(ConfigError, match="this network, of step 0, has no guide"):
        Recipe.from_config(config, without, "c0", "m0")


def test_an_image_that_pairs_with_itself_keeps_its_contrast() -> None:
    """Averaging took nothing from it, so there is nothing to restore."""
    rows = rows_of("mixup").slice(0, 3)
    rows = rows.set_column(rows.column_names.index("row_2"), "row_2", rows["row_1"])
    own = IMAGES[rows["row_1"].to_numpy()]
    kept = made("mixup, contrast kept", rows).final.astype(int)
    assert np.abs(kept - own).max() <= 1
    alone = made("bridge, both", rows, gamma=0.0, denoise_steps=30).final.astype(int)
    assert np.abs(alone - own).mean() < 2
