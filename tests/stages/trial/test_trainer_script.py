"""Our script runs trainers' scripts as they are and adds what they lack; they are fakes here."""

import os
from pathlib import Path

import forked
import numpy as np
from PIL import Image

from scoremix.stages.trial import trainer_script

SEEDED = "import random, sys\nimport numpy, torch\n" + (
    "open(sys.argv[1], 'w').write(f'{random.random()} {numpy.random.rand()} {torch.rand(1)}')\n"
)
CUT_TEST = """import sys, torch
from options import NAME
assert sys.argv[-2:] == ["--gpu_ids", "-1"], sys.argv
torch.save({"module.a": torch.ones(1), "module.b": torch.ones(1)}, sys.argv[1])
print(NAME, *torch.load(sys.argv[1]))
torch.save({"module.a": 1, "b": 2}, sys.argv[1])
print(*torch.load(sys.argv[1]))
"""
BIGGAN = """import sys
import inception_utils, utils
print(utils.nclass_dict, inception_utils.prepare_inception_metrics("I64", False), sys.argv[1:])
"""
STARGAN = """import core.solver, os, sys
core.solver.calculate_metrics("nets", None, 10, mode="latent")
core.solver.calculate_metrics("nets", None, 10, mode="reference")
"""
EVALUATION = """import os, sys
from metrics.lpips import calculate_lpips_given_images
def calculate_fid_for_all_tasks(*args, **named):
    raise RuntimeError("it downloads a network")
def calculate_metrics(nets, args, step, mode):
    print(mode, calculate_lpips_given_images([]))
    made = sys.argv[sys.argv.index("--eval_dir") + 1]
    for name in ("0_a221_b2", "1_b220_a2"):
        os.makedirs(os.path.join(made, name))
    calculate_fid_for_all_tasks(args, domains=[], step=step, mode=mode)
"""


def script(*words: object) -> str:
    path = str(trainer_script.__file__)
    done = forked.run([*map(str, words)], os.environ, 120, script=path)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_script_without_a_seed_is_seeded(tmp_path: Path) -> None:
    write(tmp_path, train=SEEDED)
    texts = []
    for seed, name in ((1, "a"), (1, "b"), (2, "c")):
        script("fastgan", seed, tmp_path / "train.py", tmp_path / name)
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1] != texts[2]


def test_cut_on_a_cpu_takes_its_own_weights(tmp_path: Path) -> None:
    """And imports from its own folder, not from ours, whose modules have equal names."""
    write(tmp_path, test=CUT_TEST, options="NAME = 'its options'", config="")
    shown = script("cut", 0, tmp_path / "test.py", tmp_path / "weights")
    assert shown.splitlines() == ["its options a b", "module.a b"]


def test_biggan_has_the_classes_of_the_corpus(tmp_path: Path) -> None:
    metrics = "def prepare_inception_metrics(*words):\n    raise RuntimeError('it wants a file')"
    write(tmp_path, train=BIGGAN, utils="nclass_dict = {'I64': 1000, 'I64_hdf5': 1000}")
    write(tmp_path, inception_utils=metrics)
    shown = script("biggan", 3, tmp_path / "train.py", "--seed", 1)
    assert shown.strip() == "{'I64': 3, 'I64_hdf5': 3} None ['--seed', '1']"


def test_stargan_v2_sorts_translations_by_their_target(tmp_path: Path) -> None:
    """By random styles alone; a class may have a 2 in its name."""
    lpips = "def calculate_lpips_given_images(group):\n    raise RuntimeError('it downloads')"
    write(tmp_path, main=STARGAN, core__solver="from metrics.eval import calculate_metrics")
    write(tmp_path, metrics__eval=EVALUATION, metrics__lpips=lpips)
    for name in ("0_a2", "1_b2"):
        (tmp_path / "val" / name).mkdir(parents=True)
    made = tmp_path / "made"
    made.mkdir()
    shown = script(
        "stargan-v2", tmp_path / "main.py", "--val_img_dir", tmp_path / "val", "--eval_dir", made
    )
    assert shown == "latent 0.0\n"
    assert {str(path.relative_to(made)) for path in made.glob("*/*")} == {
        "to-1/0_a221_b2",
        "to-0/1_b220_a2",
    }


DCGAN = """import argparse, os, torch
parser = argparse.ArgumentParser()
for name in ("--niter", "--manualSeed"):
    parser.add_argument(name, type=int)
parser.add_argument("--outf")
parser.add_argument('--accel', action="store_true")
opt = parser.parse_args()
torch.manual_seed(opt.manualSeed)
device, nz = torch.device("cpu"), 5
netG = torch.nn.Sequential(torch.nn.ConvTranspose2d(nz, 3, 8), torch.nn.Tanh())
os.makedirs(opt.outf)
for epoch in range(opt.niter):
    torch.nn.init.constant_(netG[0].bias, epoch - 2.0)
    torch.save(netG.state_dict(), '%s/netG_epoch_%d.pth' % (opt.outf, epoch))
    torch.save(netG.state_dict(), '%s/netD_epoch_%d.pth' % (opt.outf, epoch))
"""


def test_dcgan_draws_from_the_weights_of_each_snapshot(tmp_path: Path) -> None:
    write(tmp_path, main=DCGAN)
    to = tmp_path / "samples"
    words = ["--niter", 5, "--manualSeed", 3, "--outf", tmp_path / "out"]
    script("dcgan", to, 2, 100, 70, tmp_path / "main.py", *words)
    kept = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert kept == ["netG_epoch_1.pth", "netG_epoch_3.pth", "netG_epoch_4.pth"]
    assert sorted(path.name for path in to.iterdir()) == ["200", "400", "500"]
    means = []
    for name in ("200", "400", "500"):
        images = [np.asarray(Image.open(path)) for path in sorted((to / name).iterdir())]
        assert len(images) == 70 and images[0].shape == (8, 8, 3)
        means.append(np.mean(images))
    assert means[0] < 60 and 190 < means[1] < means[2]  # tanh of -1, 1 and 2
