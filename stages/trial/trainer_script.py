"""Runs a trainer's own scripts where they lack what a trial needs. A program, run by its path.

    python trainer_script.py dcgan TO EVERY COUNT SAMPLES .../main.py ARGUMENT...
    python trainer_script.py cut SEED .../train.py ARGUMENT...
    python trainer_script.py fastgan SEED .../train.py ARGUMENT...
    python trainer_script.py fastgan-samples CHECKOUT WEIGHTS TO SIDE SAMPLES SEED UPDATE
    python trainer_script.py biggan CLASSES .../train.py ARGUMENT...
    python trainer_script.py stargan-v2 .../main.py --mode eval ARGUMENT...

It runs in the trainer's environment, with its torch, NumPy and Pillow, and imports nothing of this
package. The scripts run unmodified; what is replaced are values and functions of loaded modules.
"""

from __future__ import annotations

import importlib
import os
import random
import re
import runpy
import sys
from typing import Any

_DRAWN = 64  # samples at once


def dcgan(words: list[str]) -> None:
    """Trains, keeps the weights of every EVERY-th epoch and the last, and draws samples of each.

    TO/IMAGES/ get SAMPLES images, IMAGES being COUNT for each epoch. main.py writes weights after
    each epoch, without an end to them, and has no other way to its generator than to run it.
    """
    torch: Any = importlib.import_module("torch")
    to, (every, count, samples), script = words[0], map(int, words[1:4]), words[4]
    arguments = words[5:] + _dcgan_device(script)
    epochs = int(arguments[arguments.index("--niter") + 1])
    save, kept = torch.save, dict[int, str]()

    def save_some(state: Any, path: str, *more: Any, **named: Any) -> None:
        found = re.search(r"netG_epoch_(\d+)\.pth$", path)
        epoch = int(found[1]) + 1 if found else 0
        if epoch and (epoch == epochs or epoch % every == 0):
            save(state, path, *more, **named)
            kept[epoch] = path

    torch.save = save_some
    trained = _run(script, arguments)
    generator, device = trained["netG"], trained["device"]
    for epoch, path in kept.items():
        generator.load_state_dict(torch.load(path, map_location=device, weights_only=True))

        def draw(number: int) -> Any:
            return generator(torch.randn(number, trained["nz"], 1, 1, device=device))

        _write_samples(draw, samples, os.path.join(to, str(epoch * count)))


def _dcgan_device(script: str) -> list[str]:
    """The option of this version of main.py for a GPU, where there is one."""
    import torch

    with open(script, encoding="utf-8") as file:
        text = file.read()
    known = [option for option in ("--accel", "--cuda") if f"'{option}'" in text]
    return known[:1] if torch.cuda.is_available() else []


def cut(words: list[str]) -> None:
    """Seeds everything and runs a script of CUT on the GPU, or on the CPU where there is none.

    On a CPU its train.py saves weights with a prefix that its test.py does not take.
    """
    import torch

    load = torch.load

    def load_plain(*arguments: Any, **named: Any) -> Any:
        return _without_prefix(load(*arguments, **named))

    torch.load = load_plain
    gpu = "0" if torch.cuda.is_available() else "-1"
    seeded([*words, "--gpu_ids", gpu])


def seeded(words: list[str]) -> None:
    """Runs a script that has no option for a seed: SEED, its path, its arguments."""
    import numpy as np
    import torch

    seed = int(words[0])
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    _run(words[1], words[2:])


def fastgan_samples(words: list[str]) -> None:
    """Draws samples of every N.pth in WEIGHTS but 0.pth, into TO/(N x UPDATE)/."""
    import torch

    checkout, weights, to = words[:3]
    side, samples, seed, update = map(int, words[3:7])
    sys.path.insert(0, checkout)
    generator = importlib.import_module("models").Generator(ngf=64, nz=256, nc=3, im_size=side)
    generator.to("cuda")
    for name in sorted(os.listdir(weights)):
        found = re.fullmatch(r"(\d+)\.pth", name)
        if found is None or int(found[1]) == 0:  # all_N.pth hold more; 0.pth is untrained
            continue
        path = os.path.join(weights, name)
        loaded = torch.load(path, map_location="cuda", weights_only=True)
        generator.load_state_dict(_without_prefix(loaded["g"]))
        torch.manual_seed(seed)

        def draw(number: int) -> Any:
            return generator(torch.randn(number, 256, device="cuda"))[0]

        _write_samples(draw, samples, os.path.join(to, str(int(found[1]) * update)), at_once=16)


