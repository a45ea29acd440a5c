"""Records in metrics.json: what is measured on which images, under which names, and copying."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from blob_corpus import Corpus, Images, evaluated, real_looking, same
from numpy.typing import NDArray

from scoremix.models.metrics.prdc import expected_coverage
from scoremix.stages.evaluate.config import EvaluateConfig
from scoremix.stages.evaluate.metric_records import EvaluationFeatures, compute_records

Record = dict[str, Any]
Floats = NDArray[np.float64]

PIXELS = EvaluateConfig(rows=600, features="pixels")


def find(metrics: dict[str, Any], name: str, subset: str) -> Record:
    (found,) = (r for r in metrics["records"] if (r["name"], r["subset"]) == (name, subset))
    record: Record = found
    return record


def test_every_record_says_what_it_takes_to_get_it_again() -> None:
    metrics = evaluated(real_looking, features="pixels").metrics
    assert len(metrics["records"]) > 30
    for record in metrics["records"]:
        assert record["extractor"]["resize"] == "mean to at most 32 px"
        assert record["extractor"]["weights_sha256"] is None
        assert record["n"] >= 50
        assert set(record["versions"]) == {"numpy", "pillow", "python", "torch"}
        assert record["name"].endswith("_pixels")
        assert record["value"] is not None
    kernel = find(metrics, "kd_pixels", "final, lambda >= 0.1")
    heavy = metrics["lambda_from_0.1"]
    assert kernel["value"] == pytest.approx(heavy["final"]["kd_pixels"], rel=1e-9)
    assert kernel["n"] == heavy["n"]
    assert isinstance(kernel["seed"], int) and kernel["std"] > 0
    assert kernel["std_of"] == f"single subsets of {heavy['n'] // 2}, 100 drawn"
    frechet = find(metrics, "fd_pixels", "final, lambda >= 0.1")
    assert frechet["value"] == pytest.approx(heavy["final"]["fd_pixels"], rel=1e-9)
    coverage = find(metrics, "coverage_pixels", "final, lambda >= 0.1")
    expected = expected_coverage(400, heavy["n"])
    assert coverage["parameters"]["of_one_distribution"] == pytest.approx(expected)


def test_every_name_is_documented() -> None:
    metrics = evaluated(real_looking, features="pixels").metrics
    text = (Path(__file__).resolve().parents[3] / "docs" / "metrics.md").read_text()
    for record in metrics["records"]:
        assert f"`{record['name'].replace('_pixels', '_NET')}`" in text, record["name"]


def test_records_tell_mixup_from_what_looks_real() -> None:
    metrics = evaluated(real_looking, features="pixels").metrics
    for name in ("precision", "density", "coverage", "mpd"):
        mixup, final = (
            find(metrics, f"{name}_pixels", f"{step}, lambda >= 0.1")["value"]
            for step in ("mixup", "final")
        )
        assert mixup < 0.85 * final, name
    real = find(metrics, "precision_pixels", "training images")
    assert real["value"] > 0.9 and real["reference"] == "held-out images"


def test_a_frechet_distance_of_few_images_says_so(tmp_path: Path) -> None:
    _, metrics = Corpus(real_looking).evaluate(
        tmp_path, config=EvaluateConfig(rows=100, features="pixels")
    )
    record = find(metrics, "fd_pixels", "final, lambda >= 0.1")
    assert record["notes"] == [
        f"mostly bias: {record['n']} images in 32 dimensions, five per dimension are needed"
    ]


def test_a_mixup_corpus_is_not_copying_though_its_light_images_are_copies(tmp_path: Path) -> None:
    _, metrics = Corpus(same, method="mixup").evaluate(tmp_path, config=PIXELS)
    assert metrics["copying"]["kind"] == "not copying"
    assert find(metrics, "copies_pixels", "final, lambda < .01")["value"] > 0.9
    assert find(metrics, "copies_pixels", "final, lambda >= 0.1")["value"] == 0.0
    assert not [r for r in metrics["records"] if r["subset"].startswith("mixup")]
    assert "are copies of training images" not in (tmp_path / "verdict.txt").read_text()


@pytest.mark.parametrize("rows", [600, 90])  # of 150 training images: all, or some of them
def test_a_corpus_of_copies_is_told(tmp_path: Path, rows: int) -> None:
    """Each image is its first parent, whatever lambda says."""
    corpus = Corpus(same)

    def first_parent(mixup: Images, part: pa.Table) -> Images:
        return np.asarray(corpus.images[part["row_1"].to_numpy()])

    corpus.make = first_parent
    verdict, metrics = corpus.evaluate(
        tmp_path, config=EvaluateConfig(rows=rows, training_rows=1, features="pixels")
    )
    assert metrics["copying"]["kind"] == "copying"
    assert "(100.0%) are copies of training images" in metrics["copying"]["text"]
    assert find(metrics, "ct_pixels", "final, lambda >= 0.1")["value"] < -3.0
    told = (tmp_path / "verdict.txt").read_text()
    assert told.endswith(f"Details. {verdict.text}\n\n{metrics['copying']['text']}\n")
    count = metrics["lambda_from_0.1"]["n"]
    assert (
        told.startswith(f"Do not use this corpus: {count} of {count}")
        and metrics["answers"]["ratio"] == 0
    )
    assert metrics["answers"]["rows"][-1][2] == "100.0 %"
    copies = find(metrics, "copies_pixels", "final, lambda >= 0.1")
    assert (copies["reference_n"] < 150) == bool(copies["notes"]) == (rows == 90)


def test_without_held_out_images_names_say_what_was_compared_with(tmp_path: Path) -> None:
    corpus = Corpus(real_looking, held_out=0)
    _, metrics = corpus.evaluate(tmp_path, config=PIXELS, reference_norms=None)
    names = {record["name"] for record in metrics["records"]}
    assert {"kd_pixels_vs_train", "precision_pixels_vs_train", "copies_pixels"} <= names
    assert not any(name.startswith("ct_") for name in names)
    assert metrics["copying"]["kind"] == "not copying"


def test_too_few_images_give_no_records_rather_than_noise(tmp_path: Path) -> None:
    _, metrics = Corpus(real_looking, held_out=49).evaluate(
        tmp_path, config=EvaluateConfig(rows=30)
    )
    assert metrics["records"] == []
    assert metrics["copying"] is None


def test_features_of_real_images_are_kept_for_the_next_evaluation(tmp_path: Path) -> None:
    class Means(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, 0, ::2, ::2].flatten(1)

    torch.jit.save(torch.jit.script(Means()), str(tmp_path / "net.pt"))
    config = EvaluateConfig(rows=200, features=str(tmp_path / "net.pt"))
    kept = tmp_path / "kept"
    _, first = Corpus(real_looking).evaluate(tmp_path / "a", config=config, feature_folder=kept)
    files = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    # Training and held-out images, undamaged and damaged in six ways, with what vouches for each.
    assert len(files) == 2 * (2 + 7)
    _, again = Corpus(real_looking).evaluate(tmp_path / "b", config=config, feature_folder=kept)
    _, without = Corpus(real_looking).evaluate(tmp_path / "c", config=config)
    assert first == again == without  # one computation of equal features: to the last bit
    assert {path: path.stat().st_mtime_ns for path in kept.iterdir()} == files
    assert find(first, "kd_net", "final, lambda >= 0.1")["extractor"]["weights_sha256"]


def gaussian(seed: int, n: int) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, 4))


def features(**changes: Any) -> EvaluationFeatures:
    final, training = gaussian(0, 200), gaussian(1, 120)
    given = EvaluationFeatures(
        extractor={"kind": "torchscript", "name": "net", "weights_sha256": "ab", "resize": "none"},
        reference=gaussian(2, 180),
        held_out=True,
        training=training,
        training_total=120,
        steps={"mixup": final, "minimised": final, "final": final},
        folded=np.full(200, 0.3),
        class_ids=np.arange(200) % 3,
        reference_ids=np.arange(180) % 3,
        classes=("cat", "dog", "newt"),
        is_mixup=False,
    )
    return replace(given, **changes)


def test_classes_are_compared_with_their_own_held_out_images() -> None:
    """Cats come out as dogs: each class is off, the whole is not."""
    shift = np.array([0.0, 9.0, 0.0])
    final, real = gaussian(0, 200), gaussian(2, 180)
    final[:, 0] += shift[(np.arange(200) + 1) % 3]
    real[:, 0] += shift[np.arange(180) % 3]
    steps = {"mixup": final, "minimised": final, "final": final}
    records = compute_records(features(steps=steps, reference=real), seed=0).records
    found = {r.subset.rpartition(" ")[2]: r for r in records if r.name == "precision_net"
             and "class" in r.subset}  # fmt: skip
    assert set(found) == {"cat", "dog", "newt"}
    assert found["cat"].value < 0.1 < 0.8 < found["newt"].value
    assert found["cat"].reference == "held-out images of that class"
    assert (found["cat"].n, found["cat"].reference_n) == (67, 60)


def test_small_classes_are_left_out() -> None:
    ids = np.where(np.arange(180) < 49, 0, 1)  # 49 held-out cats, no newt
    records = compute_records(features(reference_ids=ids), seed=0).records
    assert {r.subset.rpartition(" ")[2] for r in records if "class" in r.subset} == {"dog"}


def test_training_images_that_are_all_alike_leave_copying_untold() -> None:
    for training in (np.ones((60, 4)), np.repeat(gaussian(1, 60), 2, axis=0)):
        found = compute_records(features(training=training), seed=0)
        assert found.copying is None
        assert not [r for r in found.records if r.name.startswith(("copies", "ct"))]
        assert [r for r in found.records if r.name == "precision_net"]


def test_records_are_json() -> None:
    part = compute_records(features(), seed=0).as_metrics()
    assert json.loads(json.dumps(part, allow_nan=False)) == part
    assert part["copying"]["kind"] == "not copying"
