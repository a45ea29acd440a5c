"""Translations between classes: which folder is which pair, and each against its own class."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from in_process import cli
from numpy.typing import NDArray
from PIL import Image

from scoremix.manifests.errors import InputError
from scoremix.models.metrics.perceptual import Lpips, diversity_by_source
from scoremix.stages.evaluate import optional_metrics
from scoremix.stages.gan_samples.pairs import (
    ANY_SOURCE,
    ONE_SOURCE,
    output_diversity,
    pair_of_folder,
    rows_by_pair,
)
from scoremix.stages.gan_samples.sets import find_sets

Images = NDArray[np.uint8]


class Stub(Lpips):
    """In place of LPIPS, whose package not every environment has: mean differences."""

    def __init__(self, trunk: Path) -> None:
        self.name = "pd_alex"

    def describe(self) -> dict[str, Any]:
        return {"kind": "lpips", "name": "alex"}

    def __call__(self, a: Images, b: Images) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.abs(a.astype(float) - b).mean(axis=(1, 2, 3))
        return found


@pytest.mark.parametrize(
    ("name", "classes", "pair"),
    [
        ("cat2dog", ("cat", "dog", "wild"), (0, 1)),
        ("wild2cat", ("cat", "dog", "wild"), (2, 0)),
        ("0_cat22_wild", ("cat", "dog", "wild"), (0, 2)),  # the folders of an export
        ("0_Tabby-cat21_dog", ("Tabby cat", "dog"), (0, 1)),
        ("7_cat23_dog", ("cat", "dog"), (0, 1)),  # of an export of other classes
        ("a22b2", ("a2", "b2"), (0, 1)),
        ("cat2cat", ("cat", "dog"), None),
        ("cat2bird", ("cat", "dog"), None),
        ("cats", ("cat", "dog"), None),
        ("cat2dog", (), None),
    ],
)
def test_a_folder_is_read_as_a_pair(
    name: str, classes: tuple[str, ...], pair: tuple[int, int] | None
) -> None:
    assert pair_of_folder(name, classes) == pair


def test_a_folder_of_two_readings_is_refused() -> None:
    with pytest.raises(InputError, match=r"1 to 21 or 12 to 1.*as in 0_1"):
        pair_of_folder("1221", ("1", "21", "12"))


def test_only_a_set_of_pairs_alone_is_a_translation() -> None:
    classes = ("cat", "dog")
    found = rows_by_pair(["10/cat2dog/1.png", "10/dog2cat/1.png", "10/cat2dog/2.png"], classes)
    assert {pair: rows.tolist() for pair, rows in found.items()} == {(0, 1): [0, 2], (1, 0): [1]}
    assert rows_by_pair(["cat2dog/1.png", "real/1.png"], classes) == {}
    assert list(rows_by_pair(["1.png", "2.png"], classes, above="dog2cat.zip")) == [(1, 0)]
    digits = tuple("0123456789")
    assert rows_by_pair(["120/000001.png"], digits) == {}  # a snapshot
    assert list(rows_by_pair(["120/0001_01.png"], digits)) == [(1, 0)]


def test_pairs_are_no_snapshots(tmp_path: Path) -> None:
    for name in ("cat12cat2", "cat22cat1"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "0001_01.png")
    classes = ("cat1", "cat2")
    assert [one.path for one in find_sets(tmp_path, None, classes)] == [tmp_path]
    assert len(find_sets(tmp_path, True, classes)) == 2
    assert len(find_sets(tmp_path, None, ("dog", "bird"))) == 2


def levels(*values: int) -> Images:
    return np.stack([np.full((4, 4, 3), value, np.uint8) for value in values])


def test_lpips_is_of_the_outputs_of_one_source_where_there_are_several() -> None:
    """By hand: all pairs of a source, then the mean of sources, as StarGAN v2's evaluation."""
    measure = Stub(Path())
    images = levels(0, 10, 40, 100, 102, 7)
    names = [f"cat2dog/{name}.png" for name in
             ("0001_01", "0001_02", "0001_03", "0002_01", "0002_02", "0003_01")]  # fmt: skip
    found = output_diversity(measure, images, names, seed=0)
    one = np.mean([10, 40, 30])
    assert found["value"] == pytest.approx(np.mean([one, 2])) and found["of"] == ONE_SOURCE
    assert found["pairs"] == 4
    # Names of an export, REAL_KEY, are no outputs of one source.
    other = output_diversity(measure, images[:3], [f"000_{k:06d}.png" for k in range(3)], seed=0)
    assert other["of"] == ANY_SOURCE and other["pairs"] == 500
    assert 10 < other["value"] < 40


