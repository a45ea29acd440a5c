"""Variants: which are tried, what they cost, what is said of them; and some in a real run."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest
import tiny
from in_process import cli
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from scoremix.manifests.errors import Interrupted, ScoreMixError
from scoremix.manifests.plan.methods import CLASS_METHODS
from scoremix.models.features.extractors import Pixels
from scoremix.models.metrics.distances import Reference
from scoremix.stages.common.progress import Silent
from scoremix.stages.evaluate.config import EvaluateConfig
from scoremix.stages.evaluate.variant_catalogue import (
    CONFIGURED,
    DENOISING,
    MINIMISATION,
    UNMIXED,
    changes_of,
    evaluations,
)
from scoremix.stages.evaluate.variants import Variation, open_bench, try_variants
from scoremix.stages.generate.config import GenerateConfig, Method

Images = NDArray[np.uint8]
CONFIG = GenerateConfig(
    method="scoremix", steps=10, lr=0.002, t0=0.25, denoise_steps=25, noise_rule="ancestral"
)
ROWS = 80


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, (25, 10)),
        ({"steps": 0}, (25, 0)),
        ({"denoise": "off"}, (0, 10)),
        ({"denoise": "tweedie"}, (1, 10)),
        ({"method": "bridge"}, (144, 0)),  # three ways of 24 steps, two calls each
        ({"method": "mixup"}, (0, 0)),
        ({"method": "augmix"}, (0, 0)),
        ({"method": "fmix"}, (0, 0)),
        ({"method": "fmix", "repair_t0": 0.2}, (25, 0)),
        ({"method": "renoise"}, (25, 0)),
        ({"method": "renoise", "guidance": 1.5}, (50, 0)),  # and the guide's
        ({"method": "reproduce", "solver_steps": 10}, (19, 0)),
        ({"method": "compose", "solver_steps": 10}, (38, 0)),  # of two classes
        # The null class is one for both classes, an early state knows each.
        ({"method": "compose", "solver_steps": 10, "guidance": 2, "guide": "null-class"}, (57, 0)),
        ({"method": "compose", "solver_steps": 10, "guidance": 2}, (76, 0)),
        ({"method": "reproduce"}, (63, 0)),
        ({"method": "condition-mix"}, (63, 0)),
        ({"method": "compose", "weights": (0.5, 0.25, 0.25)}, (189, 0)),  # the score of each class
        ({"method": "sample"}, (49, 0)),  # 24 steps of two calls, and the last noise
    ],
)
def test_what_a_variant_costs(changes: dict[str, Any], wanted: tuple[int, int]) -> None:
    assert evaluations(CONFIG.model_copy(update=changes)) == wanted


def test_the_steps_alone_need_one_more_variant() -> None:
    control = {UNMIXED: {"method": "renoise"}}
    assert changes_of("steps", CONFIG) == control | {DENOISING: {"steps": 0}}
    assert changes_of("steps", CONFIG.model_copy(update={"steps": 0})) == control
    assert changes_of("steps", CONFIG.model_copy(update={"method": "bridge"})) == control
    assert changes_of("steps", CONFIG.model_copy(update={"denoise": "off"})) == {
        DENOISING: {"steps": 0}
    }
    few = CONFIG.model_copy(update={"method": "bridge", "denoise_steps": 10})
    assert changes_of("steps", few) == {UNMIXED: {"method": "renoise", "denoise_steps": 25}}
    assert changes_of("all", few)["t0 0.25"]["denoise_steps"] == 25
    for method in ("renoise", "sample", "augmix"):
        assert changes_of("all", CONFIG.model_copy(update={"method": method})) == {}


@pytest.mark.parametrize("method", ["scoremix", "bridge"])
def test_every_variant_is_another(method: str) -> None:
    config = CONFIG.model_copy(update={"method": method})
    every = changes_of("all", config)
    made = [config.model_copy(update=dict(changes)) for changes in every.values()]
    assert len(made) > 15 and config not in made
    assert all(one != other for i, one in enumerate(made) for other in made[:i])
    assert "t0 0.25" not in every or method == "bridge"  # as configured
    assert {config.method for config in made} == set(get_args(Method)) - CLASS_METHODS
    assert {config.keep for config in made if config.method == "bridge"} == {
        "none",
        "noise",
        "both",
    }


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"method": "compose"}, "method: compose makes images of classes"),
     ({"ratio": 3}, "ratio is not"), ({"steps": -1}, "steps is -1: Input should be greater"),
     ({"stop": "soon", "lr": 1}, "stop is 'soon': Input should be 'none' or 'real'")],
)  # fmt: skip
def test_options_that_no_variant_can_have(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=f"variant 'mine': {named}"):
        EvaluateConfig(variants={"mine": changes})


@dataclass(frozen=True)
class Batch:
    rows: pa.Table
    mixup: Images
    minimised: Images
    final: Images
    norms: NDArray[np.float32] | None
    clipped: NDArray[np.float32] | None = None


def flat(levels: NDArray[np.float64]) -> Images:
    """Images (n, 8, 8, 1) of one grey each."""
    return np.tile(levels.astype(np.uint8)[:, None, None, None], (1, 8, 8, 1))


def greys(seed: int, n: int, mean: float) -> Images:
    return flat(np.random.default_rng(seed).normal(mean, 10, n).clip(0, 255))


def tried(
    which: Any,
    make: Callable[[pa.Table, Mapping[str, Any]], Images],
    config: GenerateConfig = CONFIG,
    unseen: int = 200,
) -> dict[str, Any] | None:
    """Real images are of grey 100, `unseen` of them held out; mixtures of 60; as configured 80."""
    held_out = greys(1, 200, 100)
    extract = Pixels(held_out)
    mixup, final = extract(greys(2, ROWS, 60)), extract(greys(3, ROWS, 80))
    steps = {"mixup": mixup, "minimised": mixup, "final": final}
    rows = pa.table({"lambda": np.full(ROWS, 0.4), "row_1": np.arange(ROWS)})

    def execute(rows: pa.Table, changes: Mapping[str, Any]) -> Iterator[Batch]:
        images = make(rows, changes)
        for start in range(0, len(images), 32):
            part = slice(start, start + 32)
            some = images[part]
            norms = np.full((len(some), 3), 0.5, np.float32)
            yield Batch(rows.slice(start, 32), some, some, some, norms)

    variation = Variation(config, execute)
    bench = open_bench(variation, rows, steps, None, Reference(extract(held_out)), unseen, seed=0)
    return try_variants(which, variation, bench, extract, Silent())


def test_beside_training_images_alone_no_variant_is_made() -> None:
    """The nearest would be the one that copies them."""
    found = tried("all", lambda rows, changes: pytest.fail("makes images"), unseen=0)
    assert found is not None and found["table"] == []
    assert "as many held-out images are needed; there are 80 and 0" in found["text"]


def test_what_is_said_of_the_steps() -> None:
    seen: list[Mapping[str, Any]] = []

    def make(rows: pa.Table, changes: Mapping[str, Any]) -> Images:
        seen.append(changes)
        return greys(4, ROWS, 100 if changes == {"method": "renoise"} else 30)

    found = tried("steps", make)
    assert found is not None and seen == [{"method": "renoise"}, {"steps": 0}]
    table = {row["name"]: row for row in found["table"]}
    assert list(table) == ["mixup", MINIMISATION, CONFIGURED, UNMIXED, DENOISING]
    assert "against_mixup" not in table["mixup"]
    assert table[UNMIXED]["against_mixup"]["interval_95"][1] < 0
    low, high = table[CONFIGURED]["against_mixup"]["interval_95"]
    assert low < table[CONFIGURED]["against_mixup"]["kd_difference"] < high < 0
    assert table[DENOISING]["against_configured"]["interval_95"][0] > 0
    assert table[UNMIXED]["kd"] < table[CONFIGURED]["kd"] < table["mixup"]["kd"]
    assert table[UNMIXED]["coverage"] > table[DENOISING]["coverage"]
    assert table[UNMIXED]["evaluations"] == (25, 0) and table[DENOISING]["norm"] == 0.5
    for sentence in (
        "The denoising alone raises the kernel distance of mixup",
        "The method as configured lowers the kernel distance of mixup",
        "On 80 rows: One parent alone, noised and denoised, is at kernel distance",
    ):
        assert sentence in found["text"]


def test_one_that_fails_leaves_the_others() -> None:
    def make(rows: pa.Table, changes: Mapping[str, Any]) -> Images:
        if changes.get("lr") == 9:
            raise ScoreMixError("The score network gave values that are not numbers")
        return greys(4, ROWS, 40 if changes.get("method") == "renoise" else 90)

    found = tried({"wild": {"lr": 9}, "calm": {"lr": 1e-4}}, make)
    assert found is not None
    table = {row["name"]: row for row in found["table"]}
    assert "not numbers" in table["wild"]["reason"] and "kd" not in table["wild"]
    assert table["calm"]["kd"] < table[CONFIGURED]["kd"]
    nearest = "Nearest to the held-out images of all variants: calm (against the configured method:"
    assert f"{nearest} difference -" in found["text"]


def test_mixup_may_be_the_best_of_all() -> None:
    found = tried({"far": {"lr": 1e-4}}, lambda rows, changes: greys(4, ROWS, 20))
    assert found is not None and "of all variants: as configured." in found["text"]
    assert "off" == EvaluateConfig(variants=False).variants  # type: ignore[arg-type]
    assert GenerateConfig(denoise=False).denoise == "off"  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="another name"):
        EvaluateConfig(variants={"mixup": {"lr": 1.0}})


def test_a_stop_is_a_stop() -> None:
    def make(rows: pa.Table, changes: Mapping[str, Any]) -> Images:
        raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        tried("steps", make)


def test_without_a_method_or_asked_for_nothing_there_is_no_table() -> None:
    def make(rows: pa.Table, changes: Mapping[str, Any]) -> Images:
        raise AssertionError("nothing is made")

    assert tried("off", make) is None
    for method in ("mixup", "cutmix", "augmix", "renoise"):
        assert tried("all", make, CONFIG.model_copy(update={"method": method})) is None


@pytest.mark.slow
def test_variants_of_a_run_and_in_its_report(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    (tmp_path / "images").mkdir()
    for number in range(150):
        pixels = random.integers(0, 60, (8, 8, 3), dtype=np.uint8)
        pixels[:, int(random.integers(0, 8))] += np.uint8(150)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number:03d}.png")
    options = tiny.options(
        ingest__holdout=0.4, evaluate__rows=400, evaluate__variant_rows=50, generate__batch=25
    )
    shards = tmp_path / "shards"
    assert cli("augment", "--data", tmp_path / "images", "--out", shards, "--quiet", *options) == 0
    path = tmp_path / "shards.run" / "report" / "metrics.json"
    steps = json.loads(path.read_bytes())
    assert [row["name"] for row in steps["variants"]["table"]][-1] == DENOISING
    assert [entry["ratio"] for entry in steps["by_ratio"]] == [0, 1, 2]
    mine = 'evaluate.variants={"flow": {"denoise": "ode"}, "bridged": {"method": "bridge"}}'
    assert cli("evaluate", tmp_path / "shards.run", "--quiet", "--set", mine) == 0
    metrics = json.loads(path.read_bytes())
    names = {row["name"] for row in metrics["variants"]["table"]}
    assert names == {"mixup", MINIMISATION, CONFIGURED, UNMIXED, "flow", "bridged"}
    assert all("kd" in row for row in metrics["variants"]["table"])
    same = {name: value for name, value in metrics.items() if name != "variants"}
    assert same == {name: value for name, value in steps.items() if name != "variants"}
    page = (path.parent / "index.html").read_text()
    assert "What each step is worth" in page and "Which ratio?" in page
    wrong = ("--set", 'evaluate.variants={"x": {"ratio": 2}}')
    assert cli("evaluate", tmp_path / "shards.run", "--quiet", *wrong) == 2
