"""`trial` by a preset of the command: the trainer's layout, units and samples, from a checkout.

The checkouts are fakes that take the trainers' options and leave what the trainers leave; with
SCOREMIX_TRAINERS pytorch/examples' DCGAN runs itself.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import yaml
from checkouts import checkout
from gans import gan
from in_process import cli
from numpy.typing import NDArray
from PIL import Image

from scoremix.stages.evaluate import optional_metrics

ARMS = ("--arms", "real,own:1", "--seeds", "1", "--quiet", "--processes", "1")

DCGAN = """
import argparse, os, torch
parser = argparse.ArgumentParser()
for name in ("--dataset", "--dataroot", "--outf"):
    parser.add_argument(name)
for name in ("--imageSize", "--batchSize", "--niter", "--manualSeed"):
    parser.add_argument(name, type=int)
opt = parser.parse_args()
assert sorted(os.listdir(opt.dataroot)) == ["0_left", "1_right"], opt
torch.manual_seed(opt.manualSeed)
device, nz = torch.device("cpu"), 10
netG = torch.nn.Sequential(torch.nn.ConvTranspose2d(nz, 3, 8), torch.nn.Tanh())
os.makedirs(opt.outf)
for epoch in range(opt.niter):
    torch.save(netG.state_dict(), '%s/netG_epoch_%d.pth' % (opt.outf, epoch))
"""
# In place of torch, for trainers that only name it: to import it takes a process four seconds.
TORCH = """
class cuda:
    is_available = staticmethod(lambda: False)
load = None
def manual_seed(seed): ...
"""
STYLEGAN_TRAIN = """
import argparse, json, os, sys
parser = argparse.ArgumentParser()
for name in ("outdir", "data", "metrics", "aug", "cond"):
    parser.add_argument("--" + name)
for name in ("gpus", "seed", "kimg", "snap"):
    parser.add_argument("--" + name, type=int)
opt = parser.parse_args()
assert opt.cond == "1" and len(json.load(open(opt.data + "/dataset.json"))["labels"]) >= 80
folder = os.path.join(opt.outdir, "00000-a-cond")
os.makedirs(folder)
for kimg in (*range(0, opt.kimg, 4 * opt.snap), opt.kimg):
    open(os.path.join(folder, "network-snapshot-%06d.pkl" % kimg), "w").close()
"""
STYLEGAN_GENERATE = """
import argparse, os, numpy, PIL.Image
parser = argparse.ArgumentParser()
for name in ("network", "seeds", "outdir"):
    parser.add_argument("--" + name)
parser.add_argument("--class", dest="number", type=int)
opt = parser.parse_args()
assert os.path.isfile(opt.network) and opt.number in (0, 1)
os.makedirs(opt.outdir, exist_ok=True)
first, last = map(int, opt.seeds.split("-"))
for seed in range(first, last + 1):
    pixels = numpy.random.RandomState(seed).randint(0, 256, (8, 8, 3)).astype(numpy.uint8)
    PIL.Image.fromarray(pixels).save("%s/seed%04d.png" % (opt.outdir, seed))
"""
CUT_TRAIN = """
import os, sys
assert "--no_html" in sys.argv and sys.argv[-2:] == ["--gpu_ids", "-1"]
os.makedirs(sys.argv[sys.argv.index("--checkpoints_dir") + 1])
"""
# "Translates" an image by giving one of SIDE.
CUT_TEST = """
import os, shutil, sys
at = lambda name: sys.argv[sys.argv.index(name) + 1]
to = os.path.join(at("--results_dir"), at("--name"), "train_" + at("--epoch"), "images", "fake_B")
os.makedirs(to)
source = os.path.join(at("--dataroot"), "SIDE")
for name in sorted(os.listdir(source))[: int(at("--num_test"))]:
    shutil.copy(os.path.join(source, name), to)
"""
# "Translates" an image into one of TARGET or SOURCE with OUTS outputs, brighter by their number.
STARGAN = """
import argparse, os, sys
parser = argparse.ArgumentParser()
for name in ("mode", "train_img_dir", "val_img_dir", "checkpoint_dir", "eval_dir"):
    parser.add_argument("--" + name)
