"""The verdict on constructed corpora, what it is drawn from, and that it is repeatable."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from blob_corpus import (
    COMMAND,
    Corpus,
    Images,
    evaluated,
    make_plan,
    noisy,
    real_looking,
    same,
    swapped,
)
from measured import FINDINGS, compared
from numpy.typing import NDArray
from PIL import Image

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.plan.random_streams import some_rows
from scoremix.stages.common.progress import Advance, Silent
from scoremix.stages.evaluate.config import EvaluateConfig
from scoremix.stages.evaluate.number_format import format_number
from scoremix.stages.evaluate.optional_metrics import MetricWeights, OptionalMetrics
from scoremix.stages.evaluate.row_sample import choose_rows, fold_lambda
from scoremix.stages.evaluate.verdict import decide_verdict


def test_real_looking_images_are_better() -> None:
    found = evaluated(real_looking)
    verdict, metrics = found.verdict, found.metrics
    assert verdict.kind == metrics["verdict"]["kind"] == "better"
    assert "ScoreMix images with lambda >= .1 are BETTER than mixup" in verdict.text
    assert "400 held-out images (kd_random x 1000)" in verdict.text
    assert "The minimisation lowers the kernel distance" in verdict.text
    assert "Features: a fixed network with random weights." in verdict.text
    assert COMMAND not in verdict.text
    difference = metrics["lambda_from_0.1"]["final_minus_mixup"]["kd_random"]
    low, high = difference["interval_95"]
    assert low < difference["difference"] < high < 0
    words = (found.folder / "verdict.txt").read_text()
    assert words.startswith(metrics["answers"]["sentence"])
    assert words.endswith(f"\n\nDetails. {verdict.text}\n")
    assert sorted(path.name for path in found.folder.iterdir()) == [
        "contact-sheet.png",
        "lambda-strips.png",
        "metrics.json",
        "verdict.txt",
    ]
    assert Image.open(found.folder / "contact-sheet.png").width > 1000


@pytest.mark.parametrize(("training_rows", "exact"), [(150, True), (149, False), (1, False)])
def test_ratios_are_exact_where_all_training_images_are_looked_at(
    training_rows: int, exact: bool, tmp_path: Path
) -> None:
    config = EvaluateConfig(rows=20, training_rows=training_rows)
    _, metrics = Corpus(real_looking).evaluate(tmp_path, config=config)
    assert {entry["exact_copies"] for entry in metrics["by_ratio"]} == {exact}
    looked = {record.get("reference_n") for record in metrics["records"]}
    assert (150 in looked) is exact, looked


def test_noisy_images_are_worse_and_the_command_is_told() -> None:
    verdict, metrics = evaluated(noisy).verdict, evaluated(noisy).metrics
    assert verdict.kind == "worse"
    assert "are WORSE than mixup" in verdict.text
    assert verdict.text.endswith(COMMAND)
    assert metrics["lambda_from_0.1"]["final_minus_mixup"]["kd_random"]["interval_95"][0] > 0


def test_mirrored_mixtures_are_no_different(tmp_path: Path) -> None:
    verdict, _ = Corpus(swapped).evaluate(tmp_path)
    assert verdict.kind == "no different"
    assert "are NO DIFFERENT from mixup" in verdict.text
    assert verdict.text.endswith(COMMAND)


def test_a_mixup_corpus_is_called_mixup() -> None:
    verdict, metrics = evaluated(same, "mixup").verdict, evaluated(same, "mixup").metrics
    assert verdict.kind == "no different"
    assert verdict.text.startswith("This corpus IS mixup")
    assert COMMAND not in verdict.text
    found = metrics["lambda_from_0.1"]
    assert found["mixup"] == found["minimised"] == found["final"]
    assert set(metrics["norms_lambda_from_0.1"]) == {"held_out"}


def test_metrics_by_band() -> None:
    corpus = evaluated(real_looking)
    metrics = corpus.metrics
    assert metrics["rows"] == 600
    assert corpus.executed == 600 + 20  # the strips: four pairs at five weights
    assert [band["lambda"] for band in metrics["bands"]] == ["< .01", ".01-.1", ".1-.3", ".3-.5"]
    assert sum(band["n"] for band in metrics["bands"]) == 600
    assert sum(band["share_of_corpus"] for band in metrics["bands"]) == pytest.approx(1.0)
    light, *_, strong = metrics["bands"]
    assert light["mixup"]["kd_random"] < strong["mixup"]["kd_random"]
    assert strong["final"]["kd_random"] < strong["mixup"]["kd_random"]
    assert strong["mixup"]["fd_biased"] is True
    assert metrics["lambda_from_0.1"]["n"] == metrics["bands"][2]["n"] + metrics["bands"][3]["n"]
    assert abs(metrics["real_floor"]["kd_random"]) < strong["mixup"]["kd_random"] / 5
    # Copies: the parents as they are. They are a yardstick, so nearer than their mixtures.
    assert strong["copies"]["kd_random"] < strong["mixup"]["kd_random"] / 3
    first, *_, last = metrics["by_ratio"]
    for step in ("mixup", "final"):
        assert first[step] == pytest.approx(first["copies"], rel=1e-9)
    assert last["copies"]["kd_random"] < last["mixup"]["kd_random"]
    wide = metrics["lambda_from_0.1"]["final_minus_mixup"]["kd_random"]
    assert wide["interval_95_other_training_images"][0] < wide["interval_95"][0]
    assert metrics["features"]["label"] == "a fixed network with random weights"
    assert metrics["reproduced"] == {"rows": 600, "equal": 600, "share": 1.0}


def test_norms_far_below_real_ones_are_called_over_smoothed() -> None:
    verdict, metrics = evaluated(real_looking).verdict, evaluated(real_looking).metrics
    norms = metrics["norms_lambda_from_0.1"]
    assert norms["held_out"]["median"] == pytest.approx(0.31)
    assert norms["minimised"]["median"] == pytest.approx(0.01)
    assert "After the minimisation it is less than half that of real images" in verdict.text
    assert "over-smoothing" in verdict.text
    assert "after the denoising it is" not in verdict.text


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    first = evaluated(real_looking).folder
    Corpus(real_looking).evaluate(tmp_path / "b")
    for name in ("metrics.json", "verdict.txt", "contact-sheet.png", "lambda-strips.png"):
        assert (first / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    Corpus(real_looking).evaluate(tmp_path / "c", seed=1)
    assert (first / "metrics.json").read_bytes() != (tmp_path / "c/metrics.json").read_bytes()


def test_images_that_are_not_reproduced_are_told_loudly(tmp_path: Path) -> None:
    corpus = Corpus(real_looking)
    manifest = corpus.manifest()
    right = manifest["pixel_sha256"].to_pylist()
    wrong = ["0" * 64 if place % 2 else sha for place, sha in enumerate(right)]
    changed = pa.table({"key": manifest["key"], "pixel_sha256": wrong})
    verdict, metrics = corpus.evaluate(tmp_path, manifest=changed)
    assert 0.3 < metrics["reproduced"]["share"] < 0.7
    assert verdict.text.startswith(f"WARNING: only {metrics['reproduced']['equal']} of 600 images")


def test_without_held_out_images_there_is_no_verdict(tmp_path: Path) -> None:
    corpus = Corpus(real_looking, held_out=0)
    verdict, metrics = corpus.evaluate(tmp_path, reference_norms=None)
    assert verdict.kind == "none"
    assert "no images were held out" in verdict.text and "kd_random_vs_train" in verdict.text
    assert metrics["real_floor"] is None
    assert set(metrics["bands"][3]["final"]) == {
        "kd_random_vs_train",
        "fd_random_vs_train",
        "fd_biased",
    }


@pytest.mark.parametrize("changes", [{"held_out": 49}, {"rows": 60}])
def test_too_few_images_give_no_verdict(tmp_path: Path, changes: dict[str, int]) -> None:
    corpus = Corpus(real_looking, held_out=changes.get("held_out", 400))
    config = EvaluateConfig(rows=changes.get("rows", 600))
    verdict, _ = corpus.evaluate(tmp_path, config=config)
    assert verdict.kind == "none"
    assert "are too few, 50 are needed" in verdict.text
    for claim in ("other training images", "The minimisation", "Baseline", "Fresh real"):
        assert claim not in verdict.text


def test_the_interval_over_other_training_images_holds_the_shorter_one(tmp_path: Path) -> None:
    """Also with eleven held-out images, where the one of first order is narrower by itself."""
    _, metrics = Corpus(swapped, held_out=11).evaluate(tmp_path)
    found = metrics["lambda_from_0.1"]["final_minus_mixup"]["kd_random"]
    (low, high), (lower, higher) = (
        found[name] for name in ("interval_95", "interval_95_other_training_images")
    )
    assert lower <= low < high <= higher


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.000"), (-0.00049, "-0.0005"), (0.00005, "0.00005"), (-1e-9, "0.000000"),
     (0.0349, "0.035"), (-7.016, "-7.02"), (28.44, "28.4"), (1234.5, "1,234")],
)  # fmt: skip
def test_a_number_in_words_keeps_its_sign(value: float, text: str) -> None:
    assert format_number(value) == text


def test_a_single_row_is_survived(tmp_path: Path) -> None:
    verdict, metrics = Corpus(real_looking).evaluate(tmp_path, config=EvaluateConfig(rows=1))
    assert verdict.kind == "none"
    assert metrics["lambda_from_0.1"]["final"]["kd_random"] is None


def test_features_that_cannot_be_had_are_a_config_error_before_work_begins(tmp_path: Path) -> None:
    corpus = Corpus(real_looking)
    for features in ("inception", str(tmp_path / "absent.pt")):
        with pytest.raises(ConfigError, match="evaluate"):
            corpus.evaluate(tmp_path, config=EvaluateConfig(features=features))
    assert corpus.executed == 0


def test_a_classifier_and_lpips_look_at_pictures_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from scoremix.stages.evaluate import optional_metrics

    class Distance:
        """In place of LPIPS, whose package not every environment has: mean differences."""

        name = "pd_alex"

        def __init__(self, trunk: Path) -> None:
            assert trunk == tmp_path / "alexnet.pth"

        def describe(self) -> dict[str, Any]:
            return {"kind": "lpips", "name": "alex"}

        def __call__(self, a: Images, b: Images) -> NDArray[np.float64]:
            apart: NDArray[np.float64] = np.abs(a.astype(float) - b).mean(axis=(1, 2, 3))
            return apart

    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 4))
    torch.jit.save(torch.jit.script(layers.eval()), tmp_path / "four.pt")
    monkeypatch.setattr(optional_metrics, "Lpips", Distance)
    config = EvaluateConfig(
        rows=600, classifier=str(tmp_path / "four.pt"), lpips=str(tmp_path / "alexnet.pth")
    )
    _, metrics = Corpus(same).evaluate(tmp_path, config=config)
    found = {(record["name"], record["subset"]): record for record in metrics["records"]}
    for subset in ("mixup, lambda >= 0.1", "final, lambda >= 0.1", "held-out images"):
        assert 1 <= found["cs_four", subset]["value"] <= 4
        assert found["pd_alex", subset]["value"] > 0
    assert (
        found["pd_alex", "mixup, lambda >= 0.1"]["value"]
        == found["pd_alex", "final, lambda >= 0.1"]["value"]
        < found["pd_alex", "held-out images"]["value"]
    )
    _, plain = Corpus(same).evaluate(tmp_path, config=EvaluateConfig(rows=600))
    assert metrics["verdict"] == plain["verdict"]  # the sheet and the figures are as without


def test_a_plan_without_augmented_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no augmented images"):
        Corpus(same).evaluate(tmp_path, plan=make_plan(150, rounds=0))


def test_rows_are_chosen_seeded_and_two_thirds_of_them_mixed() -> None:
    plan = make_plan(150, rounds=4)
    share = np.mean(fold_lambda(plan)[150:] >= 0.1)
    assert share < 0.4
    chosen = choose_rows(plan, 150, seed=0)
    assert set(chosen["kind"].to_pylist()) == {"augmented"}
    assert np.sum(fold_lambda(chosen) >= 0.1) == 100
    assert chosen["seed"].to_pylist() == sorted(set(chosen["seed"].to_pylist()))  # plan order
    assert chosen.equals(choose_rows(plan, 150, seed=0))
    assert not chosen.equals(choose_rows(plan, 150, seed=1))
    # More asked for than two thirds can be filled with, and more than there are.
    mixed = int(np.sum(fold_lambda(plan)[150:] >= 0.1))
    assert np.sum(fold_lambda(choose_rows(plan, 500, seed=0)) >= 0.1) == mixed
    assert choose_rows(plan, 10_000, seed=0).num_rows == 600


def test_progress_counts_every_image(tmp_path: Path) -> None:
    counts: dict[str, list[int]] = {}

    class Counting(Silent):
        @contextlib.contextmanager
        def task(self, name: str, total: int, unit: str) -> Iterator[Advance]:
            counts[name] = [total, 0]

            def advance(count: int, /, *, resumed: bool = False) -> None:
                counts[name][1] += count

            yield advance

    Corpus(real_looking).evaluate(tmp_path, progress=Counting())
    assert counts == {
        "features": [550, 550],
        "evaluate": [600, 600],
        "sensitivity": [1050, 1050],  # 150 training images, undamaged and damaged in six ways
    }


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [(-0.04, -0.03, "better"), (0.01, 0.02, "worse"), (-0.01, 0.02, "no different"),
     (0.0, 0.0, "no different"), (-0.02, 0.0, "no different")],
)  # fmt: skip
def test_the_whole_interval_decides(low: float, high: float, kind: str) -> None:
    found = replace(FINDINGS, final=compared(low, high), other_parents=(low - 0.01, high))
    assert decide_verdict(found).kind == kind


def test_better_is_never_said_where_the_wider_interval_holds_0() -> None:
    verdict = decide_verdict(replace(FINDINGS, other_parents=(-0.08, 0.001)))
    assert verdict.kind == "no different"
    assert "BETTER" not in verdict.text and "are NO DIFFERENT from mixup" in verdict.text
    assert "-80.0 to 1.00. This wider one holds 0, so that the gain may be" in verdict.text


def test_the_paragraph_in_full() -> None:
    assert decide_verdict(FINDINGS).text == (
        "ScoreMix images with lambda >= .1 are BETTER than mixup: kernel distance to 1,497"
        " held-out images (kd_net x 1000) 10.6 against 45.6 (difference -35.0, 95 % interval -40.0"
        " to -30.0, 812 images). That interval covers the choice of rows and of held-out images;"
        " with other training images of the same kind it is -50.0 to -1.00. Baseline: exact copies"
        " of each image's nearer parent are at 5.00. Fresh real images would be at about -0.100,"
        " where the training images are as a sample. The minimisation does not clearly change the"
        " kernel distance (45.6 to 40.6, difference -5.00, 95 % interval -20.0 to 10.0). The"
        " denoising after it lowers the kernel distance (45.6 to 30.6, difference -15.0, 95 %"
        " interval -20.0 to -10.0). Frechet distance (fd_net) 1.50 against 2.00 (95 % interval of"
        " the difference 0.200 to 0.300), which contradicts the kernel distance. From mixup"
        " to these images: precision 0.50 to 0.62, coverage 0.90 to 0.88."
    )


def test_a_classifier_score_does_not_depend_on_the_order_of_images(tmp_path: Path) -> None:
    """Images of a folder come class by class: parts of one class each would have a score of 1."""
    import torch

    class Level(torch.nn.Module):
        """Ten classes by the grey level, with certainty."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            level = x.float().mean(dim=(1, 2, 3)).reshape(-1, 1) / 25.5
            return -50.0 * (level - torch.arange(10) - 0.5).abs()

    torch.jit.save(torch.jit.script(Level()), tmp_path / "level.pt")
    metrics = OptionalMetrics(MetricWeights(classifier=tmp_path / "level.pt"), seed=3)
    levels = np.repeat(np.arange(10), 100)
    images = np.broadcast_to(
        (25.5 * (levels + 0.5)).astype(np.uint8)[:, None, None, None], (1000, 8, 8, 3)
    )
    shuffled = images[np.random.default_rng(0).permutation(1000)]
    scores = [next(metrics.records(each, "images")).value for each in (images, shuffled)]
    assert min(scores) > 9


def test_held_out_images_are_a_choice_of_all_and_not_the_first_ones() -> None:
    rows = some_rows(1000, 100, 7, "held-out images")
    assert (np.diff(rows) > 0).all() and len(rows) == 100 and rows.max() > 900
    assert np.array_equal(rows, some_rows(1000, 100, 7, "held-out images"))
    assert not np.array_equal(rows, some_rows(1000, 100, 8, "held-out images"))
    assert np.array_equal(some_rows(5, 100, 7, "held-out images"), np.arange(5))
