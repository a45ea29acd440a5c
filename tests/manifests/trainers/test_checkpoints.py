"""The printed commands sample a checkpoint that the printed training writes, and the last state.

When a trainer saves was read in its source, and stands here once: KEPT. It is not taken from the
table of trainers, which it judges.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from made import make_corpus

from scoremix.manifests.trainers.commands import Commands, TrainingPlan, commands_for
from scoremix.manifests.trainers.layout import ExportListing, read_layout
from scoremix.manifests.trainers.spec import TrainerSpec
from scoremix.manifests.trainers.table import TRAINERS
from scoremix.stages.export.export import ExportConfig

LENGTHS = (None, 1000, 100_000, 200_000, 1_000_000)  # images shown
REPEATED = 600  # 28 real images: 16,800
each = pytest.mark.parametrize("spec", TRAINERS, ids=lambda spec: f"{spec.trainer}-{spec.target}")


class Printed:
    """One way of commands, and the numbers in them."""

    def __init__(self, spec: TrainerSpec, listing: ExportListing, shown: int | None) -> None:
        self.listing = listing
        out = Path("/data/set.zip" if spec.target == "stylegan" else "/data/set-lmdb")
        plan = TrainingPlan(Path("/runs/digits"), shown)
        self.commands: Commands = commands_for(spec, listing, out, plan)
        self.notes = " ".join(self.commands.notes)

    def option(self, name: str) -> int:
        """The number that the training command gives this option."""
        found = re.search(rf"--{name}[ =](\d+)\b", self.commands.train)
        assert found is not None, (name, self.commands.train)
        return int(found[1])

    def note(self, pattern: str) -> int:
        found = re.search(pattern, self.notes)
        assert found is not None, (pattern, self.notes)
        return int(found[1].replace(",", ""))

    @property
    def shown(self) -> int:
        return self.note(r"The training shows ([\d,]+) images")

    @property
    def updates(self) -> int:
        """Updates of a trainer that loads two batches at once and drops the rest, as BigGAN."""
        epoch = self.listing.count // (2 * self.option("batch_size"))
        return epoch * self.option("num_epochs")

    @property
    def side_epoch(self) -> int:
        return max(self.listing.class_counts())


def multiples(every: int, last: int) -> range:
    return range(every, last + 1, every)


def biggan(one: Printed) -> tuple[Iterable[int], int]:
    return multiples(one.option("save_every"), one.updates), 2 * one.option("batch_size")


def biggan_to_the_end(one: Printed) -> tuple[Iterable[int], int]:
    return [one.updates], 2 * one.option("batch_size")


def studiogan(one: Printed) -> tuple[Iterable[int], int]:
    """It goes on while the step is up to total_steps; one frequency has to divide the other."""
    assert one.option("save_freq") % one.option("print_freq") == 0
    last = one.note(r"total_steps: (\d+)") + 1
    return multiples(one.option("save_freq"), last), 5 * one.note(r"batch_size: (\d+)")


def cut(one: Printed) -> tuple[Iterable[int], int]:
    epochs = one.option("n_epochs") + one.option("n_epochs_decay")
    batch = one.option("batch_size") if "sincut" in one.commands.train else 1
    shown = one.side_epoch - one.side_epoch % batch
    return multiples(one.option("save_epoch_freq"), epochs), shown


def rosinality(one: Printed) -> tuple[Iterable[int], int]:
    """`if i % 10000 == 0`, i from 0 on; 0 is untrained."""
    return multiples(10_000, one.option("iter") - 1), one.option("batch")


def styleswin(one: Printed) -> tuple[Iterable[int], int]:
    return multiples(one.option("save_freq"), one.option("iter") - 1), one.option("batch")


def stargan(one: Printed) -> tuple[Iterable[int], int]:
    return multiples(one.option("save_every"), one.option("total_iters")), 8


def edm2(one: Printed) -> tuple[Iterable[int], int]:
    assert one.option("snapshot") % one.option("batch") == one.option("snapshot") % 1024 == 0
    return multiples(one.option("snapshot"), one.option("duration")), 1


def last_kimg(one: Printed) -> tuple[Iterable[int], int]:
    return [one.option("kimg")], 1000


def edm(one: Printed) -> tuple[Iterable[int], int]:
    found = re.search(r"--duration=([\d.]+)", one.commands.train)
    assert found is not None
    return [max(int(float(found[1]) * 1000), 1)], 1000


def last_epoch(name: str) -> Callable[[Printed], tuple[Iterable[int], int]]:
    return lambda one: ([one.option(name)], one.listing.count)


def last_update(name: str, batches: int) -> Callable[[Printed], tuple[Iterable[int], int]]:
    """Saved at the end, whatever else is."""
    return lambda one: ([one.option(name)], batches * one.option("batch-size"))


def gigagan(one: Printed) -> tuple[Iterable[int], int]:
    numbers = re.search(r"batch_size=(\d+).*steps=(\d+), .*every=4\).*save", one.commands.train)
    assert numbers is not None
    return [int(numbers[2])], 4 * int(numbers[1])


# Trainer -> the states that its command keeps, counted in what it counts, and images of one count.
KEPT: dict[str, Callable[[Printed], tuple[Iterable[int], int]]] = {
    **dict.fromkeys(
        ["stylegan2-ada", "stylegan3", "diffaugment-stylegan2", "projected-gan", "stylegan-xl",
         "r3gan", "stylegan-t"], last_kimg),
    "edm": edm,
    "edm2": edm2,
    "stargan-v2": stargan,
    "studiogan": studiogan,
    "biggan": biggan,
    "lecam": biggan_to_the_end,
    "diffaugment-biggan": biggan_to_the_end,
    **dict.fromkeys(["cut", "fastcut", "sincut"], cut),
    "dcgan": last_epoch("niter"),
    "stylegan2-pytorch": last_update("num-train-steps", 6),
    "lightweight-gan": last_update("num-train-steps", 4),
    "fastgan": lambda one: ([one.option("iter")], 8),
    "rosinality": rosinality,
    "styleswin": styleswin,
    "gigagan": gigagan,
    "diffusers": last_epoch("num_epochs"),
}  # fmt: skip
# Where a command names the checkpoint; elsewhere it takes the newest.
NAMED = r"(?:checkpoint/|--resume_iter |/models/|RUNS/[\w-]+/)0*(\d+)(?:\.pth?)?(?= |;|$)"


@pytest.fixture(scope="module")
def listings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[ExportListing]]:
    """By target: two classes of 14 real images with three rounds more, and 600 times as many."""
    shards = make_corpus(tmp_path_factory.mktemp("made"), images=28, side=64, ratio=3)
    found = {}
    for spec in TRAINERS:
        small = read_layout(shards, ExportConfig().layout(spec), None)
        rows = pa.concat_tables([small.rows] * REPEATED)
        large = replace(small, rows=rows, class_ids=np.tile(small.class_ids, REPEATED))
        found[spec.target] = [small, large]
    return found


@each
def test_the_sampled_checkpoint_is_kept_and_is_the_last(
    spec: TrainerSpec, listings: dict[str, list[ExportListing]]
) -> None:
    for listing in listings[spec.target]:
        for shown in LENGTHS:
            one = Printed(spec, listing, shown)
            kept, images = KEPT[spec.trainer](one)
            assert kept, (shown, one.commands.train)
            newest = max(kept)
            assert newest * images == one.shown, (shown, one.commands.train)
            commands = (one.commands.sample, one.commands.evaluate)
            named = {int(number) for line in commands for number in re.findall(NAMED, line)}
            assert named <= {newest}
            epochs = re.findall(r"netG_epoch_(\d+)", one.commands.sample)  # the first is 0
            assert [int(number) + 1 for number in epochs] in ([], [newest])


def test_every_trainer_is_known_and_the_names_of_checkpoints_are_found(
    listings: dict[str, list[ExportListing]],
) -> None:
    assert set(KEPT) == {spec.trainer for spec in TRAINERS}
    naming = {
        spec.trainer
        for spec in TRAINERS
        if re.search(NAMED, Printed(spec, listings[spec.target][0], None).commands.sample)
    }
    assert naming == {"stargan-v2", "fastgan", "rosinality", "styleswin"}


@pytest.mark.parametrize("trainer", ["stylegan2-pytorch", "lightweight-gan"])
def test_averaged_weights_are_sampled_where_there_are_any(
    trainer: str, listings: dict[str, list[ExportListing]]
) -> None:
    """Until 20,000 updates they are those of an earlier one: of the second, of a short training."""
    [spec] = [spec for spec in TRAINERS if spec.trainer == trainer]
    for shown, weights in ((1000, "default"), (100_000, "default"), (None, "ema")):
        one = Printed(spec, listings["imagefolder"][0], shown)
        assert (one.option("num-train-steps") > 20_000) == (weights == "ema")
        assert weights in re.split(r"[/\[\] ;]", one.commands.sample)
        assert ("ema" in one.commands.sample) == (weights == "ema")


def test_studiogan_s_commands_find_the_best_weights_that_it_does_not_choose(
    listings: dict[str, list[ExportListing]], tmp_path: Path
) -> None:
    """Every command loads best weights; with -metrics none there are none but copied ones."""
    for spec in (one for one in TRAINERS if one.trainer == "studiogan"):
        commands = Printed(spec, listings[spec.target][0], None).commands
        copied, _, sampled = commands.sample.partition("; done; ")
        assert "-metrics none" in commands.train and sampled.startswith("python src/main.py ")
        names = [f"CKPT/model={one}-{{}}-weights-step=910.pth" for one in ("D", "G")]
        (tmp_path / spec.target / "CKPT").mkdir(parents=True)
        for name in names:
            (tmp_path / spec.target / name.format("current")).write_text(name)
        line = f"{copied}; done"
        subprocess.run(["bash", "-e", "-c", line], cwd=tmp_path / spec.target, check=True)
        for name in names:
            assert (tmp_path / spec.target / name.format("best")).read_text() == name


def test_a_length_that_is_not_asked_for_is_named(
    listings: dict[str, list[ExportListing]],
) -> None:
    [spec] = [one for one in TRAINERS if one.trainer == "rosinality"]
    notes = Printed(spec, listings["lmdb"][0], 100_000).notes
    assert "The training shows 160,000 images" in notes
    assert "100,000 were meant, which are no whole number of its checkpoints" in notes


@pytest.mark.parametrize("trainer", ["biggan", "lecam", "diffaugment-biggan"])
def test_biggan_s_family_has_the_corpus_s_classes(
    trainer: str, listings: dict[str, list[ExportListing]], tmp_path: Path
) -> None:
    """Its table has 1,000, and it would train and sample them all. A stand-in of its scripts."""
    utils = "third_party/utils.py" if trainer == "lecam" else "scripts/utils.py"
    load = "sys.path.append('..'); from third_party import utils"
    program = f"import sys; {load if trainer == 'lecam' else 'import utils'}\n"
    program += "if __name__ == '__main__': print(utils.nclass_dict, *sys.argv)\n"
    files = {utils: "nclass_dict = {'I64': 1000, 'I64_hdf5': 1000}\n"}
    files |= {"scripts/train.py": program, "scripts/sample.py": program}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    python = f'python() {{ {shlex.quote(sys.executable)} "$@"; }}\nmkdir() {{ :; }}\n'
    for spec in (one for one in TRAINERS if one.trainer == trainer):
        commands = Printed(spec, listings[spec.target][0], None).commands
        for line in filter(None, (commands.train, commands.sample)):
            done = subprocess.run(
                ["bash", "-e", "-c", python + line],
                cwd=tmp_path / "scripts", capture_output=True, text=True, check=True,
            )  # fmt: skip
            script = "train.py" if line == commands.train else "sample.py"
            assert done.stdout.startswith(f"{{'I64': 2, 'I64_hdf5': 2}} {script} --dataset I64")
        assert ("--LC 0.3" in commands.train) == (trainer == "lecam")
