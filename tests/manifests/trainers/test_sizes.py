"""export and check decide by one table: no side that one refuses is readable to the other."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from made import make_corpus

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.trainers.layout import ExportListing, Layout, read_layout
from scoremix.manifests.trainers.requirements import (
    check_needs,
    find_spec,
    network_side,
    readable_side,
    size_problems,
    trainer_names,
)
from scoremix.manifests.trainers.spec import TARGETS, Target, TrainerSpec
from scoremix.manifests.trainers.table import PLAIN, TRAINERS
from scoremix.stages.check.check import check_corpus
from scoremix.stages.check.file_index import FileIndex
from scoremix.stages.check.image_facts import ImageFacts
from scoremix.stages.check.images import check_images, check_size
from scoremix.stages.check.readers.hdf5 import Hdf5Contents, check_hdf5
from scoremix.stages.check.readers.unpaired import check_unpaired
from scoremix.stages.check.report import CheckFindings
from scoremix.stages.common.progress import Silent
from scoremix.stages.export.export import ExportConfig, export
from scoremix.stages.images.input import Input

EVERY_SIDE = range(8, 1025)
READERS = [*TRAINERS, *(spec for spec in PLAIN.values() if spec.target != "hdf5")]
SIZE_RULES = {"not-square", "too-small", "not-power-of-two", "side-multiple", "side-unknown"}


def named(spec: TrainerSpec) -> str:
    return f"{spec.trainer or 'any'}-{spec.target}"


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("made"), images=4, ratio=1)


def listing_for(spec: TrainerSpec, shards: Path) -> ExportListing:
    return read_layout(shards, Layout(spec.target))


def refused_by_export(listing: ExportListing, spec: TrainerSpec, side: int) -> bool:
    try:
        check_needs(replace(listing, resolution=side), replace(spec, least_images=1))
    except ConfigError:
        return True
    return False


def found_by_check(spec: TrainerSpec, side: int) -> set[str]:
    """The errors that check reports of a corpus whose images are right but for their side."""
    findings = CheckFindings(Path("corpus"))
    facts = ImageFacts(side, side, "RGB", "PNG")
    if spec.target == "hdf5":
        shape = (8, 3, side, side) if spec.axes == "NCHW" else (8, side, side, 3)
        assert spec.file is not None
        name = spec.file.format(name="pets", resolution=side)
        check_hdf5(Hdf5Contents(name, [], shape, "uint8", spec.axes), spec, findings)
    elif spec.target == "unpaired":
        check_unpaired(*unpaired(facts, count=2), spec, findings)
    else:
        check_images([("0.png", facts), ("1.png", facts)], spec, findings)
    return {one.rule for one in findings.sorted() if one.severity == "error"}


def unpaired(facts: ImageFacts, count: int) -> tuple[FileIndex, dict[str, ImageFacts]]:
    """trainA and trainB with `count` images each."""
    names = [f"train{side}/{index}.png" for side in "AB" for index in range(count)]
    members = [Input(name, bytes) for name in names]
    index = FileIndex(Path("corpus"), False, members, folders=["trainA", "trainB"])
    return index, dict.fromkeys(names, facts)


@pytest.mark.parametrize("spec", READERS, ids=named)
def test_export_and_check_agree_on_every_side(spec: TrainerSpec, shards: Path) -> None:
    listing = listing_for(spec, shards)
    for side in EVERY_SIDE:
        errors = found_by_check(spec, side)
        assert errors <= SIZE_RULES, (side, errors)
        assert refused_by_export(listing, spec, side) == bool(errors), (side, errors)


def test_one_image_a_side_may_have_any_size_where_the_trainer_has_a_mode_for_it(
    tmp_path: Path,
) -> None:
    shards = make_corpus(tmp_path, images=2, ratio=0)
    for spec in (one for one in TRAINERS if one.target == "unpaired"):
        listing = listing_for(spec, shards)
        for side in EVERY_SIDE:
            findings = CheckFindings(Path("corpus"))
            check_unpaired(*unpaired(ImageFacts(side, side, "RGB"), 1), spec, findings)
            assert not findings.errors
            assert not refused_by_export(listing, spec, side)


def test_what_the_trainers_own_code_reads() -> None:
    """Sides in 8..1024, read in their sources: edm's U-Net halves twice, LeCam does not scale."""
    sides = {
        named(spec): {s for s in EVERY_SIDE if not found_by_check(spec, s)} for spec in READERS
    }
    powers = {8, 16, 32, 64, 128, 256, 512, 1024}
    assert sides["edm-stylegan"] == set(range(8, 1025, 4))
    assert sides["stylegan3-stylegan"] == sides["rosinality-lmdb"] == powers
    assert sides["sincut-unpaired"] == powers
    assert sides["biggan-hdf5"] == sides["lecam-imagefolder"] == {32, 64, 128, 256}
    assert sides["diffaugment-biggan-imagefolder"] == {32, 64, 128, 256}
    assert sides["fastgan-lmdb"] == {1024}
    scaling = ["stargan-v2", "biggan", "stylegan2-pytorch", "lightweight-gan", "dcgan", "fastgan"]
    for trainer in scaling:
        assert sides[f"{trainer}-imagefolder"] == set(EVERY_SIDE)
    assert sides["cut-unpaired"] == sides["any-lmdb"] == set(EVERY_SIDE)