for name in ("num_domains", "w_hpf", "img_size", "seed", "batch_size", "total_iters", "ds_iter",
             "save_every", "sample_every", "eval_every", "resume_iter", "num_outs_per_domain"):
    parser.add_argument("--" + name, type=int)
args = parser.parse_args()
from core import solver
if args.mode == "eval":
    solver.calculate_metrics(None, args, args.resume_iter, mode="latent")
"""
STARGAN_EVAL = """
import os
import numpy as np
from PIL import Image
from metrics.lpips import calculate_lpips_given_images
def calculate_metrics(nets, args, step, mode):
    domains = sorted(os.listdir(args.val_img_dir))
    for target in domains:
        for source in domains:
            if source == target:
                continue
            made = os.path.join(args.eval_dir, source + "2" + target)
            os.makedirs(made)
            sources = os.path.join(args.val_img_dir, source)
            given = {"source": source, "target": target}["GIVES"]
            given = os.path.join(args.val_img_dir, given)
            for number, name in enumerate(sorted(os.listdir(given))[:len(os.listdir(sources))], 1):
                pixels = np.asarray(Image.open(os.path.join(given, name)))
                for output in range(1, args.num_outs_per_domain + 1):
                    brighter = np.minimum(pixels, 245) + 2 * output
                    path = os.path.join(made, "%.4i_%.2i.png" % (number, output))
                    Image.fromarray(brighter.astype(np.uint8)).save(path)
"""


class Stub:
    """In place of LPIPS, whose package not every environment has: mean differences."""

    name = "pd_alex"

    def __init__(self, trunk: Path) -> None:
        self.trunk = trunk

    def describe(self) -> dict[str, Any]:
        return {"kind": "lpips", "weights_sha256": str(self.trunk)}

    def __call__(self, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.abs(a.astype(float) - b).mean(axis=(1, 2, 3))
        return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 px, two classes of different brightness, 80 training images and 140 held out."""
    folder = tmp_path_factory.mktemp("presets")
    random = np.random.default_rng(1)
    for number, name in enumerate(("left", "right")):
        (folder / "images" / name).mkdir(parents=True)
        for index in range(110):
            pixels = random.integers(0, 60, (8, 8, 3)) + 150 * number
            path = folder / "images" / name / f"{index:03d}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    (folder / "stages.yaml").write_text(f"run: run\ningest: {{source: {folder}/images}}\n")
    changed = {
        "generate__method": "mixup", "generate__ratio": 1, "ingest__holdout": 0.636,
        "evaluate__variants": "off", "write__shard_size": 40, "evaluate__features": "pixels",
    }  # fmt: skip
    words = ("run", folder / "stages.yaml", "--until", "write", "--quiet")
    assert cli(*words, *tiny.options(**changed)) == 0
    return folder / "run"


@pytest.fixture
def run(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "run"))


def fake(folder: Path, **scripts: str) -> Path:
    folder.mkdir()
    for name, text in scripts.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def python_without_torch(folder: Path) -> Path:
    """The interpreter of an environment with TORCH."""
    (folder / "packages").mkdir(exist_ok=True)
    (folder / "packages" / "torch.py").write_text(TORCH)
    program, words = folder / "python", map(str, (folder / "packages", sys.executable))
    found, python = map(shlex.quote, words)
    program.write_text(f'#!/bin/sh\nPYTHONPATH={found} exec {python} "$@"\n')
    program.chmod(0o755)
    return program