def test_of_many_outputs_a_choice_of_sources_is_measured() -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 3), dtype=np.uint8)
    sources = [row // 3 for row in range(60)]
    some = diversity_by_source(Stub(Path()), images, sources, seed=1, most_pairs=12)
    assert some is not None and (some.pairs, some.n, some.seed) == (12, 12, 1)
    assert some == diversity_by_source(Stub(Path()), images, sources, seed=1, most_pairs=12)
    whole = diversity_by_source(Stub(Path()), images, sources, seed=1)
    assert whole is not None and (whole.pairs, whole.seed) == (60, None)
    assert diversity_by_source(Stub(Path()), images, range(60), seed=1) is None


# --- evaluate --generated


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 120 images, dark and bright; half of each is held out."""
    root = tmp_path_factory.mktemp("pairs")
    for number, name in enumerate(("dark", "bright")):
        save(shades(120, number), root / "photos" / name)
    changed = tiny.options(
        generate__method="mixup", generate__ratio=1, ingest__resolution=8, ingest__holdout=0.5
    )
    words = ["augment", "--data", root / "photos", "--out", root / "run" / "shards"]
    assert cli(*words, "--run", root / "run", "--quiet", *changed) == 0
    return root / "run"


def shades(count: int, bright: int, seed: int = 0) -> Images:
    random = np.random.default_rng([seed, bright])
    pixels = random.integers(0, 100, (count, 8, 8, 3)) + 120 * bright
    return pixels.astype(np.uint8)


def save(images: Images, folder: Path, outputs: int = 1) -> Path:
    folder.mkdir(parents=True)
    for row, pixels in enumerate(images):
        source, output = divmod(row, outputs)
        Image.fromarray(pixels).save(folder / f"{source + 1:04d}_{output + 1:02d}.png")
    return folder


def judged(run: Path, path: Path, *more: str | Path) -> dict[str, Any]:
    assert cli("evaluate", run, "--generated", path, "--name", "it", "--quiet", *more) == 0
    report: dict[str, Any] = json.loads((run / "report" / "generated" / "it.json").read_bytes())
    return report


def value(records: list[dict[str, Any]], name: str) -> float:
    (found,) = (record["value"] for record in records if record["name"] == name)
    return float(found)


def test_a_translation_is_compared_with_its_target(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that translates nothing has the images of both classes, and is far from each."""
    monkeypatch.setattr(optional_metrics, "Lpips", Stub)
    dark, bright = shades(60, 0, seed=1), shades(60, 1, seed=1)
    for name, into_bright, into_dark in (("good", bright, dark), ("idle", dark, bright)):
        save(into_bright, tmp_path / name / "1_dark20_bright", outputs=3)
        save(into_dark, tmp_path / name / "0_bright21_dark")
    good = judged(run, tmp_path / "good", "--lpips", tmp_path / "alexnet.pth")
    shown = capsys.readouterr().out
    (one,) = good["sets"]
    pairs = one["translation"]["pairs"]
    assert [(pair["source"], pair["target"], pair["images"]) for pair in pairs] == [
        ("bright", "dark", 60), ("dark", "bright", 60),
    ]  # fmt: skip
    distances = [value(pair["records"], "kd_random") for pair in pairs]
    assert value(one["records"], "kd_random") == pytest.approx(np.mean(distances), abs=1e-7)
    assert one["kernel"]["value"] == pytest.approx(np.mean(distances), abs=1e-7)
    assert [pair["lpips"]["of"] for pair in pairs] == [ANY_SOURCE, ONE_SOURCE]
    assert "mean of pairs" in shown and "a translation of 2 pairs" in shown
    assert f"pd_alex, {ONE_SOURCE}" in shown and f"pd_alex, {ANY_SOURCE}" in shown
    page = (run / "report" / "index.html").read_text()
    assert "mean of pairs" in page and ONE_SOURCE in page

    (idle,) = judged(run, tmp_path / "idle")["sets"]
    assert one["kernel"]["value"] < 0.05 * idle["kernel"]["value"]
    covered = [value(each["records"], "coverage_random") for each in (idle, one)]
    assert covered[0] == 0 and covered[1] > 0.5
    (pair,) = judged(run, tmp_path / "idle" / "1_dark20_bright")["sets"]
    assert [each["target"] for each in pair["translation"]["pairs"]] == ["bright"]


def test_the_best_snapshot_of_a_translation_is_the_best_of_pairs(run: Path, tmp_path: Path) -> None:
    for name, bright in (("10", (0, 1)), ("20", (1, 0))):
        save(shades(60, bright[0], seed=1), tmp_path / "it" / name / "dark2bright")
        save(shades(60, bright[1], seed=1), tmp_path / "it" / name / "bright2dark")
    report = judged(run, tmp_path / "it")
    assert report["best"]["name"] == "20" and report["best"]["alike"] == []


def test_pairs_of_few_images_are_named(run: Path, tmp_path: Path) -> None:
    save(shades(60, 1), tmp_path / "some" / "dark2bright")
    save(shades(10, 0), tmp_path / "some" / "bright2dark")
    report = judged(run, tmp_path / "some")
    assert report["sets"][0]["translation"]["missing"] == ["bright to dark has 10 images"]
    assert any("bright to dark has 10 images" in line for line in report["text"])
    assert value(report["sets"][0]["records"], "kd_random") == pytest.approx(
        report["sets"][0]["kernel"]["value"], abs=1e-7
    )
