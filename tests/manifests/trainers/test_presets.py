"""The presets of `trial`: filled in for every size of arm, in options that the trainers have."""

import re
import shlex
import string
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from checkouts import checkout

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.trainers.presets import (
    ArmSize,
    TrialLength,
    check_checkout,
    check_lengths,
    preset_facts,
)
from scoremix.manifests.trainers.requirements import find_spec, trainer_names
from scoremix.manifests.trainers.spec import TrainerSpec, TrialPreset

SPECS = [find_spec(name, None) for name in trainer_names() if find_spec(name, None).preset]
LENGTH = TrialLength(200_000, 25_000, 2000, 300)
MACHINE = {"checkout", "python", "runner"}
CALL = {"data", "out", "seed", "gpu"}
FOLDERS = {
    "stylegan2-ada": "stylegan2-ada-pytorch",
    "stylegan3": "stylegan3",
    "diffaugment-stylegan2": "data-efficient-gans/DiffAugment-stylegan2-pytorch",
    "stargan-v2": "stargan-v2",
    "biggan": "BigGAN-PyTorch",
    "cut": "CUT",
    "sincut": "CUT",
    "dcgan": "examples/dcgan",
    "fastgan": "FastGAN-pytorch",
}
each = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.trainer)


def preset_of(spec: TrainerSpec) -> TrialPreset:
    assert spec.preset is not None
    return spec.preset


def arm(ratio: int, *real: int, side: int = 64) -> ArmSize:
    return ArmSize(real, ratio, side, len(real) > 1)


def filled(spec: TrainerSpec, facts: dict[str, Any]) -> str:
    given = {
        "data": "/d a/$x",
        "out": "/o 'b",
        "checkout": "/c  d",
        "python": "/p y",
        "runner": "r",
    }
    quoted = {name: shlex.quote(value) for name, value in given.items()}
    return preset_of(spec).command.format(**facts, **quoted, seed=3, gpu=1)


def test_these_trainers_have_presets() -> None:
    assert {spec.trainer for spec in SPECS} == set(FOLDERS)


@each
@pytest.mark.parametrize("real", [(150, 150), (300,)], ids=["labelled", "unlabelled"])
def test_every_preset_fills_in(spec: TrainerSpec, real: tuple[int, ...]) -> None:
    if len(real) == 1 and spec.needs_classes:
        pytest.skip("it needs classes")
    facts = preset_facts(spec, arm(5, *real), LENGTH)
    named = {name for _, name, _, _ in string.Formatter().parse(preset_of(spec).command) if name}
    assert named <= set(facts) | MACHINE | CALL
    assert {"data", "out", "seed", "gpu", "python"} <= named
    text = filled(spec, facts)
    assert subprocess.run(["bash", "-n", "-c", text]).returncode == 0
    # A path with a space or a quote stays one word: no other place has it.
    for path in ("/d a/$x", "/c  d", "/p y"):
        assert text.count(path) == text.count(f"'{path}")
    assert ("--cond=1" in text) == (spec.conditional != "" and len(real) > 1)
    assert ("--class=" in text) == (spec.conditional != "" and len(real) > 1)


@each
@pytest.mark.parametrize("ratio", [0, 1, 5, 10])
def test_arms_of_every_size_are_shown_the_same_number_of_images(
    spec: TrainerSpec, ratio: int
) -> None:
    facts = preset_facts(spec, arm(ratio, 150, 150), LENGTH)
    preset = preset_of(spec)
    images = {
        "kimg": 1000 * facts["kimg"],
        "iterations": facts["iterations"] * facts["update"],
        "epochs": facts["epochs"] * facts["count"],
    }[preset.unit]
    assert images == facts["shown"] == pytest.approx(200_000, rel=0.01)
    check_lengths(spec, {"arm": facts}, 200_000)
    # An epoch is the arm's images; of a translation those of one side.
    count = (150 if spec.target == "unpaired" else 300) * (1 + ratio)
    assert facts["count"] == (count - count % 16 if preset.whole_batches else count)


def test_a_length_in_epochs_that_misses_the_images_is_refused() -> None:
    spec = find_spec("dcgan", None)
    sizes = {"real": arm(0, 300), "own-10": arm(10, 300)}
    length = TrialLength(5000, 2500, 100, 300)
    facts = {name: preset_facts(spec, size, length) for name, size in sizes.items()}
    with pytest.raises(ConfigError, match="own-10 would be shown 6,600.* multiple of 3,300"):
        check_lengths(spec, facts, 5000)
    whole = replace(length, images=6600)
    check_lengths(spec, {n: preset_facts(spec, s, whole) for n, s in sizes.items()}, 6600)


def test_classes_are_drawn_in_proportion_and_no_seed_twice() -> None:
    facts = preset_facts(find_spec("stylegan3", None), arm(1, 100, 0, 200, 33), LENGTH)
    draws = [re.fullmatch(r"(\d+):(\d+)-(\d+)", draw) for draw in facts["draws"].split()]
    seeds = {int(found[1]): range(int(found[2]), int(found[3]) + 1) for found in draws if found}
    assert set(seeds) == {0, 2, 3}
    assert sorted(seed for some in seeds.values() for seed in some) == list(range(2000))
    assert [len(seeds[k]) for k in (0, 2, 3)] == [601, 1201, 198]


def test_bigans_batch_is_one_for_all_arms_and_its_copies_are_enough() -> None:
    """Two batches an update, of which the smallest arm must have enough; copies are not reused."""
    spec, length = find_spec("biggan", None), TrialLength(20_000, 2_000, 100, 90)
    for ratio in (0, 3):
        facts = preset_facts(spec, arm(ratio, 45, 45), length)
        assert (facts["batch"], facts["update"]) == (45, 90)
        epoch = 90 * (1 + ratio) // 90
        assert facts["epochs"] * epoch >= facts["iterations"]
        assert facts["copies"] >= facts["epochs"] * epoch // facts["every"] >= 10
        assert facts["last_snapshot"] == 9


@each
def test_a_checkout_without_its_scripts_is_named(spec: TrainerSpec, tmp_path: Path) -> None:
    preset, last = preset_of(spec), preset_of(spec).scripts[-1]
    with pytest.raises(ConfigError, match="is no folder"):
        check_checkout(spec.trainer, preset, tmp_path / "none")
    for name in preset.scripts[:-1]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=f"has no {last}"):
        check_checkout(spec.trainer, preset, tmp_path)
    (tmp_path / last).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / last).touch()
    check_checkout(spec.trainer, preset, tmp_path)


@each
def test_every_option_is_one_of_the_trainers(spec: TrainerSpec) -> None:
    """In the source of the trainer itself, where there is a checkout."""
    folder = checkout(FOLDERS[spec.trainer])
    check_checkout(spec.trainer, preset_of(spec), folder)
    source = "\n".join(path.read_text(errors="replace") for path in folder.rglob("*.py"))
    text = filled(spec, preset_facts(spec, arm(1, 150, 150), LENGTH))
    options = set(re.findall(r"(?<!\S)(--[A-Za-z_0-9-]+)", text))
    assert len(options) >= 5
    assert not {option for option in options if not re.search(rf"['\"]{option}['\"]", source)}
