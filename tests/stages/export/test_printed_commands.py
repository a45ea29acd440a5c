"""The printed commands in the trainers' own hands: their parsers take them, their networks build.

SCOREMIX_TRAINERS names a folder of checkouts; what is not there is skipped.
"""

import json
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from checkouts import checkout
from made import make_corpus, pixels_of

from scoremix.manifests.trainers.commands import Commands
from scoremix.manifests.trainers.spec import TrainerSpec
from scoremix.manifests.trainers.table import TRAINERS
from scoremix.stages.common.progress import Silent
from scoremix.stages.export.export import ExportConfig, Exported, export

SUPPORT = Path(__file__).parents[2] / "support"
NOT_HERE = 77  # exit code where the trainer's own imports are missing
FOLDERS = {
    "stylegan2-ada": "stylegan2-ada-pytorch",
    "stylegan3": "stylegan3",
    "diffaugment-stylegan2": "data-efficient-gans/DiffAugment-stylegan2-pytorch",
    "projected-gan": "projected-gan",
    "stylegan-xl": "stylegan-xl",
    "edm": "edm",
    "stargan-v2": "stargan-v2",
    "studiogan": "PyTorch-StudioGAN",
    "biggan": "BigGAN-PyTorch",
    "lecam": "lecam-gan/biggan_cifar",
    "diffaugment-biggan": "data-efficient-gans/DiffAugment-biggan-cifar",
    "cut": "CUT",
    "fastcut": "CUT",
    "sincut": "CUT",
    "dcgan": "examples/dcgan",
    "fastgan": "FastGAN-pytorch",
    "rosinality": "stylegan2-pytorch",
    "r3gan": "R3GAN",
    "stylegan-t": "stylegan-t",
    "edm2": "edm2",
    "styleswin": "StyleSwin",
    "gigagan": "gigagan-pytorch",
    "diffusers": "diffusers/examples/unconditional_image_generation",
}
INSTALLED = {"stylegan2-pytorch", "lightweight-gan"}  # commands of their own, parsed by fire
ROWS = [spec for spec in TRAINERS if spec.sides != (1024,) and spec.trainer not in INSTALLED]
rows = pytest.mark.parametrize("spec", ROWS, ids=lambda spec: f"{spec.trainer}-{spec.target}")