def biggan(words: list[str]) -> None:
    """Runs a script of BigGAN-PyTorch with CLASSES classes, and without its Inception scores.

    Its table gives every I* dataset 1,000 classes, of which it would train and sample all. Its
    tests during training, which no trial uses, want a network that they download.
    """
    script = words[1]
    sys.path.insert(0, os.path.dirname(script))
    utils: Any = importlib.import_module("utils")
    inception: Any = importlib.import_module("inception_utils")
    utils.nclass_dict = {name: int(words[0]) for name in utils.nclass_dict}
    inception.prepare_inception_metrics = lambda *_, **__: None
    _run(script, words[2:])


def stargan_v2(words: list[str]) -> None:
    """Translates by random styles, without LPIPS and FID; sorts EVAL_DIR/A2B/ into to-K/A2B/."""
    script, arguments = words[0], words[1:]
    sys.path.insert(0, os.path.dirname(script))
    solver: Any = importlib.import_module("core.solver")
    evaluation: Any = importlib.import_module("metrics.eval")
    evaluation.calculate_lpips_given_images = lambda *_: 0.0
    evaluation.calculate_fid_for_all_tasks = lambda *_, **__: None
    calculate = solver.calculate_metrics

    def of_latents(nets: Any, args: Any, step: int, mode: str) -> None:
        if mode == "latent":
            calculate(nets, args, step, mode=mode)

    solver.calculate_metrics = of_latents
    _run(script, arguments)
    made, real = (arguments[arguments.index(name) + 1] for name in ("--eval_dir", "--val_img_dir"))
    domains = sorted(os.listdir(real))
    for number, target in enumerate(domains):
        for source in domains:
            if source != target:
                name = f"{source}2{target}"
                place = os.path.join(made, f"to-{number}")
                os.makedirs(place, exist_ok=True)
                os.rename(os.path.join(made, name), os.path.join(place, name))


def _run(script: str, arguments: list[str]) -> dict[str, Any]:
    """The script as `python SCRIPT ARGUMENT...` would run it; gives its global names."""
    sys.argv = [script, *arguments]
    sys.path.insert(0, os.path.dirname(script))
    return runpy.run_path(script, run_name="__main__")


def _without_prefix(state: Any) -> Any:
    """A state dict as it is without torch.nn.DataParallel around the network."""
    prefix = "module."
    if not (
        isinstance(state, dict) and state and all(str(key).startswith(prefix) for key in state)
    ):
        return state
    return {key[len(prefix) :]: value for key, value in state.items()}


def _write_samples(draw: Any, count: int, folder: str, at_once: int = _DRAWN) -> None:
    """FOLDER/000000.png and on; `draw` gives float images (n, 3, H, W) in [-1, 1]."""
    import torch
    from PIL import Image

    os.makedirs(folder)
    for start in range(0, count, at_once):
        with torch.no_grad():
            images = draw(min(at_once, count - start))
        pixels = (images * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
        for number, image in enumerate(pixels.permute(0, 2, 3, 1).cpu().numpy(), start=start):
            Image.fromarray(image).save(os.path.join(folder, f"{number:06d}.png"))


COMMANDS = {
    "dcgan": dcgan,
    "cut": cut,
    "fastgan": seeded,
    "fastgan-samples": fastgan_samples,
    "biggan": biggan,
    "stargan-v2": stargan_v2,
}

if __name__ == "__main__":
    del sys.path[0]  # the folder of this file, whose modules are no trainer's
    COMMANDS[sys.argv[1]](sys.argv[2:])
