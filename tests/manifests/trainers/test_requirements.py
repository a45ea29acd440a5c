"""Every field of TrainerSpec is a rule of export and of check, or is named here with its reason."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from made import make_corpus

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.trainers.spec import TrainerSpec
from scoremix.manifests.trainers.table import TRAINERS
from scoremix.stages.check.check import check_corpus
from scoremix.stages.check.report import CheckResult
from scoremix.stages.common.progress import Silent
from scoremix.stages.export.export import ExportConfig, export

# Rules of both: one refuses what the other does. Tested below, or side by side in test_sizes.py.
RULES = {
    "exact", "power_of_two", "multiple_of", "least_side", "sides", "single_image",  # test_sizes
    "least_images", "max_classes", "path_word",
}  # fmt: skip
# What export always satisfies by how it writes; check finds it in corpora of other origin.
WRITTEN_RIGHT = {
    "target": "the layout that is written",
    "modes": "images are written as RGB where L is not among them (`rgb`); no other mode is made",
    "endings": "every file is .png, which every row takes",
    "any_case": "of the ending",
    "split": "the folder that is written",
    "fixed_split": "that folder lies inside --out",
    "real_split": "the second folder is written, with the same classes",
    "flat": "no sub-folder is written",
    "any_depth": "any folders will do",
    "lists_files": "nothing is written beside the class folders",
    "axes": "the order that is written",
    "file": "the name that is written",
    "file_pattern": "matches `file`",
}
ONE_SIDE = {
    "needs_classes": "export refuses a corpus without classes; in a folder, check sees one class"
    " folder (warning one-class), or misses trainA/ and trainB/",
    "usual_power_of_two": "a warning, never a refusal",
    "usual_sides": "a warning, never a refusal",
    "batch": "export prints one that the images fill; check warns of fewer images",
    "full_batches": "as `batch`",
    "fixed_batch": "of check --batch",
    "configurations": "export prints the one for the side; check names it",
    "class_configurations": "as `configurations`",
    "text_labels": "export writes captions; check finds other labels",
}
WORDS = {
    "trainer", "title", "networks", "train", "length", "sample", "sample_classes", "samples",
    "evaluate", "draws_labels_of_data", "real_to", "conditional", "averaged_after", "notes",
    "remember", "preset",
}  # fmt: skip


def named(spec: TrainerSpec) -> str:
    return f"{spec.trainer}-{spec.target}"


def row(trainer: str, target: str) -> TrainerSpec:
    [spec] = [one for one in TRAINERS if (one.trainer, one.target) == (trainer, target)]
    return spec


def default_out(spec: TrainerSpec) -> str:
    return "out.zip" if spec.target == "stylegan" else "lmdb"


def errors_of(result: CheckResult) -> set[str]:
    return {one.rule for one in result.findings if one.severity == "error"}


def test_every_field_has_its_place() -> None:
    named_here = [*RULES, *WRITTEN_RIGHT, *ONE_SIDE, *WORDS]
    assert sorted(named_here) == sorted(field.name for field in fields(TrainerSpec))


@pytest.fixture
def write_anyway(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Exports what export refuses, so that check sees it."""

    def write(shards: Path, out: Path, config: ExportConfig) -> None:
        with monkeypatch.context() as patch:
            for name in ("check_needs", "_check_destination"):
                patch.setattr(f"scoremix.stages.export.export.{name}", lambda *_: None)
            export(shards, out, config, progress=Silent())

    return write