def exported(shards: Path, out: Path, trainer: str, **options: object) -> Exported:
    config = ExportConfig.model_validate({"trainer": trainer, **options})
    return export(shards, out, config, progress=Silent())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 px, RGB, two classes, 60 images in all classes and 60 more."""
    return make_corpus(tmp_path_factory.mktemp("made"), images=60, side=64, ratio=1)


@pytest.fixture
def stand_ins(tmp_path: Path) -> Path:
    """A folder of programs: python and the like parse only, those of files do nothing."""
    folder = tmp_path / "bin"
    folder.mkdir()
    parse = f'exec {shlex.quote(sys.executable)} {shlex.quote(str(SUPPORT / "parse_only.py"))} "$@"'
    files = ("mkdir", "mv", "cp")
    for name in ("python", "torchrun", "accelerate", *files):
        program = folder / name
        program.write_text(f"#!/bin/sh\n{'' if name in files else parse}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


def environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return {**kept, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", **more}


def parsed(line: str, folder: Path, stand_ins: Path) -> list[dict[str, Any]]:
    """What the trainer's parsers made of every program in a printed line."""
    log = stand_ins.parent / "parsed.jsonl"
    log.unlink(missing_ok=True)
    done = subprocess.run(
        ["bash", "-e", "-c", line],
        cwd=folder,
        env=environment(PARSED=str(log), PATH=f"{stand_ins}:{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode == NOT_HERE:
        pytest.skip(f"{folder.name} lacks an import: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return [json.loads(text) for text in log.read_text().splitlines()]


def lines_of(spec: TrainerSpec, commands: Commands) -> list[str]:
    lines = [commands.train, commands.sample, commands.evaluate]
    if spec.trainer == "lecam":  # its sampling and evaluation are not in that folder
        lines = lines[:1]
    return [line for line in lines if line]


# --- parsers --------------------------------------------------------------------------------


@rows
def test_the_trainers_own_parsers_take_every_printed_command(
    spec: TrainerSpec, made: Path, tmp_path: Path, stand_ins: Path
) -> None:
    folder = checkout(FOLDERS[spec.trainer])
    out = tmp_path / ("my data.zip" if spec.target == "stylegan" else "my lmdb")
    done = exported(made, out, spec.trainer, to=spec.target)
    seen = []
    for line in lines_of(spec, done.commands):
        # A loop over classes is tried for the first of them.
        seen += parsed(line.replace("NETWORK.pkl", "net.pkl"), folder, stand_ins)
    assert seen
    texts = [str(value) for one in seen for value in one["options"].values()]
    assert any(str(out) in text for text in texts)  # a path with a space is one word
    sides = [one["options"].get(name) for one in seen for name in ("size", "im_size", "img_size")]
    assert {side for side in sides if side is not None} <= {64, 256 if spec.networks else 64}


@pytest.mark.parametrize(("trainer", "path"), [
    ("stylegan2-pytorch", "lucidrains-stylegan2-pytorch/stylegan2_pytorch/cli.py"),
    ("lightweight-gan", "lightweight-gan/lightweight_gan/cli.py"),
])  # fmt: skip
def test_every_option_is_an_argument_of_the_function_that_fire_calls(
    trainer: str, path: str, made: Path, tmp_path: Path
) -> None:
    package, _, inside = path.partition("/")
    source = (checkout(package) / inside).read_text()
    arguments = set(re.findall(r"^    (\w+)\s*=", source.partition("def train_from_folder(")[2]
                               .partition("):")[0], re.M))  # fmt: skip
    commands = exported(made, tmp_path / "a", trainer).commands
    for line in (commands.train, commands.sample.partition(";")[0]):
        options = {one[2:].replace("-", "_") for one in re.findall(r"--[\w-]+", line)}
        assert options and options <= arguments


def test_the_side_is_in_each_of_rosinality_s_commands(
    made: Path, tmp_path: Path, stand_ins: Path
) -> None:
    folder = checkout("stylegan2-pytorch")
    commands = exported(made, tmp_path / "a", "rosinality").commands
    for line in (commands.train, commands.sample, commands.evaluate):
        for one in parsed(line, folder, stand_ins):
            assert one["options"]["size"] == 64, one["script"]


# --- networks -------------------------------------------------------------------------------


@pytest.mark.parametrize(("trainer", "side"), [
    ("stylegan2-ada", 32), ("stylegan2-ada", 128), ("diffaugment-stylegan2", 32),
    ("diffaugment-stylegan2", 128), ("stylegan3", 64), ("projected-gan", 64),
    ("projected-gan", 128), ("edm", 24), ("edm2", 24), ("r3gan", 32), ("r3gan", 64),
])  # fmt: skip
@pytest.mark.parametrize("classes", [("cat", "dog"), ()], ids=["classes", "none"])
def test_the_networks_of_the_printed_command_build(
    trainer: str, side: int, classes: tuple[str, ...], tmp_path: Path
) -> None:
    """A parsed command is not yet a network: its configuration has to have this side."""
    folder = checkout(FOLDERS[trainer])
    shards = make_corpus(tmp_path, images=4, side=side, ratio=0, classes=classes)
    commands = exported(shards, tmp_path / "a.zip", trainer).commands
    words = shlex.split(commands.train)
    at = next(place for place, word in enumerate(words) if word.endswith(".py"))
    done = subprocess.run(
        [sys.executable, str(SUPPORT / "build_network.py"), *words[at:]],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=500,
    )
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip(f"{folder.name} lacks an import: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {"shape": [1, 3, side, side], "classes": len(classes)}


@pytest.mark.parametrize(("trainer", "side"), [
    ("biggan", 32), ("biggan", 64), ("biggan", 128), ("diffaugment-biggan", 32),
    ("diffaugment-biggan", 128), ("stargan-v2", 32), ("stargan-v2", 64), ("fastgan", 64),
    ("fastgan", 256), ("styleswin", 32), ("styleswin", 64), ("rosinality", 8), ("rosinality", 64),
])  # fmt: skip
def test_the_training_script_builds_networks_that_take_each_other_s_images(
    trainer: str, side: int, tmp_path: Path
) -> None:
    """Its own lines, with the printed words, up to the networks; then a batch through both."""
    folder = checkout(FOLDERS[trainer])
    shards = make_corpus(tmp_path, images=8, side=side, ratio=0)
    done = exported(shards, tmp_path / "a", trainer)
    made_first = re.match(r"mkdir [^;]*; ", done.commands.train)
    before = made_first[0] if made_first else ""
    line = done.commands.train.removeprefix(before)
    words = shlex.split(line)
    at = next(place for place, word in enumerate(words) if word.endswith(".py"))
    (tmp_path / "work").mkdir()
    subprocess.run(["bash", "-e", "-c", before], cwd=tmp_path / "work", check=True)
    ran = subprocess.run(
        [sys.executable, str(SUPPORT / "build_gan.py"), str(folder / words[at]), *words[at + 1 :]],
        cwd=tmp_path / "work",
        env=environment(),
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    network = next((one for one in done.spec.networks if one >= side), side)
    assert found["made"] == [2, 3, network, network] and found["judged"][0] % 2 == 0


def test_dcgan_draws_single_images_by_the_printed_commands(made: Path, tmp_path: Path) -> None:
    """Trained for one epoch, in a copy of its script; then sampled as printed, but for fewer."""
    folder = checkout("examples/dcgan")
    work = tmp_path / "work"
    work.mkdir()
    (work / "main.py").write_bytes((folder / "main.py").read_bytes())
    commands = exported(made, tmp_path / "a b", "dcgan", images_shown=120).commands
    assert "--niter 1 " in commands.train
    python = f'python() {{ {shlex.quote(sys.executable)} "$@"; }}\nmkdir RUNS\n'
    sample = commands.sample.replace("range(500)", "range(2)")
    done = subprocess.run(
        ["bash", "-e", "-c", f"{python}{commands.train} --workers 0\n{sample} --workers 0"],
        cwd=work,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "ModuleNotFoundError" in done.stderr or "nms does not exist" in done.stderr:
        pytest.skip(f"DCGAN lacks an import: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr
    made_ = sorted(Path(shlex.split(commands.generated)[4]).glob("*.png"))
    assert len(made_) == 20


# --- readers of the later trainers ----------------------------------------------------------


def test_diffusers_reads_an_image_folder_with_a_column_of_that_name(
    made: Path, tmp_path: Path
) -> None:
    """As train_unconditional.py does: load_dataset("imagefolder"), then the column `image`."""
    datasets = pytest.importorskip("datasets")
    exported(made, tmp_path / "a", "diffusers")
    data = datasets.load_dataset(
        "imagefolder", data_dir=str(tmp_path / "a"), split="train", cache_dir=str(tmp_path / "c")
    )
    assert len(data) == 120 and data.features["label"].names == ["0_cat", "1_dog"]
    assert data[0]["image"].size == (64, 64)


def ask(program: str, folder: Path, *arguments: object) -> Any:
    """Runs lines of Python in a checkout; the last line that they print, from JSON."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys\nsys.path.insert(0, '')\n" + program,
         *map(str, arguments)],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    if "ModuleNotFoundError" in done.stderr or "nms does not exist" in done.stderr:
        pytest.skip(f"{folder.name} lacks an import: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("trainer", "module", "label"), [
    ("r3gan", "training.dataset", [1.0, 0.0]), ("edm2", "training.dataset", [1.0, 0.0]),
    ("stylegan-t", "training.data_zip", "cat"),
])  # fmt: skip
def test_the_later_readers_of_stylegan_s_zip_read_pixels_and_labels(
    trainer: str, module: str, label: object, made: Path, tmp_path: Path
) -> None:
    folder = checkout(FOLDERS[trainer])
    exported(made, tmp_path / "a.zip", trainer)
    found = ask(
        f"import json; from {module} import ImageFolderDataset\n"
        "data = ImageFolderDataset(path=sys.argv[1], use_labels=True)\n"
        "image, label = data[0]\n"
        "print(json.dumps([len(data), list(image.shape), int(image.astype('int64').sum()),"
        " label.tolist()]))",
        folder,
        tmp_path / "a.zip",
    )
    total = int(pixels_of("000000", 64, 3).astype("int64").sum())
    assert found == [120, [3, 64, 64], total, label]


def test_styleswin_reads_the_lmdb(made: Path, tmp_path: Path) -> None:
    folder = checkout("StyleSwin")
    exported(made, tmp_path / "a", "styleswin")
    found = ask(
        "import json; from dataset.dataset import MultiResolutionDataset\n"
        "data = MultiResolutionDataset(sys.argv[1], lambda image: image, 64)\n"
        "kinds = sorted({(image.mode, *image.size) for image in map(data.__getitem__,"
        " range(len(data)))})\nprint(json.dumps([len(data), kinds]))",
        folder,
        tmp_path / "a",
    )
    assert found == [120, [["RGB", 64, 64]]]


def test_gigagan_reads_the_folder_and_its_networks_build(made: Path, tmp_path: Path) -> None:
    """The printed command itself, without a GPU, up to the training."""
    folder = checkout("gigagan-pytorch")
    commands = exported(made, tmp_path / "a", "gigagan").commands
    code, where = shlex.split(commands.train)[2:]
    built = code.partition("gan(steps=")[0].replace("amp=True", "amp=False")
    assert "images_shown" not in built
    found = ask(
        "import json, torch\nfrom pathlib import Path\n"
        "torch.nn.Module.cuda = lambda self, *more: self\n"
        f"Path.mkdir = lambda self, *more, **named: None\n{built}\n"
        "image = gan.generate(batch_size=1)\n"
        "print(json.dumps([list(image.shape), len(gan.train_dl.dataset)]))",
        folder,
        where,
    )
    assert found == [[1, 3, 64, 64], 120]
