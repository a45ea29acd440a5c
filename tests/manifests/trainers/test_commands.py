"""The printed commands: every value is this corpus's, and arms are trained equally long."""

import re
import shlex
from dataclasses import fields, replace
from pathlib import Path

import pytest
from made import make_corpus

from scoremix.manifests.trainers.commands import Commands, TrainingPlan, commands_for
from scoremix.manifests.trainers.layout import read_layout
from scoremix.manifests.trainers.requirements import find_spec
from scoremix.manifests.trainers.spec import TrainerSpec
from scoremix.manifests.trainers.table import TRAINERS
from scoremix.stages.check.check import check_corpus
from scoremix.stages.common.progress import Silent
from scoremix.stages.export.export import ExportConfig, export

each = pytest.mark.parametrize("spec", TRAINERS, ids=lambda spec: f"{spec.trainer}-{spec.target}")
with_length = [spec for spec in TRAINERS if spec.length]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 px, RGB, two classes, 14 and 14 images, three rounds more."""
    return make_corpus(tmp_path_factory.mktemp("made"), images=28, side=64, ratio=3)


def printed(
    spec: TrainerSpec, shards: Path, plan: TrainingPlan | None = None, **options: object
) -> Commands:
    config = ExportConfig.model_validate(options)
    listing = read_layout(shards, config.layout(spec), plan and plan.run)
    out = Path("/data/set.zip" if spec.target == "stylegan" else "/data/set-lmdb")
    return commands_for(spec, listing, out, plan or TrainingPlan())


def row(trainer: str) -> TrainerSpec:
    return find_spec(trainer, None)


@each
def test_no_network_is_sampled_with_labels_of_other_classes(spec: TrainerSpec, made: Path) -> None:
    """Real images have none of the new classes, and calc_metrics.py draws labels of its data."""
    listing = read_layout(made, ExportConfig(trainer=spec.trainer, to=spec.target).layout(spec))
    out = Path("/data/set.zip")
    with_new = commands_for(spec, replace(listing, real_classes=1), out, TrainingPlan())
    plain = commands_for(spec, listing, out, TrainingPlan())
    drawn = "calc_metrics.py" in plain.evaluate and spec.trainer != "stylegan-t"  # of captions
    assert (with_new.evaluate != plain.evaluate) == drawn
    if drawn:
        assert not with_new.evaluate and not with_new.real
        assert any("none of the 1 new classes" in note for note in with_new.notes)


# --- values of this corpus ------------------------------------------------------------------


@pytest.mark.parametrize(("images", "batch"), [(12, 6), (28, 14), (40, 16)])
def test_sincut_gets_a_batch_that_its_images_fill(images: int, batch: int, tmp_path: Path) -> None:
    shards = make_corpus(tmp_path, images=images, side=16, ratio=0)
    commands = printed(row("sincut"), shards)
    assert f"--batch_size {batch} " in commands.train


@each
def test_the_printed_batch_is_one_that_can_be_formed(spec: TrainerSpec, tmp_path: Path) -> None:
    """Six images, three of each class: fewer than the usual batch of every trainer but CUT."""
    shards = make_corpus(tmp_path, images=6, side=64, ratio=0)
    train = printed(spec, shards).train
    found = re.search(r"--(?:batch|batch_size|batch-size)[ =](\d+)", train)
    if spec.full_batches and found:
        images = 3 if spec.target == "unpaired" else 6
        assert int(found[1]) * spec.full_batches <= images


def test_rosinality_is_given_the_side_in_every_command(made: Path) -> None:
    commands = printed(row("rosinality"), made)
    everything = "; ".join([commands.train, commands.sample, commands.evaluate])
    for script in ("train.py", "generate.py", "calc_inception.py", "fid.py"):
        assert f"python {script} --size 64 " in everything


@pytest.mark.parametrize(("side", "option"), [
    (32, "--cfg=stylegan2"), (64, "--cfg=stylegan2"), (128, "--cfg=fastgan"),
    (256, "--cfg=fastgan"),
])  # fmt: skip
def test_projected_gan_gets_networks_that_the_side_has(
    side: int, option: str, tmp_path: Path
) -> None:
    shards = make_corpus(tmp_path, images=4, side=side, ratio=0)
    assert f" {option} " in printed(row("projected-gan"), shards).train
    out = tmp_path / "out.zip"
    export(shards, out, ExportConfig(trainer="projected-gan"), progress=Silent())
    [result] = check_corpus(out, "projected-gan", Silent())
    assert option in result.remember
    assert "side-not-advised" not in {one.rule for one in result.findings}


@pytest.mark.parametrize(("side", "classes", "option"), [
    (32, ("cat", "dog"), "--preset=CIFAR10 --cond=1"), (32, (), "--preset=CIFAR10 "),
    (64, ("cat", "dog"), "--preset=ImageNet-64 --cond=1"), (64, (), "--preset=FFHQ-64 "),
    (256, ("cat", "dog"), "--preset=FFHQ-256 "),
])  # fmt: skip
def test_r3gan_gets_a_preset_that_knows_the_side_and_the_classes(
    side: int, classes: tuple[str, ...], option: str, tmp_path: Path
) -> None:
    shards = make_corpus(tmp_path, images=4, side=side, ratio=0, classes=classes)
    train = printed(row("r3gan"), shards).train
    assert option in train and ("--cond=1" in train) == ("--cond=1" in option)


@each
def test_check_and_export_name_the_same_options(
    spec: TrainerSpec, made: Path, tmp_path: Path
) -> None:
    """What `check` says to remember stands in the command that `export` prints."""
    shards, side = made, 64
    if spec.sides == (1024,):
        shards, side = make_corpus(tmp_path, images=4, side=1024, ratio=1), 1024
    out = tmp_path / ("out.zip" if spec.target == "stylegan" else "out-lmdb")
    config = ExportConfig(trainer=spec.trainer, to=spec.target)
    done = export(shards, out, config, progress=Silent())
    [result] = check_corpus(out, spec.trainer, Silent())
    assert result.readable and result.facts["side"] == side
    for line in result.remember:
        options = re.findall(r"^(--[\w-]+)[ =](\w+)", line)
        for option, value in options:
            assert re.search(f"{option}[ =]{value}\\b", done.commands.train), (line, spec.trainer)


# --- names ----------------------------------------------------------------------------------


@each
def test_two_arms_are_trained_under_two_names(spec: TrainerSpec, made: Path) -> None:
    """A trainer that names its outputs by an option gets the run and the arm."""
    if spec.sides == (1024,):
        pytest.skip("the row is that of another target")
    runs = [Path("/runs/mixup-cats"), Path("/runs/scoremix-cats")]
    lines = []
    for run in runs:
        for options in ({"real_only": True}, {"ratio": 1}, {"ratio": 3}):
            lines.append(printed(spec, made, TrainingPlan(run=run), **options).train)
    if "{name}" in spec.train:
        # Nothing else may be equal: the same output folder for two arms loses one of them.
        assert len(set(lines)) == len(lines)
        assert all("mixup-cats-real" in line for line in lines[:1])
        assert "scoremix-cats-augmented-3" in lines[-1]
    assert not [line for line in lines if "images-" in line or " images " in line]


def test_the_name_is_the_run_s_without_its_ending_or_the_folder_s(made: Path) -> None:
    spec = row("cut")
    assert (
        "--name photos-real "
        in printed(spec, made, TrainingPlan(run=Path("/a/photos.run")), real_only=True).train
    )
    folder = re.sub("[^A-Za-z0-9]+", "-", made.parent.name)
    assert f"--name {folder}-augmented-3 " in printed(spec, made).train  # made lies in shards/


def test_the_file_of_studiogan_has_the_name_of_its_note(made: Path, tmp_path: Path) -> None:
    names = set()
    for ratio in (0, 1):
        config = ExportConfig(trainer="studiogan", ratio=ratio)
        done = export(made, tmp_path / str(ratio), config, progress=Silent())
        [file] = done.out.iterdir()
        name = file.name.removesuffix("_64_wo_resize_train.hdf5")
        assert any(f"name: {name}," in note for note in done.commands.notes)
        names.add(name)
    assert len(names) == 2


# --- lengths --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec", with_length, ids=[f"{spec.trainer}-{spec.target}" for spec in with_length]
)
def test_arms_are_trained_on_equally_many_images(spec: TrainerSpec, made: Path) -> None:
    def shown(**options: object) -> int:
        notes = " ".join(printed(spec, made, **options).notes)
        found = re.search(r"The training shows ([\d,]+) images", notes)
        assert found is not None
        return int(found[1].replace(",", ""))

    alone, more, some = shown(real_only=True), shown(), shown(ratio=1)
    assert alone and abs(more - alone) <= 0.05 * alone and abs(some - alone) <= 0.05 * alone


def test_epochs_are_of_the_real_images(made: Path) -> None:
    """28 real images, 112 in all: a hundred epochs of the real ones are 25 of all."""
    spec = row("diffusers")
    assert "--num_epochs 100 " in printed(spec, made, real_only=True).train
    assert "--num_epochs 25 " in printed(spec, made).train
    cut = row("cut")  # 14 and 14 images
    assert "--n_epochs 200 --n_epochs_decay 200" in printed(cut, made, real_only=True).train
    assert "--n_epochs 50 --n_epochs_decay 50" in printed(cut, made).train


def test_a_length_can_be_asked_for_in_images(made: Path) -> None:
    plan = TrainingPlan(shown=200_000)
    assert "--kimg=200 " in printed(row("stylegan3"), made, plan).train
    assert "--duration=0.2 " in printed(row("edm"), made, plan).train
    assert "--num_epochs 1786 " in printed(row("diffusers"), made, plan).train
    assert "--total_iters 25000 " in printed(row("stargan-v2"), made, plan).train
    notes = printed(row("dcgan"), made, TrainingPlan(shown=150)).notes
    assert any("150 were meant" in note for note in notes)


# --- the whole way --------------------------------------------------------------------------

NO_SAMPLES = {"lecam", "diffaugment-biggan"}  # they have no script for that, and a note says so


@each
def test_the_way_from_training_to_evaluation_is_whole(spec: TrainerSpec, made: Path) -> None:
    if spec.sides == (1024,):
        pytest.skip("the row is that of another target")
    commands = printed(spec, made, TrainingPlan(run=Path("/a run/digits")))
    if spec.trainer in NO_SAMPLES:
        assert not commands.sample and not commands.generated
        assert any("no script that draws samples" in note for note in commands.notes)
        return
    words = shlex.split(commands.generated)
    assert words[:4] == ["scoremix-pipeline", "evaluate", "/a run/digits", "--generated"]
    where = words[4]
    # The sampling command writes there, or below.
    named = where.split("/train_latest")[0].split("/samples/eval_0")[0].removesuffix("/samples.npz")
    assert named.removesuffix("/ema").removesuffix("/digits-augmented-3") in commands.sample or (
        where.startswith("RUNS/") and "-save RUNS" in commands.sample
    )


def test_classes_are_drawn_in_the_proportions_of_the_real_images(tmp_path: Path) -> None:
    shards = make_corpus(tmp_path, images=5, side=64, ratio=1)  # three cats, two dogs
    sample = printed(row("stylegan3"), shards).sample
    assert "for draw in 0:0-2999 1:3000-4999; do" in sample
    shards = make_corpus(tmp_path / "soft", images=5, side=64, ratio=1, soft=True)
    assert "for draw in 0:0-2999 1:3000-4999; do" in printed(row("stylegan3"), shards).sample
    shards = make_corpus(tmp_path / "none", images=5, side=64, ratio=1, classes=())
    assert "--seeds=0-4999" in printed(row("stylegan3"), shards).sample


@each
def test_the_commands_of_an_arm_of_real_images_need_no_other_export(
    spec: TrainerSpec, made: Path
) -> None:
    """The evaluation of cut, fastcut and sincut too has the real images alone."""
    if spec.sides == (1024,):
        pytest.skip("the row is that of another target")
    assert bool(printed(spec, made, real_only=True).real) == bool(spec.real_to)
    assert bool(printed(spec, made).real) == ("{real}" in spec.evaluate)
    if spec.target == "unpaired":
        assert "--real-only" in printed(spec, made).real


def test_every_command_is_printed() -> None:
    assert [field.name for field in fields(Commands)] == [
        "train", "sample", "generated", "real", "evaluate", "notes"
    ]  # fmt: skip


# --- which images, which names --------------------------------------------------------------


@pytest.mark.parametrize("trainer", ["cut", "fastcut", "sincut"])
def test_all_of_domain_a_is_translated(trainer: str, tmp_path: Path) -> None:
    """Whichever classes are named, and in which order."""
    shards = make_corpus(tmp_path, images=31, side=64, ratio=0, classes=("a", "b", "c"))
    names = set()
    for domains in (["b", "c"], ["c", "a"], ["a", "b"]):
        config = ExportConfig(trainer=trainer, domains=domains)
        found = read_layout(shards, config.layout(row(trainer)), None)
        commands = commands_for(row(trainer), found, Path("/data/set"), TrainingPlan())
        wanted = found.class_counts()["abc".index(domains[0])]
        assert wanted > 0 and f"--num_test {wanted} " in commands.sample
        names.add(found.name)
    assert len(names) == 3


def test_a_dot_in_the_name_of_a_folder_is_a_part_of_it(made: Path) -> None:
    for spec in (row("cut"), row("stargan-v2")):
        listing = read_layout(made, ExportConfig().layout(spec), None)
        places = {
            commands_for(spec, listing, Path(f"/data/{name}"), TrainingPlan()).sample
            for name in ("arm.1", "arm.10", "arm")
        }
        assert len(places) == 3


@pytest.mark.parametrize("images", [1, 90, 1000, 7_000, 8_000, 8_100, 123_456])
def test_stargan_samples_from_a_checkpoint_that_was_saved(images: int, made: Path) -> None:
    commands = printed(row("stargan-v2"), made, TrainingPlan(shown=images))
    last, every = (
        int(re.search(rf"--{name} (\d+)", text)[1])  # type: ignore[index]
        for name, text in (("resume_iter", commands.sample), ("save_every", commands.train))
    )
    assert last % every == 0 and f"--total_iters {last} " in commands.train
