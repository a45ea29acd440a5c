"""Exports in the hands of the trainers themselves: their readers and commands, unmodified.

SCOREMIX_TRAINERS names a folder of checkouts: stylegan3, stylegan2-ada-pytorch, CUT, examples, ...
Each runs in a process of its own, in its own folder. What is not there is skipped.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from checkouts import checkout
from in_process import cli
from made import make_corpus, pixels_of

from scoremix.manifests.trainers.requirements import find_spec, trainer_names
from scoremix.manifests.trainers.spec import TARGETS, TrainerSpec
from scoremix.manifests.trainers.table import TRAINERS
from scoremix.stages.common.progress import Silent
from scoremix.stages.export.export import ExportConfig, Exported, export

NOT_HERE = 77  # exit code of a program whose imports failed
STYLEGANS = {
    "stylegan2-ada": "stylegan2-ada-pytorch",
    "stylegan3": "stylegan3",
    "diffaugment-stylegan2": "data-efficient-gans/DiffAugment-stylegan2-pytorch",
    "projected-gan": "projected-gan",
    "stylegan-xl": "stylegan-xl",
    "edm": "edm",
}


# --- the table -------------------------------------------------------------------------------


def test_every_row_of_the_table_is_complete() -> None:
    pairs = [(spec.trainer, spec.target) for spec in TRAINERS]
    assert len(set(pairs)) == len(pairs)
    for spec in TRAINERS:
        assert spec.target in TARGETS
        assert "{out}" in spec.train and spec.evaluate, spec
        assert (spec.target == "hdf5") == (spec.axes is not None) == bool(spec.file), spec
        assert spec.conditional == "" or "{cond}" in spec.train, spec
        assert all(line.endswith(".") for line in spec.notes), spec
    assert len(trainer_names()) == 25
    for name in trainer_names():
        assert find_spec(name, None).trainer == name


@pytest.mark.parametrize("spec", TRAINERS, ids=lambda p: f"{p.trainer}-{p.target}")
def test_every_trainer_exports_and_fills_its_commands(
    spec: TrainerSpec, made: Path, tmp_path: Path
) -> None:
    shards = made
    if spec.sides == (1024,):
        shards = make_corpus(tmp_path / "large", images=2, side=1024, ratio=1)
    if spec.least_images > 24:
        shards = make_corpus(tmp_path / "many", images=spec.least_images, side=64, ratio=1)
    out = tmp_path / ("my data.zip" if spec.target == "stylegan" else "my lmdb")
    done = exported(shards, out, spec.trainer, to=spec.target)
    commands = done.commands
    lines = [commands.train, commands.sample, commands.generated, commands.evaluate]
    assert not [line for line in [*lines, *commands.notes] if re.search(r"(?<!\$)\{", line)]
    for line in lines:
        assert subprocess.run(["bash", "-n", "-c", line]).returncode == 0, line
        # A path with a space stays one word in the shell.
        words = [word for word in shlex.split(line) if str(tmp_path) in word]
        assert not [word for word in words if word.endswith("my")], line
    assert any(str(out) in word for word in shlex.split(commands.train))
    if "{real}" in spec.evaluate:
        words = shlex.split(commands.real)
        assert words[:2] == ["scoremix-pipeline", "export"] and "--real-only" in words
        real = words[words.index("--out") + 1]
        assert Path(real).parent == tmp_path and real != str(out)
        assert real in commands.evaluate
        # That export is one that the trainer's evaluation can have.
        assert cli(*words[1:], "--quiet") == 0
        assert Path(real).exists()


@pytest.mark.parametrize(("side", "size"), [(8, 256), (256, 256), (300, 512), (2048, 1024)])
def test_a_trainer_that_scales_gets_the_nearest_network(
    side: int, size: int, tmp_path: Path
) -> None:
    shards = make_corpus(tmp_path, images=2, side=side, ratio=0, classes=())
    done = exported(shards, tmp_path / "a", "fastgan")
    assert f"--im_size {size} " in done.commands.train
    done = exported(shards, tmp_path / "b", "dcgan")
    assert "--imageSize 64 " in done.commands.train


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 px, RGB, two classes, 24 images."""
    return make_corpus(tmp_path_factory.mktemp("made"), images=12, side=64, ratio=1)


# --- the trainers ----------------------------------------------------------------------------


def run(words: list[str], folder: Path, timeout: int = 300) -> str:
    """A command of the trainer's in its folder; skips where its own imports are missing."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        words,
        cwd=folder,
        env={**environment, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    missing = ("ModuleNotFoundError", "operator torchvision::nms does not exist")
    if done.returncode == NOT_HERE or any(word in done.stderr for word in missing):
        pytest.skip(f"{folder.name} lacks an import: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ask(program: str, folder: Path, *arguments: object) -> dict[str, object]:
    """Runs lines that fill `found`, with sys.argv[1:] as `words`; returns it."""
    imports, _, body = program.partition("\n\n")
    source = (
        "import json, sys\nsys.path.insert(0, '')\nwords = sys.argv[1:]\n"
        "try:\n"
        + "".join(f"    {line}\n" for line in imports.strip().splitlines())
        + f"except (ImportError, RuntimeError) as error:\n    sys.exit(print(error, "
        f"file=sys.stderr) or {NOT_HERE})\n" + body + "\nprint(json.dumps(found))\n"
    )
    words = [sys.executable, "-c", source, *map(str, arguments)]
    result: dict[str, object] = json.loads(run(words, folder).splitlines()[-1])
    return result


def exported(shards: Path, out: Path, trainer: str, **options: object) -> Exported:
    config = ExportConfig.model_validate({"trainer": trainer, **options})
    return export(shards, out, config, progress=Silent())


@pytest.mark.parametrize("trainer", list(STYLEGANS))
def test_the_stylegan_reader_reads_pixels_and_labels(
    trainer: str, made: Path, tmp_path: Path
) -> None:
    folder = checkout(STYLEGANS[trainer])
    exported(made, tmp_path / "a.zip", trainer)
    program = """