def trial(run: Path, trainer: str, checkout: Path, images: int, *more: str) -> int:
    python = sys.executable if trainer == "dcgan" else python_without_torch(run.parent)
    given = {"trainer": trainer, "checkout": checkout, "python": python, "images": images}
    given |= {"snapshot_every": images // 2, "samples": 100}
    sets = [part for name, value in given.items() for part in ("--set", f"trial.{name}={value}")]
    return cli("trial", run, *ARMS, *sets, *more)


def record(run: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((run / "trial" / "trial.json").read_bytes())
    return loaded


def test_a_preset_trains_every_arm_for_the_same_images(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fake(tmp_path / "a checkout", main=DCGAN)
    count = sum(1 for _ in (run / "trial").glob("*"))
    assert trial(run, "dcgan", folder, 640, "--dry-run") == 0
    shown = capsys.readouterr().out
    place = (
        rf"dcgan {run}/trial/gans/[0-9a-f]{{8}}/real/seed-0/out/samples 4 80 100 '{folder}'/main"
    )
    assert re.search(place, shown)
    assert "--niter 8 --manualSeed 0" in shown and count == 0 and not (run / "trial").exists()

    assert trial(run, "dcgan", folder, 640) == 0
    found = record(run)["results"]
    for name in ("real", "own-1"):
        assert [each["images"] for each in found[name][0]["snapshots"]] == [320, 640]
    kept = (gan(run, "own-1") / "out" / "training").iterdir()
    assert sorted(path.name for path in kept) == ["netG_epoch_1.pth", "netG_epoch_3.pth"]

    # What is finished is kept, until the trainer's script is another.
    log = gan(run, "real") / "trainer.log"
    log.unlink()
    assert trial(run, "dcgan", folder, 640) == 0 and not log.exists()
    (folder / "main.py").write_text(DCGAN + "# changed\n")
    assert trial(run, "dcgan", folder, 640) == 0 and not log.exists()
    assert len([*(run / "trial" / "gans").glob("*/real/seed-0/trainer.log")]) == 1


def test_a_conditional_generator_gets_a_call_for_each_class(run: Path, tmp_path: Path) -> None:
    folder = fake(tmp_path / "ada", train=STYLEGAN_TRAIN, generate=STYLEGAN_GENERATE)
    assert trial(run, "stylegan2-ada", folder, 16000) == 0
    samples = gan(run, "real") / "out" / "samples"
    # The first snapshot, 000000, is of the first update.
    assert sorted(path.name for path in samples.iterdir()) == ["16000", "8000"]
    names = {path.name: path.parent.name for path in samples.glob("16000/*/*.png")}
    assert len(names) == 100
    assert (names["seed0049.png"], names["seed0050.png"]) == ("0", "1")
    snapshots = record(run)["results"]["own-1"][0]["snapshots"]
    assert [(each["step"], each["images"]) for each in snapshots] == [(1, 8000), (2, 16000)]


def test_a_translation_is_judged_by_the_images_of_its_target(run: Path, tmp_path: Path) -> None:
    """A GAN that translates nothing leaves real images, and is far from those of B."""
    distances = {}
    for side in ("trainA", "trainB"):
        folder = fake(tmp_path / side, train=CUT_TRAIN, test=CUT_TEST.replace("SIDE", side))
        assert trial(run, "cut", folder, 160) == 0
        distances[side] = record(run)["results"]["real"][0]["snapshots"][-1]["kd"]
    assert abs(distances["trainB"]) < 0.01 * distances["trainA"]


def stargan(folder: Path, gives: str) -> Path:
    """A checkout whose translations are images of the class `gives`, "source" or "target"."""
    for package in ("core", "metrics"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    (folder / "main.py").write_text(STARGAN)
    (folder / "core" / "solver.py").write_text("from metrics.eval import calculate_metrics\n")
    (folder / "metrics" / "eval.py").write_text(
        STARGAN_EVAL.replace("GIVES", gives) + "def calculate_fid_for_all_tasks(*_, **__): ...\n"
    )
    (folder / "metrics" / "lpips.py").write_text("def calculate_lpips_given_images(group): ...\n")
    return folder


def use_lpips(run: Path, name: str) -> None:
    """Sets evaluate.lpips of the run."""
    path = run / "stages.yaml"
    content = yaml.safe_load(path.read_text())
    content["evaluate"]["lpips"] = name
    path.write_text(yaml.safe_dump(content))


def test_a_translation_is_reported_pair_by_pair(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(optional_metrics, "Lpips", Stub)
    assert cli("evaluate", run, "--quiet") == 0
    folder = stargan(tmp_path / "stargan", gives="target")
    assert trial(run, "stargan-v2", folder, 640) == 0
    plain = capsys.readouterr().out
    assert "mean of pairs" in plain and "one source" not in plain
    done = gan(run, "real") / "trainer.log"
    done.unlink()

    # Weights of LPIPS are named: what is there is judged again, and nothing trained.
    use_lpips(run, "alexnet.pth")
    assert trial(run, "stargan-v2", folder, 640) == 0 and not done.exists()
    shown = capsys.readouterr().out
    assert "pd_alex, outputs of one source image" in shown
    rows = [row for row in record(run)["pairs"] if row["arm"] == "real"]
    assert [(row["source"], row["target"]) for row in rows] == [
        ("right", "left"), ("left", "right"), ("mean of pairs", ""),
    ]  # fmt: skip
    pair = record(run)["results"]["real"][0]["snapshots"][-1]["pairs"][0]
    outputs = pair["lpips"]["pairs"]
    assert pair["lpips"]["of"] == "outputs of one source image" and outputs > 0
    # Outputs of one source differ by twice the difference of their numbers; of two by far more.
    assert 2 <= pair["lpips"]["value"] <= 4
    assert rows[2]["kd"][0] == pytest.approx(np.mean([rows[0]["kd"][0], rows[1]["kd"][0]]))
    text = (run / "trial" / "table.txt").read_text()
    assert text.count("mean of pairs") == 2  # of each arm
    table = record(run)["table_of_pairs"]
    assert cli("report", run) == 0
    page = (run / "report" / "index.html").read_text()
    assert all(head in page for head in table["heads"]) and "mean of pairs" in page

    near = rows[2]["kd"][0]
    idle = stargan(tmp_path / "idle", gives="source")
    assert trial(run, "stargan-v2", idle, 640) == 0
    assert near < 0.1 * record(run)["pairs"][2]["kd"][0]


def test_a_result_of_an_earlier_version_is_judged_again_where_its_samples_are(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fake(tmp_path / "cut", train=CUT_TRAIN, test=CUT_TEST.replace("SIDE", "trainB"))
    assert trial(run, "cut", folder, 160) == 0
    assert "from" in capsys.readouterr().out
    results = sorted((run / "trial" / "gans").glob("*/*/seed-0/result-*.json"))
    before = [json.loads(path.read_bytes()) for path in results]
    pairs = [one["snapshots"][0]["pairs"] for one in before]
    assert [(p["source"], p["target"]) for some in pairs for p in some] == [("left", "right")] * 2
    assert [some[0]["kd"] for some in pairs] == [one["snapshots"][0]["kd"] for one in before]
    for path, content in zip(results, before, strict=True):
        old = json.loads(json.dumps(content))
        del old["translation"]
        for snapshot in old["snapshots"]:
            del snapshot["pairs"]
        path.write_text(json.dumps(old))
        (path.parent / "trainer.log").unlink()
    shutil.rmtree(results[1].parent / "out")
    assert trial(run, "cut", folder, 160) == 0
    assert json.loads(results[0].read_bytes()) == before[0]
    assert "pairs" not in json.loads(results[1].read_bytes())["snapshots"][0]
    assert not list((run / "trial" / "gans").glob("*/*/seed-0/trainer.log"))  # nothing was trained
    shown = capsys.readouterr()
    assert "left" in shown.out
    assert {row["arm"] for row in record(run)["pairs"]} == {results[0].parent.parent.name}


def test_one_shot_translation_is_judged_by_the_target_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Patches of two images, none held out: the Frechet distance of their feature maps."""
    random = np.random.default_rng(5)
    for number, name in enumerate(("content", "style")):
        (tmp_path / "pair" / name).mkdir(parents=True)
        pixels = random.integers(0, 60 + 60 * number, (64, 64, 3)) + 100 * number
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "pair" / name / "0.png")
    torch.manual_seed(0)
    torch.jit.save(torch.jit.script(torch.nn.Conv2d(3, 4, 3).eval()), tmp_path / "maps.pt")
    (tmp_path / "stages.yaml").write_text(f"run: run\ningest: {{source: {tmp_path}/pair}}\n")
    changed = {
        "generate__method": "mixup", "generate__ratio": 1, "ingest__resolution": 8,
        "ingest__holdout": 0, "evaluate__variants": "off", "evaluate__features": "pixels",
        "ingest__patches": {"per_image": 20, "size": 16},
    }  # fmt: skip
    words = ("run", tmp_path / "stages.yaml", "--quiet", *tiny.options(**changed))
    assert cli(*words) == 0
    run = tmp_path / "run"
    capsys.readouterr()
    fakes = {
        side: fake(tmp_path / side, train=CUT_TRAIN, test=CUT_TEST.replace("SIDE", side))
        for side in ("trainA", "trainB")
    }
    assert trial(run, "sincut", fakes["trainB"], 160) == 2  # between which maps?
    assert "One-shot translation cannot be judged" in capsys.readouterr().err
    content = yaml.safe_load((run / "stages.yaml").read_text())
    content["evaluate"]["maps"] = str(tmp_path / "maps.pt")
    (run / "stages.yaml").write_text(yaml.safe_dump(content))
    distances = {}
    assert trial(run, "sincut", fakes["trainB"], 160, "--sizes", "20") == 2
    assert "of which fewer are not fewer images" in capsys.readouterr().err
    for side in fakes:
        assert trial(run, "sincut", fakes[side], 160) == 0
        result = record(run)["results"]["real"][0]
        assert [each["images"] for each in result["snapshots"]] == [80, 160]
        distances[side] = result["snapshots"][-1]["sfd"]
    assert distances["trainB"] < 0.01 * distances["trainA"]
    assert "sfd_maps of patches x 1000" in capsys.readouterr().out
    assert cli("report", run) == 0
    page = (run / "report" / "index.html").read_text()
    assert "sfd_maps of patches" in page and "did not choose the snapshot" not in page


def test_one_shot_translation_of_whole_images_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fake(tmp_path / "cut", train=CUT_TRAIN, test=CUT_TEST)
    assert trial(run, "sincut", folder, 160) == 2
    assert "ingest.patches" in capsys.readouterr().err and not (run / "trial" / "arms").exists()


def test_weights_of_lpips_that_cannot_be_used_are_named_before_any_work(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use_lpips(run, str(tmp_path / "absent.pth"))
    folder = fake(tmp_path / "cut", train=CUT_TRAIN, test=CUT_TEST.replace("SIDE", "trainB"))
    assert trial(run, "cut", folder, 160) == 2
    assert "evaluate.lpips: " in capsys.readouterr().err and not (run / "trial" / "arms").exists()


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["trial.trainer=null"], "trial.checkout is set without trial.trainer"),
        (["trial.trainer=edm"], "trial.trainer is edm, which has no preset"),
        (["trial.trainer=stylegan2-ada"], "has no generate.py"),
        (["trial.checkout=null"], "nothing says where it is"),
        (["trial.checkout=/none"], "/none, which is no folder"),
        (["trial.python=/none/python"], "trial.python is /none/python"),
        (["trial.images=100"], "arm real would be shown 80"),
        (
            ["trial.trainer=gan"],
            "trial.trainer is 'gan', which is not known. Presets are there for",
        ),
    ],
)
@pytest.mark.parametrize("dry", [True, False], ids=["dry", "run"])
def test_what_cannot_be_is_named_before_any_work(
    run: Path, more: list[str], named: str, dry: bool, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = fake(tmp_path / "one", main=DCGAN, train="")
    sets = [part for one in more for part in ("--set", one)]
    assert trial(run, "dcgan", folder, 640, *sets, *(["--dry-run"] if dry else [])) == 2
    assert named in capsys.readouterr().err and not (run / "trial" / "arms").exists()


def test_a_command_of_ones_own_wins(run: Path, tmp_path: Path) -> None:
    command = "mkdir {out}/mine; cp $(find {data} -name '*.png') {out}/mine"
    folder = fake(tmp_path / "one", main=DCGAN)
    more = ("--set", f"trial.command={command}", "--set", "trial.generated=mine")
    assert trial(run, "dcgan", folder, 640, *more) == 0
    assert [one["snapshots"][0]["copies"] for one in record(run)["results"]["real"]] == [1]


def test_dcgan_itself(run: Path) -> None:
    folder = checkout("examples/dcgan")
    words = [sys.executable, "-W", "ignore", "-c", "import torchvision"]
    lack = subprocess.run(words, capture_output=True, text=True)
    if lack.returncode:
        pytest.skip(f"no torchvision: {lack.stderr.strip().splitlines()[-1]}")
    assert trial(run, "dcgan", folder, 160) == 0
    for name, epochs in (("real", 2), ("own-1", 1)):
        seed = gan(run, name)
        assert f"[{epochs - 1}/{epochs}][" in (seed / "trainer.log").read_text()
        assert len(list((seed / "out" / "samples" / "160").iterdir())) == 100
        first = next((seed / "out" / "samples" / "160").iterdir())
        assert Image.open(first).size == (64, 64)
    assert set(record(run)["results"]) == {"real", "own-1"}