@pytest.mark.parametrize("spec", TRAINERS, ids=named)
def test_the_refusal_names_a_side_that_is_read(spec: TrainerSpec, shards: Path) -> None:
    listing = listing_for(spec, shards)
    for side in (1, 2, 3, 7, 24, 100, 300, 1023, 1500):
        try:
            check_needs(replace(listing, resolution=side), replace(spec, least_images=1))
        except ConfigError as error:
            words = re.search(r"ingest\.resolution: (\d+)(?:, or add --to (\w+), |\.$)", str(error))
            assert words is not None and not refused_by_export(listing, spec, int(words[1])), error
            if words[2]:
                other = find_spec(spec.trainer, cast(Target, words[2]))
                assert not size_problems(other, side, side)
        assert network_side(spec, side) in (spec.networks or (side,))


@pytest.mark.parametrize("spec", READERS, ids=named)
def test_the_side_of_a_remedy_has_no_finding_of_its_own(spec: TrainerSpec) -> None:
    """Neither an error nor a warning; a corpus of it is not changed again."""
    for side in (1, 2, 3, 24, 28, 48, 50, 96, 100, 200, 300, 1500):
        named_side = readable_side(spec, side)
        assert readable_side(spec, named_side) == named_side
        assert not check_size(spec, named_side, named_side), side


@pytest.mark.parametrize("side", [24, 32])
@pytest.mark.parametrize("spec", TRAINERS, ids=named)
def test_a_real_export_and_a_real_check_agree(
    spec: TrainerSpec, side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = make_corpus(tmp_path, images=max(16, spec.least_images), side=side, ratio=0)
    config = ExportConfig(to=spec.target, trainer=spec.trainer)
    out = tmp_path / ("out.zip" if spec.target == "stylegan" else "lmdb")
    refused = exported = False
    try:
        export(shards, out, config, progress=Silent())
        exported = True
    except ConfigError:
        refused = True
        # Written all the same, so that check sees what export would not make.
        monkeypatch.setattr("scoremix.stages.export.export.check_needs", lambda *_: None)
        export(shards, out, config, progress=Silent())
    assert refused != exported
    [verdict] = check_corpus(out, spec.trainer, Silent())
    errors = {one.rule for one in verdict.findings if one.severity == "error"}
    assert bool(errors) == refused and errors <= SIZE_RULES


def test_names_of_targets_and_trainers_differ() -> None:
    """check --for takes both."""
    names: list[Any] = [*TARGETS, *trainer_names()]
    assert len(set(names)) == len(names)