from training.dataset import ImageFolderDataset

data = ImageFolderDataset(path=words[0], use_labels=True)
image, label = data[0]
found = {
    "count": len(data),
    "shape": list(data.image_shape),
    "labels": list(data.label_shape),
    "name": data._image_fnames[0],
    "sum": int(image.astype('int64').sum()),
    "label": [float(weight) for weight in label],
}
"""
    found = ask(program, folder, tmp_path / "a.zip")
    assert (found["count"], found["shape"], found["labels"]) == (24, [3, 64, 64], [2])
    key = "000000"
    assert found["name"] == f"000/000_{key}.png"
    assert found["sum"] == int(pixels_of(key, 64, 3).astype("int64").sum())
    assert found["label"] == [1.0, 0.0]


@pytest.mark.parametrize("trainer", ["stylegan2-ada", "stylegan3", "diffaugment-stylegan2"])
def test_the_printed_command_passes_the_trainers_own_dry_run(
    trainer: str, made: Path, tmp_path: Path
) -> None:
    folder = checkout(STYLEGANS[trainer])
    done = exported(made, tmp_path / "a.zip", trainer)
    words = shlex.split(done.commands.train.replace("--outdir=RUNS", f"--outdir={tmp_path}/runs"))
    told = run([sys.executable, *words[1:], "--dry-run"], folder)
    assert "64" in told and "Dry run" in told


def test_dcgan_trains_on_it(made: Path, tmp_path: Path) -> None:
    folder = checkout("examples/dcgan")
    done = exported(made, tmp_path / "a", "dcgan")
    words = shlex.split(done.commands.train)
    more = ["--niter", "1", "--batchSize", "4", "--workers", "0", "--outf", str(tmp_path)]
    told = run([sys.executable, *words[1:], *more], folder)
    assert "[0/1][5/6]" in told  # 24 images in six batches of four


@pytest.mark.parametrize(
    ("trainer", "more"),
    [
        ("cut", []),
        ("fastcut", []),
        ("sincut", ["--netG", "resnet_6blocks", "--netD", "basic"]),
    ],
)
def test_cut_trains_on_it(trainer: str, more: list[str], made: Path, tmp_path: Path) -> None:
    folder = checkout("CUT")
    done = exported(made, tmp_path / "a", trainer, ratio=0)
    words = shlex.split(done.commands.train)
    limits = ["--gpu_ids", "-1", "--display_id", "0", "--n_epochs", "1", "--n_epochs_decay", "0"]
    limits += ["--num_threads", "0", "--checkpoints_dir", str(tmp_path / "made"), *more]
    told = run([sys.executable, *words[1:], *limits], folder)
    assert "The number of training images = 6" in told
    assert "End of epoch 1 / 1" in told


def test_stargan_v2_finds_its_domains(made: Path, tmp_path: Path) -> None:
    folder = checkout("stargan-v2")
    exported(made, tmp_path / "a", "stargan-v2")
    program = """
from core.data_loader import ReferenceDataset
from torchvision.datasets import ImageFolder

train, reference = ImageFolder(words[0] + "/train"), ReferenceDataset(words[0] + "/train")
val = ImageFolder(words[0] + "/val")
found = {
    "train": len(train), "val": len(val), "classes": train.classes,
    "same": sorted(train.targets) == sorted(reference.targets),
}
"""
    found = ask(program, folder, tmp_path / "a")
    assert found == {"train": 24, "val": 12, "classes": ["0_cat", "1_dog"], "same": True}


def test_biggan_reads_the_hdf5(made: Path, tmp_path: Path) -> None:
    folder = checkout("BigGAN-PyTorch")
    exported(made, tmp_path / "a", "biggan")
    program = """
import datasets

data = datasets.ILSVRC_HDF5(words[0] + "/ILSVRC64.hdf5", load_in_mem=True)
image, label = data[0]
labels = sorted(set(map(int, data.labels)))
found = {"count": len(data), "shape": list(image.shape), "labels": labels}
"""
    found = ask(program, folder, tmp_path / "a")
    assert found == {"count": 24, "shape": [3, 64, 64], "labels": [0, 1]}


def test_rosinality_reads_the_lmdb(made: Path, tmp_path: Path) -> None:
    folder = checkout("stylegan2-pytorch")
    exported(made, tmp_path / "a", "rosinality")
    program = """
from dataset import MultiResolutionDataset

data = MultiResolutionDataset(words[0], lambda image: image, 64)
images = [data[index] for index in range(len(data))]
found = {"count": len(data), "kinds": sorted({(image.mode, *image.size) for image in images})}
"""
    found = ask(program, folder, tmp_path / "a")
    assert found == {"count": 24, "kinds": [["RGB", 64, 64]]}