@pytest.mark.parametrize(
    ("trainer", "target", "corpus", "options", "out", "rule", "message"),
    [
        ("stargan-v2", "imagefolder", {"images": 7}, {"real_only": True}, "out",
         "too-few-images", "needs 8 training images or more.*has 7.*--ratio"),
        ("stargan-v2", "imagefolder", {"images": 8}, {"real_only": True}, "out", "", ""),
        ("stargan-v2", "imagefolder", {"images": 4}, {}, "out", "", ""),  # 8 with round 1
        ("fastgan", "lmdb", {"images": 2, "side": 1024}, {}, "plain",
         "wrong-kind", "contains 'lmdb'.*plain-lmdb"),
        ("fastgan", "lmdb", {"images": 2, "side": 1024}, {}, "plain-lmdb", "", ""),
        ("rosinality", "lmdb", {"images": 2}, {}, "plain", "", ""),
        ("biggan", "hdf5", {"images": 1001, "side": 32, "many": 1001, "ratio": 0}, {}, "out",
         "hdf5-label-range", "1000 classes; this corpus has 1001"),
        ("lecam", "imagefolder", {"images": 1001, "side": 32, "many": 1001, "ratio": 0}, {}, "out",
         "too-many-classes", "1000 classes; this corpus has 1001"),
    ],
)  # fmt: skip
def test_export_refuses_what_check_refuses(
    trainer: str,
    target: str,
    corpus: dict[str, Any],
    options: dict[str, Any],
    out: str,
    rule: str,
    message: str,
    tmp_path_factory: pytest.TempPathFactory,
    write_anyway: Callable[..., None],
) -> None:
    root = tmp_path_factory.mktemp("made")  # tmp_path would have the test's own words in it
    many = (
        {"classes": tuple(f"c{id_}" for id_ in range(corpus["many"]))} if "many" in corpus else {}
    )
    made = {name: value for name, value in corpus.items() if name != "many"}
    shards = make_corpus(root, **({"ratio": 1} | made | many))
    config = ExportConfig(to=target, trainer=trainer, **options)
    place = root / out
    if rule:
        with pytest.raises(ConfigError, match=message):
            export(shards, place, config, progress=Silent())
        assert not place.exists()
        write_anyway(shards, place, config)
    else:
        export(shards, place, config, progress=Silent())
    [result] = check_corpus(place, trainer, Silent())
    assert errors_of(result) == ({rule} if rule else set())


@pytest.mark.parametrize(
    "corpus", [{"channels": 1}, {"soft": True}, {"classes": ("one",)}], ids=str
)
@pytest.mark.parametrize("spec", TRAINERS, ids=named)
def test_what_export_accepts_check_reads(
    spec: TrainerSpec, corpus: dict[str, Any], tmp_path: Path
) -> None:
    """Gray images, soft labels, one class."""
    side = 1024 if spec.path_word else 32
    images = 4 if spec.path_word else max(16, spec.least_images)
    shards = make_corpus(tmp_path, images=images, side=side, ratio=1, **corpus)
    config = ExportConfig(to=spec.target, trainer=spec.trainer, hard_labels="argmax")
    out = tmp_path / default_out(spec)
    if spec.target == "unpaired" and "classes" in corpus:
        with pytest.raises(ConfigError, match="unpaired needs two classes"):
            export(shards, out, config, progress=Silent())
        return
    export(shards, out, config, progress=Silent())
    [result] = check_corpus(out, spec.trainer, Silent())
    assert not errors_of(result)


@pytest.mark.parametrize(
    "spec", [row("stargan-v2", "imagefolder"), row("cut", "unpaired")], ids=named
)
def test_a_trainer_of_classes_refuses_a_corpus_without(spec: TrainerSpec, tmp_path: Path) -> None:
    shards = make_corpus(tmp_path, images=16, classes=())
    config = ExportConfig(to=spec.target, trainer=spec.trainer)
    with pytest.raises(ConfigError, match="needs (classes|two classes)"):
        export(shards, tmp_path / "out", config, progress=Silent())


def test_an_export_that_is_named_like_the_split_is_read_from_above_it(tmp_path: Path) -> None:
    """BigGAN is given the folder above ImageNet/, whatever the name of that folder."""
    shards = make_corpus(tmp_path, images=16, side=32)
    out = tmp_path / "ImageNet"
    export(shards, out, ExportConfig(to="imagefolder", trainer="biggan"), progress=Silent())
    for place in (out, out / "ImageNet"):
        [result] = check_corpus(place, "biggan", Silent())
        assert not errors_of(result) and result.facts["class_count"] == 2
